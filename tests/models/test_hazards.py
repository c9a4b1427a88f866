"""Each method: what it reads, which index is scored, and the status that goes with it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError
from scipy.stats import norm

from geodata.schema import Status, check_cube, status_like
from models.hazard_anomaly import AnomalyOptions
from models.hazard_dust_days import DustOptions
from models.hazard_heavy_rain import HeavyRainOptions
from models.hazard_hot_days import HeatOptions
from models.hazard_season_to_date import SeasonOptions
from models.hazard_spi import DroughtOptions
from models.hazard_water_percentile import WaterOptions
from models.hazards import HAZARDS, assess_hazard
from models.headline import headline
from models.scoring import HIGH_PERCENTILE, SPI_BREAKPOINTS, score_by_breakpoints

NAN = np.nan
CALIBRATION = (1981, 2010)


def series(values, start="2001-01", **attrs):
    """One unit's months."""
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(
        np.asarray(values, dtype=float)[:, None],
        dims=("time", "pcode"),
        coords={"time": times, "pcode": ["U0"]},
        attrs=attrs,
    )


def flags(*words):
    return xr.DataArray(
        np.array([[Status[w]] for w in words], dtype="int8"),
        dims=("time", "pcode"),
        coords={"time": pd.date_range("2001-01", periods=len(words), freq="MS"), "pcode": ["U0"]},
    )


def words(status):
    return [Status(int(s)).name for s in status.values.ravel()]


def score(index, breakpoints=SPI_BREAKPOINTS):
    return score_by_breakpoints(xr.DataArray(float(index)), breakpoints).item()


def test_breakpoints_that_are_no_ladder_are_refused():
    with pytest.raises(ValidationError, match="breakpoints"):
        DroughtOptions(breakpoints=[(0, 2), (-1, 1), (-2, 4)])


@pytest.mark.parametrize(
    ("options", "side"),
    [
        (DroughtOptions(), "low"),
        (WaterOptions(), "low"),
        (HeavyRainOptions(), "high"),
        (AnomalyOptions(source="x"), "low"),
        (AnomalyOptions(source="x", worse_when="high"), "high"),
    ],
)
def test_the_side_on_which_an_index_is_bad_follows_from_its_breakpoints(options, side):
    assert options.worse_side == side


def test_an_unknown_option_is_refused():
    with pytest.raises(ValidationError, match="scale_months"):
        DroughtOptions.model_validate({"scale_months": [6]})


def test_a_dry_season_falls_through_to_the_next_longer_scale():
    """Months: SPI-6 speaks; SPI-6 masked, SPI-12 speaks; both masked; too short a record."""
    indices = xr.Dataset(
        {
            "spi_6": series([-1.2, NAN, NAN, NAN]),
            "spi_6_status": flags("ok", "masked_dry_season", "masked_dry_season", "insufficient_data"),
            "spi_12": series([0.3, -0.7, NAN, NAN]),
            "spi_12_status": flags("ok", "resolution_limited", "masked_dry_season", "insufficient_data"),
        }
    )
    out = headline(indices, "spi", (6, 12))
    assert np.array_equal(out["index"].values.ravel(), [-1.2, -0.7, NAN, NAN], equal_nan=True)
    assert np.array_equal(out.scale_months.values.ravel(), [6, 12, NAN, NAN], equal_nan=True)
    assert words(out.status) == ["ok", "resolution_limited", "masked_dry_season", "insufficient_data"]


# ------------------------------------------------------------------ methods


def rain(years=35, seed=4):
    """Three units; the middle one has no rain from June to September, the last one none at all after 2014."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.5, 20, (years * 12, 3)) + 1.5
    month = np.arange(years * 12) % 12
    values[(month >= 5) & (month <= 8), 1] = 0.0
    values[-12:, 2] = NAN
    array = xr.DataArray(
        values,
        dims=("time", "pcode"),
        coords={"time": pd.date_range("1981-01", periods=years * 12, freq="MS"), "pcode": ["A", "B", "C"]},
        attrs={"units": "mm/month", "long_name": "rain"},
        name="rain",
    )
    return xr.Dataset({"rain": array, "rain_status": status_like(array, Status.input_missing)})


def test_drought_speaks_by_the_first_informative_scale_and_is_carried():
    """Scales 3, then 12: B in August is masked at 3 months and speaks by 12; C is carried, then stale."""
    out = assess_hazard("drought", rain(), DroughtOptions(scales_months=(3, 12), max_age_days=62), CALIBRATION)
    check_cube(out)
    august = out.sel(time="2015-08-01")
    assert august.drought_scale_months.sel(pcode=["A", "B"]).values.tolist() == [3, 12]
    assert words(august.spi_3_status.sel(pcode="B")) == ["masked_dry_season"]
    assert august.hazard_drought.sel(pcode="B").item() == pytest.approx(score(august.spi_12.sel(pcode="B").item()))
    unit = out.sel(pcode="C", time=slice("2014-12", "2015-04"))
    assert words(unit.hazard_drought_status) == ["ok", "ok", "ok", "stale", "stale"]
    assert unit.drought_age_months.values.tolist() == [0, 1, 2, 3, 4]
    assert np.ptp(unit.hazard_drought.values) == 0
    assert words(unit.spi_3_status)[1:] == ["input_missing"] * 4


def test_a_coarse_rain_makes_a_resolution_limited_drought():
    inputs = rain()
    inputs["rain_status"] = inputs.rain_status.where(inputs.rain.isnull(), int(Status.resolution_limited)).astype(
        "int8"
    )
    out = assess_hazard("drought", inputs, DroughtOptions(scales_months=(6,)), CALIBRATION)
    assert words(out.hazard_drought_status.sel(pcode="A"))[-1] == "resolution_limited"


def test_values_whose_status_keeps_none_are_not_used():
    """A number under insufficient_data (too little coverage) is no rain."""
    inputs = rain()
    inputs["rain_status"] = xr.where(
        inputs.time >= np.datetime64("2015-01-01"), np.int8(Status.insufficient_data), inputs.rain_status
    ).transpose("time", "pcode")
    out = assess_hazard("drought", inputs, DroughtOptions(scales_months=(3,)), CALIBRATION)
    assert out.spi_3.sel(time=slice("2015-01", None)).isnull().all()


def test_drought_is_the_same_lazily():
    own = assess_hazard("drought", rain(), DroughtOptions(), CALIBRATION)
    lazy = assess_hazard("drought", rain().chunk(time=50, pcode=1), DroughtOptions(), CALIBRATION).compute()
    xr.testing.assert_allclose(own, lazy, rtol=0, atol=1e-12)


def test_water_scores_by_its_percentile_under_the_hazard_s_own_name():
    """30 years rising from 1 to 30 km2: the first year is the driest, the last the wettest."""
    area = series(np.arange(1.0, 31.0), units="km2").assign_coords(time=pd.date_range("1981-01", periods=30, freq="YS"))
    out = assess_hazard("lakes", xr.Dataset({"area": area}), WaterOptions(source="area"), CALIBRATION)
    check_cube(out)
    assert out.lakes_percentile.values.ravel()[[0, -1]] == pytest.approx([0.56 / 30.12, 29.56 / 30.12])
    assert out.hazard_lakes.values.ravel()[[0, -1]] == pytest.approx([10.0, 2 * (1 - 29.56 / 30.12) / 0.5])
    assert "lakes_anomaly" in out


def test_heavy_rain_takes_daily_rain():
    """12 years of 10 mm days; the wettest day of all, 90 mm, falls in the last March."""
    days = pd.date_range("2000-10-01", "2012-09-30", freq="D")
    daily = xr.DataArray(
        np.full((len(days), 1), 10.0) + (days.year.to_numpy() - 2000)[:, None],
        dims=("time", "pcode"),
        coords={"time": days, "pcode": ["U0"]},
        attrs={"units": "mm/day"},
    )
    daily.loc["2012-03-05"] = 90.0
    out = assess_hazard("heavy_rain", xr.Dataset({"rain_daily": daily}), HeavyRainOptions(), (2001, 2012))
    check_cube(out)
    march = out.sel(time="2012-03-01")
    assert march.heavy_rain_rx1day.item() == 90.0
    assert march.heavy_rain_percentile.item() == pytest.approx((12 - 0.44) / 12.12)
    assert march.hazard_heavy_rain.item() == pytest.approx(score((12 - 0.44) / 12.12, HIGH_PERCENTILE))


@pytest.mark.parametrize(("worse_when", "expected"), [("low", [4.0, 4 / 3]), ("high", [4 / 3, 4.0])])
def test_an_anomaly_scores_on_its_bad_side(worse_when, expected):
    """Vegetation is bad when low, evaporation deficit when high: z of -1 and +1."""
    options = AnomalyOptions(source="ndvi", breakpoints_source="test", worse_when=worse_when)
    out = assess_hazard("vegetation", xr.Dataset({"ndvi": series([-1.0, 1.0])}), options, CALIBRATION)
    check_cube(out)
    assert out.hazard_vegetation.values.ravel() == pytest.approx(expected)


def test_an_anomaly_beyond_what_was_calibrated_is_clipped_and_marked():
    out = assess_hazard("vegetation", xr.Dataset({"z": series([-19.3])}), AnomalyOptions(source="z"), CALIBRATION)
    assert out.vegetation_index.item() == -3.0
    assert words(out.hazard_vegetation_status) == ["out_of_support"]


def test_every_method_names_its_own_options():
    """The registry's key is the word a country file writes."""
    for key, method in HAZARDS.items():
        assert method.options.model_fields["method"].default == key


def test_the_season_so_far_is_ranked_under_the_name_of_its_block():
    out = assess_hazard("season", rain(), SeasonOptions(), CALIBRATION)
    check_cube(out)
    august = out.sel(time="2014-08-01", pcode="A")
    rows = rain().rain.sel(pcode="A", time=slice("2013-10", "2014-08"))
    assert august.season_total.item() == pytest.approx(float(rows.sum()))
    assert august.hazard_season.item() == pytest.approx(
        score(august.season_percentile.item(), SeasonOptions().breakpoints)
    )


def test_saved_parameters_give_the_same_bits_from_the_last_months_alone():
    """A new month needs its own window only, and never moves what was learnt."""
    method, options = HAZARDS["spi"], DroughtOptions()
    learnt = method.fit(rain(), options, CALIBRATION)
    whole = method.indices(rain(), options, CALIBRATION)
    back = method.months_back(options)
    recent = method.indices(rain().isel(time=slice(-back - 3, None)), options, CALIBRATION, learnt)
    xr.testing.assert_identical(recent.isel(time=slice(-4, None)), whole.isel(time=slice(-4, None)))


# ------------------------------------------------------------------ doubt


def test_the_index_that_speaks_says_how_sure_it_is():
    """Scales 3, then 12; the odds of a class are those of the normal error of the scale that speaks."""
    out = assess_hazard("drought", rain(), DroughtOptions(scales_months=(3, 12)), CALIBRATION)
    for month, scale in (("2015-03-01", 3), ("2015-08-01", 12)):
        now = out.sel(time=month, pcode="B")
        assert now.drought_scale_months == scale
        assert now.drought_sd == now[f"spi_{scale}_sd"]
        assert now.drought_spread == now[f"spi_{scale}_spread"]
        odds = norm.cdf((-1.0 - now.drought_index) / now.drought_sd)
        assert now.drought_probability_moderate.item() == pytest.approx(odds, abs=1e-9)
    carried = out.sel(time="2015-03-01", pcode="C")
    assert carried.drought_index.notnull()
    assert carried.drought_sd.isnull()
    assert words(carried.drought_sd_status) != ["ok"]


def balance():
    """The rain of three units, and what evaporates there."""
    inputs = rain()
    wave = 110 - 80 * np.cos(np.arange(inputs.sizes["time"]) * np.pi / 6)
    noise = np.random.default_rng(6).normal(0, 12, inputs.rain.shape)
    pet = inputs.rain.copy(data=wave[:, None] + noise).rename("evapotranspiration")
    return inputs.assign(evapotranspiration=pet, evapotranspiration_status=status_like(pet))


@pytest.mark.parametrize(("method", "ways"), [("spi", ("ml", "lmoments")), ("spei", ("generalised_extreme_value",))])
def test_every_scale_says_how_sure_it_is(method, ways):
    """Sampling error and spread stand beside each index, with its status, whether or not its scale may speak."""
    options, inputs = HAZARDS[method].options(), balance()
    inputs["rain_status"] = inputs.rain_status.where(inputs.rain.isnull(), int(Status.resolution_limited)).astype(
        "int8"
    )
    learnt = HAZARDS[method].fit(inputs, options, CALIBRATION)
    out = HAZARDS[method].scores("x", HAZARDS[method].indices(inputs, options, CALIBRATION, learnt), options)
    check_cube(out)
    assert options.all_scales == (1, 3, 6, 9, 12, 24)
    for index in [f"{method}_{k}" for k in options.all_scales]:
        assert {index, *(f"{index}_{way}" for way in ways)} <= set(learnt)
        for what in ("sd", "spread"):
            beside = f"{index}_{what}"
            assert np.array_equal(out[f"{beside}_status"], out[f"{index}_status"]), beside
            assert np.array_equal(out[beside].notnull(), out[index].notnull()), beside
            assert f"{method.upper()} of {index.removeprefix(f'{method}_')} months" in out[beside].attrs["long_name"]
        assert "resolution_limited" in words(out[f"{index}_sd_status"])
        assert 0.1 < out[f"{index}_sd"].median() < 0.4
        assert 0 < out[f"{index}_spread"].median() < 0.3
    assert out.x_sd.equals(out[f"{method}_6_sd"].where(out.x_scale_months == 6, out.x_sd))
    assert out.x_sd.attrs["long_name"] == f"sampling standard deviation of the {method.upper()} that speaks for x"
    assert out.x_probability_severe.notnull().any()


@pytest.mark.parametrize("method", ["spi", "spei"])
def test_a_cell_has_the_index_and_nothing_beside_it(method):
    """Of 44,000 cells only the index is mapped, which has the same bits without its doubt."""
    options, inputs = HAZARDS[method].options(), balance()
    whole = HAZARDS[method].indices(inputs, options, CALIBRATION)
    alone = HAZARDS[method].indices(inputs, options.for_cells(), CALIBRATION)
    assert not [v for v in alone.data_vars if "_sd" in str(v) or "_spread" in str(v)]
    xr.testing.assert_identical(alone, whole[list(alone.data_vars)])
    assert set(HAZARDS[method].mapped(options)) <= set(alone.data_vars)
    learnt = HAZARDS[method].fit(inputs, options.for_cells(), CALIBRATION)
    assert {name for name in learnt if not name.startswith("drivers")} == set(HAZARDS[method].mapped(options))


# ------------------------------------------------------------------ heat and dust


def daily(values, start="2001-06-01"):
    times = pd.date_range(start, periods=len(values), freq="D")
    return xr.DataArray(
        np.asarray(values, dtype=float)[:, None],
        dims=("time", "pcode"),
        coords={"time": times, "pcode": ["U0"]},
        attrs={"units": "degC"},
    )


def test_heat_counts_days_or_nights_whichever_are_more():
    """June: 4 hot days, 7 hot nights; July: 14 hot days, no hot night."""
    tmax = [46] * 4 + [40] * 26 + [46] * 14 + [40] * 17
    tmin = [31] * 7 + [25] * 54
    inputs = xr.Dataset({"tmax": daily(tmax), "tmin": daily(tmin)})
    out = assess_hazard("heat", inputs, HeatOptions(), CALIBRATION)
    check_cube(out)
    assert out.heat_index.values.ravel().tolist() == [7, 14]
    assert out.heat_hot_nights.values.ravel().tolist() == [7, 0]
    assert out.hazard_heat.values.ravel().tolist() == [4.0, 6.0]


def test_nights_that_nobody_measured_leave_the_heat_unknown():
    """Thirty cool days say nothing of the nights."""
    inputs = xr.Dataset({"tmax": daily([30] * 30), "tmin": daily([np.nan] * 30)})
    out = assess_hazard("heat", inputs, HeatOptions(), CALIBRATION)
    check_cube(out)
    assert out.hazard_heat.isnull().all()
    assert words(out.hazard_heat_status) == ["insufficient_data"]


def test_dust_is_ranked_within_its_month():
    """30 years of 0 to 29 dust days in each month: the last year is the dustiest of all, the first the calmest."""
    values = np.repeat(np.arange(30.0), 12)
    days = series(values, start="1981-01", units="days")
    out = assess_hazard("dust", xr.Dataset({"dust_days": days}), DustOptions(), (1981, 2010))
    check_cube(out)
    assert out.dust_percentile.values.ravel()[[0, -1]] == pytest.approx([0.56 / 30.12, 29.56 / 30.12])
    assert out.hazard_dust.values.ravel()[-1] == 10.0


def test_a_month_that_the_dust_table_leaves_out_is_missing_and_not_calm():
    days = series(np.repeat(np.arange(30.0), 12), start="1981-01", units="days")
    gap = days.sel(time=days["time"] != np.datetime64("2005-06-01"))
    out = assess_hazard("dust", xr.Dataset({"dust_days": gap}), DustOptions(), (1981, 2010))
    check_cube(out)
    assert words(out.hazard_dust_status.sel(time=["2005-05-01", "2005-07-01"])) == ["ok", "ok"]
    assert out.dust_percentile_12m.sel(time="2005-08-01").isnull().all()


def test_caution_about_days_or_about_nights_is_caution_about_heat():
    hot = series([5.0, 5.0, 5.0])
    kept = xr.Dataset({"hot_days": hot, "hot_nights": hot})
    kept["hot_days_status"] = flags("resolution_limited", "ok", "ok")
    kept["hot_nights_status"] = flags("ok", "out_of_support", "ok")
    out = HAZARDS["hot_days"].indices(kept, HeatOptions(), CALIBRATION)
    assert words(out.index_status) == ["resolution_limited", "out_of_support", "ok"]


# ------------------------------------------------------------------ a masked input never lowers a hazard


@pytest.mark.parametrize("hidden", ["2012-03-05", "2012-03-20"])
def test_a_day_that_nobody_saw_lowers_no_rank_of_heavy_rain(hidden):
    """90 mm on 5 March: with that day hidden, or any other of its month, the month says nothing."""
    days = pd.date_range("2000-10-01", "2012-09-30", freq="D")
    values = np.full((len(days), 1), 10.0) + (days.year.to_numpy() - 2000)[:, None]
    rain_of_days = xr.DataArray(
        values, dims=("time", "pcode"), coords={"time": days, "pcode": ["U0"]}, attrs={"units": "mm/day"}
    )
    rain_of_days.loc["2012-03-05"] = 90.0
    rain_of_days.loc[hidden] = NAN
    out = assess_hazard("heavy_rain", xr.Dataset({"rain_daily": rain_of_days}), HeavyRainOptions(), (2001, 2012))
    check_cube(out)
    march = out.sel(time="2012-03-01")
    assert march.heavy_rain_rx1day.isnull().all()
    assert words(march.heavy_rain_rx1day_status) == ["insufficient_data"]


def test_a_day_that_nobody_saw_lowers_no_count_of_heat():
    tmax = np.full(31, 46.0)
    tmax[10] = NAN
    inputs = xr.Dataset({"tmax": daily(tmax, "2001-07-01"), "tmin": daily([25] * 31, "2001-07-01")})
    out = assess_hazard("heat", inputs, HeatOptions(), CALIBRATION)
    assert words(out.hazard_heat_status) == ["insufficient_data"]


def test_a_month_seen_dry_is_told_where_the_source_says_what_was_not_seen():
    """Twelve lakes, all but empty in one year: a fault of the images by rule, and a drought where they say they saw."""
    area = np.random.default_rng(5).uniform(16.0, 24.0, (35, 12))
    area[-1] = 0.1
    coords = {"time": pd.date_range("1990", periods=35, freq="YS"), "pcode": [f"U{i}" for i in range(12)]}
    lakes = xr.DataArray(area, dims=("time", "pcode"), coords=coords, attrs={"units": "km2"})
    inputs = xr.Dataset({"area": lakes, "area_status": status_like(lakes)})
    method = HAZARDS["water_percentile"]
    by_rule, as_seen = (
        method.indices(inputs, WaterOptions(source="area", find_years_without_imagery=find), CALIBRATION)
        for find in (True, False)
    )
    assert by_rule["percentile"].isel(time=-1).isnull().all()
    assert (as_seen["percentile"].isel(time=-1) < 0.03).all()
