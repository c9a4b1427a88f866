"""Read all inputs of a plan, bring them to the waist and collect every finding; compute no score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.boundaries import read_boundaries
from geodata.calendar import period_ends, period_label, period_start
from geodata.categories import unknown_categories
from geodata.network import WaterNetwork
from geodata.options import SourceOptions
from geodata.rasters import RasterStack
from geodata.review import Review
from geodata.schema import Finding, Findings, InputError, Status, status_like
from geodata.sources import read_source
from models.hazards import HazardOptions
from models.indicators import IndicatorSheet
from models.risk import DIMENSIONS

from .cadences import lacks_days
from .crosswalked import cutting_of
from .displacement import COUNTING, Counted, count
from .indicator_sheet import EMPTY, SHEET, check_sheet
from .months import years_of
from .plan import Plan
from .policy import reading
from .raster_means import by_subdistrict, read_by_subdistrict
from .settings import DISPLACEMENT, DISPLACEMENT_REASONS

YEARS_OF_A_NORMAL = 30
"""Years behind a climatological normal (WMO-No. 1203)."""

read_boundaries_step = reading("read-boundaries")(read_boundaries)
read_source_step = reading("read-source")(read_source)


@dataclass
class Country:
    """What was read: one cube per source on its own time axis, protected where it counts people.

    `counted` holds, by block, what is told of people beside the cubes; its `sites` are exact.
    """

    subdistricts: gpd.GeoDataFrame | None = None
    cubes: dict[str, xr.Dataset] = field(default_factory=dict)
    counted: dict[str, Counted] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    sheet: IndicatorSheet = EMPTY

    @property
    def errors(self) -> list[Finding]:
        """Findings that stop a run."""
        return [f for f in self.findings if f.severity == "error"]


def read_country(plan: Plan, kept: Path | None = None) -> Country:
    """Read every block of the country file; an error in one does not keep the others from being read.

    Parameters
    ----------
    plan : Plan
    kept : Path, where means of rasters are kept from run to run; nothing is kept without
    """
    country = Country()
    root, settings = Path(plan.data), plan.settings
    with_log(country, "boundaries", partial(_read_boundaries, country, plan, root))
    for name in sorted(settings.sources, key=lambda name: name == DISPLACEMENT_REASONS):  # after those it divides
        with_log(country, f"sources.{name}", partial(_read_source, country, name, plan, kept))
    with_log(country, SHEET, partial(_read_sheet, country, plan, root))
    note_what_needs_days(country, plan)
    check_calibrations(country, plan)
    check_coefficients(country, plan)
    note_the_calendar(country, plan)
    return country


def with_log(country: Country, block: str, read: Callable[[Findings], None]) -> None:
    """Run one reader and keep what it found, also when it gave up."""
    log = Findings(block)
    try:
        read(log)
    except InputError as error:
        country.findings += [f for f in error.findings if f not in log.items]
    country.findings += log.items
    country.reviews += log.reviews


def _read_boundaries(country: Country, plan: Plan, root: Path, log: Findings) -> None:
    country.subdistricts = read_boundaries_step(plan.settings.boundaries, root, log)


def _read_source(country: Country, name: str, plan: Plan, kept: Path | None, log: Findings) -> None:
    options, units = plan.settings.sources[name], country.subdistricts
    if units is None:
        log.warning(
            file=options.path, field="path", found="no boundaries", expected="boundaries first", action="not read"
        )
        return
    if kept is not None and isinstance(options, RasterStack):
        means = read_by_subdistrict(name, options, plan, log, units, kept)
        if means is not None:
            country.cubes[name] = raster_cube(means, name, options)
            return
    on = cutting_of(options, units, Path(plan.data), log)
    values = read_source_step(options, Path(plan.data), log, on.units)
    if isinstance(values, xr.DataArray):
        country.cubes[name] = raster_cube(by_subdistrict(values, options, units), name, options)
    elif isinstance(options, COUNTING):
        beside = country.counted.get(DISPLACEMENT) if name == DISPLACEMENT_REASONS else None
        country.counted[name] = count(name, values, options, units, plan, log, beside, on)
        country.cubes[name] = country.counted[name].cube
    else:
        country.cubes[name] = table_cube(values, name, options)


def _read_sheet(country: Country, plan: Plan, root: Path, log: Findings) -> None:
    options = plan.settings.indicator_sheet
    if options is not None:
        country.sheet = options.read(root, log)
        taken = {*plan.settings.hazards, *plan.settings.indicators, *DIMENSIONS, "hazard", "exposure", "risk"}
        check_sheet(country.sheet, plan.settings.sources, taken, options.path or "country file", log)


# ------------------------------------------------------------------ rasters and tables


def raster_cube(means: xr.Dataset, name: str, options: SourceOptions) -> xr.Dataset:
    """Means of a raster under the name of their source, with the share of the ground behind each."""
    coverage = means["coverage"].assign_attrs(units="1", long_name=f"{name}: share of the area seen")
    cube = means.drop_vars("coverage").assign({f"{name}_coverage": coverage})
    return named(cube.assign({f"{name}_coverage_status": status_like(coverage)}), name, options)


def table_cube(values: xr.Dataset, name: str, options: SourceOptions) -> xr.Dataset:
    """A table under the name of its source; a network of rivers stays as it was read."""
    if isinstance(options, WaterNetwork):
        return values
    cube = named(values, name, options)
    plain = set(cube.dims) == {"time", "pcode"}
    return cube.assign_coords(effective_cells=("pcode", cells_of_a_table(values))) if plain else cube


def named(values: xr.Dataset, name: str, options: SourceOptions) -> xr.Dataset:
    """A reader's `value` and `status` under the name of their source, labelled by the start of each period."""
    cube = values.rename({"value": name, "status": f"{name}_status"}) if "value" in values else values
    starts = pd.DatetimeIndex([period_start(t, options.cadence) for t in values.indexes["time"]]).as_unit("ns")
    cube = cube.assign_coords(time=starts)
    cube[name] = cube[name].assign_attrs(long_name=options.label.get("en", name))
    return cube


def cells_of_a_table(values: xr.Dataset) -> np.ndarray:
    """Values given for the subdistrict itself count as seen in full; shared ones as one cell."""
    flags = values["status"] if "status" in values else values["residents_status"]
    shared = (flags == int(Status.resolution_limited)).any("time").values
    return np.where(shared, 1.0, 4.0)


# ------------------------------------------------------------------ the calendar


def note_the_calendar(country: Country, plan: Plan) -> None:
    """Say which periods lie after the as-of month, and whether such years calibrate."""
    end = pd.Timestamp(plan.as_of_end)
    for name, cube in country.cubes.items():
        options = plan.settings.sources[name]
        starts = pd.DatetimeIndex(cube.indexes["time"])
        late = starts[period_ends(starts, options.cadence) + pd.Timedelta(days=options.available_after_days) > end]
        if len(late):
            span = " to ".join(dict.fromkeys(period_label(late[i], options.cadence) for i in (0, -1)))
            country.findings.append(
                Finding(
                    "note",
                    f"sources.{name}",
                    options.path if options.path != "." else options.label.get("en", name),
                    "period",
                    f"{span}, not available by {plan.as_of}",
                    f"data available by the end of {plan.as_of}",
                    "unused",
                )
            )
    for field_name, last_year in last_years_of_calibration(plan).items():
        if last_year > plan.as_of_end.year:
            country.findings.append(
                Finding(
                    "note",
                    "calibration",
                    "country file",
                    field_name,
                    str(last_year),
                    f"a year up to {plan.as_of_end.year}",
                    "years after the as-of month calibrate; none of them speaks",
                )
            )


def last_years_of_calibration(plan: Plan) -> dict[str, int]:
    """Where the country file says it -> the last year that calibrates."""
    return {"calibration.end_year": plan.settings.calibration.end_year} | {
        f"{section}.{name}.calibration_years": block.calibration_years[1]
        for section, blocks in plan.settings.sections.items()
        for name, block in blocks.items()
        if block.calibration_years is not None
    }


def check_coefficients(country: Country, plan: Plan) -> None:
    """Note an error for each crop and animal of a table that the country file has no coefficient for."""
    demand, block = plan.settings.water_demand, plan.settings.water_balance
    if demand is None or block is None:
        return
    crops = demand.irrigation.crops if demand.irrigation is not None else {}
    for name, known in ((block.irrigated_area, crops), (block.livestock, demand.livestock or {})):
        if name is not None and name in country.cubes:
            path = plan.settings.sources[name].path
            country.findings += unknown_categories(country.cubes[name], known, source=f"sources.{name}", file=path)


def note_what_needs_days(country: Country, plan: Plan) -> None:
    """Say of each hazard of daily extremes whose source is by month that it cannot be assessed."""
    for name, block in plan.settings.hazards.items():
        if isinstance(block, HazardOptions) and lacks_days(block, plan.settings.sources):
            source = plan.settings.sources[block.source]
            country.findings.append(
                Finding(
                    "warning",
                    f"sources.{block.source}",
                    source.path,
                    f"hazards.{name}.source",
                    f"cadence {source.cadence!r}",
                    f"cadence 'day', as {block.method} is made of days",
                    "input_missing in every product, which is not zero",
                )
            )


def check_calibrations(country: Country, plan: Plan) -> None:
    """Note an error for each source that does not hold enough of a block's calibration years."""
    for section, blocks in plan.settings.sections.items():
        for name, block in blocks.items():
            for option, needed in block.years_needed.items():
                source = block.sources[option]
                if source in country.cubes:
                    check_years(country, plan, f"{section}.{name}", source, years_of(block, plan), needed)


def check_years(
    country: Country, plan: Plan, block: str, source: str, calibration: tuple[int, int], needed: int
) -> None:
    """Note an error if a source holds values of fewer calibration years than a block needs, and if it holds few."""
    values = country.cubes[source].get(source)
    if values is None:
        return
    seen = values.notnull().any([str(dim) for dim in values.dims if dim != "time"])
    years = sorted(set(pd.DatetimeIndex(values.indexes["time"][seen.values]).year))
    first, last = calibration
    held = sum(first <= year <= last for year in years)
    record = f"a record of {years[0]} to {years[-1]}" if years else "a record without any value"
    told = {
        "source": f"sources.{source}",
        "file": plan.settings.sources[source].path,
        "field": f"calibration of {block}",
        "found": f"{held} of the years {first} to {last} in {record}",
    }
    if held < needed:
        expected = f"at least {needed} (min_years), in [calibration] or calibration_years"
        country.findings.append(Finding("error", **told, expected=expected))
    elif held < YEARS_OF_A_NORMAL:
        expected = f"{YEARS_OF_A_NORMAL} years, as a climatological normal has"
        country.findings.append(Finding("note", **told, expected=expected, action="ranks and classes are rough"))
