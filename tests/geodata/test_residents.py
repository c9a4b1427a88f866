"""Residents: unknown is not empty, and no resident is lost between cells and subdistricts."""

from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from pydantic import ValidationError
from rasterio.transform import from_origin
from shapely.geometry import box

from geodata.residents import ResidentsRaster, ResidentsTable
from geodata.schema import Findings, InputError, Status

COMMON = {
    "label": {"en": "Residents"},
    "units": "people",
    "cadence": "once",
    "licence": "x",
    "attribution": "x",
    "reference": date(2018, 7, 1),
}
# Three squares of one degree side by side; the last has no cell under it.
SUBDISTRICTS = gpd.GeoDataFrame(
    {"name_en": ["Amara", "Basra", "Karkh"], "name_ar": "", "name_ckb": "", "adm1_pcode": "G", "adm1_name": "G"},
    index=pd.Index(["A", "B", "C"], name="pcode"),
    geometry=[box(40, 30, 41, 31), box(41, 30, 42, 31), box(47, 30, 48, 31)],
    crs="EPSG:4326",
).assign(adm2_pcode="D", adm2_name="D")


def read_table(folder, text, **changes):
    (folder / "r.csv").write_text(text)
    block = {"reader": "residents_table", "path": "r.csv", "unit_column": "pcode", "value_column": "n", **COMMON}
    log = Findings("sources.residents")
    return ResidentsTable.model_validate({**block, **changes}).read(folder, log, SUBDISTRICTS), log


def test_a_subdistrict_nobody_counted_is_unknown_and_not_empty(tmp_path):
    table, log = read_table(tmp_path, 'pcode,n\nA,0\nB,"1,200"\n')
    assert table["residents"].values[0].tolist()[:2] == [0, 1200]
    assert np.isnan(table["residents"].values[0, 2])
    assert table["residents_status"].values[0].tolist() == [Status.ok, Status.ok, Status.input_missing]
    assert table["time"].values.tolist() == pd.DatetimeIndex(["2018-07-01"]).as_unit("ns").asi8.tolist()
    assert {f.severity for f in log.items} == {"note", "warning"}


def test_residents_by_name(tmp_path):
    table, _ = read_table(tmp_path, "pcode,n\nBasra,5\n", unit_by="name")
    assert table["residents"].sel(pcode="B").item() == 5


def test_text_negatives_and_repeats_are_told_together(tmp_path):
    with pytest.raises(InputError) as error:
        read_table(tmp_path, "pcode,n\nA,many\nB,-3\nC,1\nC,1\n")
    assert ["row 2" in str(error.value), "row 3" in str(error.value), "rows 4, 5" in str(error.value)] == [True] * 3


def test_a_number_for_a_district_is_no_number_for_its_subdistricts():
    with pytest.raises(ValidationError, match="level"):
        ResidentsTable.model_validate(
            {"reader": "residents_table", "path": "r", "unit_column": "p", "value_column": "n", "level": 2, **COMMON}
        )


def write_raster(path, people):
    """Cells of half a degree from 40E 31N, people per cell, nodata -1."""
    shape = {"height": people.shape[0], "width": people.shape[1], "count": 1, "dtype": "float32"}
    how = {"crs": "EPSG:4326", "transform": from_origin(40, 31, 0.5, 0.5), "nodata": -1, **shape}
    with rasterio.open(path, "w", driver="GTiff", **how) as out:
        out.write(people.astype("float32"), 1)


def read_raster(folder, **changes):
    block = {"reader": "residents_raster", "path": "r.tif", **COMMON}
    log = Findings("sources.residents")
    return ResidentsRaster.model_validate({**block, **changes}).read(folder, log, SUBDISTRICTS), log


def test_the_sum_of_the_raster_is_kept(tmp_path):
    """2 x 4 cells, 1..8: A holds 1, 2, 5, 6 and B holds 3, 4, 7, 8; C lies outside."""
    write_raster(tmp_path / "r.tif", np.arange(1.0, 9).reshape(2, 4))
    table, log = read_raster(tmp_path)
    np.testing.assert_allclose(table["residents"].values[0], [14, 22, np.nan])
    assert table["residents_status"].values[0].tolist() == [Status.ok, Status.ok, Status.input_missing]
    assert "1 subdistricts (C)" in str(log.items[-1])
    assert str(table["time"].values[0])[:10] == "2018-07-01"


def test_empty_cells_are_unknown_unless_the_product_leaves_deserts_empty(tmp_path):
    """Three of four cells of A without value: unknown; with absent_is_zero, 6 people."""
    write_raster(tmp_path / "r.tif", np.array([[-1, -1, 3, 4], [-1, 6, 7, 8.0]]))
    assert np.isnan(read_raster(tmp_path)[0]["residents"].sel(pcode="A").item())
    assert read_raster(tmp_path, absent_is_zero=True)[0]["residents"].sel(pcode="A").item() == pytest.approx(6)


def test_a_density_is_refused():
    with pytest.raises(ValidationError, match="people"):
        ResidentsRaster.model_validate({"reader": "residents_raster", "path": "r.tif", **COMMON, "units": "people/km2"})


def test_negative_people_are_refused(tmp_path):
    write_raster(tmp_path / "r.tif", np.array([[-7.0, 1], [1, 1]]))
    with pytest.raises(InputError, match=r"r\.tif"):
        read_raster(tmp_path)


def test_the_real_estimate_covers_every_subdistrict(shared_data):
    """294 rows, 38,124,170 people."""
    shapes = gpd.read_file(shared_data / "iraq/boundaries/irq_admbnda_adm3_cso_20190603.shp")
    names = {"ADM3_PCODE": "pcode", "ADM3_EN": "name_en", "ADM2_PCODE": "adm2_pcode", "ADM2_EN": "adm2_name"}
    subdistricts = shapes.rename(columns={**names, "ADM1_PCODE": "adm1_pcode", "ADM1_EN": "adm1_name"})
    path, column = "iraq/population/subdistrict_population_2018_estimate.csv", "population_2018_estimate"
    block = {"reader": "residents_table", "path": path, "unit_column": "pcode", "value_column": column, **COMMON}
    log = Findings("sources.residents")
    table = ResidentsTable.model_validate(block).read(shared_data, log, subdistricts.set_index("pcode").sort_index())
    assert table["residents"].sum().item() == 38_124_170
    assert log.items == []


def test_that_displaced_people_are_among_the_residents_needs_a_source(tmp_path):
    table, _ = read_table(
        tmp_path, "pcode,n\nA,1\n", includes_displaced=True, includes_displaced_source="a model of 2024"
    )
    assert table["residents"].sel(pcode="A").item() == 1
    with pytest.raises(ValidationError, match="includes_displaced_source: found nothing"):
        read_table(tmp_path, "pcode,n\nA,1\n", includes_displaced=True)
