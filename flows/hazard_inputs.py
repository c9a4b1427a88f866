"""What a hazard or an indicator reads: its sources by subdistrict, or the means of what it computes cell by cell."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from geodata.store import read_cube
from models.hazards import HAZARDS, HazardOptions

from .block_rasters import reads_cells
from .hazard_cells import means_in_months, months_of_inputs
from .months import every_period, known_or_calibrating, reindexed, years_of
from .plan import Plan
from .workspace import stage

MIDDLE = "mid"
"""Scenario that speaks where there are several."""


def inputs_by_subdistrict(name: str, block: HazardOptions, plan: Plan, work: str) -> xr.Dataset:
    """Sources of a block by subdistrict, on the axis of `axis_of`.

    Returns
    -------
    Dataset (time, pcode), each variable with its status
    """
    method = HAZARDS[block.method]
    if method.cells is not None and reads_cells(block, plan):
        return means_in_months(name, block, plan, work)
    if method.made_by:
        return read_cube(stage(work) / f"{method.made_by}.nc").sel(scenario=MIDDLE, drop=True)
    cubes = {s: read_cube(stage(work) / f"{s}.nc").drop_vars("effective_cells") for s in block.sources.values()}
    source = plan.settings.sources[block.source]
    first = known_or_calibrating(cubes[block.source], source, years_of(block, plan), plan)
    times = every_period(pd.DatetimeIndex(first.indexes["time"]), source.cadence)
    inputs = xr.merge([reindexed(cube, times) for cube in cubes.values()], join="exact", compat="no_conflicts")
    return inputs if method.cells is None else months_of_inputs(inputs, block, plan)
