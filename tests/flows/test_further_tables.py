"""Rare rain against an independent fit, usual water and evaporation of the demo; what a record may not speak of."""

import json
import re
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from flows.further_tables import growth_factors, publish_usual_water, usual_water
from flows.raster_means import by_subdistrict
from flows.reading import raster_cube
from flows.run_country import run_country
from flows.settings import load_settings
from flows.workspace import stage
from geodata import synthetic
from geodata.schema import InputError, Status, status_attrs
from geodata.store import write_cube
from geodata.synthetic_water import cell_areas
from models.hazard_heavy_rain import HeavyRainOptions

PERIODS = [2, 5, 10, 20, 50]


@pytest.fixture(scope="module")
def levels(demo_run: Path) -> pd.DataFrame:
    return pd.read_csv(demo_run / "tables" / "heavy_rain_return_levels.csv")


@pytest.fixture(scope="module")
def maxima(demo_run: Path) -> pd.DataFrame:
    """Highest day of each whole hydrological year (year, pcode), from the published cube by pandas alone."""
    highest = xr.open_dataset(demo_run / "cube.nc")["heavy_rain_rx1day"].load().to_pandas()
    year = highest.index.year + (highest.index.month >= 10)
    whole = highest.groupby(year).count().min(axis=1) == 12
    return highest.groupby(year).max()[whole]


# ------------------------------------------------------------------ return levels of the demo


def test_the_demo_has_thirty_three_years_and_a_level_for_each_place_and_period(levels, maxima):
    assert maxima.index.tolist() == list(range(1991, 2024))
    assert levels.groupby("pcode")["return_period"].apply(list).map(lambda periods: periods == PERIODS).all()
    assert set(levels["pcode"]) == set(maxima.columns)
    assert set(levels["years"]) == {33}
    assert (levels["return_period"] <= 2 * levels["years"]).all()
    assert set(levels["status"]) == {"ok"}
    assert levels["growth_factor"].notna().all()


def test_growth_factors_are_those_of_a_regional_gev_by_lmoments3(levels, maxima):
    """Hosking and Wallis by hand: L-CV and L-skewness of each place by lmoments3, their mean over the governorate
    (equal records weigh alike), a GEV of mean 1 fitted by lmoments3, its quantile. To the two decimals of the table."""
    lmoments3 = pytest.importorskip("lmoments3")
    distr = pytest.importorskip("lmoments3.distr")
    for region, rows in levels.groupby("region"):
        ratios = [lmoments3.lmom_ratios(maxima[pcode].to_numpy(), nmom=3) for pcode in rows["pcode"].unique()]
        cv, skewness = np.mean([(l2 / l1, t3) for l1, l2, t3 in ratios], axis=0)
        fitted = distr.gev(**distr.gev.lmom_fit(lmom_ratios=[1.0, cv, skewness]))
        expected = dict(zip(PERIODS, fitted.ppf(1 - 1 / np.array(PERIODS)), strict=True))
        assert rows["growth_factor"].to_numpy() == pytest.approx(rows["return_period"].map(expected), abs=0.008), region


def test_the_interval_holds_the_level_and_is_wider_for_what_is_rarer(levels):
    inside = levels["growth_factor"].between(levels["growth_factor_low"], levels["growth_factor_high"])
    assert inside.all()
    width = (levels["growth_factor_high"] - levels["growth_factor_low"]).groupby(levels["return_period"]).mean()
    assert width.loc[50] > width.loc[20] > width.loc[10] > 0
    assert levels.groupby("pcode")["growth_factor"].apply(lambda g: g.is_monotonic_increasing).all()


def test_most_governorates_are_homogeneous_and_none_is_pooled_that_is_not(levels):
    """H below 1 in most; from 2 on nothing is pooled, so that no level stands beside such an H."""
    h = levels.groupby("region")["heterogeneity"].first()
    assert (h < 1).sum() >= 4
    assert levels.loc[levels["heterogeneity"] >= 2, "growth_factor"].isna().all()


def test_rain_of_very_wet_days_is_known_once_thirty_years_are(demo_run):
    """R95pTOT of the last wet season has a value in every subdistrict, and is part of the rain of wet days."""
    cube = xr.open_dataset(demo_run / "cube.nc").sel(time=slice("2024-01", "2024-03"))
    heavy, wet = cube["heavy_rain_r95p_total_mm"], cube["heavy_rain_wet_day_total_mm"]
    assert heavy.notnull().all()
    assert (heavy <= wet + 1e-3).all()
    assert float(heavy.sum()) > 0


# ------------------------------------------------------------------ what a record may speak of


def rx1day(years: int, places: int = 6) -> xr.DataArray:
    """Monthly highest days of whole hydrological years, Gumbel in January and dry in the other months."""
    time = pd.date_range("1950-10", periods=12 * years, freq="MS")
    values = np.zeros((len(time), places))
    values[time.month == 1] = 20 + 5 * np.random.default_rng(7).gumbel(size=(years, places))
    codes = [f"X01Q01N{i:02d}" for i in range(places)]
    return xr.DataArray(
        values, dims=("time", "pcode"), coords={"time": time, "pcode": codes}, attrs={"units": "mm/day"}
    )


def table_of(record: xr.DataArray) -> pd.DataFrame:
    return growth_factors(record, pd.Series("X01", index=record["pcode"].values), HeavyRainOptions())


@pytest.mark.parametrize(("years", "given"), [(40, PERIODS), (30, PERIODS), (29, []), (12, [])])
def test_a_record_speaks_of_twice_its_years_and_from_thirty_years_on(years, given):
    table = table_of(rx1day(years))
    assert table["return_period"].tolist() == 6 * PERIODS
    known = table["growth_factor"].notna()
    assert table.loc[known, "return_period"].unique().tolist() == given
    assert set(table.loc[known, "status"]) <= {"ok"}
    assert set(table.loc[~known, "status"]) <= {"insufficient_data"}
    assert set(table["years"]) == {years}


def test_a_year_with_an_unseen_month_does_not_count():
    """31 years less two that miss a month are 29 in that place: too few there, enough elsewhere."""
    record = rx1day(31)
    record[[5, 17], 2] = np.nan
    table = table_of(record).set_index("pcode")
    assert table.loc["X01Q01N02", "years"].unique().tolist() == [29]
    assert set(table.loc["X01Q01N02", "status"]) == {"insufficient_data"}
    assert set(table.drop("X01Q01N02")["status"]) == {"ok"}


# ------------------------------------------------------------------ from monthly rain alone


@pytest.fixture(scope="module")
def monthly_run(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run of a country that has monthly rain and no daily source, and asks for heavy rain all the same."""
    text = (resources.files("flows") / "config" / "demo.toml").read_text("utf-8")
    daily = r"sources\.(daily_rain|tmax_daily|tmin_daily)|hazards\.(heavy_rain|heat|vegetation)|indicators\.\w+"
    text = re.sub(rf"(?ms)^\[({daily})\].*?(?=^\[|\Z)", "", text)
    text += '\n[hazards.heavy_rain]\nmethod = "heavy_rain"\nsource = "rain"\n[hazards.heat]\nmethod = "none"\n'
    folder = tmp_path_factory.mktemp("monthly")
    (folder / "monthly.toml").write_text(text, "utf-8")
    return Path(
        run_country.fn(
            str(folder / "monthly.toml"), data=str(synthetic_inputs), issued="2024-04-08", out=str(folder / "out")
        )
    )


@pytest.mark.slow
def test_monthly_rain_alone_says_nothing_of_heavy_rain_and_never_zero(monthly_run):
    """Also where the cloudburst of that month fell, which the monthly rain holds: empty, with the reason beside it."""
    table = pd.read_csv(monthly_run / "tables" / "subdistricts.csv", index_col="pcode")
    assert len(table) == 60
    assert table["hazard_heavy_rain"].isna().all()
    assert set(table["hazard_heavy_rain_status"]) == {"input_missing"}
    burst = synthetic.make_country(1).truth.cloudburst
    assert pd.isna(table.loc[burst.pcode, "hazard_heavy_rain"])
    assert table.loc[burst.pcode, "hazard_drought"] >= 0
    assert "heavy_rain" not in set(table["main_driver"])


@pytest.mark.slow
def test_monthly_rain_alone_gives_no_return_levels_and_says_why(monthly_run):
    assert not list((monthly_run / "tables").glob("heavy_rain*"))
    assert not list((monthly_run / "rasters").glob("*heavy_rain*"))
    with xr.open_dataset(monthly_run / "cube.nc") as cube:
        assert not [v for v in map(str, cube.data_vars) if v.startswith("heavy_rain")]
    findings = json.loads((monthly_run / "checks.json").read_text("utf-8"))["findings"]
    (told,) = [f for f in findings if f["field"] == "hazards.heavy_rain.source"]
    assert told["source"] == "sources.rain"
    assert "month" in told["found"]
    assert "day" in told["expected"]
    assert "input_missing" in told["action"]


# ------------------------------------------------------------------ where water usually is


def test_usual_water_is_that_of_the_map_under_each_subdistrict(demo_run):
    """Every wet cell cut along the boundary by shapely, its occurrence times its share of the ground: to 1 %."""
    table = pd.read_csv(demo_run / "tables" / "usual_water.csv", index_col="pcode")
    country = synthetic.make_country(1)
    map_ = country.waterways.water_occurrence[0]
    row, column = np.nonzero(((map_ > 0) & (map_ != 255)).to_numpy())
    lon, lat = map_["lon"].to_numpy()[column], map_["lat"].to_numpy()[row]
    cells = shapely.box(lon - 0.025, lat - 0.025, lon + 0.025, lat + 0.025)
    water = map_.to_numpy()[row, column] / 100 * cell_areas(map_["lat"].to_numpy())[row, 0]
    for pcode, shape in country.subdistricts.geometry.items():
        expected = (water * shapely.area(shapely.intersection(cells, shape)) / 0.05**2).sum()
        assert table.loc[pcode, "usual_water_km2"] == pytest.approx(expected, rel=0.01, abs=0.01), pcode
    assert set(table["status"]) == {"ok"}
    assert table["observed_share"].min() > 0.99


def test_usual_water_is_the_mean_of_what_was_seen_month_by_month(demo_run):
    """Twenty whole years of the monthly history, read by other code from another file: within 5 % over the country."""
    table = pd.read_csv(demo_run / "tables" / "usual_water.csv")
    with xr.open_dataset(demo_run / "cube.nc") as cube:
        months = cube["water_history"].sel(time=slice("2004", "2023")).groupby("time.month").mean().mean("month")
    assert table["usual_water_km2"].sum() == pytest.approx(float(months.sum()), rel=0.05)


def test_lost_marshes_are_changing_and_not_permanent_water(demo_run):
    table = pd.read_csv(demo_run / "tables" / "usual_water.csv", index_col="pcode")
    lost = table.loc[list(synthetic.make_country(1).truth.lost_marsh_pcodes)]
    assert (lost["changing_water_km2"] > 2 * lost["permanent_water_km2"]).all()


def test_a_map_of_later_years_is_not_known_yet():
    areas = xr.Dataset(
        {name: ("pcode", [5.0, 7.0]) for name in ("value", "permanent", "changing", "coverage")},
        coords={"pcode": ["A", "B"]},
    )
    flags = xr.DataArray(np.array([Status.ok, Status.input_missing], dtype="int8"), dims="pcode").assign_attrs(
        status_attrs()
    )
    table = usual_water(areas, flags).set_index("pcode")
    assert table.loc["A", "usual_water_km2"] == 5
    assert table.loc["B", ["usual_water_km2", "permanent_water_km2", "changing_water_km2"]].isna().all()
    assert table["status"].tolist() == ["ok", "input_missing"]


def test_the_map_of_usual_water_is_read_once(tmp_path):
    """The table comes from what reading the sources stored: the map itself may be gone by then."""
    lat, lon = 31.75 - 0.5 * np.arange(4), 40.25 + 0.5 * np.arange(4)
    coords = {"time": pd.DatetimeIndex(["2023-12-31"]), "lat": lat, "lon": lon}
    cells = [[100, 100, 0, 0], [100, 100, 0, 0], [50, 50, 5, 5], [50, 50, 5, 5]]
    map_ = xr.DataArray([np.array(cells, "float32")], dims=("time", "lat", "lon"), coords=coords)
    boxes = [shapely.box(x, y, x + 1, y + 1) for y in (31, 30) for x in (40, 41)]
    units = gpd.GeoDataFrame(geometry=boxes, index=pd.Index(["A", "B", "C", "D"], name="pcode"), crs="EPSG:4326")
    options = load_settings("demo").sources["usual_water"]
    means = by_subdistrict(map_.assign_attrs(crs="EPSG:4326", units="%"), options, units.assign(area_km2=1000.0))
    cube = raster_cube(means, "usual_water", options)
    write_cube(cube, stage(tmp_path) / "usual_water.nc", packed=False)
    plan = SimpleNamespace(settings=SimpleNamespace(sources={"usual_water": options}))
    publish_usual_water(plan, str(tmp_path), cube, "")
    table = pd.read_csv(tmp_path / "tables" / "usual_water.csv", index_col="pcode")
    # Of A all is water at all times; of C half of the time, so none is permanent; below 10 % nothing changes.
    assert table["usual_water_km2"].tolist() == [1000, 0, 500, 50]
    assert table["permanent_water_km2"].tolist() == [1000, 0, 0, 0]
    assert table["changing_water_km2"].tolist() == [0, 0, 1000, 0]
    assert table["observed_share"].tolist() == [1] * 4
    assert set(table["status"]) == {"ok"}


@pytest.mark.parametrize("method", ["water_percentile", "anomaly", "storage_percentile"])
def test_where_water_usually_is_can_be_no_signal_of_a_month(tmp_path, method):
    """A static map as source of a hazard is refused before anything is read."""
    text = (resources.files("flows") / "config" / "demo.toml").read_text("utf-8")
    text = re.sub(r"(?ms)^\[hazards\.water\].*?(?=^\[)", "", text)
    path = tmp_path / "static.toml"
    path.write_text(f'{text}\n[hazards.water]\nmethod = "{method}"\nsource = "usual_water"\n', "utf-8")
    with pytest.raises(InputError, match=r"hazards\.water\.source: found sources\.usual_water with cadence 'once'"):
        load_settings(str(path))


# ------------------------------------------------------------------ evaporation


def test_less_evaporates_in_the_drought_and_the_dry_summer_says_nothing(demo_run):
    """Heart of the drought against the rest in the as-of month; September masked everywhere, since the years differ by
    less than 2 mm there."""
    drought = synthetic.make_country(1).truth.drought
    with xr.open_dataset(demo_run / "cube.nc") as cube:
        index, flags = cube["evaporation_index"].load(), cube["evaporation_index_status"].load()
        upward = cube["evaporation"].isel(time=-1)
        assert upward.attrs["units"] == "mm/month"
        assert float(upward.min()) > 0  # the file counts downward
    last = index.isel(time=-1)
    heart, rest = last.sel(pcode=list(drought.pcodes)), last.drop_sel(pcode=list(drought.pcodes))
    assert float(heart.median()) < -1
    assert float(rest.median()) > -0.5
    september = (index["time"].dt.month == 9) & (index["time"].dt.year >= 1994)
    assert set(np.unique(flags[september])) == {int(Status.masked_dry_season)}
    assert index[september].isnull().all()


def test_evaporation_at_a_place_is_the_departure_from_its_years(demo_run):
    """Last March of the first subdistrict, from the published evaporation by pandas: (x - mean) / sd, 1994 to 2020."""
    with xr.open_dataset(demo_run / "cube.nc") as cube:
        march = cube["evaporation"].isel(pcode=0).to_series().loc["1994":]
        found = float(cube["evaporation_index"].isel(pcode=0, time=-1))
    march = march[march.index.month == 3]
    learnt = march.loc[:"2020"]
    assert len(learnt) == 27
    assert found == pytest.approx((march.iloc[-1] - learnt.mean()) / learnt.std(), abs=1e-4)
