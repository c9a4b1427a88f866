"""What the map site is made from, and how it becomes the one block of data the page reads.

Everything a reader can see is settled here: what is rounded, which class a value has, and
what stands where there is none. The page's script only draws.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import KEEPS_VALUE, AlertLevel, ContractError, Manifest, Status, check_subdistricts

from .palettes import palette_for
from .rounding import printed_tenths, tenths
from .tables import parts_of_risk
from .words import CLASSES, CONFIDENCE, LANGUAGES, TIERS, in_language, load_catalogue, sentence

Kind = Literal["score", "level", "circles", "sureness"]

SCORE_CUTS = (2.0, 4.0, 6.0, 8.0)
MONTHS_SHOWN = 24


@dataclass(frozen=True)
class HazardWords:
    """What a hazard is called, and why it is absent if it is, per language."""

    label: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerSpec:
    """One layer of the map: a new one is one of these.

    Parameters
    ----------
    key : str, names the layer in the URL and, if `label` is empty, in the catalogues
    column : str, column of the score table; ``<column>_status`` stands beside it
    palette : str, a key of `palettes.PALETTES`
    cuts : tuple of float, rising class limits, one fewer than classes; a value on a limit belongs to the upper class
    origin : mapping, language -> where the limits come from
    label : mapping, language -> name
    kind : how it is drawn; "score" 0-10, "level" -1..3, "circles" households, "sureness" 0-10 in words
    group : int, layers of one group stand together in the rail
    """

    key: str
    column: str
    palette: str
    cuts: tuple[float, ...] = SCORE_CUTS
    origin: Mapping[str, str] = field(default_factory=dict)
    label: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "score"
    group: int = 0


@dataclass(frozen=True)
class SitePage:
    """Everything the map site shows.

    Parameters
    ----------
    subdistricts : GeoDataFrame, the subdistricts table of the waist, geometry already simplified, EPSG:4326
    adm1_lines, adm2_lines : GeoDataFrame of lines, EPSG:4326; outlines of governorates and districts
    scores : DataFrame, index pcode, unrounded; the columns of the score table
    history : Dataset, dims (time, pcode): ``drought_index`` (standard deviations) and ``drought_index_status``,
        and if at hand ``drought_scale_months`` (months)
    manifest : Manifest
    layers : the layers in the order of the rail
    hazards : mapping, hazard -> HazardWords; a hazard without an entry takes its words from the catalogues
    indicators : mapping, name of a row of the indicator sheet -> language -> what it is called
    languages : codes with a catalogue, the first is what a page opens in
    people_per_household : float, persons per household, declared by the country file
    drought_threshold : float, index at which drought starts
    notes : mapping, language -> sentences on what is not known in the whole country
    """

    subdistricts: Any
    adm1_lines: Any
    adm2_lines: Any
    scores: pd.DataFrame
    history: xr.Dataset
    manifest: Manifest
    layers: tuple[LayerSpec, ...]
    people_per_household: float
    hazards: Mapping[str, HazardWords] = field(default_factory=dict)
    indicators: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    languages: tuple[str, ...] = LANGUAGES
    drought_threshold: float = -1.0
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def standard_layers(
    hazards: Sequence[str],
    class_cut_points: tuple[float, ...] = SCORE_CUTS,
    class_origin: str = "",
    sureness_cut_points: tuple[float, float, float] = (2.5, 5.0, 7.5),
    dimensions: Sequence[str] = ("exposure", "vulnerability"),
) -> tuple[LayerSpec, ...]:
    """The layers of every country: risk, warning level, each hazard, each dimension, displaced people, how sure we are.

    Parameters
    ----------
    hazards : hazards that have a source, in the order of the rail
    class_cut_points : rising limits of the five classes, scores 0-10
    class_origin : where the limits come from, in English
    dimensions : dimensions besides hazard that have a source
    """
    origin = {"en": class_origin} if class_origin else {}
    return (
        LayerSpec("risk", "risk", "risk", class_cut_points, origin),
        LayerSpec("alert", "alert_level", "alert", kind="level", cuts=()),
        *(LayerSpec(h, f"hazard_{h}", h, class_cut_points, origin, group=1) for h in hazards),
        *(LayerSpec(d, d, d, class_cut_points, origin, group=2) for d in dimensions),
        LayerSpec("displaced", "displaced_households", "displaced", kind="circles", cuts=(), group=3),
        LayerSpec("reliability", "lack_of_reliability", "reliability", sureness_cut_points, kind="sureness", group=3),
    )


# ------------------------------------------------------------------ one block of data


def payload(page: SitePage) -> dict[str, Any]:
    """Everything the script draws from, as plain values by column; equal pages give equal payloads.

    Scores are in tenths, statuses are codes of `Status`, absent values are null.
    """
    check_page(page)
    catalogues = {lang: load_catalogue(lang) for lang in page.languages}
    manifest = page.manifest
    return {
        "langs": [
            {"code": c.lang, "name": c.name, "dir": c.direction, "draft": c.draft, "words": dict(c.words)}
            for c in catalogues.values()
        ],
        "country": _texts(manifest.country_name, page.languages),
        "asOf": manifest.as_of,
        "issued": manifest.issued.isoformat(),
        "age": age_at_issue(manifest),
        "synthetic": manifest.synthetic,
        "exercise": manifest.exercise,
        "run": manifest.run_id,
        "version": manifest.code_version,
        "without": list(manifest.dimensions_missing),
        "factor": _plain(page.people_per_household),
        "notes": {lang: [str(s) for s in page.notes.get(lang, ())] for lang in page.languages},
        "statuses": [s.name for s in Status],
        "layers": [_layer(spec, page) for spec in page.layers],
        "absent": [_absent(h, page) for h in _absent_hazards(page)],
        "units": _units(page),
        "parents": {level: _parents(page, level) for level in ("adm1", "adm2")},
        "parts": _parts(page),
        "reasons": _reasons(page),
        "history": _history(page),
        "sources": [_source(s, page.languages) for s in manifest.sources],
        "lines": {"adm1": _lines(page.adm1_lines), "adm2": _lines(page.adm2_lines)},
    }


def check_page(page: SitePage) -> None:
    """Raise ContractError unless the tables belong together and every layer has its columns."""
    check_subdistricts(page.subdistricts)
    wrong = []
    if not page.scores.index.equals(page.subdistricts.index):
        wrong.append("scores: index differs from the subdistricts'")
    needed = {c for spec in page.layers for c in (spec.column, _status_column(spec))}
    needed |= {"risk", "risk_status", "alert_level", "alert_basis", "risk_tier", "reason_code", "reason_values"}
    if absent := sorted(needed - set(page.scores.columns)):
        wrong.append(f"scores: columns {absent} absent")
    keys = [spec.key for spec in page.layers]
    if len(set(keys)) != len(keys) or "risk" not in keys:
        wrong.append(f"layers: found keys {keys}, expected unique ones with 'risk'")
    for spec in page.layers:
        classes = len(palette_for(spec.palette).colours)
        if spec.kind in ("score", "sureness") and len(spec.cuts) != classes - 1:
            wrong.append(f"layer {spec.key}: found {len(spec.cuts)} limits, expected {classes - 1}")
    if wrong:
        raise ContractError("site page: " + "; ".join(wrong))


def _status_column(spec: LayerSpec) -> str:
    return "warning_score_status" if spec.kind == "level" else f"{spec.column}_status"


def age_at_issue(manifest: Manifest) -> int:
    """Days from the end of the data month to the day of issue; 0 where the month had not ended."""
    year, month = (int(p) for p in manifest.as_of.split("-"))
    end = date(year, month, calendar.monthrange(year, month)[1])
    return max(0, (manifest.issued - end).days)


def _texts(texts: Mapping[str, str], languages: Iterable[str]) -> dict[str, str]:
    return {lang: in_language(texts, lang)[0] for lang in languages}


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _codes(words: pd.Series) -> list[int]:
    """Status words as codes; an unknown or absent word is a fault of ours."""
    known = {s.name: int(s) for s in Status}
    if unknown := sorted({str(w) for w in words} - known.keys()):
        raise ContractError(f"{words.name}: found statuses {unknown}, expected words of Status")
    return [known[str(w)] for w in words]


def _numbers(values: pd.Series) -> np.ndarray:
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)


def _honest(values: np.ndarray, codes: list[int]) -> list[int]:
    """Codes, except that an absent value never passes for an assessed one."""
    kept = {int(s) for s in KEEPS_VALUE}
    missing = int(Status.insufficient_data)
    return [missing if np.isnan(v) and c in kept else c for v, c in zip(values, codes, strict=True)]


def _classes(values: np.ndarray, cuts: tuple[float, ...]) -> list[int | None]:
    found = np.searchsorted(np.asarray(cuts), values, side="right")
    return [None if np.isnan(v) else int(k) for v, k in zip(values, found, strict=True)]


def _tenths(values: np.ndarray) -> list[int | None]:
    return [None if np.isnan(v) else tenths(v) for v in values]


def _whole(values: np.ndarray) -> list[int | None]:
    return [None if np.isnan(v) else round(v) for v in values]


def _about(values: np.ndarray) -> list[int | None]:
    """Residents are an estimate: printed to the nearest hundred, the smallest places as they are."""
    return [None if np.isnan(v) else round(v) if v < 1000 else int(v / 100 + 0.5) * 100 for v in values]


def _layer(spec: LayerSpec, page: SitePage) -> dict[str, Any]:
    palette = palette_for(spec.palette)
    words = page.hazards.get(spec.key)
    label = spec.label or (words.label if words else {})
    drawn = {
        "key": spec.key,
        "kind": spec.kind,
        "group": spec.group,
        "colours": list(palette.colours),
        "inks": palette.inks,
        "cuts": [_plain(c) for c in spec.cuts],
        "origin": _texts(spec.origin, page.languages),
        "label": _texts(label, page.languages) if label else None,
    }
    return drawn | _layer_values(spec, page)


def _layer_values(spec: LayerSpec, page: SitePage) -> dict[str, Any]:
    values = _numbers(page.scores[spec.column])
    codes = _codes(page.scores[_status_column(spec)])
    if spec.kind == "level":
        # NO_DATA is a level, not a number: nothing may be painted for it.
        return {"value": None, "status": codes, "class": [None if v < 0 or np.isnan(v) else int(v) for v in values]}
    codes = _honest(values, codes)
    if spec.kind == "circles":
        return {"value": _whole(values), "status": codes, "class": [None] * len(codes)}
    classes = _classes(values, spec.cuts)
    if spec.key == "risk" and "risk_class" in page.scores:
        given = [CLASSES.index(c) if c in CLASSES else None for c in page.scores["risk_class"].fillna("")]
        classes = [None if k is None else g if g is not None else k for k, g in zip(classes, given, strict=True)]
    return {"value": _tenths(values), "status": codes, "class": classes}


def _absent_hazards(page: SitePage) -> list[str]:
    shown = {spec.key for spec in page.layers}
    return [h for h in page.manifest.missing_hazards if h not in shown]


def _absent(hazard: str, page: SitePage) -> dict[str, Any]:
    words = page.hazards.get(hazard, HazardWords())
    return {
        "key": hazard,
        "label": _texts(words.label, page.languages) if words.label else None,
        "why": _texts(words.why, page.languages) if words.why else None,
    }


def _names(table: pd.DataFrame, columns: Mapping[str, str], languages: Iterable[str]) -> dict[str, list[Any]]:
    """Per language the names and, where one is borrowed, the language it is borrowed from."""
    rows = table[list(columns.values())].fillna("").astype(str).to_numpy()
    texts = [dict(zip(columns, row, strict=True)) for row in rows]
    named: dict[str, list[Any]] = {}
    for lang in languages:
        found = [in_language(t, lang) for t in texts]
        named[lang] = [name for name, _ in found]
        named[f"{lang}_from"] = [None if source == lang else source for _, source in found]
    return named


def _units(page: SitePage) -> dict[str, Any]:
    table, scores = page.subdistricts, page.scores
    names = {"en": "name_en", "ar": "name_ar", "ckb": "name_ckb"}
    return {
        "pcode": [str(p) for p in table.index],
        "name": _names(table, names, page.languages),
        "adm1": _positions(table["adm1_pcode"]),
        "adm2": _positions(table["adm2_pcode"]),
        "at": _inside_points(table.geometry),
        "tier": [str(t) if t in TIERS else "" for t in scores["risk_tier"].fillna("")],
        "basis": [str(b) for b in scores["alert_basis"].fillna("")],
        "level": [int(AlertLevel(int(v))) for v in scores["alert_level"]],
        "low": _tenths(_column(scores, "risk_low")),
        "high": _tenths(_column(scores, "risk_high")),
        "ranged": _ranged(scores),
        "confidence": [_place(CONFIDENCE, word) for word in _words(scores, "confidence")],
        "change": {way: _changes(scores, way) for way in ("up", "down")},
        "households": _whole(_column(scores, "displaced_households")),
        "householdsStatus": _displaced_status(scores),
        "people": _whole(_column(scores, "displaced_people")),
        "residents": _about(_column(scores, "residents")),
        "hazardsKnown": _whole(_column(scores, "hazards_known")),
        "hazardsDeclared": _whole(_column(scores, "hazards_declared")),
        "order": table_order(page, page.languages[0]),
    }


def _words(scores: pd.DataFrame, name: str) -> list[str]:
    return [str(w) for w in scores[name].fillna("")] if name in scores else [""] * len(scores)


def _place(words: Sequence[str], word: str) -> int | None:
    return words.index(word) if word in words else None


def _ranged(scores: pd.DataFrame) -> list[int | None]:
    """Of units whose risk is a range: the class it lies in, -1 where it crosses a limit; None of all others."""
    both = zip(_words(scores, "risk_basis"), _words(scores, "risk_class"), strict=True)
    return [(CLASSES.index(word) if word in CLASSES else -1) if basis == "range" else None for basis, word in both]


def _changes(scores: pd.DataFrame, way: str) -> list[list[Any] | str]:
    """Per unit the part that alone moves it one class, its score now and then in tenths; else the answer in a word."""
    rows = zip(
        _words(scores, f"change_{way}_answer"),
        _words(scores, f"change_{way}_part"),
        _tenths(_column(scores, f"change_{way}_from")),
        _tenths(_column(scores, f"change_{way}_to")),
        strict=True,
    )
    return [[part, now, then] if answer == "found" else _NO_CHANGE.get(answer, "") for answer, part, now, then in rows]


_NO_CHANGE = {"no single change does": "none"}


def _column(scores: pd.DataFrame, name: str) -> np.ndarray:
    return _numbers(scores[name]) if name in scores else np.full(len(scores), np.nan)


def _displaced_status(scores: pd.DataFrame) -> list[int]:
    values = _column(scores, "displaced_households")
    if "displaced_households_status" not in scores:
        return [int(Status.input_missing if np.isnan(v) else Status.ok) for v in values]
    return _honest(values, _codes(scores["displaced_households_status"]))


def _positions(pcodes: pd.Series) -> list[int]:
    where = {p: i for i, p in enumerate(sorted(set(pcodes)))}
    return [where[p] for p in pcodes]


def _parents(page: SitePage, level: str) -> dict[str, Any]:
    first = page.subdistricts.groupby(f"{level}_pcode").first().sort_index()
    names = {"en": f"{level}_name", "ar": f"{level}_name_ar", "ckb": f"{level}_name_ckb"}
    held: dict[str, Any] = {"name": _names(first, names, page.languages)}
    if level == "adm1":
        whole = page.subdistricts[["adm1_pcode", "geometry"]].dissolve("adm1_pcode").sort_index()
        held["at"] = _inside_points(whole.geometry)
        areas = page.subdistricts.groupby("adm1_pcode")["area_km2"].sum().sort_index()
        held["size"] = [round(float(a)) for a in areas]
    return held


def _inside_points(shapes: Any) -> list[list[float]]:
    """(lat, lon) of the middle of the largest circle inside each shape: where a mark or a name stands best."""
    circles = shapes.maximum_inscribed_circle(tolerance=0.01)
    return [[round(c.coords[0][1], 3), round(c.coords[0][0], 3)] for c in circles]


def _parts(page: SitePage) -> dict[str, Any]:
    """Contributions in tenths, as printed: they add up to the printed score."""
    names = [c.removeprefix("contribution_") for c in parts_of_risk(page.scores)]
    names.sort(key=lambda n: n != "reference")
    table = page.scores[[f"contribution_{n}" for n in names]].apply(pd.to_numeric, errors="coerce")
    risk = _numbers(page.scores["risk"])
    rows = [printed_tenths(row, total) for row, total in zip(table.to_numpy(dtype="float64"), risk, strict=True)]
    said = {n: words.label for n, words in page.hazards.items() if words.label} | dict(page.indicators)
    labels = {n: _texts(label, page.languages) for n, label in said.items()}
    return {"key": names, "label": labels, "rows": rows}


def _reasons(page: SitePage) -> dict[str, Any]:
    """Each sentence once; units point at them."""
    codes = page.scores["reason_code"].fillna("").astype(str)
    values = [v if isinstance(v, Mapping) else {} for v in page.scores["reason_values"]]
    labels = {lang: hazard_labels(page.hazards, lang) for lang in page.languages}
    said = [
        tuple(sentence(lang, c, v, labels[lang]) for lang in page.languages) for c, v in zip(codes, values, strict=True)
    ]
    unique = list(dict.fromkeys(said))
    where = {s: i for i, s in enumerate(unique)}
    texts = {lang: [s[k] for s in unique] for k, lang in enumerate(page.languages)}
    return {"text": texts, "of": [where[s] for s in said]}


def hazard_labels(hazards: Mapping[str, HazardWords], lang: str) -> dict[str, str]:
    """Names of the hazards that bring their own, in one language."""
    return {name: in_language(words.label, lang)[0] for name, words in hazards.items() if words.label}


def _history(page: SitePage) -> dict[str, Any]:
    """The last months of the drought index in tenths, by subdistrict."""
    index = page.history["drought_index"].reindex(pcode=page.subdistricts.index)
    months = index.indexes["time"].strftime("%Y-%m")
    keep = np.flatnonzero(np.asarray(months <= page.manifest.as_of))[-MONTHS_SHOWN:]
    values = index.transpose("pcode", "time").to_numpy()[:, keep]
    held = {"months": [str(months[i]) for i in keep], "threshold": tenths(page.drought_threshold), "scale": None}
    held["rows"] = [_tenths(row) for row in values]
    held["dry"] = _months_with(Status.masked_dry_season, page, keep)
    held["old"] = _months_with(Status.stale, page, keep)
    if "drought_scale_months" in page.history and len(keep):
        scale = page.history["drought_scale_months"].reindex(pcode=page.subdistricts.index)
        last = scale.isel(time=int(keep[-1])) if "time" in scale.dims else scale
        held["scale"] = _whole(last.to_numpy().astype("float64"))
    return held


def _months_with(status: Status, page: SitePage, keep: np.ndarray) -> list[list[int]]:
    """Per subdistrict, the positions of the shown months that carry a status."""
    flags = page.history["drought_index_status"].reindex(
        pcode=page.subdistricts.index, fill_value=int(Status.input_missing)
    )
    masked = flags.transpose("pcode", "time").to_numpy()[:, keep] == int(status)
    return [[int(i) for i in np.flatnonzero(row)] for row in masked]


def _source(source: Any, languages: tuple[str, ...]) -> dict[str, Any]:
    return {
        "label": _texts(source.label or {"en": source.name}, languages),
        **_last(source.last),
        "age": source.age_days,
        "round": source.cadence == "round",
        "old": source.status == Status.stale.name,
        "licence": source.licence,
        "attribution": source.attribution,
        "note": _texts(source.note, languages),
    }


_PERIOD = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?(?=-\d{2}$|$)")


def _last(last: str) -> dict[str, str]:
    """The last period as a month or a year; what is neither, such as the name of an edition, stays as it is."""
    period = _PERIOD.match(last)
    return {"last": period.group(), "edition": ""} if period else {"last": "", "edition": last}


def _lines(lines: Any) -> list[list[list[float]]]:
    """Line strings as (lat, lon) pairs, three decimals (about 100 m, enough to zoom 10)."""
    parts = lines.geometry.explode(index_parts=False)
    return [
        [[round(y, 3), round(x, 3)] for x, y, *_ in part.coords]
        for part in parts
        if part is not None and part.geom_type in ("LineString", "LinearRing")
    ]


# ------------------------------------------------------------------ the order of every printed table


def table_order(page: SitePage, lang: str) -> list[int]:
    """Positions of the subdistricts by alert level (worst first), then tier, then name. No rank follows from it."""
    names = _names(page.subdistricts, {"en": "name_en", "ar": "name_ar", "ckb": "name_ckb"}, (lang,))[lang]
    levels = page.scores["alert_level"].astype(int).to_numpy()
    tiers = [t if t in TIERS else "Z" for t in page.scores["risk_tier"].fillna("")]
    return sorted(range(len(names)), key=lambda i: (-levels[i], tiers[i], names[i], str(page.subdistricts.index[i])))
