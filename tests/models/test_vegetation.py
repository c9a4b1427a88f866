"""Vegetation condition: hand arithmetic, numpy's quantiles, the year left out, and seasons that say nothing."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import KEEPS_VALUE, ContractError, Status, has_status
from models.vegetation import temperature_condition, vegetation_condition, vegetation_health

CALIBRATION = (2001, 2020)
DRY, ENERGY = 6, 0  # July is bare, January lacks warmth


def series(values, units="1", start="2001-01", freq="MS"):
    times = pd.date_range(start, periods=len(values), freq=freq)
    return xr.DataArray(np.asarray(values, float), dims="time", coords={"time": times}, attrs={"units": units})


def januaries(values, units="1", first=2001):
    """One January a year."""
    return series(values, units, f"{first}-01", "YS")


def land(years=20, cells=5, seed=0):
    """NDVI and land temperature: hot where it is bare, but in January warmth makes plants grow; July is always bare."""
    rng = np.random.default_rng(seed)
    month = np.arange(12 * years) % 12
    green = rng.uniform(0.2, 0.6, (12 * years, cells))
    green[month == DRY] = 0.12 + rng.uniform(0, 0.02, (years, cells))
    sign = np.where(month == ENERGY, 1.0, -1.0)[:, None]
    heat = 30.0 + 25.0 * sign * (green - 0.4) + rng.normal(0, 1.0, green.shape)
    times = pd.date_range("2001-01", periods=12 * years, freq="MS")
    return tuple(
        xr.DataArray(v, dims=("time", "cell"), coords={"time": times}, attrs={"units": u}, name=name)
        for v, u, name in ((green, "1", "ndvi"), (heat, "degC", "lst"))
    )


# ------------------------------------------------------------------ oracles


def test_hand_arithmetic_of_a_january():
    """Fifteen years between 0.20 and 0.60: 0.20 is 0, 0.60 is 100, 0.30 a quarter of the way."""
    years = [0.2, 0.6, *np.linspace(0.25, 0.55, 13), 0.2, 0.6, 0.3]
    out = vegetation_condition(januaries(years), (2001, 2015), percentiles=(0, 100))
    assert out.vci.values[-3:] == pytest.approx([0, 100, 25], abs=1e-12)
    assert (out.vci_status[-3:] == Status.ok).all()


def test_heat_is_counted_from_the_hottest():
    """40 degC of 20 to 40 is 0, 20 is 100, 35 a quarter; VHI with a = 0.3 weighs 0.3 * 25 + 0.7 * 25."""
    green = januaries([0.6, 0.2, *np.linspace(0.55, 0.25, 13), 0.2, 0.6, 0.3])
    heat = januaries([20, 40, *np.linspace(22, 38, 13), 40, 20, 35], "degC")
    tci = temperature_condition(heat, green, (2001, 2015), percentiles=(0, 100))
    assert tci.tci.values[-3:] == pytest.approx([0, 100, 25], abs=1e-12)
    vhi = vegetation_health(green, heat, (2001, 2015), percentiles=(0, 100), vci_weight=0.3)
    assert vhi.vhi.values[-3:] == pytest.approx([0, 100, 25], abs=1e-12)
    warmer = vegetation_health(green, heat + 5, (2001, 2015), percentiles=(0, 100), vci_weight=0.3)
    xr.testing.assert_allclose(warmer, vhi, rtol=0, atol=1e-10)


def test_vhi_is_the_weighted_sum_of_its_parts():
    out = vegetation_health(*land(), CALIBRATION, vci_weight=0.3)
    both = out.vhi.notnull()
    assert both.mean() > 0.6
    assert np.abs(out.vhi - (0.3 * out.vci + 0.7 * out.tci)).where(both, 0).max() < 1e-12


def test_the_range_is_numpys_quantile_of_the_other_years():
    """2nd and 98th percentile of a month with a gap, the year itself left out; a later year sees all twenty."""
    ndvi, _ = land(years=22)
    ndvi[12 * 4 + 2, 1] = np.nan
    out = vegetation_condition(ndvi, CALIBRATION)
    march = ndvi.values[2::12]
    for cell in (0, 1):
        for year in (0, 4, 11, 21):
            others = np.delete(march[:20, cell], year) if year < 20 else march[:20, cell]
            low, high = np.nanpercentile(others, [2, 98])
            expected = np.clip(100 * (march[year, cell] - low) / (high - low), 0, 100)
            assert out.vci.values[12 * year + 2, cell] == pytest.approx(expected, abs=1e-10, nan_ok=True)


def test_the_sign_of_numpys_correlation_decides_where_heat_is_no_stress():
    """TCI is masked in exactly the months and cells whose NDVI and temperature rise together."""
    ndvi, lst = land(cells=40, seed=4)
    lst = (lst + np.random.default_rng(1).normal(0, 6, lst.shape)).assign_attrs(lst.attrs)
    out = temperature_condition(lst, ndvi, CALIBRATION)
    masked = (out.tci_status == Status.masked_dry_season).values
    together = np.empty_like(masked)
    for month in range(12):
        for cell in range(40):
            r = np.corrcoef(ndvi.values[month::12, cell], lst.values[month::12, cell])[0, 1]
            together[month::12, cell] = r > 0
    assert 0.08 < together.mean() < 0.6
    assert (masked == together).all()


# ------------------------------------------------------------------ the year left out


def test_a_new_record_shows():
    """The lowest of all years lies below the range of the others: clipped to 0 and out of support."""
    years = [*np.linspace(0.3, 0.6, 19), 0.1]
    out = vegetation_condition(januaries(years), CALIBRATION)
    assert float(out.vci[-1]) == 0
    assert int(out.vci_status[-1]) == Status.out_of_support


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 19), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_year_never_moves_its_own_range(year, one, other):
    """Two values of the same year differ by 100 (one - other) / range with one range: no range moved."""
    ndvi, _ = land(cells=1)
    month = ndvi.values[3::12, 0]
    low, high = np.percentile(np.delete(month, year), [2, 98])
    for x in (one, other):
        changed = ndvi.copy()
        changed[12 * year + 3] = x
        found = float(vegetation_condition(changed, CALIBRATION).vci[12 * year + 3, 0])
        assert found == pytest.approx(np.clip(100 * (x - low) / (high - low), 0, 100), abs=1e-9)


def test_months_after_the_calibration_move_nothing():
    ndvi, lst = land(years=24)
    whole = vegetation_health(ndvi, lst, CALIBRATION).isel(time=slice(0, 240))
    xr.testing.assert_identical(vegetation_health(ndvi[:240], lst[:240], CALIBRATION), whole)


# ------------------------------------------------------------------ laws


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10), st.floats(-1, 1))
def test_scale_and_offset_of_the_index_do_not_matter(a, b):
    ndvi, lst = land(cells=2)
    own = vegetation_health(ndvi, lst, CALIBRATION)
    other = vegetation_health((a * ndvi + b).assign_attrs(ndvi.attrs), lst, CALIBRATION, min_range=0.05 * a)
    for name in ("vci", "tci", "vhi"):
        assert np.allclose(own[name], other[name], atol=1e-7, equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 239), st.floats(0.001, 0.3))
def test_greener_is_never_worse_and_hotter_never_better(month, more):
    ndvi, lst = land(cells=1)
    greener, hotter = ndvi.copy(), lst.copy()
    greener[month] = greener[month] + more
    hotter[month] = hotter[month] + 100 * more
    vci = [vegetation_condition(v, CALIBRATION).vci.values[month, 0] for v in (ndvi, greener)]
    tci = [temperature_condition(v, ndvi, CALIBRATION).tci.values[month, 0] for v in (lst, hotter)]
    assert np.isnan(vci).any() or vci[1] >= vci[0]
    assert np.isnan(tci).any() or tci[1] <= tci[0]


@pytest.mark.parametrize("chunks", [{"time": -1, "cell": -1}, {"time": 7, "cell": 5}, {"time": 50, "cell": 1}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    ndvi, lst = land(cells=7)
    ndvi[50, 3] = np.nan
    own = vegetation_health(ndvi, lst, CALIBRATION)
    for a, b in ((ndvi.chunk(chunks), lst.chunk(chunks)), (ndvi.T.chunk(chunks), lst.chunk(chunks)), (ndvi.T, lst.T)):
        found = vegetation_health(a, b, CALIBRATION).compute().transpose("time", "cell")
        for name in own.data_vars:
            assert np.allclose(found[name], own[name], rtol=0, atol=1e-12, equal_nan=True), name


def test_a_value_stands_where_its_status_keeps_one_and_nowhere_else():
    ndvi, lst = land(cells=4)
    ndvi[:, 1] = 0.1
    lst[:, 2] = np.nan
    ndvi[30, 3] = np.nan
    out = vegetation_health(ndvi, lst, CALIBRATION)
    for name in ("vci", "tci", "vhi"):
        assert (out[name].notnull() == has_status(out[f"{name}_status"], KEEPS_VALUE)).all(), name
        assert out[name].attrs["units"] == "1"
    assert float(out.vci.min()) >= 0
    assert float(out.vci.max()) <= 100


# ------------------------------------------------------------------ seasons that say nothing


def test_bare_ground_is_not_informative():
    """July varies by 0.02 of NDVI: VCI and VHI masked in every cell, March in none."""
    ndvi, lst = land()
    out = vegetation_health(ndvi, lst, CALIBRATION)
    for name in ("vci", "vhi"):
        flags = out[f"{name}_status"]
        assert (flags[DRY::12] == Status.masked_dry_season).all()
        assert not (flags[2::12] == Status.masked_dry_season).any()


def test_heat_is_no_stress_where_plants_lack_warmth():
    """January: TCI and VHI masked, VCI stands."""
    out = vegetation_health(*land(), CALIBRATION).isel(time=slice(ENERGY, None, 12))
    assert (out.tci_status == Status.masked_dry_season).all()
    assert (out.vhi_status == Status.masked_dry_season).all()
    assert has_status(out.vci_status, KEEPS_VALUE).all()


def test_ground_whose_greenness_never_varies_tells_no_season_of_heat():
    ndvi, lst = land(cells=1)
    flat = (ndvi * 0 + 0.1).assign_attrs(ndvi.attrs)
    out = temperature_condition(lst, flat, CALIBRATION)
    assert (out.tci_status == Status.masked_dry_season).all()


def test_fourteen_years_are_not_enough_and_fifteen_are():
    ndvi, lst = land()
    few, enough = (vegetation_health(ndvi, lst, (2001, last)) for last in (2014, 2015))
    for name in ("vci", "tci", "vhi"):
        assert (few[f"{name}_status"] == Status.insufficient_data).all()
        assert few[name].isnull().all()
    assert has_status(enough.vci_status, KEEPS_VALUE).sum() == 20 * 5 * 11


def test_dekads_are_compared_with_their_own_dekad():
    """Each dekad of the year has its own level; all twenty years rise together, so all dekads of a year are equal."""
    starts = [pd.Timestamp(y, m, d) for y in range(2001, 2021) for m in range(1, 13) for d in (1, 11, 21)]
    level = np.tile(0.2 + 0.01 * np.arange(36), 20) + np.repeat(0.01 * np.arange(20), 36)
    ndvi = xr.DataArray(level, dims="time", coords={"time": starts}, attrs={"units": "1"})
    vci = vegetation_condition(ndvi, CALIBRATION, season="dekad").vci.values.reshape(20, 36)
    assert np.abs(vci - vci[:, :1]).max() < 1e-9
    assert (np.diff(vci[1:-1, 0]) > 0).all()
    with pytest.raises(ContractError, match="a month stands twice"):
        vegetation_condition(ndvi, CALIBRATION)


# ------------------------------------------------------------------ bad input


def test_other_units_are_refused():
    ndvi, lst = land(cells=1)
    with pytest.raises(ContractError, match="expected '1'"):
        vegetation_condition(ndvi.assign_attrs(units="0.0001"), CALIBRATION)
    with pytest.raises(ContractError, match="expected 'degC'"):
        temperature_condition(lst.assign_attrs(units="K"), ndvi, CALIBRATION)


def test_a_weight_beyond_one_is_refused():
    with pytest.raises(ValueError, match="vci_weight"):
        vegetation_health(*land(cells=1), CALIBRATION, vci_weight=1.5)


def test_axes_that_differ_are_refused():
    ndvi, lst = land(cells=1)
    with pytest.raises(ValueError, match="time"):
        vegetation_health(ndvi, lst[12:], CALIBRATION)
