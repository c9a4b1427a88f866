"""The disclosure rule, and the attacks it must withstand.

Oracle: linear programmes (HiGHS) that know the rule and everything published, and look for
the smallest and largest true value of each cell. Classes are intervals with whole ends and
each constraint is an interval, a difference or one sum, so the programme's bounds are those
of whole numbers.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from geodata.schema import ContractError
from models.protection import (
    CHAIN,
    STAND_IN,
    SUBSETS,
    account_is_safe,
    interval,
    intervals,
    people,
    protect,
    share,
    stand_in,
    total_by,
)

COUNTS = ("households", *SUBSETS)


@st.composite
def true_counts(draw, max_units=6):
    """Households per unit with nested counts; small numbers are common, as in the field."""
    rows = []
    for _ in range(draw(st.integers(2, max_units))):
        households = draw(st.one_of(st.integers(0, 9), st.integers(0, 400)))
        either = draw(st.integers(0, households))
        others = [draw(st.integers(0, households)) for _ in SUBSETS[2:]]
        rows.append([households, draw(st.integers(0, either)), either, *others])
    index = pd.Index([f"IQ{n:02d}" for n in range(len(rows))], name="pcode")
    return pd.DataFrame(rows, index=index, columns=list(COUNTS))


class Attack:
    """What an attacker can write down: one unknown per cell, and what the products say of it."""

    def __init__(self, protected):
        self.cells = [(pcode, name) for pcode in protected.index for name in COUNTS]
        self.bounds = [interval(protected.loc[pcode, name]) for pcode, name in self.cells]
        self.at_most, self.at_most_value, self.equal, self.equal_value = [], [], [], []
        for pcode in protected.index:
            for name in SUBSETS:
                self.add_at_most({(pcode, name): 1, (pcode, "households"): -1}, 0)
            self.add_at_most({(pcode, "critical"): 1, (pcode, "camp_or_critical"): -1}, 0)

    def row(self, terms):
        row = np.zeros(len(self.cells))
        for cell, factor in terms.items():
            row[self.cells.index(cell)] = factor
        return row

    def add_at_most(self, terms, value):
        self.at_most.append(self.row(terms))
        self.at_most_value.append(value)

    def add_equal(self, terms, value):
        self.equal.append(self.row(terms))
        self.equal_value.append(value)

    def ranges(self):
        """Smallest and largest possible true value of each cell."""
        found = {}
        for n, cell in enumerate(self.cells):
            ends = []
            for sign in (1, -1):
                goal = np.zeros(len(self.cells))
                goal[n] = sign
                answer = linprog(
                    goal,
                    A_ub=self.at_most or None,
                    b_ub=self.at_most_value or None,
                    A_eq=self.equal or None,
                    b_eq=self.equal_value or None,
                    bounds=self.bounds,
                    method="highs",
                )
                assert answer.success, answer.message
                ends.append(round(sign * answer.fun))
            found[cell] = tuple(ends)
        return found

    def narrowed(self):
        """Cells of which the products tell more than the rule does."""
        return {c: r for (c, r), b in zip(self.ranges().items(), self.bounds, strict=True) if r != b}


# ------------------------------------------------------------------ the rule


@pytest.mark.parametrize(
    ("true", "published"), [(0, 0), (1, None), (4, None), (5, 5), (7, 5), (8, 10), (12, 10), (13, 15), (341, 340)]
)
def test_the_rule_of_one_cell(true, published):
    """0 | 1-4 suppressed | 5-7 -> 5 | 8-12 -> 10 | ..."""
    cell = protect(pd.DataFrame({"households": [true]}, index=["A"])).iloc[0]
    if published is None:
        assert np.isnan(cell["households"])
        assert cell["households_status"] == "suppressed"
    else:
        assert (cell["households"], cell["households_status"]) == (published, "ok")


def test_not_counted_stays_unknown_and_is_not_zero():
    cell = protect(pd.DataFrame({"households": [12], "climate": [np.nan]}, index=["A"])).iloc[0]
    assert np.isnan(cell["climate"])
    assert cell["climate_status"] == "input_missing"


@given(st.integers(0, 10_000))
def test_the_interval_holds_the_true_count_and_its_whole_class(true):
    """Every count of the interval is published the same, its neighbours are not."""
    published = protect(pd.DataFrame({"households": [true]}, index=["A"]))["households"].iloc[0]
    low, high = interval(published)
    assert low <= true <= high
    around = pd.DataFrame({"households": [max(low - 1, 0), low, high, high + 1]}, index=list("ABCD"))
    same = protect(around)["households"].map(interval) == (low, high)
    assert same.tolist() == [low == 0, True, True, False]


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_larger_count_is_never_published_smaller(a, b):
    """With 1-4 read as the class between 0 and 5."""
    cells = protect(pd.DataFrame({"households": sorted([a, b])}, index=["A", "B"]))
    assert stand_in(cells).is_monotonic_increasing


@given(true_counts(), st.randoms())
def test_a_cell_is_protected_alike_whoever_stands_beside_it(counts, random):
    """Protection looks at one cell: order and company of the units change nothing."""
    some = random.sample(list(counts.index), k=len(counts) // 2 + 1)
    pd.testing.assert_frame_equal(protect(counts.loc[some]), protect(counts).loc[some])


def test_people_are_derived_from_protected_households_and_never_pass_exact():
    """7 households of 6 are published as 5 x 6 = 30 people, not 42."""
    exact = pd.DataFrame({"households": [7, 2], "people": [42, 12]}, index=["A", "B"])
    cells = protect(exact)
    assert "people" not in cells
    derived = people(cells, 6)
    assert derived["people"].tolist()[0] == 30
    assert derived["people_status"].tolist() == ["ok", "suppressed"]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"households": [-1]}, "0 or more"),
        ({"households": [2.5]}, "whole counts"),
        ({"critical": [1]}, "households"),
        ({"households": [5], "critical": [6]}, "critical exceeds households"),
        ({"households": [5], "camp_or_critical": [6]}, "camp_or_critical exceeds households"),
        ({"households": [5], "critical": [3], "camp_or_critical": [2]}, "critical exceeds camp_or_critical"),
    ],
)
def test_counts_that_cannot_be_are_a_fault(counts, said):
    with pytest.raises(ContractError, match=said):
        protect(pd.DataFrame(counts, index=["A"]))


@pytest.mark.parametrize("published", [-5, 3, 7.5])
def test_no_interval_for_a_number_the_rule_never_publishes(published):
    with pytest.raises(ContractError, match="multiple of 5"):
        interval(published)


# ------------------------------------------------------------------ shares and totals


def test_shares_come_from_protected_cells():
    """8 of 42 households is 10 of 40; a suppressed part counts 2.5; few households give no share."""
    exact = pd.DataFrame({"households": [42, 42, 3, 0, np.nan], "critical": [8, 1, 3, 0, np.nan]}, index=list("ABCDE"))
    found = share(protect(exact), "critical")
    assert found["critical_share"].tolist()[:2] == [0.25, STAND_IN / 40]
    assert found["critical_share"].isna().tolist()[2:] == [True, True, True]
    assert found["critical_share_status"].tolist() == ["ok", "ok", "suppressed", "insufficient_data", "input_missing"]


@given(true_counts())
def test_a_share_lies_between_none_and_all(counts):
    for name in SUBSETS:
        known = share(protect(counts), name)[f"{name}_share"].dropna()
        assert known.between(0, 1).all()


def test_totals_are_sums_of_protected_cells_and_say_how_many_stay_out():
    """12 + 3 + 40 households: 10 + (suppressed) + 40 = 50, one left out; not 55."""
    cells = protect(pd.DataFrame({"households": [12, 3, 40, 2, np.nan]}, index=list("ABCDE")))
    parent = pd.Series(["G1", "G1", "G1", "G2", "G3"], index=list("ABCDE"), name="adm1_pcode")
    totals = total_by(cells, parent)
    assert totals.index.name == "adm1_pcode"
    assert totals["households"].tolist()[:2] == [50, 0]
    assert np.isnan(totals.loc["G3", "households"])
    assert totals["households_suppressed"].tolist() == [1, 1, 0]
    assert totals["households_missing"].tolist() == [0, 0, 1]


def test_a_unit_without_parent_is_a_fault():
    cells = protect(pd.DataFrame({"households": [12, 3]}, index=["A", "B"]))
    with pytest.raises(ContractError, match="'B'"):
        total_by(cells, pd.Series({"A": "G1"}))


# ------------------------------------------------------------------ attacks


@settings(max_examples=25, deadline=None)
@given(true_counts())
def test_the_unit_table_with_its_nested_counts_tells_the_rule_and_no_more(counts):
    """critical <= camp or critical <= households and protracted, climate <= households, all side by side."""
    assert Attack(protect(counts)).narrowed() == {}


def release(counts, parent):
    """Every number published of a round: cells, people, shares, totals."""
    cells = protect(counts)
    return [cells, people(cells, 6), *(share(cells, name) for name in SUBSETS), total_by(cells, parent)]


def neighbours(name):
    """Counts that are among those of a name, and those that they are among."""
    if name == "households":
        return SUBSETS, ()
    if name not in CHAIN:
        return (), ("households",)
    return CHAIN[: CHAIN.index(name)], CHAIN[CHAIN.index(name) + 1 :]


def same_release(a, b):
    return all(x.equals(y) for x, y in zip(a, b, strict=True))


@settings(max_examples=15, deadline=None)
@given(true_counts(max_units=4))
def test_governorate_totals_people_and_shares_tell_no_more(counts):
    """For each end of each cell's interval there is a true table, nested counts in order, whose
    every published number is the same: no product, however it is combined, can tell them apart."""
    parent = pd.Series([f"G{n % 2}" for n in range(len(counts))], index=counts.index)
    seen = release(counts, parent)
    for name in COUNTS:
        bounds = intervals(seen[0], name)
        for pcode in counts.index:
            for end in ("low", "high"):
                other = counts.copy()
                other.loc[pcode, name] = bounds.loc[pcode, end]
                below, above = neighbours(name)
                for among, extreme in [(b, "low") for b in below] + [(a, "high") for a in above]:
                    other.loc[pcode, among] = intervals(seen[0], among).loc[pcode, extreme]
                assert same_release(seen, release(other, parent))


@settings(max_examples=25, deadline=None)
@given(true_counts(max_units=5))
def test_governorate_totals_give_the_programme_nothing_to_hold(counts):
    """A published total is a sum of published cells: whatever the truth, it is what it is. The
    attacker may only write that the true total lies where the sums of the classes lie."""
    cells = protect(counts)
    attack = Attack(cells)
    bounds = intervals(cells)
    for half in (counts.index[::2], counts.index[1::2]):
        terms = {(pcode, "households"): 1 for pcode in half}
        attack.add_at_most(terms, bounds.loc[half, "high"].sum())
        attack.add_at_most({cell: -1 for cell in terms}, -bounds.loc[half, "low"].sum())
    assert attack.narrowed() == {}


@settings(max_examples=40, deadline=None)
@given(true_counts())
def test_an_exact_national_total_narrows_a_cell_exactly_when_the_account_says_unsafe(counts):
    """The one equality, with the nested counts beside it."""
    cells = protect(counts)
    total = int(counts["households"].sum())
    attack = Attack(cells)
    attack.add_equal({(pcode, "households"): 1 for pcode in counts.index}, total)
    assert account_is_safe(total, cells) == (attack.narrowed() == {})


def test_the_national_total_of_a_country_is_safe():
    """300 units of 0 to 2,000 households: far from both ends of what the classes allow."""
    counts = pd.DataFrame({"households": np.arange(300) ** 2 % 2003}, index=[f"IQ{n:03d}" for n in range(300)])
    assert account_is_safe(int(counts["households"].sum()), protect(counts))


def test_an_account_of_no_counted_unit_is_safe_only_if_empty():
    cells = protect(pd.DataFrame({"households": [np.nan]}, index=["A"]))
    assert account_is_safe(0, cells)
    assert not account_is_safe(3, cells)


# ------------------------------------------------------------------ mutations: the attack bites


def test_mutation_exact_governorate_totals_narrow_and_reveal_cells():
    """An exact 73 beside 70 and "few" leaves 69..72 of 68..72; an exact 3 beside 0 and "few" says 3."""
    counts = pd.DataFrame({"households": [72, 1, 3, 0]}, index=list("ABCD")).assign(**dict.fromkeys(SUBSETS, 0))
    attack = Attack(protect(counts))
    attack.add_equal({("A", "households"): 1, ("B", "households"): 1}, 73)
    attack.add_equal({("C", "households"): 1, ("D", "households"): 1}, 3)
    assert attack.narrowed() == {("A", "households"): (69, 72), ("C", "households"): (3, 3)}


def test_mutation_complementary_parts_narrow_their_whole():
    """8 households published as 10, of them 5 critical (5) and 3 not (few): at most 7 + 4 = 11."""
    counts = pd.DataFrame({"households": [8], "critical": [5]}, index=["A"]).assign(
        camp_or_critical=5, protracted=3, climate=0
    )
    attack = Attack(protect(counts))
    attack.add_equal({("A", "critical"): 1, ("A", "protracted"): 1, ("A", "households"): -1}, 0)
    assert attack.narrowed()[("A", "households")] == (8, 11)


def test_mutation_rounding_people_instead_of_households_leaks():
    """20 people rounded to 5 from households of 6 can only be 3 households: 18."""
    households = np.arange(1, 50)
    rounded_people = np.floor(households * 6 / 5 + 0.5) * 5
    assert households[rounded_people == 20].tolist() == [3]


def test_every_gap_between_classes_is_closed():
    """0 | 1-4 | 5-7 | 8-12 | 13-17: each true count belongs to exactly one class."""
    classes = [interval(p) for p in (0, None, 5, 10, 15, 20)]
    assert all(high + 1 == low for (_, high), (low, _) in pairwise(classes))


def test_mutation_camps_beside_critical_shelter_are_found():
    """2 households, one in a camp and one in critical shelter: as separate counts neither can be 4 of 1 to 4."""
    counts = pd.DataFrame({"households": [2], "critical": [1]}, index=["A"]).assign(
        camp_or_critical=1, protracted=0, climate=0
    )
    attack = Attack(protect(counts))
    assert attack.narrowed() == {}
    # read the second count as that of camps alone, apart from critical shelter
    attack.at_most.pop()
    attack.at_most_value.pop()
    attack.add_at_most({("A", "critical"): 1, ("A", "camp_or_critical"): 1, ("A", "households"): -1}, 0)
    assert attack.narrowed()[("A", "critical")] == (1, 3)
