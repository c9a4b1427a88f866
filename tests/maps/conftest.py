"""A made-up country of Voronoi cells, small enough to read, with every status and level in it."""

from __future__ import annotations

from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from geodata.schema import Manifest, Source, Status
from maps.page import HazardWords, SitePage, standard_layers
from maps.site import build_site

STATUSES = [s.name for s in Status]
RANGED = {13: (2.4, 6.3, ""), 14: (4.2, 5.8, "medium")}
"""Rows whose risk is a range: across two limits, and inside one class."""


def fake_scores(pcodes: list[str], seed: int = 1) -> pd.DataFrame:
    """A score table with made-up numbers; the first rows go through every status and level."""
    rng = np.random.default_rng(seed)
    n = len(pcodes)
    risk = np.round(rng.uniform(0.3, 9.6, n), 4)
    scores = pd.DataFrame(index=pd.Index(pcodes, name="pcode"))
    scores["risk"], scores["risk_status"] = risk, "ok"
    for column in ("hazard", "hazard_drought", "hazard_water", "exposure", "vulnerability", "lack_of_reliability"):
        scores[column], scores[f"{column}_status"] = np.round(rng.uniform(0, 10, n), 4), "ok"
    keeps = {"ok", "stale", "resolution_limited", "out_of_support"}
    for row, status in enumerate(STATUSES):
        for column in ("risk", "hazard_drought", "vulnerability"):
            scores.iloc[row, scores.columns.get_loc(f"{column}_status")] = status
            if status not in keeps:
                scores.iloc[row, scores.columns.get_loc(column)] = np.nan
    scores["hazards_known"] = scores[["hazard_drought", "hazard_water"]].notna().sum(axis=1).astype(float)
    scores["hazards_declared"] = 7.0
    scores["risk_class"] = [
        "" if np.isnan(v) else ("very_low", "low", "medium", "high", "very_high")[min(4, int(v // 2))]
        for v in scores["risk"]
    ]
    scores["risk_low"] = (scores["risk"] - 0.9).clip(lower=0)
    scores["risk_high"] = (scores["risk"] + 0.6).clip(upper=10)
    scores["risk_tier"] = [("" if np.isnan(v) else "EDCBA"[min(4, int(v // 2))]) for v in scores["risk"]]
    scores["main_driver"] = "drought"
    known = scores["risk"].notna()
    scores["risk_basis"] = np.where(known, "score", "none")
    scores["confidence"] = np.where(known, np.resize(["sure", "fairly sure", "unsure"], n), "")
    for way, step, part in (("up", 2.0, "drought"), ("down", -2.0, "critical_shelter")):
        scores[f"change_{way}_answer"] = np.where(known, "found", "not assessed")
        scores[f"change_{way}_part"] = np.where(known, part, "")
        scores[f"change_{way}_from"] = scores["hazard_drought"].where(known)
        scores[f"change_{way}_to"] = (scores["hazard_drought"] + step).where(known).clip(0, 10)
    scores.loc[scores.index[12], "change_up_answer"] = "no single change does"
    for row, (low, high, word) in RANGED.items():  # a part of the risk is not known there
        place = scores.index[row]
        scores.loc[place, ["risk", "risk_status", "risk_basis"]] = [np.nan, "insufficient_data", "range"]
        scores.loc[place, ["risk_low", "risk_high", "risk_class"]] = [low, high, word]
        scores.loc[place, ["risk_tier", "confidence", "change_up_answer", "change_down_answer"]] = [
            "", "", "not assessed", "not assessed",
        ]  # fmt: skip
    scores["alert_level"] = [
        (-1, 0, 1, 2, 3)[i % 5] if i < 10 else int(rng.choice([0, 0, 1, 1, 2, 3])) for i in range(n)
    ]
    scores["alert_basis"] = "monitoring"
    codes = ["no_data", "normal", "above_threshold", "above_threshold", "above_threshold"]
    scores["reason_code"] = [codes[level + 1] for level in scores["alert_level"]]
    water = {"hazard": "water", "years_of_ten": 8, "months": 1, "age_months": 8}
    drought = {"hazard": "drought", "scale_months": 6, "index_value": -1.4, "years_of_ten": 9, "months": 3}
    values: list[dict[str, Any]] = [{}, {"hazard": "drought", "score": 1.2}, water, drought, drought]
    scores["reason_values"] = [values[level + 1] for level in scores["alert_level"]]
    scores["warning_score"], scores["warning_score_status"] = scores["risk"], scores["risk_status"]
    households = pd.Series(rng.choice([0, 5, 20, 150, 900, 4200], n).astype(float), index=scores.index)
    scores["displaced_households"], scores["displaced_households_status"] = households, "ok"
    scores.iloc[3, scores.columns.get_loc("displaced_households")] = np.nan
    scores.iloc[3, scores.columns.get_loc("displaced_households_status")] = "suppressed"
    scores.iloc[4, scores.columns.get_loc("displaced_households")] = np.nan
    scores.iloc[4, scores.columns.get_loc("displaced_households_status")] = "input_missing"
    scores["displaced_people"] = scores["displaced_households"] * 6
    scores["residents"] = np.round(rng.uniform(4_000, 250_000, n))
    scores["residents_status"] = "ok"
    scores["contribution_reference"] = scores["risk"] * 0 + 5.0
    weights = rng.dirichlet([2, 2, 1, 2], n)
    for k, part in enumerate(("drought", "water", "exposure", "vulnerability")):
        scores[f"contribution_{part}"] = (scores["risk"] - 5.0) * weights[:, k]
    scores["status"], scores["as_of"] = scores["risk_status"], "2026-10"
    return scores


def fake_history(pcodes: list[str], as_of: str = "2026-10") -> xr.Dataset:
    """Thirty months of a made-up index; July and August are masked."""
    time = pd.date_range(end=pd.Timestamp(as_of), periods=30, freq="MS")
    rng = np.random.default_rng(2)
    index = np.clip(np.cumsum(rng.normal(0, 0.45, (30, len(pcodes))), axis=0) * 0.6, -3, 3)
    flags = np.zeros(index.shape, dtype="int8")
    summer = np.isin(time.month, (7, 8))
    flags[summer] = Status.masked_dry_season
    index[summer] = np.nan
    coords = {"time": time, "pcode": pcodes}
    return xr.Dataset(
        {
            "drought_index": (("time", "pcode"), index),
            "drought_index_status": (("time", "pcode"), flags),
            "drought_scale_months": (("time", "pcode"), np.full(index.shape, 6)),
        },
        coords=coords,
    )


def fake_manifest(**changes: Any) -> Manifest:
    """The receipt of a made-up run."""
    rain = Source(
        name="rain",
        label={"en": "Rain", "ar": "الأمطار", "ckb": "باران"},
        location="rain/",
        sha256="0" * 64,
        licence="CC BY 4.0",
        attribution="Made-up rain centre",
        native_units="mm/month",
        cadence="month",
        available_after_days=20,
        max_age_days=92,
        first="1984-01",
        last="2026-10",
        age_days=0,
    )
    people = Source(
        name="displacement", label={"en": "Displaced households", "ar": "الأسر النازحة", "ckb": "خێزانە ئاوارەکان"},
        location="idp.xlsx", sha256="1" * 64, licence="acknowledge IOM", attribution="IOM DTM (made up)",
        native_units="households", cadence="round", available_after_days=0, max_age_days=30, first="2026-08",
        last="2026-08", age_days=61, status="stale",
    )  # fmt: skip
    held: dict[str, Any] = {
        "run_id": "a1b2c3", "country": "demo", "country_name": {"en": "Iraq", "ar": "العراق", "ckb": "عێراق"},
        "as_of": "2026-10", "issued": date(2026, 11, 9), "synthetic": True, "exercise": False, "code_version": "0.1.0",
        "config_sha256": "2" * 64, "dimensions_missing": ("lack_of_coping",), "sources": (rain, people),
        "missing_hazards": ("heavy_rain", "salinity", "dust", "river_flood", "heat"),
    }  # fmt: skip
    return Manifest(**(held | changes))


def fake_page(subdistricts: gpd.GeoDataFrame, lines: Any, districts: Any, **changes: Any) -> SitePage:
    """A page of made-up numbers on given shapes."""
    pcodes = [str(p) for p in subdistricts.index]
    held: dict[str, Any] = {
        "subdistricts": subdistricts, "adm1_lines": lines, "adm2_lines": districts, "scores": fake_scores(pcodes),
        "history": fake_history(pcodes), "manifest": fake_manifest(),
        "layers": standard_layers(("drought", "water"), class_origin="fixed cut points, a choice of the makers"),
        "people_per_household": 6,
        "indicators": {"critical_shelter": {"en": "Critical shelter", "ar": "مأوى حرج", "ckb": "پەناگەی مەترسیدار"}},
        "hazards": {"heavy_rain": HazardWords(why={"en": "Daily rain is needed.", "ar": "يحتاج إلى أمطار يومية."})},
    }  # fmt: skip
    return SitePage(**(held | changes))


def voronoi_country(n: int = 40) -> gpd.GeoDataFrame:
    """``n`` cells in a box the size of a small country, four governorates of two districts each."""
    rng = np.random.default_rng(3)
    points = shapely.multipoints(rng.uniform((42.0, 32.0), (46.0, 36.0), (n, 2)))
    box = shapely.box(42, 32, 46, 36)
    cells = [
        shapely.set_precision(c.intersection(box), 0.001) for c in shapely.voronoi_polygons(points, extend_to=box).geoms
    ]
    cells.sort(key=lambda c: (c.centroid.x > 44, c.centroid.y > 34, c.centroid.x, c.centroid.y))
    adm1 = [f"XA{1 + 2 * (c.centroid.x > 44) + (c.centroid.y > 34)}" for c in cells]
    adm2 = [f"{a}0{1 + (i % 2)}" for i, a in enumerate(adm1)]
    pcodes = [f"{a}{i:02d}" for i, a in enumerate(adm2)]
    held = {
        "name_en": [f"Place {i}" for i in range(n)], "name_ar": [f"مكان {i}" for i in range(n)],
        "name_ckb": ["" if i % 3 else f"شوێن {i}" for i in range(n)],
        "adm1_pcode": adm1, "adm1_name": [f"Gov {a[-1]}" for a in adm1],
        "adm1_name_ar": [f"محافظة {a[-1]}" for a in adm1],
        "adm1_name_ckb": [""] * n, "adm2_pcode": adm2, "adm2_name": [f"District {a[-3:]}" for a in adm2],
        "adm2_name_ar": [f"قضاء {a[-3:]}" for a in adm2], "adm2_name_ckb": [""] * n,
        "area_km2": [c.area * 1e4 for c in cells],
    }  # fmt: skip
    frame = gpd.GeoDataFrame(held, geometry=cells, crs="EPSG:4326", index=pd.Index(pcodes, name="pcode"))
    return frame.sort_index()


def outlines(subdistricts: gpd.GeoDataFrame, column: str) -> gpd.GeoDataFrame:
    """Boundaries of the parents, as lines."""
    whole = subdistricts[[column, "geometry"]].dissolve(column)
    return gpd.GeoDataFrame(geometry=list(whole.boundary), crs="EPSG:4326")


@pytest.fixture(scope="session")
def country() -> gpd.GeoDataFrame:
    return voronoi_country()


@pytest.fixture(scope="session")
def page(country: gpd.GeoDataFrame) -> SitePage:
    return fake_page(country, outlines(country, "adm1_pcode"), outlines(country, "adm2_pcode"))


@pytest.fixture(scope="session")
def make_page(country: gpd.GeoDataFrame):
    """A page with changes, on the made-up country."""
    lines, districts = outlines(country, "adm1_pcode"), outlines(country, "adm2_pcode")

    def make(subdistricts: gpd.GeoDataFrame = country, **changes: Any) -> SitePage:
        return fake_page(subdistricts, lines, districts, **changes)

    return make


@pytest.fixture(scope="session")
def make_manifest():
    """A receipt with changes."""
    return fake_manifest


@pytest.fixture(scope="session")
def html(page: SitePage) -> str:
    return build_site(page)
