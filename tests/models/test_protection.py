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
    CHAINS,
    FEWEST_FOR_SHARES,
    REASONS,
    STAND_IN,
    SUBSETS,
    account_is_safe,
    interval,
    intervals,
    part_between,
    people,
    protect,
    share,
    shares_in_steps,
    split_by_running_totals,
    stand_in,
    total_by,
)

COUNTS = ("households", *SUBSETS)
LINKS = tuple(link for chain in CHAINS for link in pairwise(chain))


@st.composite
def true_counts(draw, max_units=6):
    """Households per unit with nested counts; small numbers are common, as in the field."""
    rows = []
    for _ in range(draw(st.integers(2, max_units))):
        households = draw(st.one_of(st.integers(0, 9), st.integers(0, 400)))
        chains = [sorted(draw(st.integers(0, households)) for _ in chain[1:]) for chain in CHAINS]
        rows.append([households, *(count for chain in chains for count in chain)])
    index = pd.Index([f"IQ{n:02d}" for n in range(len(rows))], name="pcode")
    return pd.DataFrame(rows, index=index, columns=list(COUNTS))


class Attack:
    """What an attacker can write down: one unknown per cell, and what the products say of it."""

    def __init__(self, protected):
        self.cells = [(pcode, name) for pcode in protected.index for name in COUNTS]
        self.bounds = [interval(protected.loc[pcode, name]) for pcode, name in self.cells]
        self.at_most, self.at_most_value, self.equal, self.equal_value = [], [], [], []
        for pcode in protected.index:
            for part, whole in LINKS:
                self.add_at_most({(pcode, part): 1, (pcode, whole): -1}, 0)

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
        ({"households": [5], "protracted": [3], "settled": [2]}, "protracted exceeds settled"),
        ({"households": [5], "climate": [3], "not_conflict": [2]}, "climate exceeds not_conflict"),
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
    chain = next(chain for chain in CHAINS if name in chain)
    return chain[: chain.index(name)], chain[chain.index(name) + 1 :]


def same_release(a, b):
    return all(x.equals(y) for x, y in zip(a, b, strict=True))


@settings(max_examples=3, deadline=None)
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
        camp_or_critical=5, protracted=3, settled=8, climate=0, climate_or_mixed=0, climate_at_most=0, not_conflict=0
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
    none = dict.fromkeys(SUBSETS, 0)
    counts = pd.DataFrame({"households": [2]}, index=["A"]).assign(**none | {"critical": 1, "camp_or_critical": 1})
    attack = Attack(protect(counts))
    assert attack.narrowed() == {}
    # read the second count as that of camps alone, apart from critical shelter
    del attack.at_most[0], attack.at_most_value[0]
    attack.add_at_most({("A", "critical"): 1, ("A", "camp_or_critical"): 1, ("A", "households"): -1}, 0)
    assert attack.narrowed()[("A", "critical")] == (1, 3)


# ------------------------------------------------------------------ a whole in parts


def parts_of(cells):
    """Reason -> what is told of it."""
    below = [None, *list(REASONS.values())[:-1]]
    return {r: part_between(cells, b, a) for b, (r, a) in zip(below, REASONS.items(), strict=True)}


@given(true_counts())
def test_printed_parts_lie_near_the_truth_and_nobody_is_told_where_there_may_be_some(counts):
    """By less than 10 households; 0 is printed where it is 0, and only then."""
    running = counts[list(REASONS.values())]
    exact = running.diff(axis=1).fillna({"climate": running["climate"]})
    for (_reason, told), name in zip(parts_of(protect(counts)).items(), running, strict=True):
        known = told["value"].notna()
        assert ((told["value"] - exact[name]).abs()[known] < 10).all()
        assert (exact[name][known & (told["value"] == 0)] == 0).all()
        assert (told["status"] == "ok").equals(known)


@given(true_counts())
def test_parts_for_sums_are_of_the_classes_alone_and_add_up_to_the_protected_whole(counts):
    exact = counts[["climate", "climate_or_mixed"]].diff(axis=1).fillna({"climate": counts["climate"]})
    found = split_by_running_totals(exact, counts["households"])
    np.testing.assert_allclose(found.sum(axis=1), stand_in(protect(counts)))
    assert (found >= 0).all(axis=None)
    other = counts.copy()
    for name in COUNTS:
        other[name] = intervals(protect(counts), name)["high"]
    again = other[["climate", "climate_or_mixed"]].diff(axis=1).fillna({"climate": other["climate"]})
    pd.testing.assert_frame_equal(found, split_by_running_totals(again, other["households"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=5), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_shares_in_steps_rule_out_no_whole_that_the_cells_allow(units, parts):
    """For each possible whole there are whole parts with the same shares, so no cell is narrowed."""
    total = sum(units)
    parts = pd.DataFrame([[*parts, max(total - sum(parts), 0)]], dtype=float)
    cells = intervals(protect(pd.DataFrame({"households": units})))
    low, high = cells["low"].sum(), cells["high"].sum()
    told = shares_in_steps(parts, pd.Series([low]))
    assert told.isna().all(axis=None) == (low < FEWEST_FOR_SHARES or parts.sum(axis=None) == 0)
    if told.isna().any(axis=None):
        return
    assert told.sum(axis=1).round(9).tolist() == [1.0]
    steps = np.round(told.cumsum(axis=1).iloc[0].to_numpy() * 20)
    for whole in range(low, high + 1):
        running = np.clip(np.ceil((steps - 0.5) / 20 * whole - 1e-9), 0, whole)
        running[-1] = whole
        again = pd.DataFrame([np.diff(running, prepend=0)])
        assert (again >= 0).all(axis=None)
        pd.testing.assert_frame_equal(
            shares_in_steps(again, pd.Series([low])), told, check_names=False, check_column_type=False
        )


def test_mutation_new_arrivals_beside_those_of_long_ago_are_found():
    """16 households, 8 of long ago and 8 of this month, as 15, 10 and 10: of 8 to 12 only 8 and 9 are left."""
    counts = pd.DataFrame({"households": [16]}, index=["A"]).assign(**dict.fromkeys(SUBSETS, 8))
    attack = Attack(protect(counts))
    assert attack.narrowed() == {}
    # read the count of the settled as one of arrivals
    link = LINKS.index(("protracted", "settled"))
    del attack.at_most[link], attack.at_most_value[link]
    attack.add_at_most({("A", "protracted"): 1, ("A", "settled"): 1, ("A", "households"): -1}, 0)
    assert attack.narrowed()["A", "protracted"] == (8, 9)


def test_mutation_hiding_parts_where_they_would_narrow_tells_that_there_are_some():
    """10 households, 10 by climate: parts that are hidden when they are unsafe leave 9 to 12 of the 8 to 12."""

    def unsafe(households, climate):
        """The split of two parts narrows a cell: judged from the protected values of all three."""
        rest = households - climate
        cells = protect(pd.DataFrame({"households": [households, climate, rest]}))
        (low, high), *parts = intervals(cells).to_numpy().tolist()
        lows, highs = zip(*parts, strict=True)
        widest = max(high - low, *(b - a for a, b in parts))
        return sum(highs) - low < widest or high - sum(lows) < widest

    possible = {h for h in range(8, 13) for c in range(8, h + 1) if unsafe(h, c)}
    assert possible == {9, 10, 11, 12}
