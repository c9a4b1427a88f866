"""The whole line on the synthetic country: what comes out, and that it is the planted truth."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import rasterio
import xarray as xr

from flows.run_country import run_country
from geodata import synthetic
from geodata.schema import KEEPS_VALUE, AlertLevel, Status, check_cube
from geodata.store import read_cube
from models.spi import spi

from .conftest import ISSUED

CONTRACT_COLUMNS = [
    "pcode",
    "name_en",
    "name_ar",
    "name_ckb",
    "adm1_pcode",
    "adm1_name",
    "adm2_pcode",
    "adm2_name",
    "area_km2",
    "residents",
    "displaced_households",
    "displaced_people",
    "displaced_climate_households",
    "returnee_households",
    "hazard_drought",
    "hazard_water",
    "hazard_heavy_rain",
    "hazard",
    "exposure",
    "vulnerability",
    "lack_of_coping",
    "risk",
    "risk_class",
    "risk_low",
    "risk_high",
    "risk_tier",
    "lack_of_reliability",
    "main_driver",
    "warning_score",
    "alert_level",
    "alert_basis",
    "warning_reason",
    "status",
    "as_of",
]


@pytest.fixture(scope="module")
def table(demo_run: Path) -> pd.DataFrame:
    return pd.read_csv(demo_run / "tables" / "subdistricts.csv", keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def cube(demo_run: Path) -> xr.Dataset:
    return read_cube(demo_run / "cube.nc")


@pytest.fixture(scope="module")
def truth() -> synthetic.Truth:
    return synthetic.make_country().truth


# ------------------------------------------------------------------ shape


def test_the_folder_holds_what_the_design_names(demo_run, demo_out):
    """One folder a run, and a pointer to it that needs no links."""
    present = {p.relative_to(demo_run).as_posix() for p in demo_run.rglob("*") if p.is_file()}
    assert {
        "manifest.json",
        "checks.json",
        "cube.nc",
        "site/index.html",
        "tables/subdistricts.csv",
        "tables/subdistricts_hxl.csv",
        "tables/subdistricts.xlsx",
        "tables/subdistricts.gpkg",
        "tables/subdistricts.parquet",
        "tables/indicators.parquet",
        "rasters/hazard_drought.tif",
    } <= present
    assert not [p for p in (demo_out / "demo" / "runs").iterdir() if p.name.startswith(".")]
    assert re.fullmatch(r"2024-03-[0-9a-f]{10}", demo_run.name)
    assert json.loads((demo_out / "demo" / "latest.json").read_text())["run"] == demo_run.name
    assert (demo_out / "demo" / "latest").resolve() == demo_run.resolve()


def test_the_table_begins_with_the_columns_of_the_contract(table):
    """Programs elsewhere read these names in this order."""
    assert list(table.columns[: len(CONTRACT_COLUMNS)]) == CONTRACT_COLUMNS
    assert table["pcode"].is_monotonic_increasing
    assert table["pcode"].is_unique
    assert len(table) == 60
    assert set(table["as_of"]) == {"2024-03"}


def test_every_value_has_a_status_and_no_absent_value_passes_for_one(table):
    """Unknown is empty, with its reason; a kept status has a value."""
    kept = {s.name for s in KEEPS_VALUE}
    names = [c.removesuffix("_status") for c in table.columns if c.endswith("_status")]
    assert {"risk", "hazard", "exposure", "vulnerability", "hazard_drought", "displaced_households"} <= set(names)
    for name in names:
        assert (table[f"{name}_status"].isin(kept) == table[name].notna()).all(), name
    assert (table["status"] == table["risk_status"]).all()


def test_printed_scores_have_one_decimal_and_lie_between_0_and_10(table):
    """Rounded once, on publication."""
    for name in ("risk", "hazard", "exposure", "vulnerability", "warning_score", "lack_of_reliability"):
        values = table[name].dropna()
        assert values.between(0, 10).all()
        assert (values * 10 % 1).round(9).isin([0, 1]).all(), name


def test_the_cube_keeps_the_promises_of_the_waist(cube):
    """Statuses, units and names survive the file."""
    check_cube(cube)
    assert tuple(cube["risk"].dims) == ("time", "pcode")
    assert cube.sizes["pcode"] == 60


def test_indicators_are_the_cube_told_row_by_row(demo_run, cube):
    """The long table and the cube hold the same unrounded numbers."""
    rows = pd.read_parquet(demo_run / "tables" / "indicators.parquet")
    assert list(rows.columns) == ["pcode", "time", "indicator", "lead_months", "scenario", "value", "unit", "status"]
    now = rows[(rows["time"] == "2024-03") & (rows["indicator"] == "risk")].set_index("pcode")["value"]
    expected = cube["risk"].isel(time=-1).to_series()
    np.testing.assert_array_equal(now.reindex(expected.index), expected)


# ------------------------------------------------------------------ laws


def test_contributions_add_up_to_the_unrounded_risk(cube):
    """Starting score plus what each part that is known adds is the score, to 1e-9."""
    last = cube.isel(time=-1)
    parts = [last[v] for v in last.data_vars if v.startswith("contribution_") and not v.endswith("_status")]
    total = xr.concat(parts, dim="part").sum("part", min_count=3)
    known = last["risk"].notnull()
    assert int(known.sum()) > 40
    np.testing.assert_allclose(total.where(known, drop=True), last["risk"].where(known, drop=True), atol=1e-9)


def test_what_a_hazard_that_nobody_could_assess_adds_is_empty_in_every_table(demo_run):
    """Not 0.0, as if it had been measured and found harmless: empty, with the status of the hazard beside it."""
    tables = demo_run / "tables"
    csv = pd.read_csv(tables / "subdistricts.csv", dtype=str, keep_default_na=False).set_index("pcode")
    hxl = pd.read_csv(tables / "subdistricts_hxl.csv", dtype=str, keep_default_na=False, skiprows=[1])
    sheet = pd.read_excel(tables / "subdistricts.xlsx", header=1, dtype=str, keep_default_na=False)
    everywhere = {
        "csv": csv,
        "hxl": hxl.set_index("pcode"),
        "xlsx": sheet.set_index("pcode"),
        "gpkg": pyogrio.read_dataframe(tables / "subdistricts.gpkg").set_index("pcode"),
        "parquet": pd.read_parquet(tables / "subdistricts.parquet"),
    }
    unknown = {}
    parts = {c.removeprefix("contribution_") for c in csv if c.startswith("contribution_")}
    for name in sorted(n for n in parts if f"hazard_{n}" in csv and not n.endswith("_status")):
        rows = csv.index[(csv["risk"] != "") & (csv[f"hazard_{name}"] == "")]
        unknown[name] = len(rows)
        for where, told in everywhere.items():
            printed = told.loc[rows, f"contribution_{name}"]
            assert (printed.isna() | (printed == "")).all(), (name, where)
            reasons = told.loc[rows, f"contribution_{name}_status"]
            assert (reasons == csv.loc[rows, f"hazard_{name}_status"]).all(), (name, where)
        there = csv.index[(csv["risk"] != "") & (csv[f"hazard_{name}"] != "")]
        assert (csv.loc[there, f"contribution_{name}"] != "").all(), name
    assert unknown["water"] > 10  # subdistricts without open water
    assert unknown["dust"] == 2  # whose satellite saw too little


def test_the_parts_that_are_printed_add_up_to_the_printed_risk(demo_run):
    """An empty part is nothing to add; no risk, no parts."""
    csv = pd.read_csv(demo_run / "tables" / "subdistricts.csv")
    parts = csv[[c for c in csv if c.startswith("contribution_") and not c.endswith("_status")]]
    known = csv["risk"].notna()
    assert parts[known].isna().any(axis=None)
    np.testing.assert_allclose(parts[known].sum(axis=1), csv.loc[known, "risk"], atol=1e-9)
    assert parts[~known].isna().all(axis=None)


def test_the_risk_lies_in_its_range(table):
    """The dot lies inside the bracket."""
    known = table.dropna(subset="risk")
    assert (known["risk_low"] <= known["risk"]).all()
    assert (known["risk"] <= known["risk_high"]).all()
    assert set(known["risk_tier"]) == set("ABCDE")


def test_published_counts_follow_the_protection_rule(table, truth):
    """1 to 4 households are suppressed, the rest is rounded to 5, people are derived afterwards."""
    hidden = truth.small_counts["2024-02-29"]
    rows = table.set_index("pcode")
    assert set(rows.index[rows["displaced_households_status"] == "suppressed"]) == set(hidden)
    assert rows.loc[list(hidden), "displaced_households"].isna().all()
    assert (rows["displaced_households"].dropna() % 5 == 0).all()
    known = rows.dropna(subset="displaced_households")
    assert (known["displaced_people"] == 6 * known["displaced_households"]).all()


def test_nobody_counted_is_not_nobody_vulnerable(table):
    """No displaced recorded: vulnerability is not assessed, and is not 0."""
    none = table[table["displaced_households"] == 0]
    assert len(none) > 0
    assert none["vulnerability"].isna().all()
    assert set(none["vulnerability_status"]) == {"insufficient_data"}
    assert none["risk"].isna().all()


# ------------------------------------------------------------------ the planted truth


def test_the_planted_drought_is_found_and_raises_alerts(cube, truth):
    """Most of the heart of the drought stands at warning or worse, and less than a fifth of the rest does."""
    heart = list(truth.drought.pcodes)
    last = cube.isel(time=-1)
    dry = last["hazard_drought"].sel(pcode=heart)
    rest = last["hazard_drought"].drop_sel(pcode=heart)
    assert float((dry >= 6).mean()) > 0.8
    assert float((rest >= 6).mean()) < 0.2


def test_summer_is_masked_and_never_a_drought(cube):
    """The SPI of a rainless month says nothing, and the headline is taken from a scale that does."""
    july = cube.sel(time="2023-07").squeeze("time")
    assert (july["spi_1_status"] == int(Status.masked_dry_season)).all()
    assert july["spi_1"].isnull().all()
    assert july["drought_index"].notnull().all()
    assert (july["drought_scale_months"] >= 6).all()


def test_years_without_imagery_are_no_water_shortage(cube, truth, demo_run):
    """They are found and told, and nothing is told of the water while they speak: not even what it was before."""
    for year in truth.years_without_imagery:
        later = cube["hazard_water_status"].sel(time=f"{year + 1}-06").values
        assert set(np.unique(later)) == {int(Status.insufficient_data)}
    told = json.loads((demo_run / "checks.json").read_text())["findings"]
    assert any(all(str(y) in f["found"] for y in truth.years_without_imagery) for f in told)


def test_lost_marshes_are_a_water_shortage(cube, truth):
    """Their water is gone for years: the hazard is high there."""
    lost = cube["hazard_water"].isel(time=-1).sel(pcode=list(truth.lost_marsh_pcodes))
    assert (lost >= 6).all()


def test_the_cloudburst_is_seen_where_it_fell(cube, truth):
    """One day of rain in a dry valley ranks above every other year of its record."""
    score = cube["hazard_heavy_rain"].isel(time=-1)
    assert float(score.sel(pcode=truth.cloudburst.pcode)) >= 8
    assert float(score.median()) < 6


def test_a_place_without_residents_has_no_exposure_and_no_risk(table, truth):
    """Residents unknown is said, and is not nobody."""
    rows = table.set_index("pcode").loc[list(truth.residents_unknown)]
    assert rows["exposure"].isna().all()
    assert set(rows["status"]) == {"exposure_unknown"}


def test_all_alert_levels_occur_and_each_has_its_reason(table):
    """The demo shows what the levels look like."""
    assert {int(AlertLevel.NORMAL), int(AlertLevel.WATCH), int(AlertLevel.WARNING)} <= set(table["alert_level"])
    assert (table["warning_reason"].str.len() > 10).all()
    assert set(table["alert_basis"]) == {"monitoring"}


# ------------------------------------------------------------------ words


SYNTHETIC = ("SYNTHETIC", "بيانات مصطنعة", "دروستکراو")


def test_every_product_says_synthetic_in_every_language(demo_run, table, cube):
    """Made-up numbers must not travel as real ones, whichever file they travel in."""
    page = (demo_run / "site" / "index.html").read_text("utf-8")
    assert "SYNTHETIC" in re.search(r"<title>(.*?)</title>", page).group(1)
    tables = demo_run / "tables"
    sheet = pd.read_excel(tables / "subdistricts.xlsx", header=None, dtype=str).to_csv()
    indicators = pyarrow.parquet.read_schema(tables / "indicators.parquet").metadata[b"pandas"].decode()
    said = {
        "page": page,
        "csv": table["notice"].iloc[-1],
        "hxl": (tables / "subdistricts_hxl.csv").read_text("utf-8"),
        "xlsx": sheet,
        "gpkg": pyogrio.read_dataframe(tables / "subdistricts.gpkg")["notice"].iloc[0],
        "parquet": pd.read_parquet(tables / "subdistricts.parquet")["notice"].iloc[0],
        "indicators": json.loads(indicators)["attributes"]["notice"],
        "cube": cube.attrs["notice"],
        "checks": json.loads((demo_run / "checks.json").read_text("utf-8"))["notice"],
    }
    for path in (demo_run / "rasters").glob("*.tif"):
        with rasterio.open(path) as file:
            said[path.name] = file.descriptions[0]
    for path in (demo_run / "calibration").rglob("*.nc"):
        said[path.name] = xr.open_dataset(path).attrs["notice"]
    assert len(said) > 18
    silent = [(name, word) for name, text in said.items() for word in SYNTHETIC if word not in text]
    assert silent == []


def test_titles_name_the_dimension_that_is_left_out(demo_run):
    """A score without coping capacity says so."""
    assert "without coping capacity" in (demo_run / "site" / "index.html").read_text("utf-8")
    assert "without coping capacity" in json.loads((demo_run / "manifest.json").read_text())["headlines"]["title"]


def test_the_spi_of_a_cell_is_that_of_the_rain_in_its_file(demo_run, synthetic_inputs):
    """Read at one place from 480 files, without the readers; the as-of month, each scale in its own band."""
    row, column, scales = 20, 21, (1, 3, 6, 9, 12, 24)
    months, rain = [], []
    for path in sorted((synthetic_inputs / "rainfall").glob("rain_*.tif")):
        with rasterio.open(path) as file:
            where = file.xy(row, column)
            rain.append(float(file.read(1)[row, column]))
        months.append(pd.Timestamp(f"{path.stem[5:].replace('.', '-')}-01"))
    attrs = {"units": "mm/month"}
    series = xr.DataArray(rain, dims="time", coords={"time": pd.DatetimeIndex(months)}, attrs=attrs, name="rain")
    expected = [float(spi(series, k, (1991, 2020))["spi"][-1]) for k in scales]
    with rasterio.open(demo_run / "rasters" / "drought.tif") as file:
        assert [d.split(" of ")[1].split(" ")[0] for d in file.descriptions] == [str(k) for k in scales]
        (found,) = file.sample([where])
    np.testing.assert_allclose(found, expected, atol=2e-5)


# ------------------------------------------------------------------ the receipt


def test_the_receipt_names_each_input_by_its_hash(demo_run, synthetic_inputs):
    """Of many files, the hash of what `sha256sum` prints for them."""
    receipt = json.loads((demo_run / "manifest.json").read_text("utf-8"))
    sources = {s["name"]: s for s in receipt["run"]["sources"]}
    table = (synthetic_inputs / "residents" / "residents.csv").read_bytes()
    assert sources["residents"]["sha256"] == hashlib.sha256(table).hexdigest()
    files = sorted((synthetic_inputs / "rainfall").glob("rain_*.tif"))
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  rainfall/{f.name}\n" for f in files]
    assert sources["rain"]["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert (sources["rain"]["first"], sources["rain"]["last"], sources["rain"]["age_days"]) == ("1984-01", "2024-03", 0)
    assert sources["surface_water"]["last"] == "2023"
    stages = ["read-sources", "balance-water", "compute-hazards", "score-risk", "issue-warnings", "publish-products"]
    assert list(receipt["machine"]["seconds"]) == stages


# ------------------------------------------------------------------ runs


def products_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_question_gives_the_same_id_and_the_same_bytes(demo_run, synthetic_inputs, tmp_path):
    """Only the receipt knows the clock."""
    folder = Path(run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path)))
    assert folder.name == demo_run.name
    first, second = products_of(demo_run), products_of(folder)
    assert first.keys() == second.keys()
    assert [name for name in first if name != "manifest.json" and first[name] != second[name]] == []


def test_an_identical_run_is_reused(demo_run, demo_out, synthetic_inputs):
    """Nothing is rewritten."""
    before = (demo_run / "manifest.json").stat().st_mtime_ns
    folder = run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(demo_out))
    assert Path(folder) == demo_run
    assert (demo_run / "manifest.json").stat().st_mtime_ns == before


def test_an_exercise_leaves_latest_alone(demo_out, demo_run, small_config, synthetic_inputs):
    """A drill is marked everywhere and never goes live."""
    asked = {"data": str(synthetic_inputs), "issued": ISSUED, "out": str(demo_out), "exercise": True}
    folder = Path(run_country.fn(small_config, **asked))
    page = (folder / "site" / "index.html").read_text("utf-8")
    assert "EXERCISE" in re.search(r"<title>(.*?)</title>", page).group(1)
    assert "تمرين" in page
    assert folder != demo_run
    assert json.loads((demo_out / "demo" / "latest.json").read_text())["run"] == demo_run.name
    import shutil

    shutil.rmtree(folder)


def test_a_restricted_run_keeps_exact_counts_beside_the_site(small_config, synthetic_inputs, tmp_path, truth):
    """Exact figures are in restricted/ and nowhere else."""
    asked = {"data": str(synthetic_inputs), "issued": ISSUED, "out": str(tmp_path), "restricted": True}
    folder = Path(run_country.fn(small_config, **asked))
    exact = pd.read_csv(folder / "restricted" / "locations_2024-02-29.csv")
    assert (exact["households"] % 5 != 0).any()
    assert exact["latitude"].notna().sum() > 300
    site = (folder / "site" / "index.html").read_text("utf-8")
    assert not [name for name in exact["site_id"].astype(str) if name in site]
