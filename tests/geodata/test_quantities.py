"""What must be true of each quantity: one unit, its range, its codes, and a sign that somebody declared."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rasterio.transform import from_origin

from geodata.quantities import QUANTITIES
from geodata.rasters import RasterStack, read_raster_stack
from geodata.schema import Findings, InputError

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

BLOCK = {
    "path": "r.{YYYY}.{MM}.tif",
    "label": {"en": "Values"},
    "cadence": "month",
    "licence": "CC0",
    "attribution": "nobody",
}


def _options(**changed):
    return RasterStack(**{**BLOCK, **changed})


def _write(root, cells, month="2019.01", dtype="float32", nodata=None):
    cells = np.asarray(cells, dtype=dtype)
    profile = {"driver": "GTiff", "count": 1, "height": cells.shape[0], "width": cells.shape[1], "dtype": dtype}
    path = root / f"r.{month}.tif"
    with rasterio.open(
        path, "w", **profile, crs="EPSG:4326", nodata=nodata, transform=from_origin(40, 36, 0.5, 0.5)
    ) as file:
        file.write(cells, 1)


def _read(root, cells, dtype="float32", nodata=None, **changed):
    _write(root, cells, dtype=dtype, nodata=nodata)
    return _options(**changed).read(root, Findings("s")).compute()


def _error(root, cells, **changed):
    with pytest.raises(InputError) as caught:
        _read(root, cells, **changed)
    return str(caught.value)


# ------------------------------------------------------------------ units


@pytest.mark.parametrize(
    ("quantity", "units", "stored", "expected", "given_out"),
    [
        ("soil_moisture", "m3/m3", 0.25, 0.25, "m3/m3"),
        ("soil_moisture", "m**3 m**-3", 0.25, 0.25, "m3/m3"),
        ("soil_moisture", "%", 25.0, 0.25, "m3/m3"),
        ("area_share", "%", 40.0, 0.4, "1"),
        ("temperature", "K", 300.0, 26.85, "degC"),
        ("temperature", "celsius", -5.0, -5.0, "degC"),
        ("wind_speed", "km/h", 36.0, 10.0, "m/s"),
        ("solar_radiation", "W m**-2", 250.0, 21.6, "MJ m-2 day-1"),
        ("solar_radiation", "J m-2", 21.6e6, 21.6, "MJ m-2 day-1"),
        ("sunshine", "s", 32400.0, 9.0, "hour"),
        ("relative_humidity", "1", 0.45, 45.0, "%"),
        ("vapour_pressure", "hPa", 14.1, 1.41, "kPa"),
        ("vapour_pressure", "Pa", 1410.0, 1.41, "kPa"),
        ("elevation", "m", 34.0, 34.0, "m"),
    ],
)
def test_values_leave_in_one_unit(tmp_path, quantity, units, stored, expected, given_out):
    raster = _read(tmp_path, [[stored] * 2] * 2, quantity=quantity, units=units)
    assert raster.values.ravel() == pytest.approx([expected] * 4, rel=1e-6)
    assert raster.attrs["units"] == given_out


@pytest.mark.parametrize("quantity", [name for name, rule in QUANTITIES.items() if rule.units])
def test_units_that_are_not_of_the_quantity_are_refused_when_the_country_file_is_read(quantity):
    with pytest.raises(ValidationError, match="units: found 'furlong', expected one of"):
        _options(quantity=quantity, units="furlong")


parts = st.integers(0, 10**6).map(lambda n: n / 10**6)  # what an offset of 273.15 does not swallow


@given(st.sampled_from(sorted(QUANTITIES)), parts, parts)
def test_a_conversion_keeps_the_order_of_values_and_their_spacing(quantity, a, b):
    """Each declared unit is a straight line that rises: no conversion can turn a large value into a small one."""
    for units in QUANTITIES[quantity].units:
        factor, offset = QUANTITIES[quantity].conversion(units)
        assert factor > 0
        assert (a * factor + offset <= b * factor + offset) == (a * factor <= b * factor)


def test_every_quantity_is_given_out_in_a_unit_that_it_accepts_unchanged():
    for name, rule in QUANTITIES.items():
        if rule.units:
            assert rule.conversion(rule.given_out) == (1.0, 0.0), name


# ------------------------------------------------------------------ ranges


@pytest.mark.parametrize(
    ("quantity", "units", "wrong", "told"),
    [
        ("soil_moisture", "m3/m3", 25.0, 'no value above 1 m3/m3: is it percent? then units = "%"'),
        ("soil_moisture", "m3/m3", -0.1, "no value below 0 m3/m3"),
        ("vegetation_index", "1", 4500.0, "no value above 1 1: is a scale not declared?"),
        ("vegetation_index", "1", -1.2, "no value below -1 1"),
        ("curve_number", "1", 255.0, "no value above 100 1: is 255 its nodata?"),
        ("curve_number", "1", -1.0, "no value below 0 1"),
        ("area_share", "1", 40.0, 'no value above 1 1: is it percent? then units = "%"'),
        ("area_share", "1", -0.01, "no value below 0 1"),
        ("temperature", "degC", 300.0, 'no value above 60 degC: is it kelvin? then units = "K"'),
        ("temperature", "K", 26.0, 'no value below -90 degC: is it degC already? then units = "degC"'),
        ("wind_speed", "m/s", -3.0, "no value below 0 m/s: wind components have a sign"),
        ("solar_radiation", "MJ m-2 day-1", 250.0, "no value above 45 MJ m-2 day-1: is it a mean flux?"),
        ("solar_radiation", "W m-2", 21.6, "units: found no value above 1.86624 MJ m-2 day-1, declared in 'W m-2'"),
        ("sunshine", "hours", 25.0, "no value above 24 hour"),
        (
            "relative_humidity",
            "%",
            0.45,
            "units: found no value above 0.45 %, declared in '%', expected some above 1 %",
        ),
        ("vapour_pressure", "kPa", 14.1, 'no value above 8 kPa: is it hPa? then units = "hPa"'),
        ("elevation", "m", -99999.0, "nodata: found -99999"),
    ],
)
def test_what_cannot_be_is_refused_and_the_likely_reason_told(tmp_path, quantity, units, wrong, told):
    sound = QUANTITIES[quantity].limits[1] or 0.0
    cells = [[wrong, wrong], [wrong, wrong if QUANTITIES[quantity].reaches else min(sound, wrong)]]
    assert told in _error(tmp_path, cells, quantity=quantity, units=units)


def test_the_ends_of_a_scale_are_on_it(tmp_path):
    for quantity, ends in (("soil_moisture", (0, 1)), ("vegetation_index", (-1, 1)), ("curve_number", (0, 100))):
        units = QUANTITIES[quantity].given_out
        assert _read(tmp_path, [ends] * 2, quantity=quantity, units=units).values[0, 0].tolist() == list(ends)


def test_rounding_of_packed_shares_is_no_fault(tmp_path):
    """100 % kept as float32 is 1.0000000x."""
    assert _read(tmp_path, [[1 + 1e-7, -1e-7]] * 2, quantity="area_share", units="1").max() <= 1.000001


def test_land_in_the_sun_is_hotter_than_air(tmp_path):
    hot = [[66.0, 20.0]] * 2
    told = _error(tmp_path, hot, quantity="temperature", units="degC")
    assert 'of the land? then quantity = "surface_temperature"' in told
    assert _read(tmp_path, hot, quantity="surface_temperature", units="degC").max() == 66.0
    assert "is it kelvin?" in _error(tmp_path, [[339.0, 293.0]] * 2, quantity="surface_temperature", units="degC")


def test_what_is_plausible_may_be_widened_and_what_is_possible_may_not(tmp_path):
    assert _read(tmp_path, [[66.0, 20.0]] * 2, quantity="temperature", units="degC", valid_max=70).max() == 66.0
    wet = [[3.0, 0.2]] * 2
    assert "no value above 1" in _error(tmp_path, wet, quantity="soil_moisture", units="m3/m3", valid_max=5)
    assert "no value above 0.1" in _error(tmp_path, wet, quantity="soil_moisture", units="m3/m3", valid_max=0.1)


def test_undeclared_nodata_is_called_so_after_any_conversion(tmp_path):
    """-9999 K comes out as -10272.15 degC, and as +9999 where evaporation counts downwards."""
    for changed in (
        {"quantity": "temperature", "units": "K"},
        {"quantity": "evaporation", "units": "1", "positive": "down"},
        {"quantity": "soil_moisture", "units": "%"},
    ):
        assert "nodata: found" in _error(tmp_path, [[-9999.0, 20.0]] * 2, **changed)


# ------------------------------------------------------------------ codes of surface water


def test_water_history_keeps_its_codes(tmp_path):
    raster = _read(tmp_path, [[0, 1], [2, 255]], dtype="uint8", quantity="water_history", units="1")
    assert np.array_equal(raster.values[0], [[0, 1], [2, np.nan]], equal_nan=True)
    assert raster.attrs["flag_values"].tolist() == [0, 1, 2]
    assert raster.attrs["flag_meanings"] == "no_observation land water"


@pytest.mark.parametrize("code", [3, 100, 253, 254])
def test_a_code_that_no_water_history_has_is_refused(tmp_path, code):
    told = _error(tmp_path, [[0, 1], [2, code]], dtype="uint8", quantity="water_history", units="1")
    assert "codes: found 0 to" in told
    assert "expected 0 no observation, 1 land, 2 water, 255 no data: a 3 is permanent water" in told


def test_the_mean_of_two_codes_is_no_code(tmp_path):
    """A history that somebody resampled by averaging holds 1.5, between land and water."""
    told = _error(tmp_path, [[1.5, 1], [2, 1]], quantity="water_history", units="1")
    assert "codes: found 1 to 2" in told


def test_occurrence_masks_its_nodata_and_refuses_the_codes_of_the_change_map(tmp_path):
    once = {"dtype": "uint8", "quantity": "water_occurrence", "units": "%", "cadence": "once"}
    raster = _read(tmp_path, [[0, 100], [40, 255]], **once)
    assert np.array_equal(raster.values[0], [[0, 100], [40, np.nan]], equal_nan=True)
    for code in (253, 254):
        told = _error(tmp_path, [[0, code], [40, 255]], **once)
        assert '253 and 254 are codes of the change map: quantity = "water_change"' in told


@pytest.mark.parametrize("cadence", ["month", "year", "day"])
def test_an_occurrence_of_months_or_years_is_refused(cadence):
    """One map of all years: with a time axis it would pass for what was seen in a month."""
    with pytest.raises(ValidationError, match='expected cadence = "once"'):
        _options(quantity="water_occurrence", units="%", cadence=cadence)


def test_water_change_is_per_cent_and_its_codes_are_no_numbers(tmp_path):
    """0..200 with 100 no change. The mean of the raw codes would be 173; of the change it is 0."""
    cells = [[0, 100, 200], [253, 254, 255]]
    raster = _read(tmp_path, cells, dtype="uint8", quantity="water_change", units="%")
    assert np.array_equal(raster.values[0], [[-100, 0, 100], [np.nan] * 3], equal_nan=True)
    assert raster.mean().item() == 0.0
    assert raster.attrs["units"] == "%"


def test_a_change_beyond_200_is_refused(tmp_path):
    told = _error(tmp_path, [[0, 210], [253, 100]], dtype="uint8", quantity="water_change", units="%")
    assert "no value above 100 %: the map stores 0 to 200, where 100 is no change" in told


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_whatever_the_change_map_holds_nothing_outside_its_scale_comes_out(tmp_path_factory, codes):
    root = tmp_path_factory.mktemp("change")
    _write(root, np.reshape(codes, (2, 2)), dtype="uint8")
    options = _options(quantity="water_change", units="%")
    if any(200 < c < 253 for c in codes) or all(c >= 253 for c in codes):
        with pytest.raises(InputError):
            options.read(root, Findings("s"))
    else:
        values = options.read(root, Findings("s")).values.ravel()
        expected = [np.nan if c >= 253 else c - 100 for c in codes]
        assert np.array_equal(values, expected, equal_nan=True)


# ------------------------------------------------------------------ evaporation


@pytest.mark.parametrize(("positive", "expected"), [("up", 120.0), ("down", -120.0)])
def test_given_out_more_is_more_evaporation(tmp_path, positive, expected):
    options = _options(quantity="evaporation", units="mm/month", positive=positive)
    _write(tmp_path, np.full((2, 2), 120.0))
    assert read_raster_stack(options, tmp_path, Findings("s")).values.ravel().tolist() == [expected] * 4


def test_metres_a_day_counted_downwards_become_millimetres_a_month_upwards(tmp_path):
    """ERA5 monthly means: -0.004 m/day in January are 124 mm."""
    raster = _read(tmp_path, np.full((2, 2), -0.004), quantity="evaporation", units="m/day", positive="down")
    assert raster.values.ravel() == pytest.approx([124.0] * 4)
    assert raster.attrs["units"] == "mm/month"


def test_an_anomaly_of_evaporation_is_turned_and_keeps_its_unit(tmp_path):
    raster = _read(tmp_path, [[-19.3, 1.04]] * 2, quantity="evaporation", units="1", positive="down")
    assert raster.values[0, 0].tolist() == pytest.approx([19.3, -1.04])
    assert raster.attrs["units"] == "1"


def test_evaporation_without_a_declared_sign_is_refused_when_the_country_file_is_read():
    with pytest.raises(ValidationError, match='positive: found None for evaporation, expected "up" or "down"'):
        _options(quantity="evaporation", units="mm/month")
    with pytest.raises(ValidationError, match="positive: found 'up' for temperature"):
        _options(quantity="temperature", units="degC", positive="up")


def test_evaporation_declared_the_wrong_way_round_is_refused(tmp_path):
    told = _error(tmp_path, np.full((2, 2), -90.0), quantity="evaporation", units="mm/month", positive="up")
    assert "positive: found -90 mm/month on average with positive = 'up'" in told
    assert 'more evaporation than condensation: positive = "down"?' in told


def test_units_of_no_evaporation_are_refused_when_the_country_file_is_read():
    with pytest.raises(ValidationError, match="found 'W m-2' for evaporation per month"):
        _options(quantity="evaporation", units="W m-2", positive="up")


# ------------------------------------------------------------------ real files


def test_potential_evapotranspiration_of_bali(shared_data):
    """TerraClimate, 1349 mm a year over land, rows north first; only its sign had to be declared."""
    options = _options(
        path="bali/terraclimate_bali_pet_1958_2024.nc", quantity="evaporation", units="mm", positive="up"
    )
    log = Findings("sources.pet")
    raster = options.read(shared_data, log)
    assert dict(raster.sizes) == {"time": 804, "lat": 24, "lon": 35}
    assert float(raster.mean()) * 12 == pytest.approx(1349, rel=0.001)
    assert (np.diff(raster["lat"]) < 0).all()
    assert log.items == []


def test_evaporation_anomalies_of_iraq_are_turned_upwards(shared_data):
    """ERA5's sign: the files hold -1.298 to 1.044; given out, 1.298 is the month that evaporated most."""
    path = "iraq/drought/evap_z_era5land_{YYYY}-{MM}.tif"
    raster = _options(path=path, quantity="evaporation", units="1", positive="down").read(shared_data, Findings("s"))
    assert raster.sizes["time"] == 6
    assert (float(raster.min()), float(raster.max())) == pytest.approx((-1.044, 1.298), abs=0.001)
    assert float(raster[0].mean()) == pytest.approx(0.251, abs=0.001)
