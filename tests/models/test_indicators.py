"""The indicator sheet: scores by hand, what is not assessed stays missing, every fault told at once."""

import datetime
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import InputError
from models.composite import evaluate, inform
from models.indicators import Indicator, indicator_sheet

laws = settings(max_examples=60, deadline=None)


def row(**cells):
    """One row as a CSV gives it: text."""
    return {
        "name": "critical", "dimension": "vulnerability", "direction": "higher_is_worse", "lowest": "0", "highest": "1",
        "weight": "0.5", "source": "IOM DTM", "date": "2019-08-01", **cells,
    }  # fmt: skip


WOMEN = row(name="women_headed", source="", date="", assessed="false", why="no source is named yet")
CAMPS = row(name="camps", weight="0.25")
LONG = row(name="protracted", weight="0.25")
DOCTORS = row(name="doctors", dimension="lack_of_coping", direction="lower_is_worse", highest="4", weight="1")


def sheet(*rows):
    return indicator_sheet(rows, file="indicators.csv")


def faults(*rows):
    with pytest.raises(InputError) as caught:
        sheet(*rows)
    return [(f.field, f.found, f.expected) for f in caught.value.findings]


# ------------------------------------------------------------------ scores


@pytest.mark.parametrize(
    ("cells", "value", "score"),
    [
        ({}, 0.25, 2.5),
        ({}, 0.0, 0.0),
        ({}, 2.0, 10.0),
        ({"direction": "lower_is_worse"}, 0.25, 7.5),
        ({"direction": "lower_is_worse"}, 0.0, 10.0),
        ({"transform": "log10", "lowest": "1", "highest": "10000"}, 100.0, 5.0),
        ({"transform": "log10", "lowest": "1", "highest": "10000"}, 0.0, 0.0),
        ({"transform": "log", "lowest": "0", "highest": "0.999"}, 0.0306228, 5.0),  # ln 0.001 to ln 1, halfway
        ({}, np.nan, np.nan),
    ],
)
def test_a_score_by_hand(cells, value, score):
    assert Indicator(**row(**cells)).score(np.array(value)) == pytest.approx(score, abs=1e-4, nan_ok=True)


rows = st.builds(
    lambda low, width, direction, transform: Indicator(
        **row(lowest=low, highest=low + width, direction=direction, transform=transform)
    ),
    st.floats(0.01, 50),
    st.floats(0.1, 1000),
    st.sampled_from(["higher_is_worse", "lower_is_worse"]),
    st.sampled_from(["none", "log10", "log"]),
)


@laws
@given(rows, st.floats(-10, 2000), st.floats(0, 100))
def test_a_worse_value_has_no_lower_score_and_scores_stay_inside_the_scale(indicator, value, more):
    before, after = (float(indicator.score(np.array(v))) for v in (value, value + more))
    sign = 1 if indicator.direction == "higher_is_worse" else -1
    assert sign * (after - before) >= -1e-9
    assert 0 <= before <= 10


@laws
@given(rows, st.floats(0, 10))
def test_the_value_of_a_score_has_that_score(indicator, score):
    assert indicator.score(indicator.value_of(np.array(score))) == pytest.approx(score, abs=1e-6)


# ------------------------------------------------------------------ not assessed


def test_a_row_without_a_source_is_left_out_of_the_mean_and_counted_as_missing():
    """Half of the weight is not assessed: the other two share all of it, and a third of the rows says nothing."""
    own = sheet(WOMEN, CAMPS, LONG)
    assert own.weights() == {"vulnerability": {"camps": 0.5, "protracted": 0.5}}
    scores = own.scores({"camps": np.array([0.2, 0.2]), "protracted": np.array([0.6, np.nan])})
    assert set(scores) == {"camps", "protracted"}
    tree = inform(["a"], indicators=own.parts(), weights=own.weights())
    values = {"hazard_a": np.full(2, 5.0), "exposure": np.full(2, 5.0), **scores}
    at = evaluate(tree, values)["vulnerability"]
    np.testing.assert_allclose(at, [4.0, np.nan])  # one of two equal weights is less than two thirds
    np.testing.assert_allclose(own.missing_share(scores), [1 / 3, 2 / 3])
    assert [i.name for i in own.not_assessed] == ["women_headed"]


def test_naming_a_source_can_only_lower_what_is_missing():
    known = {"critical": np.array([0.2]), "women_headed": np.array([0.1])}
    without, with_source = sheet(row(), WOMEN), sheet(row(), row(name="women_headed"))
    shares = [s.missing_share(s.scores(known))[0] for s in (without, with_source)]
    assert shares == [0.5, 0.0]


def test_values_that_no_reader_gave_are_not_known_anywhere():
    own = sheet(row(), row(name="camps"))
    scores = own.scores({"critical": np.array([0.5, 0.1])})
    assert np.isnan(scores["camps"]).all()
    assert scores["camps"].shape == (2,)
    assert own.missing_share(scores).tolist() == [0.5, 0.5]


def test_a_sheet_where_nothing_is_assessed_has_no_dimension():
    own = sheet(row(source="", date="", assessed="no", weight="1"))
    assert own.dimensions == ()
    assert own.missing_share({}) == 1.0


def test_dimensions_stand_apart():
    assert sheet(row(weight="1"), DOCTORS).parts() == {"vulnerability": ["critical"], "lack_of_coping": ["doctors"]}


def test_text_of_a_table_and_values_of_toml_make_the_same_sheet():
    typed = row(lowest=0, highest=1.0, weight=1, date=datetime.date(2019, 8, 1), assessed=True)
    assert sheet(row(weight="1")) == sheet(typed)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("cells", "field", "found"),
    [
        ({"highest": "0"}, "row", "lowest 0 and highest 0"),
        ({"lowest": "2"}, "row", "lowest 2 and highest 1"),
        ({"weight": "-0.5"}, "weight", "'-0.5'"),
        ({"weight": "=1/2"}, "weight", "'=1/2'"),
        ({"weight": "nan"}, "weight", "'nan'"),
        ({"lowest": True}, "lowest", "True"),
        ({"lowest": "few"}, "lowest", "'few'"),
        ({"source": "=HYPERLINK(1)"}, "source", "'=HYPERLINK(1)'"),
        ({"source": "a\x00b"}, "source", "'a\\x00b'"),
        ({"source": " "}, "row", "no source or no date"),
        ({"date": ""}, "row", "no source or no date"),
        ({"date": "2019-13-01"}, "date", "'2019-13-01'"),
        ({"transform": "log10"}, "row", "lowest 0 with log10"),
        ({"transform": "sqrt"}, "transform", "'sqrt'"),
        ({"direction": "up"}, "direction", "'up'"),
        ({"dimension": "hazard"}, "dimension", "'hazard'"),
        ({"name": "Critical shelter"}, "name", "'Critical shelter'"),
        ({"wieght": "1"}, "wieght", "'1'"),
        ({"name": ""}, "name", "''"),
    ],
)
def test_a_bad_cell_is_named_with_its_row(cells, field, found):
    (place, told, expected), *more = faults(row(**cells), row(name="camps"))
    assert not more
    assert re.search(rf"^row 1 .*: {field}$", place)
    assert told == found
    assert expected


def test_everything_is_told_at_once():
    told = faults(row(weight="x"), row(name="camps", highest="-1"), row(name="camps"), row(name="camps"))
    assert [place.split(":")[0].split(" (")[0] for place, *_ in told] == ["row 1", "row 2", "camps"]


@pytest.mark.parametrize(("weights", "found"), [(("0.5", "0.4"), "sum to 0.9"), (("0.5", "0.6"), "sum to 1.1")])
def test_weights_of_a_dimension_that_do_not_sum_to_one_are_refused(weights, found):
    ((place, told, expected),) = faults(*(row(name=f"x{i}", weight=w) for i, w in enumerate(weights)))
    assert place == "vulnerability: weight"
    assert found in told
    assert expected == "1"


def test_a_sheet_without_rows_is_refused():
    assert faults() == [("indicators", "no row", "one or more")]
