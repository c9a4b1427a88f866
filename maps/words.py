"""Every word a reader sees: catalogues per language, months, plurals, and the sentences behind a level.

A catalogue is complete or it does not load. What it must hold follows from three places: the
nouns of the waist (each status, level, class has words), the page's own script and shell, and
the sentences made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from string import Formatter
from typing import Any, Literal

from geodata.schema import KEEPS_VALUE, AlertLevel, ContractError, Status

LANGUAGES = ("en", "ar", "ckb")
FALLBACK: Mapping[str, tuple[str, ...]] = {
    "en": ("en", "ar", "ckb"),
    "ar": ("ar", "en", "ckb"),
    "ckb": ("ckb", "ar", "en"),
}
"""Where a name is looked for when a language lacks it; what is found elsewhere is marked as such."""

CLASSES = ("very_low", "low", "medium", "high", "very_high")
SURENESS = ("0", "1", "2", "3")
TIERS = ("A", "B", "C", "D", "E")
HAZARDS = ("drought", "water", "heavy_rain", "salinity", "dust", "river_flood", "heat")
DIMENSIONS = ("hazard", "exposure", "vulnerability", "lack_of_coping")
BASES = ("monitoring", "outlook", "forecast")
TABLE_HEADS = ("name", "parents", "pcode", "level", "score", "range", "tier", "displaced", "reason")
LAYERS = ("risk", "alert", "hazard", "exposure", "vulnerability", "lack_of_coping", "displaced", "reliability")

_LEVELS = tuple(level.name for level in AlertLevel)
_MONTHS = tuple(str(m) for m in range(1, 13))
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "layer": LAYERS,
    "hazard": HAZARDS,
    "dimension": DIMENSIONS,
    "without": DIMENSIONS,
    "class": CLASSES,
    "sure": SURENESS,
    "alert": _LEVELS,
    "alert_short": _LEVELS,
    "do": (*_LEVELS, "first"),
    "basis": BASES,
    "tier": TIERS,
    "tier_short": TIERS,
    "status": tuple(s.name for s in Status),
    "status_short": tuple(s.name for s in Status),
    "needed": tuple(s.name for s in Status if s not in KEEPS_VALUE and s is not Status.no_skill),
    "table": ("title", "order", *(h for h in TABLE_HEADS if h != "score")),
    "month": _MONTHS,
    "month_short": _MONTHS,
}
"""Keys that follow from the nouns of the contract: prefix -> last parts."""


@dataclass(frozen=True)
class Catalogue:
    """The words of one language.

    Parameters
    ----------
    lang : str, ISO code
    name : str, the language's name in its own script
    direction : "ltr" or "rtl"
    draft : bool, True until a native speaker of the field has signed the words
    words : mapping, key -> text with ``{placeholders}``; plural forms are separated by ``|``
    """

    lang: str
    name: str
    direction: Literal["ltr", "rtl"]
    draft: bool
    words: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Text of ``key`` with its placeholders filled."""
        return self.words[key].format(**values)

    def plural(self, key: str, n: int) -> str:
        """The form of ``key`` that goes with the whole number ``n``."""
        forms = self.words[key].split("|")
        return forms[plural_form(self.lang, n, len(forms))].format(n=n)

    def month(self, when: str, short: bool = False) -> str:
        """Month ``"YYYY-MM"`` in words, Iraqi names in Arabic."""
        year, month = when.split("-")[:2]
        return self("date.month", month=self.words[f"month{'_short' if short else ''}.{int(month)}"], year=year)


def plural_form(lang: str, n: int, forms: int) -> int:
    """Index of the plural form: English one|other, Arabic one|two|few|many|other (CLDR without zero).

    >>> [plural_form("ar", n, 5) for n in (1, 2, 9, 12, 100)]
    [0, 1, 2, 3, 4]
    """
    if forms == 1:
        return 0
    if lang != "ar":
        return 0 if n == 1 else 1
    if n in (1, 2):
        return n - 1
    rest = n % 100
    return 2 if 3 <= rest <= 10 else 3 if rest >= 11 else 4


# ------------------------------------------------------------------ what a catalogue must hold


def asset(name: str) -> str:
    """Text of one file of ``maps/assets``."""
    return resources.files("maps").joinpath("assets", name).read_text(encoding="utf-8")


_IN_SCRIPT = re.compile(r"\b(?:t|n|around)\('([a-z_]+\.?[a-z_0-9]*)'\s*[,)]")
_IN_SHELL = re.compile(r'data-t(?:-label)?="([^"]+)"')

PYTHON_KEYS = ("months", "banner.exercise", "banner.exercise_text", "banner.synthetic", "banner.synthetic_text")
"""Keys said by Python, besides those of the families."""


@lru_cache(maxsize=1)
def expected_keys() -> frozenset[str]:
    """Every key that something says: no more, no fewer may stand in a catalogue."""
    families = {f"{prefix}.{last}" for prefix, lasts in FAMILIES.items() for last in lasts}
    said = set(_IN_SCRIPT.findall(asset("wadi.js"))) | set(_IN_SHELL.findall(asset("shell.html") + asset("after.html")))
    reasons = {reason.key for variants in REASONS.values() for reason in variants}
    return frozenset(families | said | reasons | set(PYTHON_KEYS))


def placeholders(text: str) -> frozenset[str]:
    """Names in braces.

    >>> sorted(placeholders("{low} to {high}"))
    ['high', 'low']
    """
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def check_catalogue(lang: str, words: Mapping[str, str], reference: Mapping[str, str]) -> None:
    """Raise ContractError unless ``words`` hold the expected keys alone, none empty, with the same placeholders."""
    wrong = [f"key {k!r} is missing" for k in sorted(expected_keys() - words.keys())]
    wrong += [f"key {k!r} is used by nothing" for k in sorted(words.keys() - expected_keys())]
    wrong += [f"{k!r} is empty" for k, v in sorted(words.items()) if not v.strip()]
    for key in sorted(words.keys() & reference.keys()):
        here, there = placeholders(words[key]), placeholders(reference[key])
        if here != there:
            wrong.append(f"{key!r}: found placeholders {sorted(here)}, expected {sorted(there)}")
    if wrong:
        raise ContractError(f"catalogue {lang}: " + "; ".join(wrong))


def _read(lang: str) -> dict[str, Any]:
    path = resources.files("maps").joinpath("locales", f"{lang}.json")
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def load_catalogue(lang: str) -> Catalogue:
    """The checked catalogue of one language; ContractError where a key is missing or unused."""
    if lang not in LANGUAGES:
        raise ContractError(f"language {lang!r}: no catalogue, expected one of {', '.join(LANGUAGES)}")
    held = _read(lang)
    words = {k: v for k, v in held.items() if not k.startswith("_")}
    reference = {k: v for k, v in _read("en").items() if not k.startswith("_")}
    check_catalogue(lang, words, reference)
    return Catalogue(lang, held["_name"], held["_dir"], held["_draft"], words)


# ------------------------------------------------------------------ names and labels


def in_language(texts: Mapping[str, str], lang: str) -> tuple[str, str]:
    """The text for ``lang``, or the nearest language that has one.

    Returns
    -------
    (text, language it is in); ``("", lang)`` where no language has any

    >>> in_language({"en": "Rania", "ckb": ""}, "ckb")
    ('Rania', 'en')
    """
    for candidate in FALLBACK[lang]:
        if str(texts.get(candidate) or "").strip():
            return str(texts[candidate]), candidate
    return "", lang


# ------------------------------------------------------------------ the sentence behind a level


@dataclass(frozen=True)
class Reason:
    """One way to say a reason code: the catalogue key, and the values it needs."""

    key: str
    needs: tuple[str, ...] = ()


REASONS: Mapping[str, tuple[Reason, ...]] = {
    "normal": (Reason("reason.normal"),),
    "nothing_observed": (Reason("reason.nothing_observed"),),
    "stale_only": (Reason("reason.stale_only"),),
    "drought_spi": (
        Reason("reason.drought_chance", ("scale_months", "years_of_ten", "chance")),
        Reason("reason.drought_years", ("scale_months", "years_of_ten")),
        Reason("reason.drought_index", ("scale_months", "index")),
    ),
    "water_low": (
        Reason("reason.water_years", ("percentile", "period")),
        Reason("reason.water_years_plain", ("percentile",)),
    ),
    "heavy_rain": (Reason("reason.heavy_rain_years", ("percentile",)),),
    "anomaly": (Reason("reason.anomaly", ("label", "years_of_ten")),),
    "not_persistent": (Reason("reason.not_persistent"),),
}
"""Reason codes of the early warning: the first variant whose values are all given is said."""


def years_of_ten(share: float) -> int:
    """A share of years as whole years of ten, never more than was seen.

    >>> years_of_ten(0.97), years_of_ten(0.9), years_of_ten(0.05)
    (9, 9, 1)
    """
    return min(9, max(1, int(share * 10 + 1e-9)))


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _period(words: Catalogue, period: object) -> str:
    text = str(period)
    return words.month(text) if re.fullmatch(r"\d{4}-\d{2}", text) else text


def _water_or_rain(code: str, share: float) -> int:
    return years_of_ten(1 - share if code == "water_low" else share)


_SAY: Mapping[str, Callable[[Catalogue, str, Any], tuple[str, object]]] = {
    "scale_months": lambda words, code, v: ("months", words.plural("months", int(v))),
    "years_of_ten": lambda words, code, v: ("years", int(v)),
    "chance": lambda words, code, v: ("chance", round(float(v) * 10) if 0 < float(v) <= 1 else int(v)),
    "index": lambda words, code, v: ("index", _signed(float(v))),
    "percentile": lambda words, code, v: ("years", _water_or_rain(code, float(v))),
    "period": lambda words, code, v: ("period", _period(words, v)),
    "label": lambda words, code, v: ("label", in_language(v, words.lang)[0]),
}


def _given(values: Mapping[str, Any], needs: Iterable[str]) -> bool:
    return all(values.get(n) is not None and values[n] == values[n] for n in needs)


def sentence(lang: str, code: str, values: Mapping[str, Any]) -> str:
    """The sentence for a reason code of the early warning.

    Parameters
    ----------
    lang : str, ISO code
    code : str, a key of REASONS; "" gives ""
    values : mapping, what the code carries, e.g. ``{"scale_months": 6, "years_of_ten": 9}``

    >>> sentence("en", "drought_spi", {"scale_months": 6, "years_of_ten": 9})
    'Less rain fell over the last 6 months than in 9 of 10 years.'
    """
    if not code:
        return ""
    if code not in REASONS:
        raise ContractError(f"reason code {code!r}: no words, expected one of {', '.join(sorted(REASONS))}")
    words = load_catalogue(lang)
    for reason in REASONS[code]:
        if _given(values, reason.needs):
            return words(reason.key, **dict(_SAY[n](words, code, values[n]) for n in reason.needs))
    needs = " or ".join("+".join(r.needs) for r in REASONS[code])
    raise ContractError(f"reason code {code!r}: found values {sorted(values)}, expected {needs}")
