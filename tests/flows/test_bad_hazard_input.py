"""What hazards are made from, wrong where nobody would see it: `wadi run` names it, ends 1 and publishes nothing."""

import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.run_country import run_country

ISSUED = "2024-04-08"

CHANGE_MAP = """
[sources.water_occurrence]
reader = "raster_stack"
path = "water/occurrence.tif"
start = "2020"
quantity = "water_occurrence"
units = "%"
cadence = "once"
label = { en = "Occurrence", ar = "Occurrence", ckb = "Occurrence" }
licence = "none needed"
attribution = "made by the test"
"""

SHARE_MAP = """
[sources.water_share]
reader = "raster_stack"
path = "water/share.tif"
start = "2020"
quantity = "area_share"
units = "%"
cadence = "once"
label = { en = "Share of water", ar = "Share of water", ckb = "Share of water" }
licence = "none needed"
attribution = "made by the test"
"""


def country_file(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """The demo's country file with some lines changed."""
    text = (resources.files("flows") / "config" / "demo.toml").read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    written = folder / "country.toml"
    written.write_text(text + more, "utf-8")
    return written


def run(monkeypatch: pytest.MonkeyPatch, config: Path, data: Path, out: Path) -> Result:
    """`wadi run`, but for the server of Prefect."""
    monkeypatch.setattr("flows.run_country.run_country", run_country.fn)
    asked = ["run", "--config", config, "--data", data, "--issued", ISSUED, "--out", out]
    return CliRunner().invoke(app, [str(word) for word in asked])


def published(out: Path) -> list[Path]:
    """What a reader could take for a result."""
    return [*out.rglob("*.csv"), *out.rglob("*.html"), *out.rglob("latest*")]


# ------------------------------------------------------------------ what goes wrong


def nights_hotter_than_days(data: Path) -> None:
    """The tenth month of the lowest temperatures, 25 degrees up."""
    path = data / "temperature" / "tmin_monthly.nc"
    with xr.open_dataset(path) as stored:
        values = stored.load().drop_encoding()
    values["tmin"] = values.tmin.where(values["time"] != values["time"][9], values.tmin + 25).assign_attrs(
        values.tmin.attrs
    )
    values.to_netcdf(path)


def percent_for_shares(data: Path) -> None:
    path = data / "soil_moisture" / "soil_moisture.nc"
    with xr.open_dataset(path) as stored:
        values = stored.load().drop_encoding()
    values["soil_moisture"] = (values.soil_moisture * 100).assign_attrs(values.soil_moisture.attrs)
    values.to_netcdf(path)


def dekads_for_days(data: Path) -> None:
    """Of each month the days 1, 11 and 21 alone, each with the rain of its 8 to 11 days."""
    for path in (data / "rainfall").glob("daily_rain*.nc"):
        with xr.open_dataset(path) as stored:
            values = stored.load().drop_encoding()
        values.sel(time=values["time"].dt.day.isin([1, 11, 21])).to_netcdf(path)


def a_curve_number_of_130(data: Path) -> None:
    with rasterio.open(data / "terrain" / "curve_number.tif", "r+") as file:
        values = file.read()
        values[0, values.shape[1] // 2, values.shape[2] // 2] = 130
        file.write(values)


def a_curve_number_of_minus_5(data: Path) -> None:
    """In whole numbers that have a sign."""
    path = data / "terrain" / "curve_number.tif"
    with rasterio.open(path) as file:
        values, profile = file.read().astype("int16"), {**file.profile, "dtype": "int16"}
    values[0, values.shape[1] // 2, values.shape[2] // 2 + 1] = -5
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)


def codes_among_per_cent(name: str, *codes: int) -> Callable[[Path], None]:
    """A map of 40 %, in which some cells hold codes of the JRC's maps; the file declares no nodata."""

    def write(data: Path) -> None:
        with rasterio.open(data / "terrain" / "curve_number.tif") as like:
            profile = {**like.profile, "dtype": "uint8", "nodata": None}
        values = np.full((1, profile["height"], profile["width"]), 40, dtype="uint8")
        for row, code in enumerate(codes, start=20):
            values[0, row, 20:25] = code
        with rasterio.open(data / "water" / name, "w", **profile) as file:
            file.write(values)

    return write


def edited(path: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(data: Path) -> None:
        text = (data / path).read_text("utf-8")
        assert old in text
        (data / path).write_text(text.replace(old, new, 1), "utf-8")

    return edit


REACH = 'from = "reach-3"\nto = "reach-4"\n'

IN_THE_FILES = {
    "Tmax below Tmin": (
        nights_hotter_than_days,
        r"temperature/tm\w+\.nc.*: .*tm(ax|in).*below .*expected",
    ),
    "soil moisture in per cent": (
        percent_for_shares,
        r"soil_moisture\.nc: values: found .* m3/m3.*expected .*percent",
    ),
    "dekads summed as days": (
        dekads_for_days,
        r'daily_rain.*: found images for days 1, 11 and 21 alone.*expected cadence = "dekad"',
    ),
    "a curve number above 100": (
        a_curve_number_of_130,
        r"curve_number\.tif: values: found .*130.*expected .*100",
    ),
    "a curve number below 0": (
        a_curve_number_of_minus_5,
        r"curve_number\.tif: values: found -5 to .*expected no value below 0",
    ),
    "codes 253 to 255 as per cent of the time": (  # 255 is no data on every map of the JRC, 253 and 254 on one
        codes_among_per_cent("occurrence.tif", 253, 254, 255),
        r"occurrence\.tif: values: found 40 to 254 %.*expected .*253 and 254 are codes of the change map",
    ),
    "code 255 as per cent of the ground": (
        codes_among_per_cent("share.tif", 255),
        r"share\.tif: values: found 0\.4 to 2\.55 1.*expected no value above 1 .*is 255 its nodata\?",
    ),
    "a cycle": (
        edited("water/network.toml", REACH, 'from = "reach-3"\nto = "reach-2"\n'),
        r"network\.toml: link: found a cycle: .*reach-2.*reach-3.*expected",
    ),
    "negative inflow": (
        edited("water/border_inflow.csv", "2004-02,upstream,", "2004-02,upstream,-"),
        r"border_inflow\.csv: column 'inflow_m3s', row 3: found -\d.*expected",
    ),
}
UNKNOWN_NODE = (
    edited("water/network.toml", REACH, 'from = "reach-3"\nto = "reach-5"\n'),
    r"network\.toml: link 'reach-3' to 'reach-5'\.to: found .*expected",
)


@pytest.fixture
def told(
    synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """What `wadi run` answers where the data folder was damaged; each file and field is named once."""

    def answer(damages: list[Callable[[Path], None]], more: str = "") -> Result:
        folder = tmp_path_factory.mktemp("bad")
        data = Path(shutil.copytree(synthetic_inputs, folder / "inputs"))
        for damage in damages:
            damage(data)
        done = run(monkeypatch, country_file(folder, more=more), data, folder / "out")
        assert done.exit_code == 1, done.output
        assert "Traceback" not in done.output
        assert published(folder / "out") == []
        return done

    return answer


@pytest.mark.slow
def test_every_mistake_is_named_once_and_nothing_is_published(told):
    """All at once, as one pass reports all: of each the file, the field, what was found and what was expected."""
    done = told([damage for damage, _ in IN_THE_FILES.values()], more=CHANGE_MAP + SHARE_MAP)
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    for name, (_, words) in IN_THE_FILES.items():
        assert len([line for line in errors if re.search(words, line)]) == 1, (name, errors)
    assert len(errors) == len(IN_THE_FILES), errors


@pytest.mark.slow
def test_an_unknown_node_is_named(told):
    """By itself: a network whose links lead nowhere is not looked at for cycles."""
    damage, words = UNKNOWN_NODE
    done = told([damage])
    (error,) = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert re.search(words, error), error


# ------------------------------------------------------------------ mistakes of the country file


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "start_year = 1991\nend_year = 2020",
            "start_year = 1996\nend_year = 2020",
            r"country\.toml: calibration.*found 25 years, expected at least 30",
        ),
        (
            "start_year = 1991\nend_year = 2020",
            "start_year = 2020\nend_year = 1991",
            r"country\.toml: calibration.*found .*expected",
        ),
    ],
    ids=["under 30 years", "turned round"],
)
def test_a_calibration_that_is_too_short_is_refused_before_anything_is_read(
    synthetic_inputs, tmp_path, monkeypatch, old, new, words
):
    done = run(monkeypatch, country_file(tmp_path, (old, new)), synthetic_inputs, tmp_path / "out")
    assert done.exit_code == 1
    (error,) = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert re.search(words, error), error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_calibration_outside_the_record_publishes_nothing(synthetic_inputs, tmp_path, monkeypatch):
    """1961 to 1990 of a record that begins in 1984: told for each hazard and indicator that needs those years."""
    config = country_file(tmp_path, ("start_year = 1991\nend_year = 2020", "start_year = 1961\nend_year = 1990"))
    done = run(monkeypatch, config, synthetic_inputs, tmp_path / "out")
    assert done.exit_code == 1
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    told = [e for e in errors if "calibration of hazards.drought" in e]
    assert len(told) == 1, errors
    assert re.search(r"found 7 of the years 1961 to 1990 in a record of 1984 to 2024.*expected at least 30", told[0])
    assert published(tmp_path / "out") == []
