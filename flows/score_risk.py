"""From hazards and protected counts to exposure, vulnerability, risk, its parts and how sure it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from prefect import flow

from geodata.schema import KEEPS_VALUE, Status, check_cube, has_status, status_attrs, status_like
from geodata.store import read_cube, write_cube
from models.exposure import exposure, not_displaced
from models.hazards import HAZARDS, HazardOptions
from models.protection import STAND_IN
from models.reliability import lack_of_reliability, median_age_years, missing_share
from models.risk import DIMENSIONS, contributions, main_driver_words, risk
from models.uncertainty import HazardError, risk_range
from models.vulnerability import vulnerability, vulnerability_halfwidth

from .ages import input_ages
from .months import on_months, on_one_axis, speaks
from .plan import Plan
from .policy import computing
from .settings import DISPLACEMENT, RESIDENTS, includes_displaced
from .workspace import load_plan, stage

log = logging.getLogger("wadi")

PARTS = ("critical", "protracted")
"""Counts of displaced households that vulnerability is made of."""


@flow(name="score-risk")
def score_risk(work: str) -> None:
    """Score every subdistrict, and store the scores, the words and the ages of the inputs."""
    plan = load_plan(work)
    hazards = read_cube(stage(work) / "hazards.nc")
    people = people_on_months(plan, work, hazards)
    scores = score(plan, people)
    check_cube(scores)
    scores, words = explain(plan, scores, work)
    write_cube(scores, stage(work) / "scores.nc", packed=False)
    words.to_parquet(stage(work) / "words.parquet")
    log.info("Risk of %d subdistricts", int(scores["risk"].isel(time=-1).notnull().sum()))


@computing("people-on-months")
def people_on_months(plan: Plan, work: str, hazards: xr.Dataset) -> xr.Dataset:
    """Hazards, residents and protected counts of displaced households on one monthly axis."""
    parts = [hazards]
    for name in (RESIDENTS, DISPLACEMENT):
        if name in plan.settings.sources:
            cube = read_cube(stage(work) / f"{name}.nc").drop_vars("effective_cells")
            parts.append(on_months(cube, plan.settings.sources[name], plan))
    cube = on_one_axis(parts)
    for name in ("residents", "displaced_households", *(f"displaced_{p}" for p in PARTS), "returnee_households"):
        if name not in cube:
            cube = cube.assign(unknown(cube, name))
    households = cube["displaced_households"]
    return cube.assign(
        displaced_people=(households * plan.settings.country.people_per_household).assign_attrs(
            units="people", long_name="displaced people, from protected households"
        ),
        displaced_people_status=cube["displaced_households_status"],
    )


@computing("score")
def score(plan: Plan, cube: xr.Dataset) -> xr.Dataset:
    """Exposure, vulnerability and risk of every month; computed from protected counts only."""
    settings = plan.settings
    displaced = stood_in(cube, "displaced_households") * settings.country.people_per_household
    residents = cube["residents"]
    cube = cube.merge(
        exposure(
            not_displaced(residents, displaced) if includes_displaced(settings) else residents,
            displaced,
            residents_status=cube["residents_status"],
            displaced_status=cube["displaced_households_status"],
            people_bounds=(settings.exposure.people_low, settings.exposure.people_high),
            share_bounds=(0.0, settings.exposure.country_share_high),
        )
    )
    cube = cube.merge(
        vulnerability(
            cube["displaced_households"],
            {p: stood_in(cube, f"displaced_{p}") for p in PARTS},
            bounds=vulnerability_bounds(plan),
            status=cube["displaced_households_status"],
        )
    )
    cube = cube.assign(unknown(cube, "lack_of_coping"))
    cube = cube.merge(risk(cube, dimensions(cube)))
    return cube.merge(
        statuses_of_parts(
            contributions(
                cube, tuple(settings.assessed_hazards), dimensions(cube), reference=settings.risk.reference_score
            ),
            cube["risk_status"],
        )
    )


@computing("explain")
def explain(plan: Plan, cube: xr.Dataset, work: str) -> tuple[xr.Dataset, pd.DataFrame]:
    """Range, tier, main driver and reliability of the as-of month."""
    last = cube.isel(time=-1)
    ranges = risk_range(
        last_table(last, plan),
        tuple(plan.settings.assessed_hazards),
        dimensions(cube),
        errors=hazard_errors(plan),
        indices=indices_behind(last, plan),
        halfwidths=halfwidths(last, plan),
        draws=plan.settings.uncertainty.draws,
        concentration=plan.settings.uncertainty.weight_concentration,
        seed=plan.settings.uncertainty.seed,
    )
    declared = [*(f"hazard_{h}" for h in plan.settings.hazards), "exposure", *DIMENSIONS[1:]]
    doubt = lack_of_reliability(
        missing_share(last, declared), median_age_years(input_ages(plan, work, last)), cells_by_unit(plan, work)
    )
    for name, values in (
        ("risk_low", ranges["risk_low"].to_xarray()),
        ("risk_high", ranges["risk_high"].to_xarray()),
        ("lack_of_reliability", doubt),
    ):
        cube = cube.assign(only_last(cube, name, values))
    # The ends of a range are no surer than the score between them.
    last_month = cube["time"] == cube["time"][-1]
    for name in ("risk_low_status", "risk_high_status"):
        flags = cube["risk_status"].where(last_month, cube[name]).astype("int8")
        cube = cube.assign({name: flags.assign_attrs(status_attrs())})
    words = pd.DataFrame({"risk_tier": ranges["risk_tier"]}, index=ranges.index)
    words["main_driver"] = main_driver_words(last)
    return cube.drop_vars("main_driver"), words


# ------------------------------------------------------------------ pieces


def dimensions(cube: xr.Dataset) -> tuple[str, ...]:
    """Dimensions assessed in the as-of month: one that no subdistrict has is left out for all."""
    others = [d for d in DIMENSIONS[1:] if speaks(cube, d, tuple(KEEPS_VALUE))]
    return (DIMENSIONS[0], *others)


def stood_in(cube: xr.Dataset, name: str) -> xr.DataArray:
    """Protected households with the stand-in where they are suppressed, so that nothing leaks."""
    return cube[name].where(cube[f"{name}_status"] != int(Status.suppressed), STAND_IN)


def vulnerability_bounds(plan: Plan) -> Mapping[str, tuple[float, float]]:
    """Shares that score 0 and 10."""
    declared = plan.settings.vulnerability
    return {"critical": (0.0, declared.critical_share_high), "protracted": (0.0, declared.protracted_share_high)}


def unknown(cube: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    """A variable that no source gives: NaN with input_missing, never 0."""
    values = xr.full_like(cube["hazard"], np.nan).assign_attrs(units="1", long_name=name.replace("_", " "))
    return {name: values, f"{name}_status": status_like(values, Status.input_missing)}


def only_last(cube: xr.Dataset, name: str, values: xr.DataArray) -> dict[str, xr.DataArray]:
    """A variable that is computed for the as-of month alone."""
    whole = xr.full_like(cube["hazard"], np.nan)
    whole.loc[{"time": cube["time"][-1]}] = values.reindex(pcode=cube["pcode"]).values
    whole = whole.assign_attrs(units="1", long_name=name.replace("_", " "))
    return {name: whole, f"{name}_status": status_like(whole, Status.insufficient_data)}


def statuses_of_parts(parts: xr.Dataset, risk_status: xr.DataArray) -> xr.Dataset:
    """Each contribution with the status of the risk it is a part of."""
    names = [str(n) for n in parts.data_vars if str(n).startswith("contribution_")]
    kept = has_status(risk_status, KEEPS_VALUE)
    flags = {f"{name}_status": risk_status.assign_attrs(status_attrs()) for name in names}
    return parts.assign({name: parts[name].where(kept) for name in names}).assign(flags)


def last_table(last: xr.Dataset, plan: Plan) -> pd.DataFrame:
    """Scores of the as-of month by p-code."""
    names = [*(f"hazard_{h}" for h in plan.settings.assessed_hazards), "exposure", *DIMENSIONS[1:], "risk"]
    return last[names].reset_coords(drop=True).to_dataframe()


def is_fitted(block: HazardOptions) -> bool:
    """True if the index that is scored comes from a distribution fitted to the calibration years: an SPI or a like."""
    method = HAZARDS[block.method]
    return method.fit is not None and method.standardised and not block.turned


def hazard_errors(plan: Plan) -> dict[str, HazardError]:
    """Error of each hazard: of an SPI or SPEI in its own units, scored again; of any other in score points."""
    sds = plan.settings.uncertainty
    return {
        name: HazardError(sds.spi_sd, block.breakpoints) if is_fitted(block) else HazardError(sds.hazard_score_sd)
        for name, block in plan.settings.assessed_hazards.items()
    }


def indices_behind(last: xr.Dataset, plan: Plan) -> pd.DataFrame:
    """Index of each hazard made from a fitted distribution, by p-code, under the name of the hazard."""
    names = [name for name, block in plan.settings.assessed_hazards.items() if is_fitted(block)]
    return pd.DataFrame({name: last[f"{name}_index"].to_series() for name in names})


def halfwidths(last: xr.Dataset, plan: Plan) -> pd.DataFrame:
    """Score points by which protection may have moved vulnerability."""
    width = vulnerability_halfwidth(
        last["displaced_households"],
        {p: stood_in(last, f"displaced_{p}") for p in PARTS},
        bounds=vulnerability_bounds(plan),
    )
    return width.reset_coords(drop=True).to_dataframe("vulnerability")


def cells_by_unit(plan: Plan, work: str) -> xr.DataArray:
    """Effective raster cells behind each subdistrict, the fewest of the hazards' sources; a network has no cells."""
    cubes = [read_cube(stage(work) / f"{options.source}.nc") for options in plan.settings.assessed_hazards.values()]
    counts = [c.coords["effective_cells"].reset_coords(drop=True) for c in cubes if "effective_cells" in c.coords]
    return xr.concat(counts, dim="source", join="exact").min("source")
