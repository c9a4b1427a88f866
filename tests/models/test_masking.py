"""A masked input never lowers a hazard: what nobody saw makes a score unknown, old or higher, and never quietly lower.

Masked are values after the calibration years: within them a value is also part of what is learnt, and
leaving out a wet year rightly moves what counts as dry.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import KEEPS_VALUE, RAISES_ALERTS, Status, has_status, status_attrs, status_like
from models.hazards import HAZARDS, assess_hazard
from models.reliability import lack_of_reliability
from models.scoring import SPI_BREAKPOINTS, carry_forward, combine_hazards, score_by_breakpoints
from models.surface_water import find_years_without_imagery, water_percentile

CALIBRATION = (1981, 2010)
laws = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.01, 0.05, 0.3, 0.9])


# ------------------------------------------------------------------ random inputs


def monthly(values: np.ndarray, units: str) -> xr.DataArray:
    """Months from 1981 on in three units, or as many as there are columns."""
    times = pd.date_range("1981-01", periods=len(values), freq="MS")
    names = [f"U{i}" for i in range(values.shape[1])]
    return xr.DataArray(values, dims=("time", "pcode"), coords={"time": times, "pcode": names}, attrs={"units": units})


def daily(values: np.ndarray, units: str) -> xr.DataArray:
    """Days from October 1980 on."""
    times = pd.date_range("1980-10-01", periods=len(values), freq="D")
    return xr.DataArray(values, dims=("time", "pcode"), coords={"time": times, "pcode": ["U0"]}, attrs={"units": units})


MONTHS, UNITS = (12 * 34, 3), 3
DAYS = (len(pd.date_range("1980-10-01", "2013-09-30")), 1)
_month = np.arange(MONTHS[0])[:, None] % 12
_day = pd.date_range("1980-10-01", periods=DAYS[0]).day_of_year.to_numpy()[:, None]
SEASON = 1.0 + np.cos(2 * np.pi * _month / 12)  # 2 in January, 0 in July
SUMMER = np.sin(2 * np.pi * (_day - 100) / 365)


def rain(rng: np.random.Generator) -> xr.DataArray:
    """Gamma rain with dry summers, and droughts of a year and more."""
    memory = np.repeat(rng.gamma(4.0, 0.25, (MONTHS[0] // 12, UNITS)), 12, axis=0)
    wet = rng.uniform(size=MONTHS) < 0.05 + 0.5 * SEASON
    return monthly(rng.gamma(1.5, 30.0, MONTHS) * SEASON * memory * wet, "mm/month")


def states(low: float, high: float, units: str) -> Callable[[np.random.Generator], xr.DataArray]:
    """A state between two bounds, of a level that changes from year to year."""

    def made(rng: np.random.Generator) -> xr.DataArray:
        level = np.repeat(rng.uniform(size=(MONTHS[0] // 12, UNITS)), 12, axis=0)
        return monthly(low + (high - low) * (0.7 * level + 0.3 * rng.uniform(size=MONTHS)), units)

    return made


def lakes(rng: np.random.Generator) -> xr.DataArray:
    """Twelve lakes, some of them dry in some years: as many at once as may pass for a year without an image."""
    years = (MONTHS[0] // 12, 12)
    emptied = rng.uniform(size=years) < rng.choice([0.02, 0.3], size=(years[0], 1))
    area = rng.uniform(1.0, 9.0, years) * np.where(emptied, 0.001, 1.0)
    return monthly(np.repeat(area, 12, axis=0), "km2")


def anomalies(rng: np.random.Generator) -> xr.DataArray:
    return monthly(1.3 * rng.standard_normal(MONTHS), "1")


def dust(rng: np.random.Generator) -> xr.DataArray:
    return monthly(rng.poisson(3.0, MONTHS).astype(float), "days")


def daily_rain(rng: np.random.Generator) -> xr.DataArray:
    return daily(rng.gamma(0.7, 12.0, DAYS) * (rng.uniform(size=DAYS) < 0.2), "mm/day")


def daily_warmth(mean: float) -> Callable[[np.random.Generator], xr.DataArray]:
    return lambda rng: daily(mean + 14.0 * SUMMER + 4.0 * rng.standard_normal(DAYS), "degC")


INPUTS: dict[str, dict[str, Callable[[np.random.Generator], xr.DataArray]]] = {
    "spi": {"rain": rain},
    "spei": {"rain": rain, "evapotranspiration": states(20.0, 180.0, "mm/month")},
    "season_to_date": {"rain": rain},
    "anomaly": {"z": anomalies},
    "standardised_anomaly": {"soil": states(0.05, 0.4, "m3/m3")},
    "vegetation_health": {"ndvi": states(0.1, 0.6, "1"), "land_temperature": states(15.0, 50.0, "degC")},
    "water_percentile": {"surface_water": lakes},
    "storage_percentile": {"reservoirs": states(1.0, 9.0, "km3")},
    "dust_days": {"dust_days": dust},
    "unmet_demand": {"unmet_share": states(0.0, 1.0, "1")},
    "heavy_rain": {"rain_daily": daily_rain},
    "hot_days": {"tmax": daily_warmth(32.0), "tmin": daily_warmth(18.0)},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "spi": {"further_scales_months": (), "doubt": False},
    "spei": {"further_scales_months": (), "doubt": False},
    "anomaly": {"source": "z"},
    "standardised_anomaly": {"source": "soil", "worse_when": "low"},
    "water_percentile": {"trend": False},
    "heavy_rain": {"min_years_of_wet_days": 20},
    "hot_days": {"hot_day_above_degc": 45.0, "hot_night_above_degc": 30.0, "min_years": 20},
}
BOUNDS = {"cdi", "drought_runs"}
"""Methods whose index is a lower bound where a month is missing, and says so; they have laws of their own below."""

SLOW = {"heavy_rain", "hot_days"}
"""Of days: fewer examples tell as much."""


def made(method: str, seed: int) -> tuple[xr.Dataset, np.random.Generator]:
    """Random inputs of a method, all of them seen."""
    rng = np.random.default_rng(seed)
    inputs = xr.Dataset({name: draw(rng) for name, draw in INPUTS[method].items()})
    return inputs.assign({f"{name}_status": status_like(inputs[name]) for name in INPUTS[method]}), rng


def masked(inputs: xr.Dataset, names: list[str], where: np.ndarray, since: str = "2011") -> xr.Dataset:
    """Inputs of which some values after the calibration were not seen."""
    late = inputs["time"] >= np.datetime64(since)
    hidden = late & xr.DataArray(where, dims=("time", "pcode"))
    out = inputs.copy()
    for name in names:
        out[name] = inputs[name].where(~hidden).assign_attrs(inputs[name].attrs)
        flags = xr.where(hidden, np.int8(Status.input_missing), inputs[f"{name}_status"]).astype("int8")
        out[f"{name}_status"] = flags.transpose("time", "pcode").assign_attrs(status_attrs())
    return out


def scored(method: str, inputs: xr.Dataset, **options: Any) -> xr.Dataset:
    """Hazard "x" by this method, with nothing carried on unless it is known to be old."""
    block = HAZARDS[method].options(**{"max_age_days": 0, **OPTIONS.get(method, {}), **options})
    return assess_hazard("x", inputs, block, CALIBRATION)


def assert_never_lower(before: xr.Dataset, after: xr.Dataset) -> None:
    """Where it still raises alerts the score is at least what it was; nothing else changed into a number."""
    claims = has_status(after.hazard_x_status, RAISES_ALERTS) & after.hazard_x.notnull()
    lower = claims & (after.hazard_x < before.hazard_x - 1e-9)
    assert int(lower.sum()) == 0, after.hazard_x.where(lower).to_series().dropna()
    kept = has_status(after.hazard_x_status, KEEPS_VALUE)
    assert (after.hazard_x.notnull() == kept).all()


# ------------------------------------------------------------------ each method


def test_every_method_is_under_the_law():
    assert set(INPUTS) | BOUNDS == set(HAZARDS)


@pytest.mark.parametrize("method", sorted(INPUTS))
def test_a_masked_value_never_lowers_a_hazard(method):
    """Any values of any of its sources, few or many, in one place or in all."""

    @settings(max_examples=3 if method in SLOW else 10, deadline=None)
    @given(seeds, shares, st.booleans(), st.data())
    def law(seed, share, flagged, data):
        inputs, rng = made(method, seed)
        names = data.draw(st.lists(st.sampled_from(sorted(INPUTS[method])), min_size=1, unique=True))
        lost = masked(inputs, names, rng.uniform(size=inputs[names[0]].shape) < share)
        if not flagged:  # a reader that says nothing but NaN
            lost = lost.drop_vars([f"{name}_status" for name in names])
        assert_never_lower(scored(method, inputs), scored(method, lost))

    law()


@pytest.mark.parametrize("method", ["spi", "spei", "standardised_anomaly"])
def test_with_saved_parameters_a_value_masked_in_any_year_lowers_no_hazard(method):
    """What was learnt before the value was lost is used again: then the years of the calibration are under it too."""
    inputs, rng = made(method, 11)
    block = HAZARDS[method].options(**{"max_age_days": 0, **OPTIONS[method]})
    learnt = HAZARDS[method].fit(inputs, block, CALIBRATION)

    def hazard(values: xr.Dataset) -> xr.Dataset:
        return HAZARDS[method].scores("x", HAZARDS[method].indices(values, block, CALIBRATION, learnt), block)

    before = hazard(inputs)
    for share in (0.002, 0.02, 0.2):
        where = rng.uniform(size=MONTHS) < share
        assert_never_lower(before, hazard(masked(inputs, sorted(INPUTS[method]), where, since="1981")))


@pytest.mark.parametrize("method", sorted(INPUTS))
def test_a_source_that_ends_early_leaves_no_score_that_raises_alerts(method):
    """From a month on nothing is seen: what is still shown is old, and its age is told."""
    inputs, _ = made(method, 7)
    first, *_ = sorted(INPUTS[method])
    out = scored(method, masked(inputs, [first], np.ones(inputs[first].shape, dtype=bool), since="2012-03-01"))
    after = out.sel(time=slice("2012-03-01", None))
    assert after.sizes["time"] > 6
    assert not bool(has_status(after.hazard_x_status, RAISES_ALERTS).any())
    shown = after.hazard_x.notnull()
    assert ((after.x_age_months > 0) == shown).all()


# ------------------------------------------------------------------ the parts


@laws
@given(st.lists(st.sampled_from(["ok", "resolution_limited", "masked_dry_season"]), min_size=1, max_size=24), st.data())
def test_a_masked_month_is_carried_with_its_age_or_not_at_all(history, data):
    """The one way in which a masked month may show a lower value: that of an earlier month, its age told.

    The contract lets the last value speak until it is as old as its source declares; it then stands as stale. A
    value of its own month (age 0) is never changed by a month that was masked.
    """
    times = pd.date_range("2001-01", periods=len(history), freq="MS")
    values = xr.DataArray(np.arange(len(history), dtype=float), dims="time", coords={"time": times})
    flags = xr.DataArray(np.array([Status[w] for w in history], dtype="int8"), dims="time", coords={"time": times})
    values = values.where(has_status(flags, KEEPS_VALUE))
    hidden = xr.DataArray(data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history))), dims="time")
    lost = xr.where(hidden, np.int8(Status.input_missing), flags).astype("int8")
    out = carry_forward(values.where(~hidden), lost, max_age_days=40)
    own = out.age_months == 0
    assert (own == (values.notnull() & ~hidden)).all()
    assert (out.value.where(own).dropna("time") == values.where(own).dropna("time")).all()
    for month in np.flatnonzero(out.age_months > 0):
        age = int(out.age_months[month])
        assert out.value[month] == values[month - age]
        assert values.where(~hidden)[month - age + 1 : month + 1].isnull().all()
        assert (out.status[month] == Status.stale) == (age > 1)  # 28 to 31 days in one month, 59 and more in two
    assert (out.value.notnull() == has_status(out.status, KEEPS_VALUE)).all()


@laws
@given(st.lists(st.one_of(st.floats(-5, 5), st.just(np.nan)), min_size=1, max_size=12), st.data())
def test_a_masked_index_has_no_score_and_changes_no_other(values, data):
    index = xr.DataArray(values, dims="pcode")
    seen = xr.DataArray(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dims="pcode")
    whole = score_by_breakpoints(index, SPI_BREAKPOINTS)
    assert score_by_breakpoints(index.where(seen), SPI_BREAKPOINTS).equals(whole.where(seen))


def hazards(scores: dict[str, float]) -> xr.Dataset:
    ds = xr.Dataset({f"hazard_{name}": ("pcode", [score]) for name, score in scores.items()})
    return ds.assign({f"hazard_{name}_status": status_like(ds[f"hazard_{name}"]) for name in scores})


@laws
@given(st.dictionaries(st.sampled_from("abcde"), st.floats(0, 10), min_size=2), st.data())
def test_a_masked_hazard_is_left_out_and_the_lack_of_reliability_tells(scores, data):
    """Of the hazards together the law has one exception: the contract combines those assessed.

    Without the worst of them the rest say less, so the score may fall; it never falls when a hazard
    below the score is the one that is missing, it never falls below the mildest of the rest, and the lack of
    reliability rises. With none left there is no score.
    """
    lost = data.draw(st.sampled_from(sorted(scores)))
    rest = {name: score for name, score in scores.items() if name != lost}
    before = combine_hazards(hazards(scores), sorted(scores)).hazard.item()
    after = combine_hazards(hazards(scores | {lost: np.nan}), sorted(scores)).hazard.item()
    assert after >= min(rest.values()) - 1e-9
    assert after <= max(rest.values()) + 1e-9
    if scores[lost] <= before:
        assert after >= before - 1e-9
    none = combine_hazards(hazards(dict.fromkeys(scores, np.nan)), sorted(scores))
    assert none.hazard.isnull().all()
    assert none.hazard_status.item() == Status.insufficient_data
    size = len(scores)
    one, zero = xr.DataArray([1.0]), xr.DataArray([0.0])
    assert lack_of_reliability(one / size, zero, one) > lack_of_reliability(zero, zero, one)


# ------------------------------------------------------------------ years without imagery


def yearly_lakes(emptied: int, units: int, year: int = 2005) -> xr.DataArray:
    """Thirty-three years of lakes that never change, but that some of them are empty in one year."""
    times = pd.date_range("1981-01", periods=33, freq="YS")
    area = xr.DataArray(
        np.tile(1.0 + np.arange(33)[:, None] / 100, (1, units)),
        dims=("time", "pcode"),
        coords={"time": times, "pcode": [f"U{i:02d}" for i in range(units)]},
        attrs={"units": "km2"},
    )
    area.loc[{"time": f"{year}-01-01", "pcode": area["pcode"][:emptied]}] = 0.001
    return area


def water_with_and_without(year: int, units: int, emptied: int, lost: list[int]) -> tuple[xr.DataArray, xr.DataArray]:
    """Percentile of lakes of which too many read empty in one year, and the same with some readings of it lost."""
    area = yearly_lakes(emptied, units, year)
    assert find_years_without_imagery(area) == (year,)
    hidden = area.copy()
    hidden.loc[{"time": f"{year}-01-01", "pcode": area["pcode"][lost]}] = np.nan
    before, after = (water_percentile(v, CALIBRATION)["water_percentile"] for v in (area, hidden))
    known = before.notnull() & after.notnull()
    return before.where(known), after.where(known)


@laws
@given(st.integers(2011, 2013), st.integers(10, 24), st.data())
def test_losing_readings_of_a_year_without_imagery_never_lowers_a_hazard(year, units, data):
    """A missing image of a year that is judged: less of it is seen, and no lake looks fuller for it."""
    emptied = data.draw(st.integers(int(0.3 * units) + 1, units))
    lost = data.draw(st.lists(st.integers(0, units - 1), unique=True, max_size=units))
    before, after = water_with_and_without(year, units, emptied, lost)
    assert (after.fillna(0.0) <= before.fillna(0.0) + 1e-9).all()


def test_a_year_named_without_imagery_stays_out_whatever_was_lost_of_it():
    area = yearly_lakes(7, 21)
    hidden = area.copy()
    hidden.loc[{"time": "2005-01-01", "pcode": area["pcode"][0]}] = np.nan
    before, after = (water_percentile(v, CALIBRATION, years_without_imagery=[2005]) for v in (area, hidden))
    xr.testing.assert_identical(before, after)


# ------------------------------------------------------------------ indices that are a lower bound


@laws
@given(seeds, shares)
def test_a_stage_that_lost_an_input_says_at_least(seed, share):
    """Without its soil moisture an alert is at least a watch: the stage may be lower, and says so beside it."""
    rng = np.random.default_rng(seed)
    inputs = xr.Dataset(
        {"rain": rain(rng), "soil_moisture": states(0.05, 0.4, "m3/m3")(rng), "vegetation": anomalies(rng)}
    )
    inputs = inputs.assign({f"{name}_status": status_like(inputs[name]) for name in list(inputs.data_vars)})
    where = rng.uniform(size=MONTHS) < share
    lost = masked(inputs, ["soil_moisture", "vegetation"], where)
    options = HAZARDS["cdi"].options(max_age_days=0)
    before, after = (HAZARDS["cdi"].indices(ds, options, CALIBRATION) for ds in (inputs, lost))
    claims = has_status(after.stage_status, RAISES_ALERTS)
    lower = claims & (after.stage < before.stage)
    assert (after.at_least.where(lower, 1.0) == 1.0).all()
    assert not bool((claims & (after.stage == 0) & (before.stage > 0)).any())


@laws
@given(seeds, shares)
def test_a_run_that_lost_months_is_longer_than_it_says_and_says_since_when(seed, share):
    """Months of a run are those observed, a lower bound: `masked_months` tells what is not among them.

    Where the beginning itself was masked nobody knows that there was a run before; a run is never
    ended by a masked month.
    """
    rng = np.random.default_rng(seed)
    inputs = xr.Dataset({"rain": rain(rng)})
    inputs = inputs.assign(rain_status=status_like(inputs.rain))
    lost = masked(inputs, ["rain"], rng.uniform(size=MONTHS) < share)
    options = HAZARDS["drought_runs"].options(max_age_days=0)
    before, after = (HAZARDS["drought_runs"].indices(ds, options, CALIBRATION) for ds in (inputs, lost))
    hidden = ~has_status(after.months_status, KEEPS_VALUE)
    # months that were hidden since the index last stood at or above the end of a run
    ended = after["index"] >= options.end
    since = hidden.cumsum("time") - hidden.cumsum("time").where(ended).ffill("time").fillna(0.0)
    shorter = after.months.notnull() & (after.months < before.months)
    assert (since.where(shorter, 1.0) > 0).all()
    same_onset = after.since_onset_months == before.since_onset_months
    inside = after.months.notnull() & (before.months > 0) & (after.months > 0) & same_onset
    whole = before.months + before.masked_months
    assert ((after.months + after.masked_months).where(inside) == whole.where(inside)).where(inside, True).all()


@laws
@given(seeds, shares, st.permutations([3, 6, 12]))
def test_a_gap_in_the_scale_that_speaks_does_not_let_another_speak_for_it(seed, share, scales):
    """A shorter scale takes over from a dry season, and not from a month that was lost: it may know of no drought."""
    inputs, rng = made("spi", seed)
    lost = masked(inputs, ["rain"], rng.uniform(size=MONTHS) < share)
    assert_never_lower(*(scored("spi", ds, scales_months=tuple(scales)) for ds in (inputs, lost)))
