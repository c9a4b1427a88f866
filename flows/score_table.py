"""The score table: one row per subdistrict at the as-of month, unrounded, cut out of the cube."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from geodata.schema import AlertLevel, Status

SCORES = ("hazard", "exposure", "vulnerability", "lack_of_coping", "risk", "lack_of_reliability", "warning_score")
COUNTS = (
    "residents",
    "displaced_households",
    "displaced_people",
    "displaced_climate_households",
    "returnee_households",
)
FURTHER = ("hazard_and_exposure", "risk_low", "risk_high")


def score_table(
    cube: xr.Dataset,
    texts: pd.DataFrame,
    subdistricts: pd.DataFrame,
    *,
    hazards: Sequence[str],
    left_out: Collection[str] = (),
) -> pd.DataFrame:
    """Values, statuses and words of the last month of the cube.

    Parameters
    ----------
    cube : Dataset (time, pcode), the whole waist
    texts : DataFrame, index pcode, what is told in words and what stands with it: risk_class, risk_tier,
        confidence, main_driver, the smallest changes, reason_code, reason_values
    subdistricts : DataFrame, the subdistricts table
    hazards : every hazard of the country file, with or without a source
    left_out : names of variables that stand in the cube and the indicators alone

    Returns
    -------
    DataFrame, index pcode sorted
        The columns of the contract without the printed sentence, `contribution_<part>`, and of each `<name>_status`
        as a word: of a part that nobody could assess its own, of the others that of the risk.
    """
    last = cube.isel(time=-1)
    table = pd.DataFrame(subdistricts.drop(columns="geometry", errors="ignore"))
    present = [str(v) for v in cube.data_vars if f"{v}_status" in cube and v not in left_out]
    wanted = [*COUNTS, *(f"hazard_{h}" for h in hazards), *SCORES, *FURTHER]
    columns: dict[str, np.ndarray] = {}
    for name in dict.fromkeys([*wanted, *present]):
        columns[name], columns[f"{name}_status"] = column(last, name)
    table = table.assign(**columns)
    table["alert_level"] = alert_levels(last)
    table["alert_basis"] = "monitoring"
    table["status"] = table["risk_status"]
    table["as_of"] = pd.Timestamp(cube.indexes["time"][-1]).strftime("%Y-%m")
    return table.join(texts)


def column(last: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of one variable and its statuses as words; input_missing where it was never computed."""
    if name not in last:
        units = last.sizes["pcode"]
        return np.full(units, np.nan), np.full(units, Status.input_missing.name)
    words = np.array([Status(int(code)).name for code in last[f"{name}_status"].values])
    return last[name].values.astype("float64"), words


def alert_levels(last: xr.Dataset) -> np.ndarray:
    """Alert levels as integers; NO_DATA where nothing was observed."""
    return last["alert_level"].fillna(int(AlertLevel.NO_DATA)).values.astype("int64")
