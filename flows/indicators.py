"""The cube as one long table: pcode, time, indicator, lead_months, scenario, value, unit, status."""

from __future__ import annotations

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
    words = {int(s): s.name for s in Status}
    parts = []
    for name in sorted(str(v) for v in cube.data_vars if f"{v}_status" in cube):
        values, flags = xr.broadcast(recent[name], recent[f"{name}_status"])
        order = ("time", "pcode", *(dim for dim in values.dims if dim not in ("time", "pcode")))
        rows = values.transpose(*order).to_series().rename("value").reset_index()
        status = flags.transpose(*order).to_series().map(words).to_numpy()
        parts.append(rows.assign(indicator=name, unit=recent[name].attrs["units"], status=status))
    table = pd.concat(parts, ignore_index=True).assign(lead_months=0)
    table["scenario"] = table["scenario"].fillna("") if "scenario" in table else ""
    table["time"] = table["time"].dt.strftime("%Y-%m")
    for column in ("pcode", "time", "indicator", "scenario", "unit", "status"):
        table[column] = table[column].astype("category")
    return table[list(COLUMNS)]
