"""Reference evapotranspiration: the worked examples of FAO-56, another library, and what is refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geodata.evapotranspiration import (
    Evapotranspiration,
    extraterrestrial_radiation,
    ground_heat_of_months,
    hargreaves,
    month_sums,
    penman_monteith,
    wind_at_2m,
)
from geodata.options import RasterSource
from geodata.schema import Findings, InputError
from geodata.sources import READERS


def _series(values, first="2015-07-06", freq="D"):
    values = np.atleast_1d(np.asarray(values, float))
    times = pd.date_range(first, periods=len(values), freq=freq, unit="ns")
    return xr.DataArray(values, dims="time", coords={"time": times})


# ------------------------------------------------------------------ oracles: FAO Irrigation and Drainage Paper 56


def test_extraterrestrial_radiation_of_example_8():
    """20 degrees south, 3 September: 32.2 MJ m-2 day-1."""
    found = extraterrestrial_radiation(pd.DatetimeIndex(["2015-09-03"]), -20.0)
    assert found.item() == pytest.approx(32.2, abs=0.05)


def test_penman_monteith_of_example_17():
    """Bangkok, April, monthly means, J = 105; the ground warms from 29.2 to 30.2 degC: 5.72 mm/day."""
    day = "2015-04-15"
    rate = penman_monteith(
        _series(34.8, day),
        _series(25.6, day),
        13.73,
        wind=_series(2.0, day),
        vapour_pressure=_series(2.85, day),
        elevation=2.0,
        sunshine=_series(8.5, day),
        ground_heat=0.14 * (30.2 - 29.2),
    )
    assert rate.item() == pytest.approx(5.72, abs=0.01)
    assert rate.attrs["units"] == "mm/day"


def test_penman_monteith_of_example_18():
    """Uccle, 6 July: wind 10 km/h at 10 m, ea 1.409 kPa, 9.25 hours of sun, G = 0: 3.88 mm/day."""
    wind = wind_at_2m(_series(10 / 3.6), 10.0)
    assert wind.item() == pytest.approx(2.078, abs=0.001)
    rate = penman_monteith(
        _series(21.5),
        _series(12.3),
        50.80,
        wind=wind,
        vapour_pressure=_series(1.409),
        elevation=100.0,
        sunshine=_series(9.25),
    )
    assert rate.item() == pytest.approx(3.88, abs=0.01)


def test_the_sun_of_example_18_and_its_radiation_give_the_same():
    """The example gives Rs = 22.07 MJ m-2 day-1 for its 9.25 hours."""
    weather = {"wind": _series(2.078), "vapour_pressure": _series(1.409), "elevation": 100.0}
    rate = penman_monteith(_series(21.5), _series(12.3), 50.80, solar_radiation=_series(22.07), **weather)
    assert rate.item() == pytest.approx(3.88, abs=0.01)


def test_the_mean_of_the_days_of_april_is_close_to_its_middle():
    """Example 17 once more, as a month: the radiation is the mean of 30 days instead of that of the 15th."""
    weather = {"wind": _series(2.0, "2015-04-01"), "vapour_pressure": _series(2.85, "2015-04-01"), "elevation": 2.0}
    tmax, tmin, sun = (_series(v, "2015-04-01") for v in (34.8, 25.6, 8.5))
    rate = penman_monteith(tmax, tmin, 13.73, sunshine=sun, ground_heat=0.14, cadence="month", **weather)
    assert rate.item() == pytest.approx(5.72, abs=0.02)


def test_the_ground_takes_up_heat_from_the_month_before():
    """FAO-56, example 13: March 14.1, April 16.1, May 18.8 degC. By equation 44 April takes up 0.28, May 0.378."""
    heat = ground_heat_of_months(_series([14.1, 16.1, 18.8], "2015-03-01", "MS"))
    assert heat.values == pytest.approx([0.0, 0.28, 0.378])


# ------------------------------------------------------------------ oracle: xclim


def _xclim(tmax, tmin, lat):
    """Hargreaves and Samani 1985 as xclim computes it, mm/day."""
    from xclim import indices

    labelled = [v.assign_attrs(units="degC") for v in (tmin, tmax)]
    where = xr.DataArray(lat, attrs={"units": "degrees_north", "standard_name": "latitude"})
    return (
        indices.potential_evapotranspiration(tasmin=labelled[0], tasmax=labelled[1], lat=where, method="HG85") * 86400
    )


@pytest.mark.parametrize("lat", [-33.0, 0.5, 33.3, 37.5])
def test_hargreaves_of_days_agrees_with_xclim(lat):
    """Two years of days. Only the declination differs: FAO-56 has one term of the series where xclim has seven."""
    day = np.arange(730)
    mean = 20 + 14 * np.cos(2 * np.pi * (day - 200) / 365)
    tmax, tmin = _series(mean + 7 + np.sin(day), "2014-01-01"), _series(mean - 7, "2014-01-01")
    ours, theirs = hargreaves(tmax, tmin, lat), _xclim(tmax, tmin, lat)
    assert float(abs(ours / theirs - 1).max()) < 0.05
    assert float(abs(ours.mean() / theirs.mean() - 1)) < 0.015


def test_hargreaves_of_months_agrees_with_xclim_at_wichita(shared_data):
    """382 months of Wichita, Kansas; xclim, which knows no months, is given every day and averaged."""
    table = pd.read_csv(shared_data / "oracles/r_spei_wichita_spei1.csv")
    starts = pd.DatetimeIndex(pd.to_datetime(table[["year", "month"]].assign(day=1))).as_unit("ns")
    days = pd.date_range(starts[0], starts[-1] + pd.offsets.MonthEnd(), unit="ns")
    tmax, tmin = (xr.DataArray(table[c].to_numpy(), dims="time", coords={"time": starts}) for c in ("tmax", "tmin"))
    ours = hargreaves(tmax, tmin, 37.6475, cadence="month")
    daily = _xclim(*(v.reindex(time=days, method="ffill") for v in (tmax, tmin)), 37.6475)
    theirs = daily.resample(time="MS").mean()
    assert ours.sizes["time"] == 382
    assert float(abs(ours / theirs - 1).max()) < 0.05


# ------------------------------------------------------------------ laws


@given(st.floats(-60, 60), st.floats(-20, 40), st.floats(0, 25), st.floats(0.01, 10))
def test_a_wider_range_of_temperature_never_evaporates_less(lat, mean, spread, more):
    one, other = (hargreaves(_series(mean + s / 2), _series(mean - s / 2), lat).item() for s in (spread, spread + more))
    assert 0 <= one <= other + 1e-12


@given(st.floats(0.0, 8.0), st.floats(0.5, 2.5), st.floats(5.0, 25.0), st.floats(0.1, 5.0))
def test_more_sun_never_evaporates_less(wind, pressure, sun, more):
    weather = {"wind": _series(wind), "elevation": 50.0, "vapour_pressure": _series(pressure)}
    one, other = (
        penman_monteith(_series(40.0), _series(25.0), 33.0, solar_radiation=_series(rs), **weather).item()
        for rs in (sun, sun + more)
    )
    assert 0 <= one <= other


def test_blocks_and_the_order_of_dimensions_change_nothing():
    rng = np.random.default_rng(0)
    lat = xr.DataArray([34.0, 33.0], dims="lat", coords={"lat": [34.0, 33.0]})
    mean = _series(20 + 8 * rng.random(40)).expand_dims(lat=lat.values, lon=[44.0, 45.0, 46.0]).transpose("time", ...)
    tmax, tmin = mean + 5 + rng.random(mean.shape), mean - 5 - rng.random(mean.shape)
    weather = {"wind": mean / 10, "vapour_pressure": mean / 20, "solar_radiation": mean}
    height = xr.DataArray(rng.random((2, 3)) * 500, dims=("lat", "lon"), coords={"lat": lat, "lon": mean.lon})
    plain = hargreaves(tmax, tmin, lat), penman_monteith(tmax, tmin, lat, elevation=height, **weather)
    for rearrange in (lambda a: a.chunk(time=7, lat=1), lambda a: a.transpose("lon", "time", "lat")):
        moved = {name: rearrange(values) for name, values in weather.items()}
        again = (
            hargreaves(rearrange(tmax), rearrange(tmin), lat),
            penman_monteith(rearrange(tmax), rearrange(tmin), lat, elevation=height, **moved),
        )
        for one, other in zip(plain, again, strict=True):
            xr.testing.assert_allclose(one, other.transpose(*one.dims).compute(), rtol=1e-12)
            assert other.dims == rearrange(tmax).dims


def test_a_missing_input_is_missing_and_nothing_else_is():
    weather = {"wind": _series([2.0, 2, 2]), "vapour_pressure": _series([1.0, np.nan, 1]), "elevation": 0.0}
    rate = penman_monteith(
        _series([30.0] * 3), _series([15.0] * 3), 33.0, solar_radiation=_series([20.0] * 3), **weather
    )
    assert rate.isnull().values.tolist() == [False, True, False]
    assert rate.values[0] > 3
    weather["wind"] = _series([np.nan] * 3)  # a block in the sea
    nothing = penman_monteith(
        _series([30.0] * 3), _series([15.0] * 3), 33.0, solar_radiation=_series([20.0] * 3), **weather
    )
    assert nothing.isnull().all()


def test_tmax_below_tmin_is_no_range():
    assert np.isnan(hargreaves(_series(10.0), _series(12.0), 33.0).item())
    assert hargreaves(_series(10.0), _series(10.005), 33.0).item() == 0.0  # rounding of packed values


# ------------------------------------------------------------------ months


@given(st.integers(0, 31), st.floats(0.0, 12.0))
def test_a_month_stands_if_a_tenth_of_its_days_or_less_is_missing(missing, rate):
    """July has 31 days: up to 3 may be missing, and count like the others."""
    days = _series(np.full(31, rate), "2019-07-01")
    days[:missing] = np.nan
    total = month_sums(days).item()
    assert np.isnan(total) if missing > 3 else total == pytest.approx(31 * rate)


def test_a_record_that_begins_within_a_month_lacks_its_days():
    sums = month_sums(_series(np.ones(60), "2019-01-10"))
    assert [str(t)[:10] for t in sums["time"].values] == ["2019-01-01", "2019-02-01", "2019-03-01"]
    assert np.array_equal(sums.values, [np.nan, 28.0, np.nan], equal_nan=True)
    assert month_sums(_series(np.ones(60), "2019-01-10"), max_missing_share=0.5).values.tolist()[:2] == [31.0, 28.0]


# ------------------------------------------------------------------ the reader


LAT, LON = [34.0, 33.0, 32.0], [44.0, 45.0]
HEAD = {"reader": "evapotranspiration", "label": {"en": "ET0"}, "licence": "CC0", "attribution": "nobody"}
DAYS = pd.date_range("2019-07-01", "2019-08-31", unit="ns")
MONTHS = pd.date_range("2019-01-01", periods=12, freq="MS", unit="ns")
WEATHER = {"wind": "m/s", "solar_radiation": "W m-2", "dew_point": "K", "elevation": "m"}


def _write(root, name, value, times=DAYS, lat=LAT):
    lon = xr.DataArray(LON, dims="lon", attrs={"units": "degrees_east"})
    rows = xr.DataArray(lat, dims="lat", attrs={"units": "degrees_north"})
    shape = (len(times), len(lat), len(LON)) if times is not None else (len(lat), len(LON))
    dims = ("time", "lat", "lon")[-len(shape) :]
    coords = {"lat": rows, "lon": lon} | ({"time": times} if times is not None else {})
    values = np.broadcast_to(np.asarray(value, "float64"), shape).copy()
    xr.DataArray(values, dims=dims, coords=coords).to_dataset(name=name).to_netcdf(root / f"{name}.nc")


def _weather(root, times=DAYS, **changed):
    for name, value in {"tmax": 44.0, "tmin": 28.0, "wind": 4.0, "solar_radiation": 300.0, "dew_point": 278.0}.items():
        _write(root, name, changed.get(name, value), times)
    _write(root, "elevation", changed.get("elevation", 40.0), None)


def _options(**changed):
    block = {**HEAD, "method": "hargreaves", **{n: {"path": f"{n}.nc", "units": "degC"} for n in ("tmax", "tmin")}}
    if changed.get("method") == "fao56":
        block |= {name: {"path": f"{name}.nc", "units": units} for name, units in WEATHER.items()}
    merged = {**block, **changed}
    return Evapotranspiration.model_validate({k: v for k, v in merged.items() if v is not None})


def _read(root, **changed):
    log = Findings("sources.et0")
    return _options(**changed).read(root, log).compute(), log


def _error(root, **changed):
    with pytest.raises(InputError) as caught:
        _read(root, **changed)
    return str(caught.value)


def _refused(**changed):
    with pytest.raises(ValidationError) as caught:
        _options(**changed)
    return str(caught.value)


def test_daily_temperatures_become_millimetres_a_month(tmp_path):
    """33 N in July: about 40.7 MJ m-2 day-1, 0.0023 x 0.408 x 40.7 x 53.8 x 4 = 8.2 mm a day."""
    _weather(tmp_path)
    raster, log = _read(tmp_path)
    assert raster.dims == ("time", "lat", "lon")
    assert raster.dtype == np.float32
    assert raster.attrs == {"units": "mm/month", "long_name": "ET0", "crs": "EPSG:4326"}
    assert [str(t)[:10] for t in raster["time"].values] == ["2019-07-01", "2019-08-01"]
    assert raster.sel(time="2019-07-01", lat=33.0, lon=45.0).item() == pytest.approx(31 * 8.22, rel=0.01)
    assert log.items == []


def test_each_month_is_the_sum_of_its_days(tmp_path):
    """A formula of the mean would give more: the root of the mean range is above the mean of the roots."""
    swing = np.where(np.arange(len(DAYS)) % 2, 4.0, 16.0)[:, np.newaxis, np.newaxis]
    _weather(tmp_path, tmax=28.0 + swing, tmin=28.0 - swing)
    raster, _ = _read(tmp_path)
    days = hargreaves(_series(28 + swing[:31, 0, 0], "2019-07-01"), _series(28 - swing[:31, 0, 0], "2019-07-01"), 33.0)
    assert raster.sel(time="2019-07-01", lat=33.0)[0].item() == pytest.approx(float(days.sum()), rel=1e-6)
    months = _series(28.0 + swing[:31].mean(), "2019-07-01"), _series(28.0 - swing[:31].mean(), "2019-07-01")
    assert 31 * hargreaves(*months, 33.0, cadence="month").item() > 1.05 * float(days.sum())


def test_monthly_means_are_taken_for_hargreaves(tmp_path):
    _weather(tmp_path, MONTHS)
    raster, log = _read(tmp_path, input_cadence="month")
    assert raster.sizes["time"] == 12
    assert log.items == []
    daily = tmp_path / "daily"
    daily.mkdir()
    _weather(daily)
    assert raster.sel(time="2019-07-01").values == pytest.approx(_read(daily)[0].values[0], rel=1e-6)


def test_penman_monteith_reads_weather_in_its_own_units(tmp_path):
    """300 W m-2 are 25.92 MJ m-2 day-1; 4 m/s at 10 m are 2.99 at 2 m; 278 K is a dew point of 4.85 degC."""
    _weather(tmp_path)
    raster, log = _read(tmp_path, method="fao56")
    july = [
        _series(np.full(31, v), "2019-07-01") for v in (44.0, 28.0, 4.0 * 0.748, 0.6108 * np.exp(17.27 * 4.85 / 242.15))
    ]
    rate = penman_monteith(
        july[0],
        july[1],
        33.0,
        wind=july[2],
        vapour_pressure=july[3],
        elevation=40.0,
        solar_radiation=_series(np.full(31, 25.92), "2019-07-01"),
    )
    assert raster.sel(time="2019-07-01", lat=33.0)[0].item() == pytest.approx(float(rate.sum()), rel=1e-4)
    assert log.items == []


@pytest.mark.parametrize(
    "humidity",
    [
        {"vapour_pressure": {"path": "dew_point.nc", "units": "hPa", "scale": 8.645 / 278}},
        {"relative_humidity": {"path": "dew_point.nc", "units": "%", "scale": 13.394 / 278}},
    ],
)
def test_humidity_may_come_in_three_ways(tmp_path, humidity):
    """A dew point of 4.85 degC is 0.8645 kPa, 13.39 % of the saturation between 28 and 44 degC."""
    _weather(tmp_path)
    by_dew_point, _ = _read(tmp_path, method="fao56")
    raster, _ = _read(tmp_path, method="fao56", dew_point=None, **humidity)
    assert raster.values == pytest.approx(by_dew_point.values, rel=2e-3)


def test_penman_monteith_on_monthly_means_says_so(tmp_path):
    _weather(tmp_path, MONTHS)
    raster, log = _read(tmp_path, method="fao56", input_cadence="month")
    assert raster.notnull().all()
    assert [(i.severity, i.field, i.action) for i in log.items] == [
        ("warning", "input_cadence", "computed from the means")
    ]


def test_a_month_of_rising_temperature_warms_the_ground(tmp_path):
    """From 26 to 36 degC the ground takes up 1.4 MJ m-2 day-1, and the crop that much less."""
    warm = np.where(MONTHS == "2019-06-01", 10.0, 0.0)[:, np.newaxis, np.newaxis]
    _weather(tmp_path, MONTHS, tmax=34 + warm, tmin=18 + warm)
    raster, _ = _read(tmp_path, method="fao56", input_cadence="month")
    june = {n: _series(v, "2019-06-01") for n, v in {"wind": 4 * 0.748, "vapour_pressure": 0.8645}.items()}
    sun = _series(25.92, "2019-06-01")
    hot = _series(44.0, "2019-06-01"), _series(28.0, "2019-06-01"), 33.0
    with_heat, without = (
        30 * penman_monteith(*hot, **june, elevation=40.0, solar_radiation=sun, ground_heat=g, cadence="month").item()
        for g in (1.4, 0.0)
    )
    assert raster.sel(time="2019-06-01", lat=33.0)[0].item() == pytest.approx(with_heat, rel=1e-3)
    assert without > with_heat + 5


def test_a_cell_without_a_value_stays_empty(tmp_path):
    hole = np.full((len(DAYS), 3, 2), 278.0)
    hole[:, 0, 1] = np.nan
    hole[:4, 1, 1] = np.nan
    _weather(tmp_path, dew_point=hole)
    raster, _ = _read(tmp_path, method="fao56")
    assert raster.isnull().values[0].tolist() == [[False, True], [False, True], [False, False]]
    assert raster.isnull().values[1].tolist() == [[False, True], [False, False], [False, False]]


def test_pixels_are_read_only_when_asked_for_and_give_the_same(tmp_path):
    _weather(tmp_path)
    options = _options(method="fao56")
    lazy = options.raster(tmp_path, Findings("s"), (44.6, 31.6, 45.4, 33.4))
    assert lazy.chunks is not None
    assert isinstance(options, RasterSource)
    assert lazy.sizes["lat"] == 2
    whole = options.read(tmp_path, Findings("s")).compute()
    xr.testing.assert_allclose(lazy.compute(), whole.sel(lat=lazy.lat, lon=lazy.lon))


def test_the_registry_knows_it_and_its_files_are_those_of_all_inputs(tmp_path):
    _weather(tmp_path)
    assert READERS["evapotranspiration"] is Evapotranspiration
    options = _options(method="fao56")
    assert [p.stem for p in options.files(tmp_path)] == sorted(["tmax", "tmin", *WEATHER])
    assert options.path == "tmax.nc, tmin.nc, wind.nc, solar_radiation.nc, dew_point.nc, elevation.nc"
    assert Evapotranspiration.model_validate(options.model_dump(mode="json")) == options


def test_pyet_is_loaded_when_it_is_needed():
    """It takes a second and more, and most runs have no use for it."""
    code = "import sys, geodata.evapotranspiration; print('pyet' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ------------------------------------------------------------------ bad input


def test_tmax_below_tmin_names_the_file_the_cells_and_the_first_day(tmp_path):
    crossed = np.full((len(DAYS), 3, 2), 44.0)
    crossed[4, 0, 0] = crossed[9, :2, 1] = 27.5
    _weather(tmp_path, tmax=crossed)
    told = _error(tmp_path)
    assert told.startswith("tmax.nc: tmax: found below tmin in 3 cells of 2 periods, first in 2019-07-05")
    assert "are the two exchanged?" in told


def test_kelvin_declared_as_celsius_is_caught_in_every_input_at_once(tmp_path):
    _weather(tmp_path, tmax=317.0, tmin=301.0)
    told = _error(tmp_path)
    assert "tmax.nc: values: found 317 to 317 degC" in told
    assert "tmin.nc: values: found 301 to 301 degC" in told
    assert 'is it kelvin? then units = "K"' in told


def test_inputs_on_another_grid_are_refused_and_both_files_named(tmp_path):
    _weather(tmp_path)
    _write(tmp_path, "tmin", 28.0, lat=[34.5, 33.5, 32.5])
    told = _error(tmp_path)
    assert "tmin.nc: grid: found 3 rows x 2 columns of 1 x 1 degree from 35N 43.5E" in told
    assert "expected that of tmax.nc: 3 rows x 2 columns of 1 x 1 degree from 34.5N 43.5E" in told


def test_a_grid_that_differs_by_rounding_loses_no_cell(tmp_path):
    _weather(tmp_path)
    _write(tmp_path, "tmin", 28.0, lat=[34.0001, 33.0001, 32.0001])
    assert dict(_read(tmp_path)[0].sizes) == {"time": 2, "lat": 3, "lon": 2}


def test_inputs_of_other_periods_are_refused(tmp_path):
    _weather(tmp_path)
    _write(tmp_path, "tmin", 28.0, times=DAYS[:31])
    told = _error(tmp_path)
    assert "tmin.nc: time: found 31 from 2019-07-01 to 2019-07-31" in told
    assert "expected the periods of tmax.nc: 62 from 2019-07-01 to 2019-08-31" in told


def test_ground_that_changes_is_no_elevation(tmp_path):
    _weather(tmp_path)
    _write(tmp_path, "elevation", 40.0, times=DAYS[:2])
    assert "elevation.nc: images: found 2, expected one" in _error(tmp_path, method="fao56")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"method": "fao56", "wind": None}, "found none for fao56, expected one of: wind"),
        ({"method": "fao56", "elevation": None}, "found none for fao56, expected one of: elevation"),
        (
            {"method": "fao56", "sunshine": {"path": "s.nc", "units": "hours"}},
            "found solar_radiation and sunshine for fao56, expected one of: solar_radiation, sunshine",
        ),
        ({"method": "fao56", "dew_point": None}, "expected one of: dew_point, vapour_pressure, relative_humidity"),
        ({"wind": {"path": "w.nc", "units": "m/s"}}, "found hargreaves beside ['wind'], which it does not read"),
        ({"tmax": {"path": "t.nc", "units": "F"}}, "units: found 'F', expected one of"),
        ({"tmax": {"path": "t.nc", "units": "K", "quantity": "other"}}, "found other with cadence 'day'"),
        ({"tmax": {"path": "t.nc", "units": "K", "cadence": "month"}}, "expected temperature with cadence 'day'"),
        ({"tmax": {"path": "t.nc", "units": "K", "varable": "t"}}, "Extra inputs are not permitted"),
        ({"tmin": None}, "tmin"),
        ({"path": "weather.nc"}, "path: found 'weather.nc', expected none: each input has its own"),
        ({"cadence": "day"}, "cadence"),
        ({"units": "mm/day"}, "units"),
    ],
)
def test_mistakes_of_the_country_file_are_found_when_it_is_read(changed, told):
    assert told in _refused(**changed)
