"""Households that move: nobody is made, nobody is lost, and what is not known stays unknown."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geodata.schema import ContractError
from models.relocation import ARRIVING, COLUMNS, KINDS, LEAVING, PARTS, Movement, hosts, most_that_can_move, relocate

FIVES = st.integers(0, 400).map(lambda n: 5.0 * n)


@st.composite
def units(draw):
    """Two subdistricts and a third, with counts as they are published: parts among the whole."""
    rows = []
    for _ in range(3):
        households = draw(FIVES)
        shelter = sorted(min(draw(FIVES), households) for _ in range(2))
        others = [min(draw(FIVES), households) for _ in range(2)]
        rows.append([draw(st.integers(0, 10**6)) * 1.0, households, *shelter, *others])
    return pd.DataFrame(rows, index=pd.Index(list("ABC"), name="pcode"), columns=list(COLUMNS))


def how(included):
    return {"people_per_household": 6.0, "residents_include_displaced": included}


def people(counts, included):
    """Everyone who is there: residents and displaced people, each once."""
    return hosts(counts, **how(included)) + counts["households"].fillna(0.0) * 6.0


@st.composite
def moves(draw):
    """Counts, a movement that they allow, and whether displaced people are among the residents."""
    counts, included = draw(units()), draw(st.booleans())
    a, b, _ = draw(st.permutations(list("ABC")))
    words = [draw(st.sampled_from(w)) for w in (KINDS, LEAVING, ARRIVING)]
    most = most_that_can_move(counts, Movement(a, b, 1, *words), **how(included))
    assume(most >= 1)
    return counts, Movement(a, b, draw(st.integers(1, int(most))), *words), included


@given(moves())
def test_nobody_is_made_and_nobody_is_lost(case):
    """Households and people, whoever moves, from where to where, and however residents are counted."""
    counts, move, included = case
    n, after = move.households, relocate(counts, move, **how(included))
    change = {"displaced": 0, "return": -n, "evacuation": n}[move.kind]
    assert after["households"].sum() - counts["households"].sum() == pytest.approx(change)
    assert people(after, included).sum() == pytest.approx(people(counts, included).sum())
    there, was = people(after, included)[move.destination], people(counts, included)[move.destination]
    assert there - was == pytest.approx(6 * n)
    (other,) = set("ABC") - {move.origin, move.destination}
    pd.testing.assert_series_equal(after.loc[other], counts.loc[other])
    if (move.kind, move.leaving, move.arriving) == ("displaced", "any", "same"):
        pd.testing.assert_series_equal(after[list(PARTS)].sum(), counts[list(PARTS)].sum())


@given(moves())
def test_every_part_stays_a_part(case):
    """None below 0, none above the households that it is among; critical shelter is among camps or critical."""
    counts, move, included = case
    after = relocate(counts, move, **how(included))
    slack = 1e-6
    assert (after >= -slack).all().all()
    for part in PARTS:
        assert (after[part] <= after["households"] + slack).all(), part
    assert (after["critical"] <= after["camp_or_critical"] + slack).all()


@given(units(), st.data())
def test_there_and_back_is_as_before(counts, data):
    """From one kind of shelter and back into it."""
    most = most_that_can_move(counts, Movement("A", "B", 1, leaving="critical"), **how(False))
    assume(most >= 1)
    n = data.draw(st.integers(1, int(most)))
    there = relocate(counts, Movement("A", "B", n, "displaced", "critical", "critical"), **how(False))
    back = relocate(there, Movement("B", "A", n, "displaced", "critical", "critical"), **how(False))
    columns = ["residents", "households", "critical", "camp_or_critical"]
    pd.testing.assert_frame_equal(back[columns], counts[columns])


def two(**changes):
    rows = {"A": [1000.0, 100.0, 20.0, 60.0, 50.0, 0.0], "B": [6000.0, 40.0, 0.0, 0.0, 40.0, 40.0]}
    counts = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    for place, value in changes.items():
        counts.loc[place[0], place[2:]] = value
    return counts


def test_a_camp_that_closes():
    """Ten households leave camps at A and live in critical shelter at B: numbers that can be checked by eye."""
    after = relocate(two(), Movement("A", "B", 10, "displaced", "camp", "critical"), **how(False))
    assert after.loc["A"].tolist() == [1000, 90, 20, 50, 45, 0]
    assert after.loc["B"].tolist() == [6000, 50, 10, 10, 45, 40]


def test_a_return_and_an_evacuation():
    """Who returns lives among the residents; who is evacuated is displaced anew."""
    after = relocate(two(), Movement("A", "B", 10, "return"), **how(False))
    assert after[["residents", "households"]].values.tolist() == [[1000, 90], [6060, 40]]
    after = relocate(two(), Movement("A", "B", 10, "evacuation", arriving="camp"), **how(False))
    assert after.loc["A"].tolist() == [940, 100, 20, 60, 50, 0]
    assert after.loc["B"].tolist() == [6000, 50, 0, 10, 40, 40]


def test_how_many_can_move():
    """As many as are published there, in the shelter that is left; residents for an evacuation."""
    asked = [("displaced", "any"), ("displaced", "camp"), ("return", "critical"), ("evacuation", "any")]
    found = [most_that_can_move(two(), Movement("A", "B", 1, k, s), **how(False)) for k, s in asked]
    assert found == [100, 40, 20, 166]
    assert np.isnan(most_that_can_move(two(A_households=np.nan), Movement("A", "B", 1), **how(False)))
    assert np.isnan(most_that_can_move(two(A_critical=np.nan), Movement("A", "B", 1, leaving="camp"), **how(False)))


def test_where_nobody_counted_those_who_came_are_known_and_nothing_of_the_others():
    """Unknown plus ten is ten or more; no share of them is made up."""
    unknown = two(B_households=np.nan, B_critical=np.nan, B_camp_or_critical=np.nan, B_protracted=np.nan)
    after = relocate(unknown, Movement("A", "B", 10), **how(False))
    assert after.at["B", "households"] == 10
    assert after.loc["B", ["critical", "camp_or_critical", "protracted"]].isna().all()


@pytest.mark.parametrize(
    "wrong", [("A", "A", 1), ("A", "B", 0), ("A", "B", 1, "flight"), ("A", "B", 1, "return", "tents")]
)
def test_a_movement_that_is_none_is_refused(wrong):
    """The command line has told the user before."""
    with pytest.raises(ContractError, match="movement"):
        Movement(*wrong)
