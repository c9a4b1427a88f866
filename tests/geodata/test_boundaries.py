"""Boundary files: what is taken, what is mended, what is refused."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from geodata.boundaries import BoundaryOptions, NamesTable, areas_km2, read_boundaries
from geodata.schema import SUBDISTRICT_COLUMNS, Findings, InputError, check_subdistricts

OPTIONS = {
    "path": "b.geojson",
    "pcode": "ADM3_PCODE",
    "names": {"en": "ADM3_EN", "ar": "ADM3_AR", "ckb": None},
    "adm1_pcode": "ADM1_PCODE",
    "adm1_names": {"en": "ADM1_EN"},
    "adm2_pcode": "ADM2_PCODE",
    "adm2_names": {"en": "ADM2_EN"},
    "label": {"en": "Boundaries"},
    "licence": "CC0",
    "attribution": "nobody",
    "vintage": "2019-06-03",
}


def _frame(shapes=None, codes=("X02", "X01", "X03"), **columns):
    """Three neighbours of one degree, out of order: X02 west, X01 middle, X03 east."""
    shapes = list(shapes or [shapely.box(x, 0, x + 1, 1) for x in range(3)])
    data = {
        "ADM3_PCODE": list(codes),
        "ADM3_EN": ["West", "Middle", "East"],
        "ADM3_AR": ["غرب", None, "شرق"],
        "ADM1_PCODE": ["G1", "G1", "G2"],
        "ADM1_EN": ["Left", "Left", "Right"],
        "ADM2_PCODE": ["D1", "D1", "D2"],
        "ADM2_EN": ["Near", "Near", "Far"],
    }
    return gpd.GeoDataFrame({**data, **columns}, geometry=shapes, crs="EPSG:4326")


def _read(root, frame=None, name="b.geojson", **changed):
    if frame is not None:
        frame.to_parquet(root / name) if name.endswith("parquet") else frame.to_file(root / name)
    log = Findings("boundaries")
    return read_boundaries(BoundaryOptions(**{**OPTIONS, "path": name, **changed}), root, log), log


def _error(root, frame=None, name="b.geojson", **changed):
    with pytest.raises(InputError) as caught:
        _read(root, frame, name, **changed)
    return str(caught.value)


# ------------------------------------------------------------------ what comes out


@pytest.mark.parametrize("name", ["b.geojson", "b.gpkg", "b.shp", "b.parquet"])
def test_every_format_gives_the_same_table(tmp_path, name):
    table, log = _read(tmp_path, _frame(), name)
    check_subdistricts(table)
    assert table.index.tolist() == ["X01", "X02", "X03"]
    assert tuple(table.columns) == (*SUBDISTRICT_COLUMNS, "geometry")
    assert table.name_en.tolist() == ["Middle", "West", "East"]
    assert table.name_ar.tolist() == ["", "غرب", "شرق"]
    assert (table.name_ckb == "").all()
    assert table.loc["X02"].geometry.centroid.x == pytest.approx(0.5)
    assert log.items == []


def test_files_lists_the_companions_of_a_shapefile(tmp_path):
    _read(tmp_path, _frame(), "b.shp")
    found = [p.suffix for p in BoundaryOptions(**{**OPTIONS, "path": "b.shp"}).files(tmp_path)]
    assert {".shp", ".shx", ".dbf", ".prj"} <= set(found)


def test_a_degree_at_the_equator_has_its_geodesic_area():
    """12,308.8 km2 on WGS84 (111.32 km by 110.57 km)."""
    area = areas_km2(gpd.GeoSeries([shapely.box(0, 0, 1, 1)]))[0]
    assert area == pytest.approx(111.3195 * 110.5743, rel=2e-4)


def test_a_hole_is_not_area():
    ring = shapely.box(0, 0, 1, 1).difference(shapely.box(0.25, 0.25, 0.75, 0.75))
    whole, holed = areas_km2(gpd.GeoSeries([shapely.box(0, 0, 1, 1), ring]))
    assert holed == pytest.approx(0.75 * whole, rel=1e-4)


@settings(max_examples=30)
@given(st.floats(-179, 170), st.floats(-80, 70), st.floats(0.1, 8), st.floats(0.1, 8), st.floats(0.1, 0.9))
def test_areas_of_parts_add_up(west, south, width, height, cut):
    """Cut along a meridian, the parts have the area of the whole."""
    middle = west + width * cut
    whole, left, right = areas_km2(
        gpd.GeoSeries(
            [
                shapely.box(west, south, west + width, south + height),
                shapely.box(west, south, middle, south + height),
                shapely.box(middle, south, west + width, south + height),
            ]
        )
    )
    # The northern and southern edges are geodesics here, not parallels: cutting moves them a little.
    assert left + right == pytest.approx(whole, rel=5e-3)


def test_a_projected_file_is_converted_and_said(tmp_path):
    frame = _frame([shapely.box(44 + x, 33, 45 + x, 34) for x in range(3)]).to_crs("EPSG:32638")
    table, log = _read(tmp_path, frame, "b.gpkg")
    assert table.loc["X02"].geometry.centroid.x == pytest.approx(44.5, abs=1e-3)
    assert [(i.severity, i.found) for i in log.items] == [("repair", "EPSG:32638")]


def test_numbers_as_codes_keep_their_digits(tmp_path):
    table, _ = _read(tmp_path, _frame(codes=(101.0, 102.0, 103.0)), "b.gpkg")
    assert table.index.tolist() == ["101", "102", "103"]


def test_blanks_around_codes_are_dropped_and_said(tmp_path):
    table, log = _read(tmp_path, _frame(codes=("X1 ", "X2", "X3")))
    assert table.index.tolist() == ["X1", "X2", "X3"]
    assert log.items[0].action == "blanks dropped"


# ------------------------------------------------------------------ what is refused


def test_a_missing_file_names_the_nearest(tmp_path):
    _frame().to_file(tmp_path / "bb.geojson")
    assert "b.geojson: path: found no such file in '.' (did you mean 'bb.geojson'?)" in _error(tmp_path)


def test_an_unreadable_file_is_called_by_its_name(tmp_path):
    (tmp_path / "b.geojson").write_text("<html>404</html>")
    assert "b.geojson: file: found a web page (HTML)" in _error(tmp_path)
    (tmp_path / "b.gpkg").write_bytes(b"junk")
    assert "foreign file of 4 bytes" in _error(tmp_path, name="b.gpkg")


def test_a_shapefile_without_its_companions_is_refused(tmp_path):
    _frame().to_file(tmp_path / "b.shp")
    (tmp_path / "b.dbf").unlink()
    assert "b.shp: file: found no .dbf beside it" in _error(tmp_path, name="b.shp")


def test_a_missing_layer_names_those_there_are(tmp_path):
    _frame().to_file(tmp_path / "b.gpkg", layer="adm3")
    assert "no 'adm2' among 'adm3'" in _error(tmp_path, name="b.gpkg", layer="adm2")


def test_missing_columns_are_all_told_with_the_nearest(tmp_path):
    told = _error(tmp_path, _frame().rename(columns={"ADM3_PCODE": "ADM3_PCOD", "ADM1_EN": "Gov"}))
    assert "no 'ADM3_PCODE' (did you mean 'ADM3_PCOD'?)" in told
    assert "a column 'ADM1_EN'" in told


def test_a_file_without_crs_is_refused(tmp_path):
    _frame().to_file(tmp_path / "b.shp")
    (tmp_path / "b.prj").unlink()
    assert "crs: found none, expected a stated CRS" in _error(tmp_path, name="b.shp")


def test_metres_that_claim_to_be_degrees_are_refused(tmp_path):
    frame = _frame([shapely.box(4e5 + x, 0, 4e5 + x + 1, 1) for x in range(3)])
    assert "crs: found coordinates 400000" in _error(tmp_path, frame)


def test_duplicate_codes_are_named(tmp_path):
    told = _error(tmp_path, _frame(codes=("X01", "X01", "X03")))
    assert "ADM3_PCODE: found more than one row for 'X01', expected each p-code once" in told


def test_empty_codes_name_their_row(tmp_path):
    assert "no code in row 2" in _error(tmp_path, _frame(codes=("X1", None, "X3")))


def test_a_district_in_two_governorates_is_refused(tmp_path):
    assert "D1 under more than one ADM1_PCODE" in _error(tmp_path, _frame(ADM1_PCODE=["G1", "G2", "G2"]))


def test_a_parent_with_two_names_is_a_warning(tmp_path):
    _, log = _read(tmp_path, _frame(ADM1_EN=["Left", "Lefft", "Right"]))
    assert [(i.severity, i.found) for i in log.items] == [("warning", "G1: Lefft, Left")]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (shapely.Point(0.5, 0.5), "found a Point, expected a polygon"),
        (None, "found none, expected a polygon"),
        # A bow tie whose lobes cancel out: mending would make two triangles out of no area.
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "mending changes its area"),
        (shapely.Polygon([(0, 0), (1, 0), (0.5, 0), (0, 0)]), "mending changes its area"),
    ],
    ids=["point", "none", "bow tie", "flat"],
)
def test_what_is_no_polygon_and_cannot_be_mended_is_refused(tmp_path, shape, words):
    frame = _frame([shape, shapely.box(1, 0, 2, 1), shapely.box(2, 0, 3, 1)])
    told = _error(tmp_path, frame, "b.gpkg")
    assert "geometry of X02" in told
    assert words in told


def test_a_small_fault_is_mended_and_said(tmp_path):
    """A spike out and back has no area: what is left is the square."""
    spiked = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0.5, 1), (0.5, 1.5), (0.5, 1), (0, 1)])
    table, log = _read(tmp_path, _frame([spiked, shapely.box(1, 0, 2, 1), shapely.box(2, 0, 3, 1)]), "b.gpkg")
    assert table.loc["X02"].geometry.equals(shapely.box(0, 0, 1, 1))
    assert [(i.severity, i.field, i.action) for i in log.items] == [("repair", "geometry of X02", "mended")]


def test_heights_are_dropped(tmp_path):
    solid = [shapely.force_3d(shapely.box(x, 0, x + 1, 1), 7.0) for x in range(3)]
    assert not _read(tmp_path, _frame(solid), "b.gpkg")[0].geometry.has_z.any()


def test_overlaps_beyond_tolerance_name_the_pair_and_how_much(tmp_path):
    frame = _frame([shapely.box(0, 0, 1.25, 1), shapely.box(1, 0, 2, 1), shapely.box(2, 0, 3, 1)])
    assert "X01 and X02 overlap by 25.00% of the smaller, expected at most 0.10%" in _error(tmp_path, frame)
    assert len(_read(tmp_path, frame, max_overlap_share=0.3)[0]) == 3


def test_a_unit_inside_another_is_an_overlap(tmp_path):
    frame = _frame([shapely.box(0, 0, 2, 1), shapely.box(0.5, 0.2, 0.7, 0.4), shapely.box(2, 0, 3, 1)])
    assert "X01 and X02 overlap by 100.00%" in _error(tmp_path, frame)


def test_a_unit_in_the_hole_of_another_is_none(tmp_path):
    inner = shapely.box(0.25, 0.25, 0.75, 0.75)
    frame = _frame([shapely.box(0, 0, 1, 1).difference(inner), inner, shapely.box(2, 0, 3, 1)])
    assert len(_read(tmp_path, frame)[0]) == 3


def test_overlaps_of_rounding_are_let_through(tmp_path):
    frame = _frame([shapely.box(0, 0, 1.0001, 1), shapely.box(1, 0, 2, 1), shapely.box(2, 0, 3, 1)])
    assert len(_read(tmp_path, frame)[0]) == 3


# ------------------------------------------------------------------ further names


def _with_names(root, text, name="names.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return {"names_table": {"path": name, "key": "pcode", "columns": {"ckb": "kurdish"}}}


def test_names_are_added_by_code(tmp_path):
    changed = _with_names(tmp_path, "pcode,kurdish\nX01,ناوەند\nX02,ڕۆژئاوا\n")
    table, log = _read(tmp_path, _frame(), **changed)
    assert table.name_ckb.tolist() == ["ناوەند", "ڕۆژئاوا", ""]
    assert [(i.severity, i.found) for i in log.items] == [("warning", "1 units without a name")]


def test_one_table_may_name_all_levels(tmp_path):
    """A governorate's code names it on each of its subdistricts."""
    rows = json.dumps([{"pcode": "G1", "kurdish": "پارێزگا"}, {"pcode": "X03", "kurdish": "ڕۆژهەڵات"}])
    table, _ = _read(tmp_path, _frame(), **_with_names(tmp_path, rows, "names.json"))
    assert table.adm1_name_ckb.tolist() == ["پارێزگا", "پارێزگا", ""]
    assert table.name_ckb.tolist() == ["", "", "ڕۆژهەڵات"]


def test_names_of_an_unknown_language_are_refused():
    with pytest.raises(ValidationError, match="'en', 'ar' or 'ckb'"):
        NamesTable(path="n.csv", key="pcode", columns={"fr": "nom"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pcode,kurdish\nX01,a\nX01,b\n", "more than one row for X01"),
        ("pcode,kurdish\nY09,a\n", "found Y09, expected p-codes of the boundary file"),
        ("pcode,kurdsh\nX01,a\n", "no 'kurdish' (did you mean 'kurdsh'?)"),
    ],
)
def test_a_table_of_names_that_does_not_fit_is_refused(tmp_path, text, words):
    assert words in _error(tmp_path, _frame(), **_with_names(tmp_path, text))


# ------------------------------------------------------------------ real boundaries


def test_boundaries_of_iraq(shared_data):
    """294 subdistricts, 436,437 km2 within 0.1 %, nothing mended, nothing overlapping."""
    columns = {
        "names": {"en": "ADM3_EN", "ar": "ADM3_AR"},
        "adm1_names": {"en": "ADM1_EN", "ar": "ADM1_AR"},
        "adm2_names": {"en": "ADM2_EN", "ar": "ADM2_AR"},
    }
    table, log = _read(shared_data, name="iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp", **columns)
    assert len(table) == 294
    assert table.area_km2.sum() == pytest.approx(436_437, rel=1e-3)
    assert np.allclose([table.area_km2.min(), table.area_km2.max()], [24, 46_524], rtol=0.02)
    assert (table.adm1_pcode.nunique(), table.adm2_pcode.nunique()) == (18, 101)
    assert (table.name_ar != "").all()
    assert log.items == []
