"""Between two vintages of boundaries people move with the ground, and none is made or lost."""

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from geodata.crosswalk import make_crosswalk, move_counts, write_crosswalk
from geodata.schema import Findings, InputError


def units(**shapes):
    return gpd.GeoDataFrame(
        index=pd.Index(list(shapes), name="pcode"), geometry=list(shapes.values()), crs="EPSG:4326"
    ).sort_index()


OLD = units(A=box(0, 0, 4, 1), B=box(4, 0, 8, 1))
NEW = units(X=box(0, 0, 1, 1), Y=box(1, 0, 4, 1), Z=box(4, 0, 8, 1))


def walk(old=OLD, new=NEW, **options):
    log = Findings("boundaries")
    return make_crosswalk(old, new, log, **options), log


def shares(crosswalk):
    return {(r.from_pcode, r.to_pcode): round(r.share, 6) for r in crosswalk.itertuples()}


def test_a_unit_split_in_two_gives_by_area():
    """A is cut at a quarter of its width; B stays."""
    crosswalk, log = walk()
    assert shares(crosswalk) == {("A", "X"): 0.25, ("A", "Y"): 0.75, ("B", "Z"): 1.0}
    assert log.items == []


def test_with_residents_a_unit_gives_by_people():
    """1,000 live in the quarter X and 500 in the rest: two thirds to X."""
    crosswalk, _ = walk(residents=pd.Series({"X": 1000, "Y": 500, "Z": 7}))
    assert shares(crosswalk)["A", "X"] == round(2 / 3, 6)


@pytest.mark.parametrize("residents", [{"X": np.nan, "Y": 5, "Z": 7}, {"X": 0, "Y": 0, "Z": 0}, {"Z": 1}])
def test_without_known_residents_the_area_speaks(residents):
    crosswalk, _ = walk(residents=pd.Series(residents))
    assert shares(crosswalk)["A", "X"] == 0.25


def test_households_move_whole_and_parts_stay_parts():
    counts = pd.DataFrame({"households": [10, 3], "critical": [7, 3], "people": [60, 18]}, index=["A", "B"])
    moved = move_counts(counts, walk()[0], NEW.index)
    assert moved["households"].to_dict() == {"X": 3, "Y": 7, "Z": 3}
    assert moved["critical"].to_dict() == {"X": 2, "Y": 5, "Z": 3}
    assert moved["people"].sum() == 78


def test_what_is_unknown_stays_unknown_and_nobody_is_zero():
    counts = pd.DataFrame({"households": [np.nan, 3]}, index=["A", "B"])
    wider = units(**{**dict(NEW.geometry.items()), "W": box(20, 0, 21, 1)})
    moved = move_counts(counts, walk(new=wider)[0], wider.index)["households"]
    assert moved.isna().to_dict() == {"W": False, "X": True, "Y": True, "Z": False}
    assert (moved["W"], moved["Z"]) == (0, 3)


def test_a_new_unit_that_one_unknown_gives_to_is_unknown():
    merged = units(M=box(0, 0, 8, 1))
    counts = pd.DataFrame({"households": [np.nan, 3]}, index=["A", "B"])
    assert move_counts(counts, walk(new=merged)[0], merged.index)["households"].isna().all()


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.05, 7.95), min_size=1, max_size=6, unique=True),
    st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 1)), min_size=2, max_size=2),
)
def test_totals_are_kept_whatever_the_new_borders(cuts, people):
    edges = [0.0, *sorted(cuts), 8.0]
    new = units(**{f"N{n}": box(w, 0, e, 1) for n, (w, e) in enumerate(pairwise(edges))})
    counts = pd.DataFrame(
        {"households": [h for h, _ in people], "critical": [int(h * c) for h, c in people]}, ["A", "B"]
    )
    crosswalk, _ = walk(new=new)
    assert crosswalk.groupby("from_pcode")["share"].sum().to_numpy() == pytest.approx(1, abs=1e-12)
    moved = move_counts(counts, crosswalk, new.index)
    assert moved.sum().to_dict() == counts.sum().to_dict()
    assert (moved["critical"] <= moved["households"]).all()
    assert (moved % 1 == 0).all(axis=None)


def test_the_same_boundaries_move_nobody():
    counts = pd.DataFrame({"households": [10, 3]}, index=OLD.index)
    assert move_counts(counts, walk(new=OLD)[0], OLD.index)["households"].to_dict() == {"A": 10, "B": 3}


def test_slivers_of_a_line_drawn_twice_move_nobody():
    redrawn = units(X=box(0, 0, 4.001, 1), Y=box(4.001, 0, 8, 1))
    assert shares(walk(new=redrawn)[0]) == {("A", "X"): 1.0, ("B", "Y"): 1.0}


def test_a_unit_without_new_ground_is_an_error_and_one_half_outside_is_told():
    _, log = walk(new=units(X=box(0, 0, 4, 1)))
    with pytest.raises(InputError, match="no unit where B lay"):
        log.stop()
    _, log = walk(new=units(X=box(0, 0, 6, 1)))
    assert "more than 5% of B outside" in log.items[0].found
    log.stop()


def test_a_count_without_a_row_in_the_crosswalk_is_refused():
    with pytest.raises(KeyError, match="without C"):
        move_counts(pd.DataFrame({"households": [1]}, index=["C"]), walk()[0], NEW.index)


def test_a_crosswalk_is_written_as_it_is_read(tmp_path):
    crosswalk, _ = walk()
    write_crosswalk(tmp_path / "x" / "crosswalk.csv", crosswalk)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x" / "crosswalk.csv"), crosswalk)


def test_the_real_subdistricts_become_districts_with_every_household(shared_data):
    """294 subdistricts of Iraq dissolved to 101 districts: each gives all it has to its own district."""
    shapes = gpd.read_file(shared_data / "iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp")
    adm2 = gpd.read_file(shared_data / "iraq/boundaries/irq_admbnda_adm2_cso_20190603.shp")
    old = shapes.rename(columns={"ADM3_PCODE": "pcode"}).set_index("pcode").sort_index()
    new = adm2.rename(columns={"ADM2_PCODE": "pcode"}).set_index("pcode").sort_index()
    crosswalk, log = walk(old, new)
    assert log.items == []
    counts = pd.DataFrame({"households": np.arange(294) * 7 % 1000}, index=old.index)
    moved = move_counts(counts, crosswalk, new.index)["households"]
    assert moved.to_dict() == counts["households"].groupby(old["ADM2_PCODE"]).sum().to_dict()
