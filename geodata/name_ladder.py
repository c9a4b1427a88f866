"""From the name a table gives to the unit it means, step by step, with a score; two equal answers are no answer.

The steps, each tried only where the ones before found nothing: the same name; the same sound in Latin letters; the
same letters in Arabic; an alternate name; the same consonants in Kurdish or Arabic letters; likeness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from .place_names import arabic_form, is_arabic_script, kurdish_form, likeness, plain_form, sound_form

STEPS = ("exact", "alias", "transliteration", "arabic", "alternate", "kurdish", "fuzzy")
"""How a name was recognised, surest first."""

SCORES = {"exact": 1.0, "alias": 1.0, "transliteration": 0.97, "arabic": 0.97, "alternate": 0.95, "kurdish": 0.92}
"""Score of a match at each step; a fuzzy one has its likeness, at most `FUZZY_AT_MOST`."""

FUZZY_AT_MOST = 0.9
MIN_SCORE = 0.85
"""Of the district names of the IDP list of August 2019, all right ones are liker than this, all wrong ones less."""

MIN_LEAD = 0.05
"""By which the best must lead the next unit, or the name is one for an analyst."""

_CONSIDERED = 8  # candidates whose likeness is worked out, those that share most letters with the name
_SHOWN = 3
_CODE = {1: "adm1_pcode", 2: "adm2_pcode", 3: "pcode"}


@dataclass(frozen=True)
class Candidate:
    """A unit that a name may mean."""

    code: str
    name: str
    score: float


@dataclass(frozen=True)
class Match:
    """What one name means: a unit, or why none was chosen and which come nearest.

    Parameters
    ----------
    code : str, "" where no unit was chosen
    step : one of `STEPS`, "" without code
    score : float, 0 to 1
    why : "" with a code; else "no name", "no such name" or "ambiguous"
    candidates : the nearest units, best first
    """

    code: str
    step: str
    score: float
    why: str = ""
    candidates: tuple[Candidate, ...] = ()


NO_NAME = Match("", "", 0.0, "no name")
NO_SUCH_NAME = Match("", "", 0.0, "no such name")


@dataclass(frozen=True)
class NameLadder:
    """Names of units of one level, and the ladder by which others' names find them.

    Parameters
    ----------
    names : DataFrame, a row per name
        ``code``; ``name``; ``alternate`` (bool); ``above``, the frozenset of codes of the units above and of itself.
    aliases : mapping
        Their name -> a name or code of ours, as the country file documents it.
    min_score, min_lead : float
    """

    names: pd.DataFrame
    aliases: Mapping[str, str] = field(default_factory=dict)
    min_score: float = MIN_SCORE
    min_lead: float = MIN_LEAD

    def climb(self, name: str, within: Iterable[str] = ()) -> Match:
        """Unit that ``name`` means, among those within all of the units above that are given.

        Parameters
        ----------
        name : str, in any of the scripts
        within : iterable of str
            Codes of units above; empty ones are left out.

        Returns
        -------
        Match
        """
        found = self.equal(name, within)
        if found.code or found.why != "no such name":
            return found
        return self._liked(self._aliases.get(plain_form(name), name), self._allowed(frozenset(c for c in within if c)))

    def equal(self, name: str, within: Iterable[str] = ()) -> Match:
        """The same, by all steps but likeness."""
        if not plain_form(name):
            return NO_NAME
        alias = self._aliases.get(plain_form(name))
        step, asked = ("alias", alias) if alias is not None else ("exact", plain_form(name))
        allowed = self._allowed(frozenset(c for c in within if c))
        if found := self._equal("exact", asked, allowed):
            return self._one(found, step)
        if alias is None:
            for step in ("transliteration", "arabic", "alternate", "kurdish"):
                if found := self._by_form(step, name, allowed):
                    return self._one(found, step)
        return NO_SUCH_NAME

    def climb_all(self, names: pd.Series, within: Sequence[pd.Series] = ()) -> list[Match]:
        """Match of each name; the same question is answered once. Returns: list in the order of ``names``."""
        parts = zip(*(w.fillna("") for w in within), strict=True) if within else (() for _ in names)
        asked = list(zip(names.fillna(""), map(tuple, parts), strict=True))
        answers = {question: self.climb(*question) for question in dict.fromkeys(asked)}
        return [answers[question] for question in asked]

    def unknown_aliases(self) -> dict[str, str]:
        """Aliases that lead to no single unit of ours: faults of the country file."""
        every = frozenset(self.names["code"])
        return {t: ours for t, ours in self.aliases.items() if len(self._equal("exact", plain_form(ours), every)) != 1}

    # -------------------------------------------------------------- the steps

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return {plain_form(theirs): plain_form(ours) for theirs, ours in self.aliases.items()}

    @cached_property
    def _shown(self) -> dict[str, str]:
        main = self.names[~self.names["alternate"] & (self.names["name"] != "")]
        return dict(main.drop_duplicates("code")[["code", "name"]].itertuples(index=False))

    @cached_property
    def _forms(self) -> dict[str, dict[str, set[str]]]:
        """Step -> form of a name -> codes of the units that bear it."""
        found: dict[str, dict[str, set[str]]] = {s: {} for s in STEPS if s not in ("alias", "fuzzy")}
        for code in self.names["code"].unique():
            found["exact"].setdefault(plain_form(code), set()).add(code)
        for code, name, alternate in self.names[["code", "name", "alternate"]].itertuples(index=False):
            for step, form in _forms_of(name).items():
                under = "alternate" if alternate and step != "kurdish" else step
                found[under].setdefault(form, set()).add(code)
        return found

    def _allowed(self, within: frozenset[str]) -> frozenset[str]:
        if within not in self._known_allowed:
            inside = [within <= above for above in self.names["above"]]
            self._known_allowed[within] = frozenset(self.names["code"][inside])
        return self._known_allowed[within]

    @cached_property
    def _known_allowed(self) -> dict[frozenset[str], frozenset[str]]:
        return {}

    def _equal(self, step: str, form: str, allowed: frozenset[str]) -> set[str]:
        return self._forms[step].get(form, set()) & allowed

    def _by_form(self, step: str, name: str, allowed: frozenset[str]) -> set[str]:
        forms = _forms_of(name)
        asked = forms.values() if step == "alternate" else [forms[step]] if step in forms else []
        return set().union(*(self._equal(step, form, allowed) for form in asked))

    def _one(self, codes: set[str], step: str) -> Match:
        score = SCORES[step]
        candidates = tuple(Candidate(c, self._shown.get(c, ""), score) for c in sorted(codes))
        if len(codes) > 1:
            return Match("", "", score, "ambiguous", candidates)
        return Match(candidates[0].code, step, score, "", candidates)

    # -------------------------------------------------------------- likeness

    @cached_property
    def _letters(self) -> tuple[np.ndarray, dict[str, int]]:
        """How often each letter stands in the form of each name, (name, letter)."""
        counts = [Counter(_compared(n)) for n in self.names["name"]]
        place = {c: k for k, c in enumerate(sorted({c for count in counts for c in count}))}
        table = np.zeros((len(counts), max(len(place), 1)), dtype="int16")
        for row, count in enumerate(counts):
            for letter, times in count.items():
                table[row, place[letter]] = times
        return table, place

    def _liked(self, name: str, allowed: frozenset[str]) -> Match:
        table, place = self._letters
        asked = np.zeros(table.shape[1], dtype="int16")
        compared = _compared(name)
        for letter, times in Counter(compared).items():
            if letter in place:
                asked[place[letter]] = times
        # Letters in common bound what difflib can find, so the rest need not be compared.
        bound = 2 * np.minimum(table, asked).sum(axis=1) / np.maximum(table.sum(axis=1) + len(compared), 1)
        bound[~self.names["code"].isin(allowed).to_numpy()] = -1
        best: dict[str, float] = {}
        for row in np.argsort(-bound, kind="stable")[: 2 * _CONSIDERED]:
            if bound[row] <= 0:
                break
            code = str(self.names["code"].iat[row])
            best[code] = max(best.get(code, 0.0), min(likeness(name, self.names["name"].iat[row]), FUZZY_AT_MOST))
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
        candidates = tuple(Candidate(c, self._shown.get(c, ""), round(s, 3)) for c, s in ranked[:_SHOWN] if s > 0)
        if not ranked or ranked[0][1] < self.min_score:
            return Match("", "", ranked[0][1] if ranked else 0.0, "no such name", candidates)
        if len(ranked) > 1 and ranked[0][1] - ranked[1][1] < self.min_lead:
            return Match("", "", ranked[0][1], "ambiguous", candidates)
        return Match(ranked[0][0], "fuzzy", ranked[0][1], "", candidates)


def ladder_of(
    subdistricts: pd.DataFrame,
    level: int,
    *,
    aliases: Mapping[str, str] | None = None,
    alternates: Mapping[str, Iterable[str]] | None = None,
    min_score: float = MIN_SCORE,
    min_lead: float = MIN_LEAD,
) -> NameLadder:
    """Ladder to the units of one level, by the names the subdistricts table gives them in all its languages.

    Parameters
    ----------
    subdistricts : DataFrame
        The subdistricts table.
    level : 1, 2 or 3
    aliases : mapping, their name -> name or code of ours
    alternates : mapping, code -> further names of the unit
    min_score, min_lead : float
    """
    flat = pd.DataFrame(subdistricts.drop(columns="geometry", errors="ignore")).reset_index()
    code = _CODE[level]
    columns = [f"name_{n}" if level == 3 else f"adm{level}_name{s}" for n, s in _LANGUAGES]
    above = [_CODE[n] for n in range(1, level + 1)]
    units = flat.drop_duplicates(code).sort_values(code)
    rows = [
        (unit[code], unit[column], False, frozenset(unit[a] for a in above))
        for unit in units.to_dict("records")
        for column in columns
    ]
    known = dict(zip(units[code], (r[3] for r in rows[:: len(columns)]), strict=True))
    rows += [(c, n, True, known[c]) for c, names in (alternates or {}).items() if c in known for n in names]
    names = pd.DataFrame(rows, columns=["code", "name", "alternate", "above"])
    return NameLadder(names[names["name"] != ""].reset_index(drop=True), aliases or {}, min_score, min_lead)


_LANGUAGES = (("en", ""), ("ar", "_ar"), ("ckb", "_ckb"))
_FORMS: tuple[tuple[str, bool, Callable[[str], str]], ...] = (
    ("exact", False, plain_form),
    ("exact", True, plain_form),
    ("transliteration", False, sound_form),
    ("arabic", True, arabic_form),
    ("kurdish", True, kurdish_form),
)


def _forms_of(name: str) -> dict[str, str]:
    """Step -> form of a name, for the steps that its script has."""
    arabic = is_arabic_script(name)
    forms = {step: form(name) for step, script, form in _FORMS if script == arabic}
    # Two consonants are borne by too many names to mean one.
    return {step: form for step, form in forms.items() if len(form) > (2 if step == "kurdish" else 0)}


def _compared(name: str) -> str:
    return arabic_form(name) if is_arabic_script(name) else sound_form(name)
