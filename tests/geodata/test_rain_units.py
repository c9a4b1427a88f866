"""Months from dekads: each dekad counts for as many days as it has."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rasterio.transform import from_origin

from geodata.calendar import period_range
from geodata.rain_units import months_from_dekads, rain_factor
from geodata.rasters import RasterStack, read_raster_stack
from geodata.schema import ContractError, Findings, InputError

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def _dekads(values, first="2019-02-01", units="mm/dekad"):
    times = period_range(pd.Timestamp(first), pd.Timestamp(first) + pd.DateOffset(years=20), "dekad")[: len(values)]
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": times}, attrs={"units": units})


# ------------------------------------------------------------------ laws


@given(st.dates(pd.Timestamp("1950-01-01").date(), pd.Timestamp("2080-01-01").date()), st.integers(3, 80))
def test_dekads_are_a_partition_of_their_months(day, count):
    """A rate of 1 mm/day gives every whole month as many millimetres as it has days."""
    first = pd.Timestamp(day).replace(day=1)
    months = months_from_dekads(_dekads(np.ones(count), str(first.date()), "mm/day"))
    whole = count // 3
    assert months[:whole].values.tolist() == months["time"].dt.days_in_month[:whole].values.tolist()
    assert months[whole:].isnull().all()


@given(st.lists(st.floats(0, 300), min_size=9, max_size=36))
def test_no_rain_is_lost_between_dekads_and_months(depths):
    depths = depths[: len(depths) // 3 * 3]
    months = months_from_dekads(_dekads(depths))
    assert float(months.sum()) == pytest.approx(sum(depths), abs=1e-9)
    assert months.attrs["units"] == "mm/month"


@given(st.integers(0, 35))
def test_a_missing_dekad_makes_its_month_missing_and_no_other(gone):
    values = np.ones(36)
    values[gone] = np.nan
    months = months_from_dekads(_dekads(values))
    assert np.flatnonzero(months.isnull().values).tolist() == [gone // 3]


def test_a_dekad_that_is_not_there_is_missing_like_one_without_value():
    whole = _dekads(np.arange(9.0))
    without = whole.isel(time=[0, 1, 2, 3, 5, 6, 7, 8])
    assert months_from_dekads(without).values.tolist()[::2] == [3.0, 21.0]
    assert np.isnan(months_from_dekads(without).values[1])


def test_blocks_change_nothing():
    values = (
        _dekads(np.random.default_rng(0).gamma(1.0, 20.0, 108)).expand_dims(lat=[1.0], lon=[1.0]).transpose("time", ...)
    )
    plain = months_from_dekads(values)
    for size in (1, 5, 108):
        lazy = months_from_dekads(values.chunk(time=size))
        assert lazy.chunks is not None
        assert np.array_equal(lazy.values, plain.values)


# ------------------------------------------------------------------ hand arithmetic and bad input


def test_a_rate_counts_for_the_true_length_of_its_dekad():
    """February 2020: 10 x 1 + 10 x 2 + 9 x 3 = 57; summed as three equal dekads it would be 60, as days 6."""
    assert months_from_dekads(_dekads([1, 2, 3], "2020-02-01", "mm/day")).item() == 57.0
    assert rain_factor("mm/day", "dekad", pd.DatetimeIndex(["2020-02-21", "2019-02-21", "2019-01-21"])).tolist() == [
        9.0,
        8.0,
        11.0,
    ]


def test_times_that_are_no_dekads_are_refused():
    days = _dekads(np.ones(3)).assign_coords(time=pd.date_range("2019-02-01", periods=3))
    with pytest.raises(ContractError, match="times that are no dekads"):
        months_from_dekads(days)
    with pytest.raises(ContractError, match="units 'mm/month'"):
        months_from_dekads(_dekads(np.ones(3), units="mm/month"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cadence": "day", "path": "r.{YYYY}{MM}{DD}.tif"}, "found 'mm/dekad' for precipitation per day"),
        ({"units": "mm/day", "cadence": "month"}, "found {DK} with cadence 'month'"),
        ({"units": "mm", "cadence": "day", "path": "r.{YYYY}.{MM}.{DK}.tif"}, "found {DK} with cadence 'day'"),
        ({"file_cadence": "dekad", "cadence": "day"}, "file_cadence: found 'dekad' for precipitation"),
        ({"file_cadence": "dekad", "quantity": "anomaly", "units": "1"}, "file_cadence: found 'dekad' for anomaly"),
        ({"file_cadence": "dekad", "units": "mm/month"}, "found 'mm/month' for precipitation per dekad"),
    ],
)
def test_dekads_declared_as_something_else_are_refused_when_the_country_file_is_read(changed, told):
    with pytest.raises(ValidationError) as caught:
        _options(**changed)
    assert told in str(caught.value)


# ------------------------------------------------------------------ a source of dekads


def _options(**changed):
    block = {
        "path": "r.{YYYY}.{MM}.{DK}.tif",
        "quantity": "precipitation",
        "label": {"en": "Rain"},
        "units": "mm/dekad",
        "cadence": "month",
        "licence": "CC0",
        "attribution": "nobody",
    }
    return RasterStack(**{**block, **changed})


def _write(path, value):
    profile = {"driver": "GTiff", "count": 1, "height": 2, "width": 3, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **profile, transform=from_origin(40, 34, 0.5, 0.5)) as file:
        file.write(np.full((2, 3), value, "float32"), 1)


@pytest.fixture
def dekads(tmp_path):
    """January to March 2019; the k-th dekad of month m holds 10 m + k."""
    for month in (1, 2, 3):
        for k in (1, 2, 3):
            _write(tmp_path / f"r.2019.{month:02d}.{k}.tif", 10 * month + k)
    return tmp_path


def test_a_source_of_dekads_is_given_out_by_month(dekads):
    options, log = _options(file_cadence="dekad"), Findings("s")
    raster = options.read(dekads, log)
    assert raster[:, 0, 0].values.tolist() == [36.0, 66.0, 96.0]
    assert raster.attrs == {"units": "mm/month", "long_name": "Rain", "crs": "EPSG:4326"}
    assert [str(t)[:10] for t in raster["time"].values] == ["2019-01-01", "2019-02-01", "2019-03-01"]
    assert options.cadence == "month"
    assert len(options.files(dekads)) == 9
    assert read_raster_stack(options, dekads, log).identical(raster)
    assert log.items == []


def test_a_rate_by_dekad_is_given_out_by_month_at_its_true_length(dekads):
    """February 2019: 21 x 10 + 22 x 10 + 23 x 8."""
    raster = _options(file_cadence="dekad", units="mm/day").read(dekads, Findings("s"))
    assert raster.sel(time="2019-02-01")[0, 0].values == 614.0


def test_a_missing_dekad_is_named_and_its_month_left_empty(dekads):
    (dekads / "r.2019.02.2.tif").unlink()
    with pytest.raises(InputError, match="no image for 2019-02-11"):
        _options(file_cadence="dekad").read(dekads, Findings("s"))
    raster = _options(file_cadence="dekad", gaps="missing").read(dekads, Findings("s"))
    assert raster[:, 0, 0].isnull().values.tolist() == [False, True, False]


def test_a_negative_dekad_does_not_hide_in_its_month(dekads):
    _write(dekads / "r.2019.02.2.tif", -5.0)
    with pytest.raises(InputError, match=r"r.2019.02.2.tif: values: found -5 to -5 mm/dekad in 2019-02-11"):
        _options(file_cadence="dekad").read(dekads, Findings("s"))


def test_dekads_that_claim_to_be_days_are_refused(tmp_path):
    """A NetCDF labelled by the first day of each dekad, declared as daily."""
    times = period_range(pd.Timestamp("2019-01-01"), pd.Timestamp("2019-12-21"), "dekad")
    lat = xr.DataArray([33.0, 32.0], dims="lat", attrs={"units": "degrees_north"})
    lon = xr.DataArray([43.0, 44.0], dims="lon", attrs={"units": "degrees_east"})
    rain = xr.DataArray(np.full((36, 2, 2), 5.0), dims=("time", "lat", "lon"), coords={"time": times})
    rain.assign_coords(lat=lat, lon=lon).to_dataset(name="rain").to_netcdf(tmp_path / "rain.nc")
    for gaps in ("refuse", "missing"):
        with pytest.raises(InputError, match=r"images for days 1, 11 and 21 alone.*expected cadence = \"dekad\""):
            _options(path="rain.nc", cadence="day", units="mm", gaps=gaps).read(tmp_path, Findings("s"))
    raster = _options(path="rain.nc", file_cadence="dekad", units="mm").read(tmp_path, Findings("s"))
    assert (raster == 15.0).all()
    assert raster.sizes["time"] == 12
