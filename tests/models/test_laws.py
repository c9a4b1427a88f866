"""Laws that every method of a hazard obeys: whatever the data, its units, the order of its years and how it is cut."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from geodata.schema import RAISES_ALERTS, has_status, status_like
from models.hazards import HAZARDS

from .test_masking import CALIBRATION, INPUTS, SLOW, anomalies, made, rain, scored, states

METHODS = {
    **INPUTS,
    "cdi": {"rain": rain, "soil_moisture": states(0.05, 0.4, "m3/m3"), "vegetation": anomalies},
    "drought_runs": {"rain": rain},
}


def inputs_of(method: str, seed: int) -> xr.Dataset:
    if method in INPUTS:
        return made(method, seed)[0]
    rng = np.random.default_rng(seed)
    inputs = xr.Dataset({name: draw(rng) for name, draw in METHODS[method].items()})
    return inputs.assign({f"{name}_status": status_like(inputs[name]) for name in METHODS[method]})


def examples(method: str, number: int) -> settings:
    """A seed is no simpler when it is smaller, so nothing is shrunk."""
    return settings(max_examples=1 if method in SLOW else number, deadline=None, phases=[Phase.generate])


def test_every_method_is_under_these_laws():
    assert set(METHODS) == set(HAZARDS)


# ------------------------------------------------------------------ how it is cut


MANY_TASKS = {"water_percentile", "storage_percentile", "dust_days"}
"""Medians by calendar month of lazy arrays: hundreds of small tasks."""


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow if m in MANY_TASKS else ()) for m in sorted(METHODS)]
)
def test_chunks_and_order_of_dimensions_change_nothing(method):
    """Whole, in odd chunks of time and place, and place before time: the same scores and indices to 1e-12."""

    inputs = inputs_of(method, seed=3)
    whole = scored(method, inputs)
    cut = scored(
        method, inputs.chunk(time=inputs.sizes["time"] // 2 - 5, pcode=inputs.sizes["pcode"] // 2 + 1)
    ).compute()
    turned = scored(method, inputs.transpose("pcode", "time"))
    assert turned["hazard_x"].dims == ("pcode", "time")
    for other in (cut, turned):
        assert set(other.data_vars) == set(whole.data_vars)
        for name, values in whole.data_vars.items():
            found = other[name].transpose(*values.dims)
            if str(name).endswith("_status"):
                assert found.equals(values), name
            else:
                np.testing.assert_allclose(found, values, rtol=0, atol=1e-12, err_msg=str(name))


# ------------------------------------------------------------------ its units

SCALED = {
    "spi": {"trace_mm": 0.0},
    "spei": {},
    "season_to_date": {"trace_mm": 0.0},
    "drought_runs": {"trace_mm": 0.0},
    "standardised_anomaly": {"min_sd": 0.0},
    "water_percentile": {"min_area_km2": 0.0},
    "storage_percentile": {},
    "dust_days": {},
    "heavy_rain": {},
}
"""Methods that compare a quantity with its own past, and the options that hold a number in its units."""


@pytest.mark.parametrize("method", sorted(SCALED))
def test_units_of_what_is_compared_with_its_past_do_not_matter(method):
    """Every source times a factor: the same score to 1e-9."""

    @examples(method, 3)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.125, 0.3, 7.0, 25.4]))
    def law(seed, factor):
        inputs = inputs_of(method, seed)
        other = inputs.assign(
            {name: (inputs[name] * factor).assign_attrs(inputs[name].attrs) for name in METHODS[method]}
        )
        one, two = (scored(method, ds, **SCALED[method]) for ds in (inputs, other))
        assert one.hazard_x_status.equals(two.hazard_x_status)
        np.testing.assert_allclose(two.hazard_x, one.hazard_x, rtol=0, atol=1e-9)

    law()


# ------------------------------------------------------------------ the order of its years

FORGETS = {
    "spi": {"scales_months": (1,), "further_scales_months": ()},
    "spei": {"scales_months": (1,), "further_scales_months": ()},
    "season_to_date": {"start_month": 1},
    "anomaly": {},
    "standardised_anomaly": {},
    "vegetation_health": {},
    "water_percentile": {},
    "storage_percentile": {},
    "dust_days": {},
    "unmet_demand": {},
}
"""Methods, and options of them, with which a year knows nothing of the year before."""


@pytest.mark.parametrize("method", sorted(FORGETS))
def test_exchanging_years_exchanges_the_score(method):
    """Any order of the calibration years: each year keeps the score it had, to 1e-9, wherever it stands."""
    first, last = CALIBRATION

    @examples(method, 3)
    @given(st.integers(0, 2**32 - 1), st.permutations(range(last - first + 1)))
    def law(seed, order):
        inputs = inputs_of(method, seed)
        rows = np.concatenate([*(np.arange(12) + 12 * year for year in order), np.arange(360, inputs.sizes["time"])])
        other = inputs.isel(time=rows).assign_coords(time=inputs["time"])
        one, two = (scored(method, ds, **FORGETS[method]) for ds in (inputs, other))
        # what is carried into a gap is the year before it, whichever that is
        moved, stays = (ds.hazard_x.where(ds.x_age_months == 0) for ds in (one, two))
        assert moved.notnull().any()
        np.testing.assert_allclose(stays, moved.isel(time=rows), rtol=0, atol=1e-9)

    law()


@pytest.mark.parametrize("method", sorted(SLOW))
def test_exchanging_years_of_days_exchanges_the_score(method):
    """Two years of equal length, all their days: the months of each keep their score."""
    inputs = inputs_of(method, 5)
    time = pd.DatetimeIndex(inputs.indexes["time"])
    rows = np.arange(len(time))
    one_year, other_year = (np.flatnonzero(time.year == year) for year in (1990, 1999))
    rows[one_year], rows[other_year] = other_year, one_year
    other = inputs.isel(time=rows).assign_coords(time=inputs["time"])
    options: dict[str, Any] = {"start_month": 1} if method == "heavy_rain" else {}
    before, after = (scored(method, ds, **options).hazard_x for ds in (inputs, other))
    assert before.sel(time="1990").notnull().all()
    assert not np.allclose(before.sel(time="1990"), before.sel(time="1999"))
    for year, stands_at in (("1990", "1999"), ("1999", "1990"), ("2005", "2005")):
        np.testing.assert_allclose(after.sel(time=stands_at), before.sel(time=year), rtol=0, atol=1e-9)


# ------------------------------------------------------------------ worse is never better

WORSE = {
    "rain": -1, "evapotranspiration": 1, "z": -1, "soil": -1, "soil_moisture": -1, "vegetation": -1, "ndvi": -1,
    "land_temperature": 1, "surface_water": -1, "reservoirs": -1, "dust_days": 1, "unmet_share": 1,
    "rain_daily": 1, "tmax": 1, "tmin": 1,
}  # fmt: skip
"""Side on which each source is worse."""


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_worse_value_never_scores_less(method):
    """Some values after the calibration a little or a lot worse, the other sources as they were."""

    @examples(method, 4)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5]), st.data())
    def law(seed, share, data):
        inputs = inputs_of(method, seed)
        source = data.draw(st.sampled_from(sorted(METHODS[method])))
        rng = np.random.default_rng(seed)
        values = inputs[source]
        moved = (rng.uniform(size=values.shape) < share) * rng.uniform(size=values.shape) * float(values.std())
        late = values["time"] >= np.datetime64("2011-01-01")
        worse = (values + WORSE[source] * (late * values.copy(data=moved))).assign_attrs(values.attrs)
        if WORSE[source] < 0 and source not in {"z", "vegetation"}:
            worse = worse.clip(min=0.0).assign_attrs(values.attrs)
        before, after = scored(method, inputs), scored(method, inputs.assign({source: worse}))
        both = [has_status(ds.hazard_x_status, RAISES_ALERTS) for ds in (before, after)]
        lower = both[0] & both[1] & (after.hazard_x < before.hazard_x - 1e-9)
        assert int(lower.sum()) == 0, source

    law()
