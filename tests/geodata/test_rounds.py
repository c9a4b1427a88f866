"""Rounds like with like: no change in how DTM looks becomes a change in how many are displaced."""

import tomllib
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box

from geodata.boundaries import BoundaryOptions, read_boundaries
from geodata.displacement import DtmIdpList, read_sites
from geodata.placing import Placing, place_sites, units_at
from geodata.rounds import (
    PARTS,
    STATUSES,
    change_by_unit,
    comparability,
    compare_rounds,
    new_displacement,
    published_change,
    rounds_after,
    speaks_at,
)
from geodata.schema import ContractError, Findings, Status
from models.protection import protect

DEMO = Path(__file__).resolve().parents[2] / "flows" / "config" / "demo.toml"

# Four squares of a degree: two districts of governorate G, one district each of H and K.
UNITS = gpd.GeoDataFrame(
    {"adm1_pcode": ["G", "G", "H", "K"], "adm2_pcode": ["G1", "G2", "H1", "K1"]},
    index=pd.Index(["P1", "P2", "P3", "P4"], name="pcode"),
    geometry=[box(43 + n, 33, 44 + n, 34) for n in range(4)],
    crs="EPSG:4326",
)


def listed(**sites):
    """Sites as id=(lon, households) or id=(lon, households, name)."""
    frame = gpd.GeoDataFrame(
        {
            "site_id": list(sites),
            "name": [s[2] if len(s) > 2 else f"Village {i}" for i, s in sites.items()],
            "households": [float(s[1]) for s in sites.values()],
        },
        geometry=[Point(s[0], 33.5) if s[0] is not None else None for s in sites.values()],
        crs="EPSG:4326",
    )
    return frame.assign(pcode=units_at(frame.geometry, UNITS))


def compared(before, after, **options):
    panel = compare_rounds(before, after, UNITS, **options)
    return panel, change_by_unit(panel, UNITS.index)


def statuses(before, after, **options):
    return compared(before, after, **options)[0].set_index("site_id")["status"].to_dict()


# ------------------------------------------------------------------ what became of a location


def test_a_location_is_in_both_born_or_closed():
    before, after = listed(a=(43.5, 10), b=(43.6, 5)), listed(a=(43.5, 12), c=(43.7, 7))
    assert statuses(before, after) == {"a": "both", "b": "closed", "c": "born"}


def test_a_location_in_another_unit_or_far_from_where_it_was_has_moved():
    before = listed(a=(43.999, 10), b=(43.1, 5), c=(43.5, 5))
    after = listed(a=(44.001, 10), b=(43.3, 5), c=(43.51, 5))
    assert statuses(before, after) == {"a": "moved", "b": "moved", "c": "both"}


def test_a_new_id_at_the_same_place_with_the_same_name_is_the_same_location():
    before, after = listed(a=(43.5, 10, "Khana Sor")), listed(x=(43.501, 12, "Khanasor"))
    panel, change = compared(before, after)
    assert panel[["site_id", "id_before", "status"]].values.tolist() == [["x", "a", "renumbered"]]
    assert change.loc["P1", ["both", "born", "closed"]].tolist() == [2, 0, 0]


@pytest.mark.parametrize("other", [(43.52, 12, "Khana Sor"), (43.501, 12, "Sinuni"), (None, 12, "Khana Sor")])
def test_a_new_id_elsewhere_or_under_another_name_is_another_location(other):
    before, after = listed(a=(43.5, 10, "Khana Sor")), listed(x=other)
    assert sorted(statuses(before, after).values()) == ["born", "closed"]


def test_two_that_could_be_the_one_renumbered_are_none():
    before = listed(a=(43.5, 10, "Camp"))
    after = listed(x=(43.5005, 6, "Camp"), y=(43.4995, 6, "Camp"))
    assert sorted(statuses(before, after).values()) == ["born", "born", "closed"]


# ------------------------------------------------------------------ coverage


def test_a_district_seen_for_the_first_time_is_no_increase():
    """100 households in K, where nobody looked before."""
    before = listed(a=(43.5, 10))
    after = listed(a=(43.5, 10), x=(46.2, 50), y=(46.3, 30), z=(46.4, 20))
    panel, change = compared(before, after)
    assert change.loc["P4", ["newly_assessed", "born"]].tolist() == [100, 0]
    assert new_displacement(change, UNITS["adm1_pcode"])["new"].sum() == 0
    assert comparability(panel, UNITS)["P4"] == "coverage_changed"


def test_a_unit_that_neither_round_looked_at_is_not_comparable():
    """Locations in G1 alone: of G2, H and K no list says anything, and nobody counted is not nobody who came."""
    sites = listed(a=(43.5, 10), b=(43.6, 5))
    words = comparability(compared(sites, sites)[0], UNITS)
    assert words.tolist() == ["comparable", "not_covered", "not_covered", "not_covered"]
    before = protect(pd.DataFrame({"households": [15.0, 0.0, 0.0, 0.0]}, index=UNITS.index))
    told = published_change(before, before, words)
    assert told["change"].fillna(-1).tolist() == [0, -1, -1, -1]
    assert told["change_status"].tolist() == ["ok", *["insufficient_data"] * 3]


def test_a_unit_without_a_location_is_comparable_where_both_rounds_say_they_looked():
    """Declared: both assessed G and H, the later K too. P2 and P3 had nobody twice; K had nobody when first asked."""
    sites = listed(a=(43.5, 10))
    coverage = {"covered_before": ["G", "H1"], "covered_after": ["G", "H", "P4"]}
    words = comparability(compared(sites, sites, **coverage)[0], UNITS, **coverage)
    assert words.tolist() == ["comparable", "comparable", "comparable", "coverage_changed"]
    neither = {"covered_before": ["G1", "H"], "covered_after": ["G1", "H"]}
    words = comparability(compared(sites, sites, **neither)[0], UNITS, **neither)
    assert words.tolist() == ["comparable", "not_covered", "comparable", "not_covered"]


def test_a_unit_without_a_location_shares_the_coverage_of_its_district():
    """P1 and Q in one district: what is told of three new locations of P1 holds of Q, which has none."""
    both = pd.concat(
        [UNITS, UNITS.iloc[[0]].set_axis(pd.Index(["Q"], name="pcode")).set_geometry([box(50, 33, 51, 34)])]
    )
    first = listed(x=(45.5, 9))
    later = listed(x=(45.5, 9), a=(43.2, 10), b=(43.5, 5), c=(43.8, 5))
    words = comparability(compare_rounds(first, later, both), both)
    assert words[["P1", "Q", "P3"]].tolist() == ["coverage_changed", "coverage_changed", "comparable"]
    two = later[later["site_id"] != "c"]
    assert comparability(compare_rounds(first, two, both), both)["Q"] == "comparable"
    # Three that went on to P2 are known to both rounds: the district was emptied, not passed over.
    gone = listed(x=(45.5, 9), a=(44.2, 10), b=(44.5, 5), c=(44.8, 5))
    words = comparability(compare_rounds(later, gone, both), both)
    assert words[["P1", "P2", "Q", "P3"]].tolist() == ["relocation", "relocation", "comparable", "comparable"]


def test_a_district_that_vanishes_is_not_assessed_and_not_emptied():
    before = listed(a=(43.5, 10), x=(46.2, 50), y=(46.3, 30), z=(46.4, 20))
    _, change = compared(before, listed(a=(43.5, 10)))
    assert change.loc["P4", ["not_assessed", "closed"]].tolist() == [100, 0]
    assert new_displacement(change, UNITS["adm1_pcode"])["relocated"].sum() == 0


def test_declared_coverage_stands_over_what_is_inferred():
    """K was assessed and empty: three locations there are born; one alone in H, not assessed, is not."""
    before = listed(a=(43.5, 10))
    after = listed(a=(43.5, 10), x=(46.2, 50), y=(46.3, 30), z=(46.4, 20), h=(45.5, 9))
    found = statuses(before, after, covered_before=["G", "K1"])
    assert found == {"a": "both", "x": "born", "y": "born", "z": "born", "h": "newly_assessed"}


def test_the_unit_and_the_district_may_be_declared_too():
    before, after = listed(a=(43.5, 10)), listed(b=(44.5, 5), c=(45.5, 5))
    assert statuses(before, after, covered_before=["P2"], covered_after=["G1"]) == {
        "a": "closed",
        "b": "born",
        "c": "newly_assessed",
    }


# ------------------------------------------------------------------ stock and new arrivals


def test_a_camp_that_closes_into_the_villages_around_displaces_nobody_anew():
    """500 leave the camp: 300 into a village of P1, 200 into one of P2, in the same governorate."""
    before = listed(camp=(43.5, 500), a=(43.6, 100), b=(44.5, 50))
    after = listed(a=(43.6, 400), b=(44.5, 250))
    _, change = compared(before, after)
    arrivals = new_displacement(change, UNITS["adm1_pcode"])
    assert (change["households_after"] - change["households_before"]).sum() == 0
    assert arrivals["new"].tolist() == [0, 0, 0, 0, 0]
    assert arrivals["relocated"].sum() == 200


def test_what_closures_do_not_explain_is_new():
    """100 leave a camp in P1 and 160 arrive in P2: 60 are new. In another governorate all are."""
    before = listed(camp=(43.5, 100), b=(44.5, 50), h=(45.5, 10))
    after = listed(b=(44.5, 210), h=(45.5, 40))
    arrivals = new_displacement(compared(before, after)[1], UNITS["adm1_pcode"])
    assert arrivals.loc["P2", ["increase", "relocated", "new"]].tolist() == [160, 100, 60]
    assert arrivals.loc["P3", ["increase", "relocated", "new"]].tolist() == [30, 0, 30]


def test_a_location_that_moves_to_the_next_unit_is_no_arrival():
    _, change = compared(listed(a=(43.999, 80)), listed(a=(44.001, 80)))
    assert change.loc[["P1", "P2"], ["moved_in", "moved_out"]].values.tolist() == [[0, 80], [80, 0]]
    assert new_displacement(change, UNITS["adm1_pcode"])["new"].sum() == 0


SITES = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.floats(42.5, 47.5), st.integers(0, 500)), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(SITES, SITES, st.sampled_from([None, ["G"], ["G1", "K", "P3"]]))
def test_the_parts_of_every_unit_add_up_to_its_change(first, second, covered):
    panel, change = compared(listed(**first), listed(**second), covered_before=covered)
    assert set(panel["status"]) <= set(STATUSES)
    signs = dict(zip(PARTS, (1, 1, -1, 1, -1, 1, -1), strict=True))
    parts = sum(sign * change[part] for part, sign in signs.items())
    assert (change["households_after"] - change["households_before"] == parts).all()
    assert change["households_before"].sum() == sum(n for _, n in first.values())
    assert change["households_after"].sum() == sum(n for _, n in second.values())
    arrivals = new_displacement(change, UNITS["adm1_pcode"])
    one_looked = (change[["newly_assessed", "not_assessed"]] != 0).any(axis=1)
    nothing_else = (change[["both", "moved_in", "moved_out", "born", "closed"]] == 0).all(axis=1)
    silent = one_looked & nothing_else
    assert arrivals[silent].isna().all(axis=None)  # not assessed in one of the rounds is not "nobody came"
    assert (arrivals[~silent] >= -1e-9).all(axis=None)
    assert np.allclose(arrivals["increase"], arrivals["relocated"] + arrivals["new"], equal_nan=True)


@settings(max_examples=30)
@given(SITES, st.randoms())
def test_a_round_beside_itself_shows_no_change_whatever_the_order(sites, random):
    turned = list(sites.items())
    random.shuffle(turned)
    panel, change = compared(listed(**sites), listed(**dict(turned)))
    assert set(panel["status"]) == {"both"}
    assert (change[list(PARTS)] == 0).all(axis=None)


# ------------------------------------------------------------------ what may be published


def test_a_published_change_comes_from_protected_counts_and_only_of_like_with_like():
    counts = {"households": [7.0, 3.0, 20.0, 40.0]}
    before = protect(pd.DataFrame(counts, index=UNITS.index))
    after = protect(pd.DataFrame({"households": [13.0, 30.0, 31.0, 90.0]}, index=UNITS.index))
    words = pd.Series(["comparable", "comparable", "relocation", "coverage_changed"], index=UNITS.index)
    told = published_change(before, after, words)
    assert told["change_status"].tolist() == ["ok", "suppressed", "ok", "insufficient_data"]
    assert told["change"].fillna(-1).tolist() == [10, -1, 10, -1]


@settings(max_examples=40)
@given(SITES, SITES, st.integers(1, 50))
@example({"a": (43.5, 10), "b": (44.5, 9)}, {"a": (43.5, 5), "b": (44.5, 9)}, 20)
def test_the_word_of_a_unit_tells_nothing_of_its_counts(first, second, more):
    """Other households at the same locations: the same words."""
    words = [
        comparability(compared(listed(**first), listed(**after))[0], UNITS).tolist()
        for after in (second, {k: (lon, n + more) for k, (lon, n) in second.items()})
    ]
    assert words[0] == words[1]


# ------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("end", "day", "status"),
    [
        (date(2019, 2, 28), date(2019, 2, 28), Status.ok),
        (date(2019, 8, 31), date(2019, 2, 28), Status.ok),
        (date(2019, 9, 30), date(2019, 2, 28), Status.stale),
        (date(2019, 1, 31), None, Status.input_missing),
        (date(2020, 3, 31), date(2019, 11, 15), Status.ok),
    ],
)
def test_a_round_speaks_for_six_months_and_is_stale_thereafter(end, day, status):
    assert speaks_at([date(2019, 2, 28), date(2019, 11, 15)], end) == (day, status)


def test_a_round_after_the_day_of_issue_is_named():
    rounds = [date(2024, 3, 31), date(2024, 1, 31)]
    assert rounds_after(rounds, date(2024, 2, 1)) == [date(2024, 3, 31)]


def test_a_location_twice_in_one_round_is_refused():
    twice = pd.concat([listed(a=(43.5, 1)), listed(a=(43.6, 1))], ignore_index=True)
    with pytest.raises(ContractError, match="a location twice"):
        compare_rounds(twice, listed(a=(43.5, 1)), UNITS)


def test_the_camp_of_the_synthetic_country_closes_without_a_phantom_increase(synthetic_inputs):
    """Its people went to four sites nearby; with the closure unknown they would be counted as new."""
    config = tomllib.loads(DEMO.read_text("utf-8"))
    units = read_boundaries(BoundaryOptions.model_validate(config["boundaries"]), synthetic_inputs, Findings("b"))
    options = DtmIdpList.model_validate(config["sources"]["displacement"])
    log = Findings("s")
    listed = read_sites(options, synthetic_inputs, log).values()
    rounds = [place_sites(sites, units, Placing(), log, file="list").sites for sites in listed]
    panel = compare_rounds(rounds[-2], rounds[-1], units)
    closed = panel[panel["status"] == "closed"]
    assert closed["households_before"].max() > 100
    change = change_by_unit(panel, units.index)
    arrivals = new_displacement(change, units["adm1_pcode"])
    camp = closed.loc[closed["households_before"].idxmax(), "pcode_before"]
    home = units["adm1_pcode"][camp]
    here = arrivals[units["adm1_pcode"].reindex(arrivals.index) == home]
    assert here["relocated"].sum() > 0
    assert here["new"].sum() < here["increase"].sum()
    # The one district that only the last round looked at is no increase either.
    new = change.index[change["newly_assessed"] > 0]
    assert units["adm2_pcode"][new].nunique() == 1
    assert change["not_assessed"].sum() == 0
