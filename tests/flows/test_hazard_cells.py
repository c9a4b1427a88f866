"""From cells to subdistricts: values, and why there is none."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows import hazard_cells
from flows.further_tables import usable_months
from flows.hazard_cells import cells_in_months, means_in_months, months_of_inputs, status_of_cells
from flows.indicators import long_table
from flows.plan import Plan, with_inputs
from flows.settings import load_settings
from geodata.grids import grid_of
from geodata.schema import Status, status_attrs, status_like
from geodata.zonal import zonal_mean, zonal_weights

from .records import write_record

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
    """A: all masked. B: three of four masked. C: half seen, a mean of that part. D: three beyond support."""
    flags = np.array([[DRY, DRY, DRY, DRY], [DRY, DRY, DRY, OK], [DRY, DRY, FAR, FAR], [OK, OK, FAR, OK]])
    values = np.where(np.isin(flags, [OK, FAR]), 1.0, np.nan)
    weights = zonal_weights(grid_of(image(values)), squares())
    means = zonal_mean(image(values), weights)
    reasons = image(flags, "int8").assign_attrs(status_attrs(), crs="EPSG:4326")
    status = status_of_cells(means["status"], reasons, weights)
    assert [Status(int(s)).name for s in status.values.ravel()] == [
        "masked_dry_season",
        "masked_dry_season",
        "resolution_limited",
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


# ------------------------------------------------------------------ months of days, kept from run to run

DAYS = pd.date_range("1992-01-01", "2004-06-30")
HOT = ("2003-04-29", "2003-04-30", "2003-05-01")
"""Three days above 45 degrees, two in April and one in May; all others, of twelve Aprils, are cool."""


def country_of_days(folder, as_of, days=DAYS, pattern="{YYYY}.nc", change=None, calibration=(1992, 2004)):
    """Plan and folder of a run of a country with the hottest and the coolest hour of each day, in files of months.

    All that is kept lies in ``folder/out``; the files, made once, in ``folder/data``.
    """
    demo = load_settings("demo")
    sources = {}
    for name, warmth in (("tmax_daily", 30.0), ("tmin_daily", 15.0)):
        here = f"{name}/{pattern}"
        sources[name] = demo.sources[name].model_copy(
            update={"path": here, "variable": None, "available_after_days": 0}
        )
        values = warmth + np.sin(np.arange(len(days)))[:, None, None] * np.ones((1, 4, 4))
        if name == "tmax_daily":
            values[days.isin(pd.DatetimeIndex(HOT))] = 46.0
        if change is not None:
            values[days == pd.Timestamp(change)] += 3.0
        write_record(folder / "data", here, days, values.astype("float32"))
    block = demo.hazards["heat"].model_copy(update={"calibration_years": calibration, "min_years": 2})
    settings = demo.model_copy(update={"sources": sources, "hazards": {"heat": block}, "indicators": {}})
    plan = with_inputs(Plan(settings, data=str(folder / "data"), as_of=as_of, issued="2026-01-15"))
    work = folder / "out" / "demo" / "runs" / f".{as_of}"
    shutil.rmtree(work, ignore_errors=True)
    (work / ".stage").mkdir(parents=True)
    squares().to_parquet(work / ".stage" / "subdistricts.parquet")
    return block, plan, str(work)


def heat_of(folder, as_of, **how):
    block, plan, work = country_of_days(folder, as_of, **how)
    return means_in_months("heat", block, plan, work).assign_attrs()


def waves(means, month):
    return means["heat_wave_days"].sel(time=month).values.tolist()


def test_a_month_up_to_the_as_of_month_knows_no_day_after_it(tmp_path):
    """Hot on 29 and 30 April and on 1 May. At the end of April nobody knew of May, though its year calibrates."""
    assert waves(heat_of(tmp_path, "2003-04"), "2003-04-01") == [0, 0, 0, 0]
    may = heat_of(tmp_path, "2003-05")
    assert waves(may, "2003-04-01") == [2, 2, 2, 2]
    assert waves(may, "2003-05-01") == [1, 1, 1, 1]


def test_of_tables_by_day_too_no_day_after_the_as_of_month_is_known(tmp_path):
    """The same days for each subdistrict, with no cells behind them."""
    for as_of, wanted in (("2003-03", 2), ("2003-04", 0), ("2003-05", 2), ("1990-01", 2)):
        block, plan, _ = country_of_days(tmp_path, as_of, pattern="all.nc")
        days = (
            xr.open_dataset(tmp_path / "data/tmax_daily/all.nc")["rain"].mean(["lat", "lon"]).expand_dims(pcode=["A"])
        )
        days = days.transpose("time", "pcode").assign_attrs(units="degC")
        flags = status_like(days)
        inputs = xr.Dataset({n: v for s in block.sources.values() for n, v in ((s, days), (f"{s}_status", flags))})
        found = months_of_inputs(inputs, block, plan)
        assert waves(found, "2003-04-01") == [wanted], as_of
        assert found.indexes["time"].equals(pd.date_range("1992-01", "2004-06", freq="MS"))


def test_a_month_that_calibrates_alone_is_told_from_every_day(tmp_path):
    """At the end of March, April is only there to calibrate: with its wave."""
    assert waves(heat_of(tmp_path, "2003-03"), "2003-04-01") == [2, 2, 2, 2]


@pytest.mark.parametrize("pattern", ["{YYYY}.{MM}.tif", "{YYYY}.tif", "{YYYY}.nc", "all.nc"])
def test_months_kept_from_run_to_run_are_those_of_a_run_from_nothing(tmp_path, pattern):
    """The record grows by a month, goes back, and a day of it changes: each time as if nothing had been kept."""
    grown, late = tmp_path / "grown", DAYS[DAYS >= "2001"]
    steps = (
        {"as_of": "2003-04", "days": late[late < "2003-05"]},
        {"as_of": "2003-05", "days": late[late < "2003-06"]},
        {"as_of": "2003-04", "days": late[late < "2003-06"]},
        {"as_of": "2003-05", "days": late[late < "2003-06"], "change": "2003-04-30"},
        {"as_of": "2003-05", "days": late[(late >= "2002") & (late < "2003-06")]},
    )
    for i, step in enumerate(steps):
        shutil.rmtree(grown / "data", ignore_errors=True)
        found = heat_of(grown, pattern=pattern, **step)
        alone = heat_of(tmp_path / str(i), pattern=pattern, **step)
        xr.testing.assert_identical(found, alone)
        for part in (found, alone):
            assert part["hot_days"].notnull().any()


def test_a_new_month_opens_the_files_of_its_days_alone(tmp_path, monkeypatch):
    """June comes after the calibration: the last two days of May, those of June, and of May those two days before.

    May is worked out again as well: its last days may belong to a wave that June goes on with.
    """
    asked = []
    rasters = hazard_cells.rasters_of

    def spy(block, plan, work, days=None):
        asked.append(None if days is None else (str(days.start.date()), str(days.stop.date())))
        return rasters(block, plan, work, days)

    monkeypatch.setattr(hazard_cells, "rasters_of", spy)
    how = {"calibration": (2001, 2002), "pattern": "{YYYY}.{MM}.tif"}
    late = DAYS[DAYS >= "2001"]
    heat_of(tmp_path, "2003-05", days=late[late < "2003-06"], **how)
    assert asked == [None]
    asked.clear()
    heat_of(tmp_path, "2003-06", days=late[late < "2003-07"], **how)
    assert asked == [("2003-04-29", "2003-06-30")]
    asked.clear()
    heat_of(tmp_path, "2003-06", days=late[late < "2003-07"], **how)
    assert asked == []


def test_cells_and_means_of_a_large_record_are_those_of_a_small_one(tmp_path, monkeypatch):
    """Worked on in bands, on disk, as a record that does not fit the memory."""
    expected = heat_of(tmp_path / "a", "2003-05")
    monkeypatch.setattr("flows.block_rasters.IN_MEMORY_BYTES", 1e3)
    monkeypatch.setattr("geodata.bands.IN_MEMORY_BYTES", 1e3)
    block, plan, work = country_of_days(tmp_path / "b", "2003-05")
    found = means_in_months("heat", block, plan, work)
    xr.testing.assert_identical(found, expected)
    assert list(found.data_vars) == list(expected.data_vars)
    cells = cells_in_months("heat", block, plan, work)
    assert set(cells.data_vars) == {"hot_days", "hot_days_status", "hot_nights", "hot_nights_status"}
    assert cells["hot_days"].sel(time="2003-04-01").values.tolist() == [[2.0] * 4] * 4
