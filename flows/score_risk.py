"""From hazards and protected counts to exposure, vulnerability, risk, its parts and how sure it is."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import xarray as xr
from prefect import flow

from geodata.schema import KEEPS_VALUE, Status, check_cube, has_status, status_attrs, status_like
from geodata.store import read_cube, write_cube
from models.assess import assess, printed_class
from models.composite import Level, leaves, name_of
from models.confidence import Draws, HazardError, risk_confidence
from models.explain import Direction, main_drivers, printed_change, smallest_change, tree_contributions
from models.exposure import exposure, not_displaced
from models.hazards import HAZARDS, HazardOptions
from models.indicators import IndicatorSheet
from models.protection import STAND_IN
from models.reliability import lack_of_reliability, median_age_years, missing_share
from models.risk import DIMENSIONS, class_words
from models.vulnerability import displaced_shares, share_halfwidth
from models.weak_risk import BASES, RANGE

from .ages import input_ages
from .indicator_sheet import SHARES, indicator_scores, load_sheet, score_halfwidth
from .months import on_months, on_one_axis, speaks
from .plan import Plan
from .policy import computing
from .risk_tree import keep_levels, risk_tree
from .settings import DISPLACEMENT, RESIDENTS, RETURNEES, includes_displaced
from .workspace import load_plan, stage

log = logging.getLogger("wadi")

DIRECTIONS: tuple[Direction, ...] = ("up", "down")


@flow(name="score-risk")
def score_risk(work: str) -> None:
    """Score every subdistrict, and store the scores, the words and the ages of the inputs."""
    plan, sheet = load_plan(work), load_sheet(stage(work))
    hazards = read_cube(stage(work) / "hazards.nc")
    people = people_on_months(plan, work, hazards, sheet)
    scores, tree = score(plan, people, sheet)
    check_cube(scores)
    scores, words = explain(plan, scores, tree, sheet, work)
    write_cube(scores, stage(work) / "scores.nc", packed=False)
    words.to_parquet(stage(work) / "words.parquet")
    keep_levels(tree, work)
    log.info("Risk of %d subdistricts", int(scores["risk"].isel(time=-1).notnull().sum()))


@computing("people-on-months")
def people_on_months(plan: Plan, work: str, hazards: xr.Dataset, sheet: IndicatorSheet) -> xr.Dataset:
    """Hazards, residents, protected counts and the sources of indicators on one monthly axis."""
    parts = [hazards]
    named = [row.value_source for row in sheet.assessed if row.value_source]
    for name in dict.fromkeys((RESIDENTS, DISPLACEMENT, RETURNEES, *named)):
        if name in plan.settings.sources and name not in hazards:
            cube = read_cube(stage(work) / f"{name}.nc").drop_vars("effective_cells", errors="ignore")
            parts.append(on_months(cube, plan.settings.sources[name], plan))
    cube = on_one_axis(parts)
    for name in ("residents", "displaced_households", *(f"displaced_{p}" for p in SHARES), "returnee_households"):
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
def score(plan: Plan, cube: xr.Dataset, sheet: IndicatorSheet) -> tuple[xr.Dataset, Level]:
    """Exposure, the dimensions and risk of every month, from protected counts only; and the tree they follow."""
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
    shares = displaced_shares(
        cube["displaced_households"],
        {p: stood_in(cube, f"displaced_{p}") for p in SHARES},
        status=cube["displaced_households_status"],
    )
    cube = cube.merge(indicator_scores(sheet, cube, shares))
    told = assess(cube, risk_tree(settings, sheet, (DIMENSIONS[0], *sheet.dimensions)))
    for name in DIMENSIONS[1:]:
        if name not in told:
            told = told.assign(unknown(cube, name))
    tree = risk_tree(settings, sheet, dimensions(told))
    cube = cube.drop_vars(("hazard", "hazard_status")).merge(told)
    cube = cube.assign({name: values for name, values in assess(cube, tree).data_vars.items()})
    return cube.merge(parts_of_risk(cube, tree, settings.risk.reference_score)), tree


@computing("explain")
def explain(
    plan: Plan, cube: xr.Dataset, tree: Level, sheet: IndicatorSheet, work: str
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Range, tier, class, confidence, main driver, smallest changes and reliability of the as-of month."""
    last = cube.isel(time=-1)
    sure = sureness(plan, last, tree, sheet)
    doubt = lack_of_reliability(
        missing_share(last, declared(plan, sheet)),
        median_age_years(input_ages(plan, work, last)),
        cells_by_unit(plan, work),
    )
    for name, values in (
        ("risk_low", sure["risk_low"].to_xarray()),
        ("risk_high", sure["risk_high"].to_xarray()),
        ("lack_of_reliability", doubt),
    ):
        cube = cube.assign(only_last(cube, name, values))
    for name in ("risk_low", "risk_high"):
        cube = cube.assign({f"{name}_status": status_of_range(cube, name, sure["risk_basis"])})
    return cube, words_of(plan, last, tree, sure)


@computing("sureness")
def sureness(plan: Plan, last: xr.Dataset, tree: Level, sheet: IndicatorSheet) -> pd.DataFrame:
    """Range, tier and confidence of the risk of one month, as of `models.confidence.risk_confidence`."""
    return risk_confidence(
        table_of(last, leaves(tree)),
        tree,
        errors=hazard_errors(plan),
        indices=indices_behind(last, plan),
        index_sds=errors_behind(last, plan),
        halfwidths=halfwidths(last, tree, sheet),
        options=draws_of(plan),
    )


# ------------------------------------------------------------------ pieces


def dimensions(cube: xr.Dataset) -> tuple[str, ...]:
    """Dimensions assessed in the as-of month: one that no subdistrict has is left out for all."""
    others = [d for d in DIMENSIONS[1:] if speaks(cube, d, tuple(KEEPS_VALUE))]
    return (DIMENSIONS[0], *others)


def declared(plan: Plan, sheet: IndicatorSheet) -> list[str]:
    """All that the country file says a risk is made of, with a source or without one."""
    rows = [row.name for row in sheet.indicators]
    absent = [d for d in DIMENSIONS[1:] if not any(row.dimension == d for row in sheet.indicators)]
    return [*(f"hazard_{h}" for h in plan.settings.hazards), "exposure", *rows, *absent]


def stood_in(cube: xr.Dataset, name: str) -> xr.DataArray:
    """Protected households with the stand-in where they are suppressed, so that nothing leaks."""
    return cube[name].where(cube[f"{name}_status"] != int(Status.suppressed), STAND_IN)


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


def status_of_range(cube: xr.Dataset, name: str, basis: pd.Series) -> xr.DataArray:
    """Ends of a range are no surer than the score between them; those of a dimension taken from the country are its."""
    last_month = cube["time"] == cube["time"][-1]
    flags = cube["risk_status"].where(last_month, cube[f"{name}_status"])
    ranged = xr.DataArray((basis == BASES[RANGE]).to_numpy(), dims="pcode", coords={"pcode": cube["pcode"]})
    flags = flags.where(~(ranged & last_month), int(Status.resolution_limited))
    return flags.astype("int8").transpose(*cube[name].dims).assign_attrs(status_attrs())


def parts_of_risk(cube: xr.Dataset, tree: Level, reference: float) -> xr.Dataset:
    """What each hazard, exposure and dimension adds to the risk, and what each indicator does within its dimension.

    ``contribution_*`` sum to the risk; ``within_<dimension>_<indicator>`` sum to that dimension's contribution. A part
    that was not assessed in a unit has its own status, and no number.
    """
    names = leaves(tree)
    template = cube[names[0]]
    found = tree_contributions({n: cube[n].transpose(*template.dims).values for n in names}, tree, reference=reference)
    inner = {name_of(p): level.name for level in tree.parts if isinstance(level, Level) for p in level.parts}
    kept = has_status(cube["risk_status"], KEEPS_VALUE)
    out: dict[str, xr.DataArray] = {}
    for part, values in found.items():
        dimension = inner.get(part, "")
        within = dimension in DIMENSIONS[1:]
        name = f"within_{dimension}_{part}" if within else f"contribution_{told_as(part)}"
        known = kept if part == "reference" else kept & cube[part].notnull()
        flags = (
            cube["risk_status"]
            if part == "reference"
            else cube["risk_status"].where(~kept | known, cube[f"{part}_status"])
        )
        words = "starting score" if part == "reference" else told_as(part).replace("_", " ")
        out[name] = (
            template.copy(data=values)
            .where(known)
            .drop_attrs()
            .assign_attrs(units="1", long_name=f"contribution to risk: {words}")
        )
        out[f"{name}_status"] = flags.astype("int8").transpose(*template.dims).assign_attrs(status_attrs())
    return xr.Dataset(out)


def table_of(last: xr.Dataset, names: list[str]) -> pd.DataFrame:
    """Variables of one month by p-code."""
    return last[names].reset_coords(drop=True).to_dataframe()[names]


def words_of(plan: Plan, last: xr.Dataset, tree: Level, sure: pd.DataFrame) -> pd.DataFrame:
    """What is told in words, and the numbers that stand with it: class, tier, confidence, main driver, changes."""
    cuts = plan.settings.risk.class_cut_points
    values = {name: last[name].values for name in leaves(tree)}
    words = sure.drop(columns=["risk_low", "risk_high"]).assign(risk_class=classes_of(plan, last, sure))
    words["main_driver"] = drivers(last, tree)
    for direction in DIRECTIONS:
        change = smallest_change(values, tree, direction, cuts=cuts)
        words[f"change_{direction}_answer"] = change["answer"].to_numpy()
        words[f"change_{direction}_part"] = [told_as(p) for p in change["part"]]
        words[f"change_{direction}_from"] = change["score_from"].to_numpy()
        words[f"change_{direction}_to"] = printed_change(change["score_to"].to_numpy(), direction)
    return words


def classes_of(plan: Plan, last: xr.Dataset, sure: pd.DataFrame) -> np.ndarray:
    """Word of the class that is printed of each unit; "" where none is."""
    low, high = sure["risk_low"].to_numpy(), sure["risk_high"].to_numpy()
    cuts = plan.settings.risk.class_cut_points
    return class_words(printed_class(last["risk"].values, low, high, list(sure["risk_basis"]), cuts))


def drivers(last: xr.Dataset, tree: Level) -> list[str]:
    """The hazard, exposure or dimension that adds most to each risk; "" where there is none."""
    names = [n for n in (*leaves(tree), *DIMENSIONS[1:]) if f"contribution_{told_as(n)}" in last]
    parts = {n: last[f"contribution_{told_as(n)}"].values for n in names}
    parts["reference"] = last["contribution_reference"].values
    return [told_as(str(n)) for n in main_drivers(parts, {n: last[n].values for n in names}, names)]


def told_as(score_name: str) -> str:
    """A hazard under its own name; every other score as it is called."""
    return score_name.removeprefix("hazard_")


def draws_of(plan: Plan) -> Draws:
    """What is drawn, and how often, as the country file declares it."""
    declared_draws = plan.settings.uncertainty
    return Draws(
        draws=declared_draws.draws, seed=declared_draws.seed, concentration=declared_draws.weight_concentration
    )


def is_fitted(block: HazardOptions) -> bool:
    """True if the index that is scored comes from a distribution fitted to the calibration years: an SPI or a like."""
    method = HAZARDS[block.method]
    return method.fit is not None and method.standardised and not block.turned


def hazard_errors(plan: Plan) -> dict[str, HazardError]:
    """Error of each hazard's score: of an SPI or SPEI in its own units, scored again; of any other in score points."""
    sds = plan.settings.uncertainty
    return {
        f"hazard_{name}": HazardError(sds.spi_sd, block.breakpoints)
        if is_fitted(block)
        else HazardError(sds.hazard_score_sd)
        for name, block in plan.settings.assessed_hazards.items()
    }


def indices_behind(last: xr.Dataset, plan: Plan) -> pd.DataFrame:
    """Index of each hazard made from a fitted distribution, by p-code, under the name of its score."""
    names = [name for name, block in plan.settings.assessed_hazards.items() if is_fitted(block)]
    return pd.DataFrame({f"hazard_{n}": last[f"{n}_index"].to_series() for n in names}, index=last.indexes["pcode"])


def errors_behind(last: xr.Dataset, plan: Plan) -> pd.DataFrame:
    """Sampling error of the index that speaks, unit by unit, where its scale has one; NaN leaves the declared one."""
    out = pd.DataFrame(index=last.indexes["pcode"])
    for name, block in plan.settings.assessed_hazards.items():
        if not is_fitted(block) or f"{name}_scale_months" not in last:
            continue
        speaking = last[f"{name}_scale_months"].values
        out[f"hazard_{name}"] = np.nan
        for scale in np.unique(speaking[np.isfinite(speaking)]):
            if (error := f"{block.method}_{int(scale)}_sd") in last:
                out.loc[speaking == scale, f"hazard_{name}"] = last[error].values[speaking == scale]
    return out


def halfwidths(last: xr.Dataset, tree: Level, sheet: IndicatorSheet) -> pd.DataFrame:
    """Score points by which protection may have moved each indicator that is a share of displaced households."""
    out = pd.DataFrame(index=last.indexes["pcode"])
    for row in sheet.assessed:
        if row.displaced_part and row.name in leaves(tree):
            width = share_halfwidth(last["displaced_households"], stood_in(last, f"displaced_{row.displaced_part}"))
            out[row.name] = score_halfwidth(row, last[f"{row.name}_value"].to_series(), width.to_series())
    return out


def cells_by_unit(plan: Plan, work: str) -> xr.DataArray:
    """Effective raster cells behind each subdistrict, the fewest of the hazards' sources; a network has no cells."""
    cubes = [read_cube(stage(work) / f"{options.source}.nc") for options in plan.settings.assessed_hazards.values()]
    counts = [c.coords["effective_cells"].reset_coords(drop=True) for c in cubes if "effective_cells" in c.coords]
    return xr.concat(counts, dim="source", join="exact").min("source")
