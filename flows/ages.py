"""How old each input is at the end of the as-of month."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from geodata.calendar import period_ends, period_label
from geodata.options import SourceOptions
from geodata.schema import KEEPS_VALUE, Status, has_status
from geodata.store import read_cube

from .plan import Plan
from .settings import DISPLACEMENT, RESIDENTS
from .workspace import stage

DAYS_OF_A_MONTH = 30.44


def used_periods(name: str, options: SourceOptions, cube: xr.Dataset, plan: Plan) -> tuple[str, str, int | None]:
    """First and last period with a value that was available in time, and the age of the last in days.

    A year that a hazard leaves out, having no images, is no period with a value.
    """
    value = name if name in cube else next(str(v) for v in cube.data_vars if f"{v}_status" in cube)
    flags = has_status(cube[f"{value}_status"], KEEPS_VALUE | {Status.suppressed})
    known = flags.any([dim for dim in flags.dims if dim != "time"]).values
    starts = pd.DatetimeIndex(cube.indexes["time"])
    ends = period_ends(starts, options.cadence)
    in_time = ends + pd.Timedelta(days=options.available_after_days) <= pd.Timestamp(plan.as_of_end)
    used = (known & in_time & ~starts.year.isin(left_out(name, plan))).nonzero()[0]
    if not len(used):
        return "", "", None
    first, last = (period_label(starts[i], options.cadence) for i in (used[0], used[-1]))
    return first, last, int((pd.Timestamp(plan.as_of_end) - ends[used[-1]]).days)


def left_out(source: str, plan: Plan) -> list[int]:
    """Years that the hazards made from a source declare to be without images."""
    blocks = [block for block in plan.settings.assessed_hazards.values() if block.source == source]
    return sorted({year for block in blocks for year in getattr(block, "years_without_imagery", ())})


def input_ages(plan: Plan, work: str, last: xr.Dataset) -> list[xr.DataArray]:
    """Age of each input in days, by subdistrict; NaN where the input says nothing of one.

    Parameters
    ----------
    plan : Plan
    work : str, folder of the unfinished run
    last : Dataset (pcode,), scores of the as-of month
    """
    ages = [last[f"{name}_age_months"] * DAYS_OF_A_MONTH for name in plan.settings.assessed_hazards]
    for source, name in ((RESIDENTS, "residents"), (DISPLACEMENT, "displaced_households")):
        if source in plan.settings.sources:
            cube = read_cube(stage(work) / f"{source}.nc")
            age = used_periods(source, plan.settings.sources[source], cube, plan)[2]
            speaks = has_status(last[f"{name}_status"], KEEPS_VALUE | {Status.suppressed})
            ages.append(xr.where(speaks, float("nan") if age is None else float(age), float("nan")))
    return ages
