"""Runoff: numbers of the handbook, classes of land within a cell, soil before the storm, and what is refused."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import ContractError, Status, check_cube
from models.heavy_rain import Antecedent, antecedent_precipitation
from models.runoff import (
    CLASSES,
    RunoffRules,
    daily_runoff,
    dry_curve_number,
    land_shares,
    monthly_runoff,
    retention_mm,
    storm_runoff,
    wet_curve_number,
)

NUMBERS = st.floats(1, 100)
STORMS = st.floats(0, 500)


def days(values, first="2001-01-01", cells=None, units="mm/day"):
    values = np.asarray(values, dtype=float)
    values = values if cells is None else np.repeat(values[:, None], cells, axis=1)
    time = pd.date_range(first, periods=len(values))
    dims = ("time", "cell")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords={"time": time}, attrs={"units": units}, name="rain")


def stormy(years=2, cells=3, seed=1):
    rng = np.random.default_rng(seed)
    n = 365 * years
    rain = rng.gamma(0.5, 30, (n, cells)) * (rng.random((n, cells)) < 0.3)
    return days(rain[:, 0]).expand_dims(cell=cells).transpose("time", "cell").copy(data=rain)


def land(*numbers):
    return xr.DataArray(np.array(numbers, dtype=float), dims="cell")


# ------------------------------------------------------------------ oracles


@pytest.mark.parametrize(
    ("number", "rain", "runoff"), [(80, 100, 50.54), (75, 75, 23.62), (100, 42, 42), (80, 12.7, 0)]
)
def test_runoff_of_the_handbook(number, rain, runoff):
    """S = 63.5 mm for CN 80; water (100) gives all; rain up to 0.2 S = 12.7 mm gives none."""
    assert storm_runoff(rain, number) == pytest.approx(runoff, abs=0.01)
    out = daily_runoff(days([rain]), xr.DataArray(float(number)))
    assert out.runoff.item() == pytest.approx(runoff, abs=0.01)


def test_curve_numbers_of_dry_and_wet_soil():
    assert dry_curve_number(80) == pytest.approx(62.69, abs=0.01)
    assert wet_curve_number(80) == pytest.approx(90.20, abs=0.01)


def test_land_of_no_curve_number_retains_everything():
    assert storm_runoff(1000.0, 0) == 0


def test_a_month_tells_its_highest_day_and_its_total():
    """100 mm and 75 mm on land of CN 80: 87.3^2 / 150.8 = 50.54 mm, and 62.3^2 / 125.8 = 30.85 mm more."""
    rain = days(np.zeros(31))
    rain[3], rain[20] = 100, 75
    out = monthly_runoff(rain, xr.DataArray(80.0))
    second = (75 - 12.7) ** 2 / (75 + 0.8 * 63.5)
    assert out.runoff_max.item() == pytest.approx(87.3**2 / 150.8)
    assert out.runoff_total_mm.item() == pytest.approx(87.3**2 / 150.8 + second)


# ------------------------------------------------------------------ classes of land


def shares(values, numbers):
    """One cell's shares of area."""
    return xr.DataArray(np.array(values, dtype=float)[:, None], dims=(CLASSES, "cell"), coords={CLASSES: list(numbers)})


def test_classes_of_land_are_averaged_as_runoff():
    """A quarter of CN 60 and three quarters of CN 100, 100 mm: 0.25 x 18.57 + 0.75 x 100."""
    out = daily_runoff(days([100.0], cells=1), shares([0.25, 0.75], [60.0, 100.0]))
    s = 25400 / 60 - 254
    assert out.runoff.item() == pytest.approx(0.25 * (100 - 0.2 * s) ** 2 / (100 + 0.8 * s) + 75)
    assert out.runoff.item() == pytest.approx(0.25 * 18.57 + 75, abs=0.01)


def test_the_mean_curve_number_errs_either_way():
    """Land of 60 and 100 in halves: at 100 mm its mean of 80 gives too little, at 300 mm too much."""
    for rain, mean_of_runoff, of_mean in ((100.0, 59.29, 50.54), (300.0, 231.32, 235.29)):
        found = daily_runoff(days([rain], cells=1), shares([0.5, 0.5], [60.0, 100.0])).runoff.item()
        assert found == pytest.approx(mean_of_runoff, abs=0.01)
        assert storm_runoff(rain, 80) == pytest.approx(of_mean, abs=0.01)


@given(STORMS, st.lists(NUMBERS, min_size=2, max_size=4))
def test_runoff_of_the_mean_retention_is_at_most_the_mean_runoff(rain, numbers):
    """Convex in S, whatever the storm."""
    mean = np.mean(retention_mm(np.array(numbers)))
    assert storm_runoff(rain, 25400 / (mean + 254)) <= np.mean(storm_runoff(rain, np.array(numbers))) + 1e-9


def test_a_cell_whose_land_is_half_unknown_says_so():
    """A share of 0.94 is too little, one of 0.96 stands for the whole."""
    rain = days([100.0] * 31, cells=1)
    few, enough = (monthly_runoff(rain, shares([share], [80.0])) for share in (0.94, 0.96))
    assert few.runoff_max_status.item() == Status.input_missing
    assert np.isnan(few.runoff_max.item())
    assert enough.runoff_max.item() == pytest.approx(50.54, abs=0.01)


def test_a_cell_without_a_curve_number_is_missing_its_input():
    out = daily_runoff(days([100.0, 0.0], cells=2), land(80, np.nan))
    assert out.runoff_status.values.tolist() == [[Status.ok, Status.input_missing]] * 2
    assert np.isnan(out.runoff.values[:, 1]).all()


def test_shares_of_finer_land_are_those_of_area():
    """Cells of one degree on rain cells of two; the northern half of each is smaller."""
    fine = xr.DataArray(
        [[60.0, 60.0, 70.0, np.nan], [60.0, 80.0, 70.0, 70.0]],
        dims=("lat", "lon"),
        coords={"lat": [61.5, 60.5], "lon": [40.5, 41.5, 42.5, 43.5]},
    )
    rain = xr.DataArray(np.zeros((1, 1, 2)), dims=("time", "lat", "lon"), coords={"lat": [61.0], "lon": [41.0, 43.0]})
    with pytest.raises(ContractError, match="grid"):
        land_shares(fine, rain)
    rain = xr.DataArray(
        np.zeros((1, 2, 2)), dims=("time", "lat", "lon"), coords={"lat": [61.0, 59.0], "lon": [41.0, 43.0]}
    )
    found = land_shares(fine, rain)
    north, south = (np.sin(np.radians(b)) - np.sin(np.radians(a)) for a, b in ((61, 62), (60, 61)))
    n, s = north / (north + south), south / (north + south)
    assert found[CLASSES].values.tolist() == [60, 70, 80]
    assert found.sel(lat=61, lon=41).values == pytest.approx([n + s / 2, 0, s / 2])
    assert found.sel(lat=61, lon=43).values == pytest.approx([0, n / 2 + s, 0])
    assert found.sel(lat=59).values.max() == 0


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(0.25, 1.0), (0.3, 0.75), (0.5, 0.5), (1.0, 0.4)]))
def test_shares_of_land_that_covers_the_rain_sum_to_one(seed, sizes):
    """Whatever the two cell sizes, and however the rows run."""
    fine_step, step = sizes
    rng = np.random.default_rng(seed)
    lat, lon = 30 + fine_step * (np.arange(20) + 0.5), 40 + fine_step * (np.arange(24) + 0.5)
    numbers = rng.choice([55.0, 70.0, 98.0], (20, 24))
    fine = xr.DataArray(numbers, dims=("lat", "lon"), coords={"lat": lat, "lon": lon})
    rows = np.arange(30 + step / 2, 30 + 20 * fine_step - step / 2 + 1e-9, step)
    columns = np.arange(40 + step / 2, 40 + 24 * fine_step - step / 2 + 1e-9, step)
    rain = xr.DataArray(np.zeros((len(rows), len(columns))), dims=("lat", "lon"), coords={"lat": rows, "lon": columns})
    found = land_shares(fine, rain)
    assert np.abs(found.sum(CLASSES) - 1).max() < 1e-9
    assert np.allclose(land_shares(fine[::-1], rain[::-1]), found[:, ::-1], rtol=0, atol=1e-12)


# ------------------------------------------------------------------ the soil before the storm


@pytest.mark.parametrize(("before", "number"), [(0, 62.69), (7.1, 62.69), (7.2, 80), (10.6, 80), (10.7, 90.2)])
def test_five_days_of_rain_tell_how_wet_the_soil_is(before, number):
    """Under 35.6 mm dry, over 53.3 mm wet; the day of the storm itself does not count."""
    rain = days([before] * 5 + [100.0])
    out = daily_runoff(rain, xr.DataArray(80.0), RunoffRules(moisture="rain"))
    assert out.runoff.values[-1] == pytest.approx(float(storm_runoff(100, number)), abs=0.02)


def test_where_the_days_before_were_not_seen_a_storm_is_unknown_and_a_shower_is_not():
    """Wet soil of CN 80 yields nothing up to 5.5 mm, so 5 mm is no runoff whatever came before."""
    rain = days([np.nan, 5.0, 100.0, 0, 0, 0, 100.0])
    out = daily_runoff(rain, xr.DataArray(80.0), RunoffRules(moisture="rain"))
    assert np.isnan(out.runoff.values).tolist() == [True, False, True, False, False, False, False]
    assert out.runoff.values[1] == 0
    assert out.runoff_status.values.tolist()[:3] == [5, 0, 5]


def test_the_first_storms_of_a_record_meet_soil_of_which_nothing_is_known():
    """Five days must have been seen before one."""
    out = daily_runoff(days(np.full(8, 100.0)), xr.DataArray(80.0), RunoffRules(moisture="rain"))
    assert np.isnan(out.runoff.values).tolist() == [True] * 5 + [False] * 3


def test_the_antecedent_index_of_the_day_before_tells_how_wet_the_soil_is():
    """Limits of 20 and 40 mm on an index that is given by the function for rain."""
    rain = stormy(years=4, cells=1).isel(cell=0)
    rules = RunoffRules(moisture="api", limits_mm=(20, 40), antecedent=Antecedent(spin_up_days=30))
    index = antecedent_precipitation(rain, rules.antecedent).api.values[30:-1]
    number = np.where(index < 20, dry_curve_number(80), np.where(index > 40, wet_curve_number(80), 80))
    found = daily_runoff(rain, xr.DataArray(80.0), rules).runoff.values[31:]
    assert np.abs(found - storm_runoff(rain.values[31:], number)).max() < 1e-9
    assert len(set(number[found > 0])) == 3


# ------------------------------------------------------------------ laws


@given(STORMS, STORMS, NUMBERS)
def test_runoff_rises_with_the_rain_and_never_exceeds_it(rain, more, number):
    before, after = storm_runoff(rain, number), storm_runoff(rain + more, number)
    assert before <= after + 1e-9
    assert 0 <= before <= rain


@given(STORMS, NUMBERS, NUMBERS)
def test_runoff_rises_with_the_curve_number(rain, one, other):
    low, high = sorted((one, other))
    assert storm_runoff(rain, low) <= storm_runoff(rain, high) + 1e-9


@given(NUMBERS)
def test_wetter_soil_has_a_higher_curve_number(number):
    assert 0 <= dry_curve_number(number) <= number + 1e-9
    assert number <= wet_curve_number(number) + 1e-9
    assert wet_curve_number(number) <= 100 + 1e-9


@settings(max_examples=20)
@given(st.sets(st.integers(0, 364), min_size=1, max_size=8), st.sampled_from(["normal", "rain"]))
def test_a_masked_day_never_lowers_the_runoff(masked, moisture):
    """With every day asked for, a month is as before or unknown."""
    rain = stormy(years=1, cells=1)
    holed = rain.copy()
    holed[list(masked)] = np.nan
    rules = RunoffRules(moisture=moisture, min_days=1.0)
    own, found = (monthly_runoff(r, land(80), rules) for r in (rain, holed))
    for name in ("runoff_max", "runoff_total_mm"):
        assert (found[name].isnull() | (abs(found[name] - own[name]) < 1e-12)).all()
    assert found.runoff_max.isnull().sum() >= len({rain.time.dt.month.values[d] for d in masked})


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 50, "cell": 2}, {"time": -1, "cell": 1}])
@pytest.mark.parametrize("by", [daily_runoff, monthly_runoff])
def test_chunks_and_order_of_dimensions_change_nothing(by, chunks):
    rain = stormy(cells=5)
    rain[40:45, 2] = np.nan
    rules = RunoffRules(moisture="rain")
    classes = xr.DataArray(
        np.random.default_rng(0).dirichlet([1, 1], 5).T, dims=(CLASSES, "cell"), coords={CLASSES: [70.0, 90.0]}
    )
    for ground in (land(70, 80, 90, 75, np.nan), classes):
        own = by(rain, ground, rules)
        for other in (rain.chunk(chunks), rain.T.chunk(chunks), rain.T):
            lazy = by(other, ground.chunk(cell=2) if other.chunks else ground, rules)
            assert all(isinstance(v.data, da.Array) for v in lazy.values()) == (other.chunks is not None)
            found = lazy.compute().transpose("time", "cell")
            for name in own.data_vars:
                assert np.allclose(found[name], own[name], rtol=0, atol=1e-12, equal_nan=True), name


def test_a_raster_of_shares_keeps_its_dimensions():
    """(time, lat, lon) float32 over (curve_number_class, lat, lon)."""
    rain = stormy(cells=6).astype("float32")
    coords = {"time": rain.time, "lat": [34.0, 33.0], "lon": [43.0, 44.0, 45.0]}
    raster = xr.DataArray(rain.values.reshape(-1, 2, 3), dims=("time", "lat", "lon"), coords=coords, attrs=rain.attrs)
    numbers = xr.DataArray(
        np.linspace(50, 98, 6).reshape(2, 3), dims=("lat", "lon"), coords={k: coords[k] for k in ("lat", "lon")}
    )
    out = monthly_runoff(raster.chunk(lat=1), land_shares(numbers, raster)).compute()
    assert out.runoff_max.dims == ("time", "lat", "lon")
    assert out.runoff_max.dtype == np.float32
    plain = monthly_runoff(rain, land(*np.linspace(50, 98, 6)))
    assert np.allclose(out.runoff_max.values.reshape(-1, 6), plain.runoff_max, atol=1e-4)


def test_every_value_has_its_status_units_and_words():
    rain = stormy(cells=2).rename(cell="pcode").assign_coords(pcode=["A", "B"])
    rain[100:110, 0] = np.nan
    ground = xr.DataArray([80.0, np.nan], dims="pcode", coords={"pcode": ["A", "B"]})
    check_cube(monthly_runoff(rain, ground))
    check_cube(daily_runoff(rain, ground))


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("by", [daily_runoff, monthly_runoff])
def test_rain_of_a_month_is_no_storm(by):
    """In its own units, and as a mean rate in mm/day on months."""
    with pytest.raises(ContractError, match="mm/day"):
        by(days(np.ones(24), units="mm/month"), xr.DataArray(80.0))
    months = days(np.ones(24)).assign_coords(time=pd.date_range("2001-01-01", periods=24, freq="MS"))
    with pytest.raises(ContractError, match="consecutive days"):
        by(months, xr.DataArray(80.0))


@pytest.mark.parametrize("number", [-1.0, 100.5, 255.0])
def test_a_curve_number_outside_0_to_100_is_refused(number):
    ground = land(80, number)
    with pytest.raises(ContractError, match="expected 0 to 100"):
        daily_runoff(days([1.0], cells=2), ground)
    with pytest.raises(ContractError, match="expected 0 to 100"):
        daily_runoff(days([1.0], cells=1), shares([0.5, 0.5], [80.0, number]))


@pytest.mark.parametrize(
    "wrong", [{"moisture": "api"}, {"limits_mm": (50.0, 20.0)}, {"moisture": "rain", "limits_mm": (-1.0, 5.0)}]
)
def test_limits_of_the_soil_must_be_given_and_in_order(wrong):
    with pytest.raises(ContractError, match="limits_mm"):
        RunoffRules(**wrong)


def test_the_month_needs_95_percent_of_its_days():
    rain = days(np.full(31, 100.0))
    rain[0] = np.nan
    assert monthly_runoff(rain, xr.DataArray(80.0)).runoff_max.notnull().item()
    rain[1] = np.nan
    out = monthly_runoff(rain, xr.DataArray(80.0))
    assert out.runoff_max_status.item() == out.runoff_total_mm_status.item() == Status.insufficient_data
    assert monthly_runoff(rain, xr.DataArray(80.0), replace(RunoffRules(), min_days=0.9)).runoff_max.notnull().item()
