"""A user's mistake: one message that names file, field, found and expected, and nothing published or lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pytest
import rasterio
import xarray as xr
from shapely import affinity
from shapely.geometry import Polygon

from flows.check_inputs import check_inputs
from flows.run_country import run_country
from flows.vintages import boundaries_digest, refuse_second_vintage
from geodata.schema import InputError
from geodata.synthetic import square_subdistricts

ISSUED = "2024-04-08"
RAIN = "rainfall/rain_2010.05.tif"
LIST = "displacement/idp_list_2024-02-29.xlsx"
SHAPES = "boundaries/synthetic_adm3.gpkg"


# ------------------------------------------------------------------ what goes wrong


def remove(name):
    return lambda folder: (folder / name).unlink()


def truncate(name):
    def damage(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])

    return damage


def replace_by(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def rewrite_rain(change, **profile):
    """Write one month of rain anew, its values or its profile changed."""

    def damage(folder):
        with rasterio.open(folder / RAIN) as file:
            values, kept = file.read(), file.profile
        (folder / RAIN).unlink()
        with rasterio.open(folder / RAIN, "w", **{**kept, **profile}) as file:
            file.write(change(values))

    return damage


def all_rain_in_metres(folder):
    for path in (folder / "rainfall").glob("rain_*.tif"):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            file.write(np.where(values >= 0, values / 1000, values).astype("float32"))


def remove_months(folder):
    for month in ("2001.03", "2001.04"):
        (folder / f"rainfall/rain_{month}.tif").unlink()


def edit_shapes(change):
    def damage(folder):
        path = folder / SHAPES
        layer = gpd.list_layers(path)["name"].iloc[0]
        frame = change(gpd.read_file(path))
        path.unlink()
        frame.to_file(path, layer=layer, driver="GPKG")

    return damage


def two_of_one_code(frame):
    frame.loc[1, "ADM3_PCODE"] = frame.loc[0, "ADM3_PCODE"]
    return frame


def a_line_for_a_shape(frame):
    x, y = frame.geometry.iloc[0].centroid.coords[0]
    frame.loc[0, "geometry"] = Polygon([(x, y), (x + 0.1, y), (x, y)])
    return frame


def a_shape_over_its_neighbours(frame):
    frame.loc[0, "geometry"] = affinity.scale(frame.geometry.iloc[0], 2, 2)
    return frame


def no_crs(frame):
    return frame.set_crs(None, allow_override=True)


def edit_list(change):
    """Change the sheet of the last round, cell by cell."""

    def damage(folder):
        book = openpyxl.load_workbook(folder / LIST)
        sheet = book.active
        columns = {cell.value: cell.column for cell in sheet[1]}
        change(sheet, columns)
        book.save(folder / LIST)

    return damage


def put(column, row, value):
    def change(sheet, columns):
        sheet.cell(row, columns[column]).value = value

    return change


def rename_column(old, new):
    def change(sheet, columns):
        sheet.cell(1, columns[old]).value = new

    return change


def same_location_twice(sheet, columns):
    for column in columns.values():
        sheet.cell(3, column).value = sheet.cell(2, column).value
    sheet.cell(3, columns["Families"]).value += 7
    sheet.cell(3, columns["Individuals"]).value += 42


def swap_all_coordinates(sheet, columns):
    for row in range(2, sheet.max_row):
        lat, lon = sheet.cell(row, columns["Latitude"]), sheet.cell(row, columns["Longitude"])
        lat.value, lon.value = lon.value, lat.value


HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"

MISTAKES = {
    "missing file": (remove("residents/residents.csv"), ["residents.csv", "no such file"]),
    "truncated GeoTIFF": (truncate(RAIN), ["rain_2010.05.tif", "truncated"]),
    "HTML page named .tif": (replace_by(RAIN, HTML), ["rain_2010.05.tif", "HTML"]),
    "wrong CRS": (rewrite_rain(lambda v: v, crs="EPSG:3857"), ["rain_2010.05.tif", "EPSG:3857"]),
    "absent CRS": (rewrite_rain(lambda v: v, crs=None), ["rain_2010.05.tif", "crs: found none"]),
    "two grids in one stack": (
        rewrite_rain(lambda v: v[:, 1:, :], height=51),
        ["rain_2010.05.tif", "rain_1984.01.tif", "51 rows x 48 columns"],
    ),
    "metres declared as mm": (all_rain_in_metres, ["units", "mm in a typical year"]),
    "negative rain": (rewrite_rain(lambda v: np.where(v >= 0, v - 5, v)), ["rain_2010.05.tif", "-5"]),
    "months missing inside the calibration": (remove_months, ["2001-03", "2001-04"]),
    "duplicate p-codes": (edit_shapes(two_of_one_code), ["synthetic_adm3.gpkg", "ADM3_PCODE", "XWG01Q01N01"]),
    "geometry that can't be mended": (edit_shapes(a_line_for_a_shape), ["synthetic_adm3.gpkg", "XWG01Q01N01"]),
    "overlaps": (edit_shapes(a_shape_over_its_neighbours), ["synthetic_adm3.gpkg", "XWG01Q01N01", "overlap"]),
    "boundaries without CRS": (edit_shapes(no_crs), ["synthetic_adm3.gpkg", "CRS"]),
    "an XLSX that is none": (replace_by(LIST, HTML), ["idp_list_2024-02-29.xlsx", "HTML"]),
    "a list without a column": (
        edit_list(rename_column("Families", "Famlies")),
        ["idp_list_2024-02-29.xlsx", "'Families'", "did you mean 'Famlies'"],
    ),
    "text in a count": (edit_list(put("Families", 7, "many")), ["idp_list", "Families", "row 7", "many"]),
    "a negative count": (edit_list(put("Families", 7, -12)), ["idp_list", "Families", "row 7", "-12"]),
    "a location twice with other counts": (edit_list(same_location_twice), ["idp_list", "Location ID", "row"]),
    "coordinates swapped": (edit_list(swap_all_coordinates), ["idp_list", "Latitude", "335 swapped"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_and_nothing_is_published(country, small_config, tmp_path, mistake):
    """Each message names the file and the field, what was found and what was expected."""
    damage, words = MISTAKES[mistake]
    damage(country)
    out = tmp_path / "out"
    with pytest.raises(InputError) as error:
        run_country.fn(small_config, data=str(country), issued=ISSUED, out=str(out))
    message = str(error.value)
    for word in ["found", "expected", *words]:
        assert word in message, message
    assert not list(out.rglob("*.csv"))
    assert not list(out.rglob("latest*"))


def test_check_reports_all_mistakes_in_one_pass(country, small_config):
    """An analyst mends everything at once, not one file a day."""
    remove("residents/residents.csv")(country)
    rewrite_rain(lambda v: np.where(v >= 0, v - 5, v))(country)
    edit_list(put("Families", 7, "many"))(country)
    edit_list(put("Latitude", 9, 0.0))(country)
    errors = [f for f in check_inputs.fn(small_config, str(country), None, ISSUED) if f.severity == "error"]
    assert {f.source for f in errors} == {"sources.residents", "sources.rain", "sources.displacement"}


def rewrite_netcdf(path, variable, change):
    """Change the values of a variable in a file."""

    def edit(folder):
        with xr.open_dataset(folder / path) as stored:
            values = stored.load().drop_encoding()
        values[variable] = change(values[variable]).assign_attrs(values[variable].attrs)
        values.to_netcdf(folder / path)

    return edit


def rewrite_tif(path, change):
    def edit(folder):
        with rasterio.open(folder / path, "r+") as file:
            file.write(change(file.read()))

    return edit


def edit_text(path, old, new):
    def edit(folder):
        text = (folder / path).read_text("utf-8")
        assert old in text
        (folder / path).write_text(text.replace(old, new, 1), "utf-8")

    return edit


def a_code_of_the_change_map(codes):
    codes[7, 50, 50] = 254
    return codes


def in_the_middle(value):
    def change(values):
        values[0, values.shape[1] // 2, values.shape[2] // 2] = value
        return values

    return change


HAZARD_MISTAKES = {
    "sources.evapotranspiration": (
        rewrite_netcdf("temperature/tmin_monthly.nc", "tmin", lambda t: t.where(t["time"] != t["time"][9], t + 25)),
        ["temperature/tm", "below"],
    ),
    "sources.soil_moisture": (
        rewrite_netcdf("soil_moisture/soil_moisture.nc", "soil_moisture", lambda v: v * 100),
        ["soil_moisture.nc", "m3/m3", "percent"],
    ),
    "sources.water_history": (
        rewrite_tif("water/water_history.tif", a_code_of_the_change_map),
        ["water_history.tif", "codes", "254"],
    ),
    "sources.curve_number": (
        rewrite_tif("terrain/curve_number.tif", in_the_middle(130)),
        ["curve_number.tif", "130", "100"],
    ),
    "sources.river_network": (
        edit_text("water/network.toml", 'from = "upstream"', 'from = "upstraem"'),
        ["network.toml", "upstraem"],
    ),
    "sources.irrigated_area": (
        edit_text("agriculture/irrigated_area.csv", "wheat", "weat"),
        ["irrigated_area.csv", "weat", "wheat"],
    ),
    "sources.dust_days": (edit_text("dust/dust_days.csv", "1994-02,", "1994-02,-"), ["dust_days.csv", "-"]),
}


def test_the_inputs_of_every_hazard_are_judged_in_the_same_pass(country):
    """Nights hotter than their days, percent for shares, foreign codes, a wrong node, an unknown crop, ..."""
    for damage, _ in HAZARD_MISTAKES.values():
        damage(country)
    errors = [f for f in check_inputs.fn("demo", str(country), None, ISSUED) if f.severity == "error"]
    for source, (_, words) in HAZARD_MISTAKES.items():
        told = " ".join(str(f) for f in errors if f.source == source)
        assert all(word in told for word in words), (source, told, sorted({f.source for f in errors}))
    assert {f.source for f in errors} == set(HAZARD_MISTAKES)


@pytest.mark.parametrize(
    ("years", "found"),
    [("start_year = 1961\nend_year = 1990", "7 of the years 1961 to 1990 in a record of 1984 to 2024")],
)
def test_a_calibration_outside_the_record_is_refused(synthetic_inputs, small_config, tmp_path, years, found):
    text = Path(small_config).read_text("utf-8")
    changed = tmp_path / "early.toml"
    changed.write_text(text.replace("start_year = 1991\nend_year = 2020", years), "utf-8")
    errors = [f for f in check_inputs.fn(str(changed), str(synthetic_inputs), None, ISSUED) if f.severity == "error"]
    drought = next(f for f in errors if f.field == "calibration of hazards.drought")
    assert found in drought.found
    assert "at least 30" in drought.expected


def test_check_finds_no_error_in_the_synthetic_country(synthetic_inputs):
    """Repairs and notes are told all the same."""
    findings = check_inputs.fn("demo", str(synthetic_inputs), None, ISSUED)
    assert [f for f in findings if f.severity == "error"] == []
    assert any(f.severity == "repair" for f in findings)
    assert any(f.severity == "warning" for f in findings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"as_of": "2024-13"}, ["--as-of", "2024-13"]),
        ({"as_of": "2024-02-30"}, ["--as-of", "2024-02-30"]),
        ({"issued": "2024-02-30"}, ["--issued", "2024-02-30"]),
        ({"as_of": "2024-03", "issued": "2023-01-01"}, ["--as-of", "2024-03"]),
        ({"data": "nowhere"}, ["--data", "nowhere"]),
        ({"config": "irak"}, ["--config", "irak"]),
    ],
)
def test_an_impossible_question_is_told(synthetic_inputs, tmp_path, arguments, words):
    """Dates that do not exist, folders that are not there."""
    asked = {"config": "demo", "data": str(synthetic_inputs), "issued": ISSUED, "out": str(tmp_path), **arguments}
    with pytest.raises(InputError) as error:
        run_country.fn(**asked)
    for word in words:
        assert word in str(error.value)


def test_latest_survives_a_failed_run(demo_out, demo_run, small_config, country):
    """The good run of yesterday stays what people see."""
    truncate(RAIN)(country)
    before = (demo_out / "demo" / "latest.json").read_bytes()
    with pytest.raises(InputError):
        run_country.fn(small_config, data=str(country), issued=ISSUED, out=str(demo_out))
    assert (demo_out / "demo" / "latest.json").read_bytes() == before
    assert [p.name for p in (demo_out / "demo" / "runs").iterdir()] == [demo_run.name]


def test_no_place_to_write_is_told(synthetic_inputs, tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"a file where a folder should be|no permission"):
        run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "out"))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes, where this machine lets us make one."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False)
    if made.returncode:
        pytest.skip("this machine does not let the tests mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # HDF5 may hold a file of a failed write open


def test_a_full_disk_is_told(synthetic_inputs, small_disk):
    """No traceback, no half run."""
    with pytest.raises(InputError, match="no space left"):
        run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(small_disk))
    assert not list(small_disk.rglob("*.csv"))
    assert not list(small_disk.rglob("*.partial"))


def test_one_round_is_not_published_in_two_cuttings():
    """The same households in two cuttings of the country, or in two groupings, could be told apart."""
    one, other = boundaries_digest(square_subdistricts(4)), boundaries_digest(square_subdistricts(9))
    cut = {"boundaries": one, "groups": "a", "places": "p"}
    shown = {"rounds": {"2024-02-29": cut, "f1e": cut | {"day": "2024-02-29"}}}
    kept = [{"run": {"as_of": "2024-03", "run_id": "0123456789"}, "displacement": shown}]
    refuse_second_vintage({"2024-02-29": cut}, kept)
    refuse_second_vintage({"2023-09-30": {"boundaries": other, "groups": "b"}}, kept)
    for name, digest in (("boundaries", other), ("groups", "b"), ("places", "q")):
        with pytest.raises(InputError, match=rf"2024-02-29.*other {name} than"):
            refuse_second_vintage({"2024-02-29": cut | {name: digest}}, kept)
    with pytest.raises(InputError, match=r"round f1e.*other day"):  # the same file under another date
        refuse_second_vintage({"2024-03-31": cut, "f1e": cut | {"day": "2024-03-31"}}, kept)
    with pytest.raises(InputError, match="other boundaries"):  # a receipt of an older Wadi does not say how it cut
        refuse_second_vintage({"2024-02-29": cut}, [kept[0] | {"displacement": {"rounds": ["2024-02-29"]}}])


@pytest.mark.prefect
@pytest.mark.slow
def test_the_command_line_answers_a_mistake_in_one_line(country, small_config, tmp_path):
    """Through Prefect and all: code 1, the message, and no traceback."""
    truncate(RAIN)(country)
    wadi = Path(sys.executable).with_name("wadi")
    done = subprocess.run(
        [wadi, "run", "--config", small_config, "--data", country, "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "rain_2010.05.tif" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
