"""Lack of reliability: the formula by hand, its ends, and what an unknown counts as."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import Status
from models.reliability import lack_of_reliability, median_age_years, missing_share

laws = settings(max_examples=60, deadline=None)


def r(missing, age, n_eff):
    return lack_of_reliability(*(xr.DataArray(float(v)) for v in (missing, age, n_eff))).item()


@pytest.mark.parametrize(
    ("missing", "age", "n_eff", "expected"),
    [(0, 0, 4, 0), (1, 5, 0, 10), (0.5, 2.5, 2, 5), (0.2, 1, 1, 3.1), (0, 20, 100, 3), (0, 0, 1, 1.5)],
)
def test_lack_of_reliability_by_hand(missing, age, n_eff, expected):
    """10 (0.5 missing + 0.3 min(1, age / 5) + 0.2 (1 - min(1, n_eff / 4)))."""
    assert r(missing, age, n_eff) == pytest.approx(expected)


def test_not_to_know_is_no_ground_for_trust():
    assert r(0, np.nan, 4) == 3
    assert r(0, 0, np.nan) == 2
    assert r(np.nan, 0, 4) == 5


@laws
@given(st.floats(0, 1), st.floats(0, 50), st.floats(0, 50), st.floats(0, 1), st.floats(0, 5), st.floats(0, 5))
def test_it_never_falls_when_inputs_are_fewer_older_or_coarser(missing, age, n_eff, fewer, older, coarser):
    before, after = r(missing, age, n_eff), r(min(1, missing + fewer), age + older, max(0, n_eff - coarser))
    assert 0 <= before <= after + 1e-12 <= 10 + 1e-9


def test_missing_counts_what_was_declared_even_if_never_computed():
    """Of drought (ok, masked), water (stale, missing) and salinity (no source): 1/3 and 3/3 missing."""
    flags = {
        "hazard_drought_status": ("pcode", np.array([Status.ok, Status.masked_dry_season], dtype="int8")),
        "hazard_water_status": ("pcode", np.array([Status.stale, Status.input_missing], dtype="int8")),
    }
    out = missing_share(xr.Dataset(flags), ["hazard_drought", "hazard_water", "hazard_salinity"])
    assert out.values == pytest.approx([1 / 3, 1.0])
    assert missing_share(xr.Dataset(), ["hazard_salinity"]).item() == 1.0


def test_the_median_age_leaves_out_what_is_absent_and_no_input_is_younger_than_now():
    ages = [xr.DataArray([365.25, np.nan], dims="pcode"), xr.DataArray([-30.0, 730.5], dims="pcode")]
    assert median_age_years(ages).values == pytest.approx([0.5, 2.0])
