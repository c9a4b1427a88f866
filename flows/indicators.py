"""The cube as one long table: pcode, time, indicator, lead_months, scenario, value, unit, status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from geodata.schema import Status

COLUMNS = ("pcode", "time", "indicator", "lead_months", "scenario", "value", "unit", "status")


def long_table(cube: xr.Dataset, months: int) -> pd.DataFrame:
    """Every indicator of the last months, one row per subdistrict, month and indicator.

    Parameters
    ----------
    cube : Dataset (time, pcode), some of it with the dim ``scenario``
    months : int, how many months back from the as-of month

    Returns
    -------
    DataFrame with COLUMNS, sorted by indicator, time and pcode; a value that is not there has its
    reason in `status`. Monitoring has lead 0 and no scenario.
    """
    recent = cube.isel(time=slice(-months, None))
    names = sorted(str(v) for v in cube.data_vars if f"{v}_status" in cube)
    parts = [_rows(recent[name], recent[f"{name}_status"]) for name in names]
    sizes = [len(part.values) for part in parts]
    numbers = {
        "pcode": np.concatenate([part.places for part in parts]),
        "time": np.concatenate([part.times for part in parts]),
        "indicator": np.repeat(np.arange(len(names)), sizes),
        "scenario": np.concatenate([part.scenarios for part in parts]),
        "unit": np.repeat(np.arange(len(names)), sizes),
        "status": np.concatenate([part.flags for part in parts]),
    }
    words: dict[str, Sequence[str] | Mapping[int, str]] = {
        "pcode": [str(p) for p in recent["pcode"].values],
        "time": list(recent.indexes["time"].strftime("%Y-%m")),
        "indicator": names,
        "scenario": ["", *_scenarios(recent)],
        "unit": [str(recent[name].attrs["units"]) for name in names],
        "status": {int(s): s.name for s in Status},
    }
    columns: dict[str, Any] = {name: _category(numbers[name], words[name]) for name in numbers}
    columns |= {"value": np.concatenate([part.values for part in parts]), "lead_months": 0}
    return pd.DataFrame(columns)[list(COLUMNS)]


class _Rows(NamedTuple):
    """Rows of one indicator, in the order of time, p-code and scenario; words as their numbers (-1 of none)."""

    values: npt.NDArray[Any]
    flags: npt.NDArray[Any]
    times: npt.NDArray[Any]
    places: npt.NDArray[Any]
    scenarios: npt.NDArray[Any]


def _rows(values: xr.DataArray, flags: xr.DataArray) -> _Rows:
    """Rows of one indicator; scenario 0 where it has none."""
    order = ("time", "pcode", *(("scenario",) if "scenario" in values.dims or "scenario" in flags.dims else ()))
    sizes = {dim: (values if dim in values.dims else flags).sizes[dim] for dim in order}
    cells, codes = (part.variable.set_dims(sizes).transpose(*order).values.ravel() for part in (values, flags))
    numbers = [axis.ravel() for axis in np.indices(tuple(sizes.values()), dtype="int32")]
    scenarios = numbers[2] + 1 if len(numbers) == 3 else np.zeros(len(cells), dtype="int32")
    return _Rows(cells, codes, numbers[0], numbers[1], scenarios)


def _scenarios(cube: xr.Dataset) -> list[str]:
    return [str(s) for s in cube["scenario"].values] if "scenario" in cube.dims else []


def _category(numbers: npt.NDArray[Any], words: Sequence[str] | Mapping[int, str]) -> pd.Categorical:
    """A column of words given by their numbers; its categories are the words that occur, sorted."""
    found = np.unique(numbers)
    told = [words[int(number)] for number in found]
    kept = sorted(set(told))
    position = np.zeros(int(found.max(initial=0)) + 1, dtype="int32")
    position[found] = [kept.index(word) for word in told]
    return pd.Categorical.from_codes(position[numbers], categories=pd.Index(kept, dtype="str"))
