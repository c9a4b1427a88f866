"""Invented place names of the synthetic country, in English, Arabic and Sorani.

A name is two syllables, each written in the three scripts, with a landscape word before
some of them ("Wadi", "وادي", "دۆڵی"). No syllable pair is meant to be a real place.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Name = Mapping[str, str]
"""One name per language: en, ar, ckb."""

_FIRST = (
    ("Zar", "زار", "زاڕ"),
    ("Bel", "بيل", "بێڵ"),
    ("Nev", "نيف", "نێڤ"),
    ("Hel", "هيل", "هێڵ"),
    ("Mer", "مير", "مێر"),
    ("Dal", "دال", "داڵ"),
    ("Rov", "روف", "ڕۆڤ"),
    ("Kew", "كيو", "کێو"),
    ("Tav", "تاف", "تاڤ"),
    ("Gul", "غول", "گوڵ"),
    ("Qor", "قور", "قۆڕ"),
    ("Zhal", "جال", "ژاڵ"),
    ("Shem", "شيم", "شێم"),
    ("Var", "فار", "ڤاڕ"),
    ("Haw", "هاو", "هاو"),
    ("Sor", "سور", "سۆر"),
    ("Lan", "لان", "لان"),
    ("Chem", "تشيم", "چەم"),
)
_SECOND = (
    ("wan", "وان", "وان"),
    ("dar", "دار", "دار"),
    ("mira", "ميرة", "میرە"),
    ("shan", "شان", "شان"),
    ("rok", "روك", "ڕۆک"),
    ("zela", "زيلة", "زێڵە"),
    ("nosh", "نوش", "نۆش"),
    ("lim", "ليم", "لیم"),
    ("taq", "طاق", "تاق"),
    ("gava", "غافة", "گاڤە"),
    ("hen", "هين", "هێن"),
    ("bora", "بورة", "بۆڕە"),
    ("nava", "نافا", "ناڤا"),
    ("veda", "فيدة", "ڤێدە"),
)
_LANDSCAPE = {
    "mountain": (("Jebel", "جبل", "چیای"), ("Ain", "عين", "کانی")),
    "plain": (("Tel", "تل", "گردی"), ("Ain", "عين", "کانی")),
    "river": (("Shatt", "شط", "ڕووباری"), ("Jisr", "جسر", "پردی")),
    "marsh": (("Hor", "هور", "زۆنگاوی"),),
    "desert": (("Wadi", "وادي", "دۆڵی"), ("Bir", "بئر", "بیری")),
}
_SETTLEMENTS = (
    ("{} Village", "قرية {}"),
    ("Hay {}", "حي {}"),
    ("{} Al-Jadida", "{} الجديدة"),
    ("{} Station", "محطة {}"),
)
_LANGUAGES = ("en", "ar", "ckb")

COUNTRY_NAME: Name = {"en": "Merzan", "ar": "مرزان", "ckb": "مێرزان"}


_Syllable = tuple[str, str, str]


def _joined(pair: tuple[_Syllable, _Syllable]) -> Name:
    return {language: a + b for language, a, b in zip(_LANGUAGES, *pair, strict=True)}


class NameGiver:
    """Hands out names that are never repeated, in an order set by ``rng``."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        pairs = [(first, second) for first in _FIRST for second in _SECOND if first[0][-1] != second[0][0]]
        self._unused = [pairs[i] for i in rng.permutation(len(pairs))]

    def plain(self) -> Name:
        """A name without a landscape word."""
        return _joined(self._unused.pop())

    def distinct(self, count: int) -> list[Name]:
        """Names that share no syllable, so that nobody mixes them up."""
        chosen: list[tuple[_Syllable, _Syllable]] = []
        for pair in list(self._unused):
            if len(chosen) < count and all(pair[0] != a and pair[1] != b for a, b in chosen):
                chosen.append(pair)
                self._unused.remove(pair)
        return [_joined(pair) for pair in chosen]

    def place(self, landscape: str) -> Name:
        """A name that fits the landscape: two in five carry a landscape word, all marshes do."""
        name = self.plain()
        if landscape != "marsh" and self.rng.random() > 0.4:
            return name
        words = _LANDSCAPE[landscape]
        word = dict(zip(_LANGUAGES, words[self.rng.integers(len(words))], strict=True))
        return {language: f"{word[language]} {name[language]}" for language in _LANGUAGES}


def settlement_name(rng: np.random.Generator) -> tuple[str, str]:
    """English and Arabic name of a village or quarter; these may repeat, as they do on the ground."""
    first, second = _FIRST[rng.integers(len(_FIRST))], _SECOND[rng.integers(len(_SECOND))]
    english, arabic = _SETTLEMENTS[rng.integers(len(_SETTLEMENTS))]
    return english.format(first[0] + second[0]), arabic.format(first[1] + second[1])
