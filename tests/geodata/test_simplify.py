"""Simplified shapes: no gap, no overlap, nobody lost."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.boundaries import BoundaryOptions, read_boundaries
from geodata.schema import Findings
from geodata.simplify import simplify

pytestmark = pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS")


def _winding(a, b, seed, step=0.01, depth=0.08):
    """Border from a to b that wriggles sideways, the same from either side.

    Near its ends it stays within 27 degrees of the straight line, so borders that meet never cross.
    """
    rng = np.random.default_rng(seed)
    along = np.linspace(0, 1, int(1 / step) + 1)
    aside = rng.uniform(-1, 1, along.size) * np.minimum(depth, 0.5 * np.minimum(along, 1 - along))
    direction = np.subtract(b, a)
    return np.asarray(a) + along[:, np.newaxis] * direction + aside[:, np.newaxis] * direction[::-1]


def _tessellation(rows=4, columns=5, seed=0):
    """Grid of one-degree units with wriggling borders: two districts per governorate column."""
    borders = {}
    for r in range(rows + 1):
        for c in range(columns + 1):
            key = (r * 100 + c) * 2 + seed * 10_000
            borders["h", r, c] = _winding((c, r), (c + 1, r), key)
            borders["v", r, c] = _winding((c, r), (c, r + 1), key + 1)
    shapes, codes = [], []
    for r in range(rows):
        for c in range(columns):
            ring = [
                borders["h", r, c],
                borders["v", r, c + 1],
                borders["h", r + 1, c][::-1],
                borders["v", r, c][::-1],
            ]
            shapes.append(shapely.Polygon(np.concatenate([part[:-1] for part in ring])))
            codes.append((f"G{c}", f"G{c}D{r // 2}"))
    index = pd.Index([f"U{i:03d}" for i in range(len(shapes))], name="pcode")
    frame = pd.DataFrame(codes, columns=["adm1_pcode", "adm2_pcode"], index=index)
    return gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4326")


def _units(shapes, adm1=None, adm2=None):
    n = len(shapes)
    index = pd.Index([f"U{i:03d}" for i in range(n)], name="pcode")
    data = {"adm1_pcode": adm1 or ["A"] * n, "adm2_pcode": adm2 or ["a"] * n}
    return gpd.GeoDataFrame(data, geometry=list(shapes), index=index, crs="EPSG:4326")


def _assert_tiles(simple, original):
    """All units there and valid; their areas add up to that of their union, which has no new holes."""
    assert simple.index.equals(original.index)
    assert simple.geometry.is_valid.all()
    assert not simple.geometry.is_empty.any()
    together = simple.union_all()
    assert simple.area.sum() == pytest.approx(together.area, abs=1e-9)
    holes = [sum(len(p.interiors) for p in shapely.get_parts(u)) for u in (together, original.union_all())]
    assert holes[0] == holes[1]


def _decimals(frame):
    xy = shapely.get_coordinates(frame.geometry.to_numpy())
    return next(d for d in range(16) if np.abs(xy - xy.round(d)).max() < 1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.004, 0.02, 0.1]))
def test_neighbours_keep_their_border(seed, tolerance):
    """However much is left out, no gap and no overlap opens."""
    units = _tessellation(3, 3, seed)
    simple = simplify(units, tolerance=tolerance).subdistricts
    _assert_tiles(simple, units)
    assert _decimals(simple) <= 3


def test_vertices_are_saved_and_shapes_kept():
    units = _tessellation()
    simple = simplify(units, tolerance=0.02).subdistricts
    before, after = (int(shapely.get_num_coordinates(f.geometry.to_numpy()).sum()) for f in (units, simple))
    assert after < before / 2
    common = simple.intersection(units.geometry).area / simple.union(units.geometry).area
    assert common.min() > 0.95


def test_more_tolerance_leaves_no_more_vertices():
    units = _tessellation()
    counts = [
        int(shapely.get_num_coordinates(simplify(units, tolerance=t).subdistricts.geometry.to_numpy()).sum())
        for t in (0.001, 0.004, 0.016, 0.064)
    ]
    assert counts == sorted(counts, reverse=True)


def test_a_border_drawn_with_more_vertices_on_one_side_stays_one_border():
    """Two units above meet one below: its straight edge has no vertex where they part."""
    units = _units([shapely.box(0, 0, 2, 1), shapely.box(0, 1, 1, 2), shapely.box(1, 1, 2, 2)])
    simple = simplify(units).subdistricts
    _assert_tiles(simple, units)
    assert simple.geometry.geom_equals(units.geometry).all()


def test_an_island_and_an_enclave_survive():
    """A unit of two parts, and one that lies in the hole of another."""
    enclave = shapely.Point(0.5, 0.5).buffer(0.2)
    units = _units(
        [
            shapely.box(0, 0, 1, 1).difference(enclave),
            enclave,
            shapely.MultiPolygon([shapely.box(1, 0, 2, 1), shapely.Point(3, 3).buffer(0.3)]),
        ]
    )
    simple = simplify(units, tolerance=0.05).subdistricts
    _assert_tiles(simple, units)
    assert len(simple.geometry.iloc[0].interiors) == 1
    assert len(simple.geometry.iloc[2].geoms) == 2


def test_a_unit_smaller_than_the_tolerance_is_not_lost():
    """A disc of radius 0.002 degree, inside another unit, with a tolerance of 0.1."""
    tiny = shapely.Point(0.5, 0.5).buffer(0.002)
    units = _units([shapely.box(0, 0, 1, 1).difference(tiny), tiny])
    _assert_tiles(simplify(units, tolerance=0.1).subdistricts, units)


def test_a_unit_smaller_than_three_decimals_gets_more_of_them():
    tiny = shapely.Point(0.50005, 0.50005).buffer(0.0002)
    units = _units([shapely.box(0, 0, 1, 1).difference(tiny), tiny])
    simple = simplify(units).subdistricts
    _assert_tiles(simple, units)
    assert 3 < _decimals(simple) <= 7


def test_two_borders_close_together_do_not_cross():
    """A strip of 0.003 degree between two wriggling units: simplified alone, its sides would cross."""
    x = np.linspace(0, 1, 201)
    wave = 0.02 * np.sin(40 * x)
    low, high = np.c_[x, wave], np.c_[x, wave + 0.003]
    south = shapely.Polygon([(0, -1), *low, (1, -1)])
    strip = shapely.Polygon([*low, *high[::-1]])
    north = shapely.Polygon([*high, (1, 1), (0, 1)])
    units = _units([south, strip, north])
    _assert_tiles(simplify(units, tolerance=0.03).subdistricts, units)


def test_outlines_are_the_borders_between_different_parents():
    """Four units in a square: left two in governorate A (districts a, b), right two in B (district c)."""
    units = _units(
        [shapely.box(0, 0, 1, 1), shapely.box(0, 1, 1, 2), shapely.box(1, 0, 2, 1), shapely.box(1, 1, 2, 2)],
        adm1=["A", "A", "B", "B"],
        adm2=["a", "b", "c", "c"],
    )
    found = simplify(units)
    lines = found.adm1_lines.set_index(["a", "b"]).geometry
    assert lines.index.tolist() == [("A", ""), ("A", "B"), ("B", "")]
    assert lines["A", "B"].equals(shapely.LineString([(1, 0), (1, 2)]))
    assert lines["A", ""].length == lines["B", ""].length == 4.0
    # Between c and c there is no border; between a and c the governorates' border stands already.
    assert found.adm2_lines[["a", "b"]].to_numpy().tolist() == [["a", "b"]]
    assert found.adm2_lines.geometry.iloc[0].equals(shapely.LineString([(0, 1), (1, 1)]))


def test_outlines_run_along_the_simplified_borders():
    units = _tessellation()
    found = simplify(units, tolerance=0.02)
    edges = shapely.union_all(found.subdistricts.boundary.to_numpy())
    for lines in (found.adm1_lines, found.adm2_lines):
        assert lines.geometry.within(edges.buffer(1e-9)).all()
    outer = found.adm1_lines.query("b == ''").length.sum()
    assert outer == pytest.approx(found.subdistricts.union_all().length, rel=1e-9)


def test_the_other_columns_and_the_given_table_are_left_alone():
    units = _tessellation(2, 2)
    before = units.copy()
    simple = simplify(units, tolerance=0.1).subdistricts
    assert simple.drop(columns="geometry").equals(before.drop(columns="geometry"))
    assert units.geometry.geom_equals(before.geometry).all()


def test_simplifying_twice_gives_the_same_shapes():
    a, b = (simplify(_tessellation()).subdistricts for _ in range(2))
    assert a.geometry.to_wkb().tolist() == b.geometry.to_wkb().tolist()


def test_boundaries_of_iraq_stay_a_tiling(shared_data):
    """VISUAL.md section 10: worst overlap with the original 0.88, 5 % 0.95, median 0.98."""
    options = BoundaryOptions(
        path="iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp",
        pcode="ADM3_PCODE",
        names={"en": "ADM3_EN"},
        adm1_pcode="ADM1_PCODE",
        adm1_names={"en": "ADM1_EN"},
        adm2_pcode="ADM2_PCODE",
        adm2_names={"en": "ADM2_EN"},
        label={"en": "COD"},
        licence="CC BY-IGO",
        attribution="OCHA",
        vintage="2019-06-03",
    )
    units = read_boundaries(options, shared_data, Findings("boundaries"))
    found = simplify(units)
    _assert_tiles(found.subdistricts, units)
    common = found.subdistricts.intersection(units.geometry).area / found.subdistricts.union(units.geometry).area
    assert common.min() > 0.87
    assert common.quantile(0.05) > 0.94
    assert common.median() > 0.98
    assert _decimals(found.subdistricts) == 3
    assert set(found.adm1_lines.a) | set(found.adm1_lines.b) - {""} == set(units.adm1_pcode)
