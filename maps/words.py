"""Every word a reader sees: catalogues per language, months, plurals, and the sentences behind a level.

A catalogue is complete or it does not load. What it must hold follows from three places: the
nouns of the waist (each status, level, class has words), the page's own script and shell, and
the sentences made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from string import Formatter
from typing import Any, Literal

from geodata.schema import KEEPS_VALUE, AlertLevel, ContractError, Manifest, Status

from .rounding import half_up

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
CONFIDENCE = ("sure", "fairly sure", "unsure")
"""How sure the printed group is, in the words committees see."""
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
    "confidence": tuple(c.replace(" ", "_") for c in CONFIDENCE),
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
    "reason": ("nothing_observed", "stale_only", "stale", "normal", "not_yet", "lasting", "age"),
    "fact": ("drought", "drought_index", "water", "heavy_rain", "other", "other_score"),
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
    return frozenset(families | said | set(PYTHON_KEYS))


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


def notice(manifest: Manifest, languages: Sequence[str] = LANGUAGES) -> str:
    """What a drill or a made-up country says in every product, in every language; "" for a real run.

    For products without a banner: a column, an attribute, a file's description.
    """
    said = []
    for lang in languages:
        words = load_catalogue(lang)
        flags = [name for name in ("exercise", "synthetic") if getattr(manifest, name)]
        said += [f"{words(f'banner.{name}')}: {words(f'banner.{name}_text')}" for name in flags]
    return " · ".join(said)


# ------------------------------------------------------------------ the sentence behind a level

REASON_CODES = ("no_data", "normal", "not_persistent", "above_threshold")
"""What the early warning may hand over; each has its sentence."""


def sentence(lang: str, code: str, values: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> str:
    """The sentence for a reason code of the early warning.

    Parameters
    ----------
    lang : str, ISO code
    code : str, one of REASON_CODES; "" gives ""
    values : mapping
        What the code carries, None if not known: ``hazard`` and its ``score`` (0-10), ``years_of_ten`` (years less
        extreme), ``scale_months``, ``index_value`` (standard deviations), ``months`` in a row, ``age_months``, and
        ``stale``, the hazards too old to count.
    labels : mapping, hazard -> its name in this language, where it has another than the catalogue's

    >>> sentence("en", "above_threshold", {"hazard": "drought", "scale_months": 6, "years_of_ten": 9, "months": 3})
    'Less rain fell over the last 6 months than in 9 of 10 years. It has been so for 3 months.'
    """
    if not code:
        return ""
    if code not in REASON_CODES:
        raise ContractError(f"reason code {code!r}: no words, expected one of {', '.join(REASON_CODES)}")
    words, stale = load_catalogue(lang), values.get("stale") or ()
    if code == "no_data":
        return words("reason.stale_only" if stale else "reason.nothing_observed")
    said = [words("reason.normal") if code == "normal" else _fact(words, values, labels or {})]
    if code == "not_persistent":
        said.append(words("reason.not_yet"))
    if code == "above_threshold" and (_known(values, "months") or 0) > 1:
        said.append(words("reason.lasting", months=words.plural("months", int(values["months"]))))
    if age := _known(values, "age_months"):
        said.append(words("reason.age", months=words.plural("months", int(age))))
    if stale:
        named = words.words["list"].join(_hazard_name(words, name, labels or {}) for name in stale)
        said.append(words("reason.stale", hazards=named))
    return " ".join(said)


def _known(values: Mapping[str, Any], name: str) -> float | None:
    """A number, or None where it is absent or NaN."""
    value = values.get(name)
    return None if value is None or value != value else float(value)


def _fact(words: Catalogue, values: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What was measured, in years of ten where that is known, never more years than were seen."""
    hazard = str(values.get("hazard") or "")
    if not hazard:
        raise ContractError(f"reason: found values {sorted(values)}, expected a hazard")
    years, scale, index, score = (_known(values, n) for n in ("years_of_ten", "scale_months", "index_value", "score"))
    # Only rain is accumulated over months, whatever a country calls the hazard.
    kind = "drought" if scale is not None else hazard if hazard in ("water", "heavy_rain") else "other"
    said: dict[str, object] = {"hazard": _hazard_name(words, hazard, labels)}
    said |= {} if scale is None else {"months": words.plural("months", int(scale))}
    if years is not None and years >= 1:
        return words(f"fact.{kind}", years=min(9, int(years)), **said)
    if kind == "drought" and index is not None:
        return words("fact.drought_index", index=f"{index:.1f}".replace("-", "−"), **said)
    if score is None:
        raise ContractError(f"reason: found values {sorted(values)} for {hazard!r}, expected years_of_ten or score")
    return words("fact.other_score", score=f"{half_up(score):.1f}", **said)


def _hazard_name(words: Catalogue, name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name) or words.words.get(f"hazard.{name}") or name.replace("_", " ")
