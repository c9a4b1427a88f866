"""Warning levels: persistence over observed months, who speaks, and the reason in values."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import AlertLevel, ContractError, Status, status_like
from models.risk import flag_words
from models.warning import REASON_CODES, warning, warning_reasons

laws = settings(max_examples=40, deadline=None)
NAN = np.nan
NORMAL, WATCH, WARNING, EMERGENCY = (int(AlertLevel[w]) for w in ("NORMAL", "WATCH", "WARNING", "EMERGENCY"))
NO_DATA = int(AlertLevel.NO_DATA)


def hazards(statuses=None, ages=None, **scores):
    """Months of one unit; NaN is masked unless a status says otherwise."""
    data = {}
    for name, values in scores.items():
        times = pd.date_range("2001-01", periods=len(values), freq="MS")
        array = xr.DataArray(
            np.array(values, dtype=float)[:, None],
            dims=("time", "pcode"),
            coords={"time": times, "pcode": ["U0"]},
        )
        flags = status_like(array, Status.masked_dry_season)
        if statuses and name in statuses:
            flags = flags.copy(data=np.array([[Status[w]] for w in statuses[name]], dtype="int8"))
        data |= {f"hazard_{name}": array, f"hazard_{name}_status": flags}
        if ages and name in ages:
            data[f"{name}_age_months"] = array.copy(data=np.array(ages[name], dtype=float)[:, None])
    return xr.Dataset(data)


def levels(ds, names=None, **kwargs):
    names = names or [
        str(v)[7:] for v in ds.data_vars if str(v).startswith("hazard_") and not str(v).endswith("_status")
    ]
    return warning(ds, names, **kwargs).alert_level.values.ravel().tolist()


# ------------------------------------------------------------------ levels


@pytest.mark.parametrize(
    ("score", "level"), [(3.99, NORMAL), (4, WATCH), (5.99, WATCH), (6, WARNING), (8, EMERGENCY), (10, EMERGENCY)]
)
def test_a_threshold_belongs_to_the_level_above(score, level):
    assert levels(hazards(drought=[score, score]))[-1] == level


def test_the_level_is_what_both_of_the_last_two_months_reach():
    """9 5 7 9 9 1: emergency at once at the start of the record, then the lower of each pair."""
    assert levels(hazards(drought=[9, 5, 7, 9, 9, 1])) == [EMERGENCY, WATCH, WATCH, WARNING, EMERGENCY, NORMAL]


def test_one_month_of_persistence_is_the_month_itself():
    assert levels(hazards(drought=[9, 5, 1]), persistence_months=1) == [EMERGENCY, WATCH, NORMAL]


def test_a_masked_month_neither_ends_nor_lengthens_a_spell():
    """7, masked, 7: nothing is known in between, and the two observed months make a warning."""
    assert levels(hazards(drought=[1, 7, NAN, 7, NAN, 1])) == [NORMAL, NORMAL, NO_DATA, WARNING, NO_DATA, NORMAL]


def test_a_carried_value_is_no_second_observation():
    """1, 7, and the same 7 carried: still one month above, so normal; a second observed 7 is a warning."""
    carried = hazards(drought=[1, 7, 7], ages={"drought": [0, 0, 1]})
    observed = hazards(drought=[1, 7, 7], ages={"drought": [0, 0, 0]})
    assert levels(carried)[-1] == NORMAL
    assert levels(observed)[-1] == WARNING


def test_a_yearly_reading_is_one_observation_that_lasts_a_year():
    """Two readings, 7 known two months late and then 9: each warns at once, and is 12 months, not one a month."""
    scores, ages = [7] * 12 + [9] * 3, [*range(2, 14), 2, 3, 4]
    ds = hazards(water=scores, ages={"water": ages})
    out = warning(ds, ["water"], period_months={"water": 12})
    assert out.alert_level.values.ravel().tolist() == [WARNING] * 12 + [EMERGENCY] * 3
    assert out.alert_months.values.ravel().tolist() == [12] * 15
    lower = warning(hazards(water=scores[::-1], ages={"water": ages}), ["water"], period_months={"water": 12})
    assert lower.score_months.values.ravel()[-1] == 24
    with pytest.raises(ValueError, match="1 or more"):
        warning(ds, ["water"], period_months={"water": 0})


def test_a_year_and_a_half_asked_for_is_two_yearly_readings():
    ds = hazards(water=[9] * 12 + [9] * 2, ages={"water": [*range(12), 0, 1]})
    low_first = hazards(water=[1] * 12 + [9] * 2, ages={"water": [*range(12), 0, 1]})
    for case, level in ((ds, EMERGENCY), (low_first, NORMAL)):
        out = warning(case, ["water"], period_months={"water": 12}, persistence_months=18)
        assert out.alert_level.values.ravel()[-1] == level


def test_a_carried_level_holds_until_it_is_stale():
    """7, 7, carried, stale: the warning stands one month longer, then nothing is known."""
    ds = hazards(
        drought=[7, 7, 7, 7], ages={"drought": [0, 0, 1, 2]}, statuses={"drought": ["ok", "ok", "ok", "stale"]}
    )
    assert levels(ds) == [WARNING, WARNING, WARNING, NO_DATA]


@pytest.mark.parametrize("status", [s.name for s in Status])
def test_only_statuses_that_raise_alerts_do(status):
    """An emergency score under each status; NO_DATA under the others, never NORMAL."""
    kept = status in {"ok", "stale", "resolution_limited", "out_of_support"}
    ds = hazards(drought=[9.0 if kept else NAN] * 2, statuses={"drought": [status] * 2})
    expected = EMERGENCY if status in {"ok", "resolution_limited", "out_of_support"} else NO_DATA
    out = warning(ds, ["drought"])
    assert out.alert_level.values.ravel().tolist() == [expected] * 2
    assert bool(out.warning_score.notnull().all()) == (expected == EMERGENCY)


def test_the_worst_hazard_speaks_and_the_highest_score_is_of_now():
    """Drought is past its peak of two months; heavy rain is new and highest, not yet persistent."""
    ds = hazards(drought=[6.5, 6.5], heavy_rain=[1, 9])
    out = warning(ds, ["drought", "heavy_rain"])
    assert out.warning_score.values[-1].item() == 9
    assert out.alert_level.values[-1].item() == WARNING
    assert flag_words(out.alert_hazard).ravel()[-1] == "drought"
    assert flag_words(out.warning_hazard).ravel()[-1] == "heavy_rain"


def test_each_hazard_has_its_own_thresholds():
    ds = hazards(drought=[5, 5], water=[5, 5])
    strict = {"drought": (2, 3, 5), "water": (6, 7, 8)}
    out = warning(ds, ["water", "drought"], thresholds=strict)
    assert out.alert_level.values[-1].item() == EMERGENCY
    assert flag_words(out.alert_hazard).ravel()[-1] == "drought"


@laws
@given(
    st.lists(st.one_of(st.floats(0, 10), st.just(NAN)), min_size=1, max_size=12),
    st.floats(0.5, 9),
    st.floats(0, 3),
    st.integers(1, 4),
)
def test_raising_a_threshold_never_raises_a_level(scores, lowest, more, persistence):
    ds = hazards(drought=scores)
    low, high = (lowest, 9.0, 9.5), (min(lowest + more, 9.0), 9.0, 9.5)
    before, after = (levels(ds, thresholds=t, persistence_months=persistence) for t in (low, high))
    assert all(a <= b for a, b in zip(after, before, strict=True))


@laws
@given(st.lists(st.one_of(st.floats(0, 10), st.just(NAN)), min_size=1, max_size=12), st.integers(0, 11))
def test_a_higher_score_never_lowers_a_level(scores, which):
    higher = list(scores)
    higher[which % len(scores)] = 10.0 if not np.isnan(higher[which % len(scores)]) else NAN
    before, after = levels(hazards(drought=scores)), levels(hazards(drought=higher))
    assert all(a >= b for a, b in zip(after, before, strict=True))


@laws
@given(st.lists(st.one_of(st.floats(0, 10), st.just(NAN)), min_size=1, max_size=12))
def test_no_data_is_where_nothing_is_observed_and_nowhere_else(scores):
    assert [level == NO_DATA for level in levels(hazards(drought=scores))] == np.isnan(scores).tolist()


def test_order_of_units_does_not_matter():
    rng = np.random.default_rng(0)
    times = pd.date_range("2001-01", periods=10, freq="MS")
    values = xr.DataArray(
        rng.uniform(0, 10, (10, 8)), dims=("time", "pcode"), coords={"time": times, "pcode": list("ABCDEFGH")}
    )
    ds = xr.Dataset({"hazard_drought": values, "hazard_drought_status": status_like(values)})
    order = rng.permutation(8)
    xr.testing.assert_identical(warning(ds, ["drought"]).isel(pcode=order), warning(ds.isel(pcode=order), ["drought"]))


@pytest.mark.parametrize("thresholds", [(4, 6), (6, 4, 8)])
def test_thresholds_that_do_not_rise_are_refused(thresholds):
    with pytest.raises(ValueError, match="three rising"):
        levels(hazards(drought=[1]), thresholds=thresholds)


def test_no_hazard_and_no_persistence_are_refused():
    with pytest.raises(ContractError, match="none of"):
        warning(hazards(drought=[1]), ["salinity"])
    with pytest.raises(ValueError, match="1 or more"):
        levels(hazards(drought=[1]), persistence_months=0)


def test_a_hazard_that_strikes_within_a_month_may_persist_for_one():
    """One month of heavy rain at 9: an emergency if it need not last, nothing if it must last two."""
    ds = hazards(drought=[1, 9], heavy_rain=[1, 9])
    assert levels(ds)[-1] == NORMAL
    out = warning(ds, ["drought", "heavy_rain"], persistence_months={"heavy_rain": 1})
    assert out.alert_level.values[-1].item() == EMERGENCY
    assert flag_words(out.alert_hazard).ravel()[-1] == "heavy_rain"


# ------------------------------------------------------------------ reasons


def reason(ds, names, **kwargs):
    alerts = warning(ds, names, **kwargs)
    row = warning_reasons(alerts, ds, alerts.time.values[-1]).loc["U0"]
    return row.reason_code, row.reason_values


def test_the_reason_names_index_scale_rank_threshold_and_months():
    """Three dry months: SPI-12 of -1.6, drier than in 9 of 10 years."""
    ds = hazards(drought=[6.2, 6.4, 6.4])
    ds["drought_index"] = ds.hazard_drought * 0 - 1.6
    ds["drought_percentile"] = ds.hazard_drought * 0 + 0.0548
    ds["drought_scale_months"] = ds.hazard_drought * 0 + 12
    ds["drought_age_months"] = ds.hazard_drought * 0
    code, values = reason(ds, ["drought"])
    assert code == "above_threshold"
    assert values == {
        "hazard": "drought",
        "score": pytest.approx(6.4),
        "threshold": 6.0,
        "months": 3,
        "index": "drought_index",
        "index_value": pytest.approx(-1.6),
        "scale_months": 12,
        "percentile": pytest.approx(0.0548),
        "years_of_ten": 9,
        "worse_when": "low",
        "age_months": 0,
    }


def test_heavy_rain_is_worse_when_high():
    ds = hazards(heavy_rain=[8.5, 8.5])
    ds["heavy_rain_percentile"] = ds.hazard_heavy_rain * 0 + 0.96
    _, values = reason(ds, ["heavy_rain"])
    assert (values["years_of_ten"], values["worse_when"], values["index"]) == (9, "high", "heavy_rain_percentile")


@pytest.mark.parametrize(
    ("scores", "code"),
    [([NAN, NAN], "no_data"), ([1, 1], "normal"), ([1, 7], "not_persistent"), ([7, 7], "above_threshold")],
)
def test_every_level_has_its_code(scores, code):
    assert code in REASON_CODES
    assert reason(hazards(drought=scores), ["drought"])[0] == code


def test_a_level_not_yet_persistent_names_the_threshold_it_waits_at():
    _, values = reason(hazards(drought=[1, 7]), ["drought"])
    assert (values["threshold"], values["months"]) == (6.0, 1)


def test_months_above_do_not_count_masked_ones():
    _, values = reason(hazards(drought=[7, NAN, 7, NAN, 7]), ["drought"])
    assert values["months"] == 3


def test_months_of_a_level_not_yet_persistent_are_counted_too():
    """Three months are asked for; two of 7 stand."""
    code, values = reason(hazards(drought=[1, 7, 7]), ["drought"], persistence_months=3)
    assert (code, values["months"], values["threshold"]) == ("not_persistent", 2, 6.0)
