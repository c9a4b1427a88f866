"""From cells to subdistricts: values, and why there is none."""

import numpy as np
import pandas as pd
import xarray as xr

from flows.further_tables import usable_months
from flows.hazard_cells import status_of_cells
from flows.indicators import long_table
from geodata.grids import grid_of
from geodata.schema import Status, status_attrs
from geodata.zonal import zonal_mean, zonal_weights

OK, DRY, FAR, GONE = Status.ok, Status.masked_dry_season, Status.out_of_support, Status.insufficient_data


def image(values, dtype="float32"):
    """One month of 4 x 4 cells of 0.5 degrees, over four squares."""
    lat, lon = 31.75 - 0.5 * np.arange(4), 40.25 + 0.5 * np.arange(4)
    coords = {"time": pd.DatetimeIndex(["2020-01-01"]), "lat": lat, "lon": lon}
    array = xr.DataArray(np.asarray([values], dtype=dtype), dims=("time", "lat", "lon"), coords=coords)
    return array.assign_attrs(crs="EPSG:4326", units="1")


def squares():
    """Four subdistricts of 2 x 2 cells."""
    import geopandas as gpd
    import shapely

    boxes = [shapely.box(x, y, x + 1, y + 1) for y in (31, 30) for x in (40, 41)]
    return gpd.GeoDataFrame(geometry=boxes, index=pd.Index(["A", "B", "C", "D"], name="pcode"), crs="EPSG:4326")


def test_a_mean_takes_the_reason_of_most_of_its_ground():
    """A: all masked. B: three of four masked. C: half masked, half seen. D: three beyond support."""
    flags = np.array([[DRY, DRY, DRY, DRY], [DRY, DRY, DRY, OK], [DRY, DRY, FAR, FAR], [OK, OK, FAR, OK]])
    values = np.where(np.isin(flags, [OK, FAR]), 1.0, np.nan)
    weights = zonal_weights(grid_of(image(values)), squares())
    means = zonal_mean(image(values), weights)
    reasons = image(flags, "int8").assign_attrs(status_attrs(), crs="EPSG:4326")
    status = status_of_cells(means["status"], reasons, weights)
    assert [Status(int(s)).name for s in status.values.ravel()] == [
        "masked_dry_season",
        "masked_dry_season",
        "ok",
        "out_of_support",
    ]


def cube(**variables):
    times = pd.date_range("2001-01", periods=4, freq="MS")
    out = xr.Dataset(coords={"time": times, "pcode": ["U0", "U1"]})
    for name, (dims, values, flags) in variables.items():
        out[name] = (dims, np.asarray(values, dtype=float), {"units": "1"})
        out[f"{name}_status"] = (dims[: np.ndim(flags)], np.asarray(flags, dtype="int8"))
    return out


def test_the_long_table_keeps_scenarios_apart_and_leaves_them_empty_elsewhere():
    """4 months of 2 units: 8 rows of rain, 24 of a demand with three scenarios, one flag for all of them."""
    rain = (("time", "pcode"), np.arange(8).reshape(4, 2), np.zeros((4, 2)))
    demand = (("time", "pcode", "scenario"), np.arange(24).reshape(4, 2, 3), np.zeros((4, 2)))
    whole = cube(rain=rain, demand=demand).assign_coords(scenario=["low", "mid", "high"])
    table = long_table(whole, 24)
    assert table.groupby("indicator", observed=True).size().to_dict() == {"demand": 24, "rain": 8}
    assert set(table[table["indicator"] == "rain"]["scenario"]) == {""}
    row = table.query("indicator == 'demand' and scenario == 'high' and pcode == 'U1' and time == '2001-04'")
    assert row["value"].item() == 23


def test_usable_months_count_what_an_index_can_say_not_what_was_never_measured():
    """U0 in January and February: ok, masked; U1: ok, no data. March and April are masked for both."""
    flags = [[OK, OK], [DRY, GONE], [DRY, DRY], [DRY, DRY]]
    values = np.where(np.array(flags) == OK, 0.5, np.nan)
    table = usable_months(cube(spi_3=(("time", "pcode"), values, flags)), pd.Series("North", index=["U0", "U1"]))
    assert table[["month", "usable", "months"]].values.tolist() == [[1, 1, 2], [2, 0, 1], [3, 0, 2], [4, 0, 2]]
