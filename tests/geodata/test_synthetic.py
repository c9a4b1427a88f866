"""The synthetic country: a believable land, files as an analyst gets them, and a truth that can be found again."""

import hashlib
import tomllib
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr

from geodata import synthetic
from geodata.schema import check_subdistricts
from geodata.synthetic_land import GOVERNORATES, grid_around_country, to_degrees
from geodata.synthetic_people import SHELTERS, apportion

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def country(request):
    return synthetic.make_country(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("country")
    synthetic.write_country(target, seed=1)
    return target


def unit_rain(country: synthetic.SyntheticCountry) -> pd.DataFrame:
    """Mean of the cells whose centre lies in each unit, mm/month, (month, pcode)."""
    unit = country.land.unit_of_cells(grid_around_country(0.1))
    cells = [country.rain.to_numpy()[:, unit == i].mean(axis=1) for i in range(len(country.subdistricts))]
    return pd.DataFrame(
        np.transpose(cells), index=pd.DatetimeIndex(country.rain.time), columns=country.subdistricts.index
    )


def share_of_normal(rain: pd.DataFrame, first: str, last: str) -> pd.Series:
    """Rain of a spell over what the same calendar months bring in 1984-2020, per unit."""
    spell = rain[first:last]
    normal = rain[:"2020"].groupby(rain[:"2020"].index.month).mean()
    return spell.sum() / normal.loc[spell.index.month].sum()


# ------------------------------------------------------------------ land


def test_subdistricts_keep_the_promise_of_the_waist(country):
    """Sixty sorted unique codes in six governorates, all names filled in, all shapes valid."""
    units = country.subdistricts
    check_subdistricts(units)
    assert len(units) == 60
    assert units["adm1_pcode"].nunique() == GOVERNORATES
    assert units.index.str.fullmatch(r"XWG0\dQ0\dN\d\d").all()
    assert all(units.index.str[:8] == units["adm2_pcode"])
    assert all(units.index.str[:5] == units["adm1_pcode"])


@pytest.mark.parametrize("seed", range(4, 12))
def test_no_gap_and_no_overlap_whatever_the_seed(seed):
    """The units' areas add up to the area of their union, which has no hole."""
    options = synthetic.CountryOptions(
        seed=seed, first="2009-01", daily_years=1, daily_rain_years=1, vegetation_years=1
    )
    shapes = synthetic.make_country(options=options).subdistricts.geometry.to_numpy()
    union = shapely.union_all(shapes)
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).sum() == pytest.approx(union.area, rel=1e-9)
    assert union.geom_type == "Polygon"
    assert not union.interiors


def test_neighbours_share_their_border_vertices(country):
    """Each border segment inside the country belongs to two units, each outer one to the outline."""
    segments: dict[frozenset, int] = {}
    for shape in country.subdistricts.geometry:
        corners = list(shape.exterior.coords)
        for pair in pairwise(corners):
            segments[frozenset(pair)] = segments.get(frozenset(pair), 0) + 1
    outer = len(country.land.outline.exterior.coords) - 1
    assert set(segments.values()) == {1, 2}
    assert sum(n == 1 for n in segments.values()) == outer


def test_districts_and_governorates_are_in_one_piece(country):
    """Dissolving by parent leaves no exclave."""
    for parent in ("adm1_pcode", "adm2_pcode"):
        assert set(country.subdistricts.dissolve(parent).geom_type) == {"Polygon"}


def test_the_country_is_four_hundred_by_five_hundred_kilometres(country):
    """Geodesic areas add up to a country of that size and no unit is a speck or a desert of its own."""
    area = country.subdistricts["area_km2"]
    assert 110_000 < area.sum() < 180_000
    assert area.min() > 200
    assert area.max() < 11_000


def test_names_are_unique_and_in_their_script(country):
    """No name twice in any language; Arabic and Sorani letters only; the letters only Sorani has do occur."""
    units = country.subdistricts
    for language in ("en", "ar", "ckb"):
        assert units[f"name_{language}"].is_unique
        assert units[f"adm1_name{'' if language == 'en' else '_' + language}"].nunique() == GOVERNORATES
    assert units["name_en"].str.fullmatch(r"[A-Z][a-z]+( [A-Z][a-z]+)?").all()
    assert units["name_ar"].str.fullmatch(r"[\u0621-\u064a ]+").all()
    assert units["name_ckb"].str.fullmatch(r"[\u0626-\u06d5 ]+").all()
    sorani = "".join(units["name_ckb"])
    assert all(letter in sorani for letter in "ڕڵۆێڤگ")
    assert not any(letter in sorani for letter in "كيةطى")


# ------------------------------------------------------------------ rain


def test_july_and_august_are_always_dry(country):
    """100 % zeros in July and August everywhere, and from June to September in the desert."""
    month = country.rain.time.dt.month
    assert float(country.rain[month.isin([7, 8])].max()) == 0.0
    desert = country.rain.mean("time") * 12 < 80
    summer = country.rain[month.isin([6, 7, 8, 9])]
    assert int(desert.sum()) > 100
    assert float(summer.where(desert).max()) == 0.0


def test_share_of_dry_months_follows_the_season(country):
    """Shares of cells below 1 mm lie near those of an arid record (Jan 5, May 48, Jun 98, Sep 93, Oct 43 %)."""
    inside = country.land.unit_of_cells(grid_around_country(0.1)) >= 0
    dry = {
        m: float((country.rain[country.rain.time.dt.month == m].to_numpy()[:, inside] < 1).mean())
        for m in (1, 5, 6, 9, 10)
    }
    assert dry[1] == pytest.approx(0.05, abs=0.06)
    assert dry[5] == pytest.approx(0.48, abs=0.10)
    assert dry[6] == pytest.approx(0.98, abs=0.02)
    assert dry[9] == pytest.approx(0.93, abs=0.04)
    assert dry[10] == pytest.approx(0.43, abs=0.10)


def test_wet_north_and_arid_south(country):
    """The year brings several times more rain to the northernmost ten units than to the southernmost ten."""
    year = unit_rain(country)[:"2023"].mean() * 12
    order = country.subdistricts.index[np.argsort(country.land.centres_km()[:, 1])]
    assert year[order[-10:]].mean() > 4 * year[order[:10]].mean()
    assert 150 < np.average(year, weights=country.subdistricts["area_km2"]) < 300


def test_neighbouring_cells_are_wet_together(country):
    """January rain of neighbouring cells correlates strongly, of far ones less."""
    january = country.rain[country.rain.time.dt.month == 1]
    cells = january.isel(lat=26).to_numpy().T
    assert np.corrcoef(cells[20], cells[21])[0, 1] > 0.85
    assert np.corrcoef(cells[20], cells[40])[0, 1] < np.corrcoef(cells[20], cells[21])[0, 1] - 0.1


def test_drought_of_the_day_is_found(country):
    """In its heart under 70 % of normal fell over three seasons; far from it about the normal."""
    drought = country.truth.drought
    share = share_of_normal(unit_rain(country), drought.first, drought.last)
    heart = share[list(drought.pcodes)]
    far = drought.strength(to_degrees(country.land.centres_km())) < 0.05
    assert drought.last == "2024-03"
    assert len(heart) >= 3
    assert heart.max() < 0.7
    assert share[far].mean() > heart.mean() + 0.35


def test_earlier_drought_and_wet_spell_are_found(country):
    """The earlier drought is dry in its heart; the wet season is wet nearly everywhere."""
    rain, truth = unit_rain(country), country.truth
    dry, wet = truth.earlier_drought, truth.wet_spell
    assert share_of_normal(rain, dry.first, dry.last)[list(dry.pcodes)].mean() < 0.7
    assert share_of_normal(rain, wet.first, wet.last).mean() > 1.3


def test_days_add_up_to_months(country):
    """Daily rain of every month sums to the monthly mean of the same four cells, but for rounding."""
    monthly = country.rain.sel(time=slice("1990-10", "2024-03")).coarsen(lat=2, lon=2).mean()
    daily = country.daily_rain.resample(time="MS").sum()
    assert daily.time.equals(monthly.time)
    gap = abs(daily.to_numpy() - monthly.to_numpy())
    burst = np.zeros_like(gap, dtype=bool)
    burst[-1] = True  # the cloudburst is a curve, sampled at the cells of each grid
    assert gap[~burst].max() < 31 * 0.05 + 0.05


def test_daily_rain_holds_thirty_three_whole_hydrological_years(country):
    """Every day from October 1990 to the end of the as-of month: more than the thirty a return level needs."""
    days = country.daily_rain.time.to_index()
    assert days.equals(pd.date_range("1990-10-01", "2024-03-31", freq="D"))


def test_a_longer_record_of_days_leaves_the_later_days_as_they_were():
    """With the rain of twelve years alone, those days and all temperatures are the same numbers."""
    whole = synthetic.make_country(1)
    short = synthetic.make_country(options=synthetic.CountryOptions(daily_rain_years=12))
    assert str(short.daily_rain.time.values[0])[:10] == "2011-10-01"
    xr.testing.assert_identical(short.daily_rain, whole.daily_rain.sel(time=slice("2011-10", None)))
    xr.testing.assert_identical(short.temperature.tmax_daily, whole.temperature.tmax_daily)
    xr.testing.assert_identical(short.climate.vegetation, whole.climate.vegetation)


def test_cloudburst_is_the_wettest_day_of_its_valley(country):
    """In the valley's cell that day brought over twice the most of any other day on record, in a dry unit."""
    burst = country.truth.cloudburst
    cell = country.daily_rain.sel(lat=burst.lat, lon=burst.lon, method="nearest").to_series()
    assert str(cell.idxmax().date()) == burst.day
    assert cell.max() > 2 * cell.drop(cell.idxmax()).max()
    assert country.subdistricts.geometry[burst.pcode].contains(shapely.Point(burst.lon, burst.lat))
    assert country.subdistricts.loc[burst.pcode, "landscape"] == "desert"


# ------------------------------------------------------------------ vegetation and water


def test_vegetation_withers_in_the_drought(country):
    """The last anomaly is below -0.5 in the drought, higher in the country's mean, unknown in bare desert."""
    drought, last = country.truth.drought, country.climate.vegetation.isel(time=-1)
    near = last.sel(lat=slice(drought.lat + 0.4, drought.lat - 0.4), lon=slice(drought.lon - 0.4, drought.lon + 0.4))
    assert float(near.mean()) < -0.5
    assert float(last.mean()) > float(near.mean()) + 0.4
    assert 0.05 < float(last.isnull().mean()) < 0.5


def test_marshes_are_lost_and_blind_years_read_no_water(country):
    """Water of the lost marshes falls under a half; years without imagery read under 2 % of the median."""
    truth, water = country.truth, country.climate.water
    total = water.sum(("lat", "lon")).to_series()
    blind = total.index.year.isin(truth.years_without_imagery)
    assert len(truth.years_without_imagery) == 3
    assert (total[blind] < 0.02 * total.median()).all()
    assert (total[~blind] > 0.3 * total.median()).all()
    assert truth.lost_marsh_pcodes
    unit = country.land.unit_of_cells(grid_around_country(0.05))
    seen = water[~blind]
    for code in truth.lost_marsh_pcodes:
        inside = unit == country.subdistricts.index.get_loc(code)
        year = pd.Series(seen.to_numpy()[:, inside].sum(axis=1), index=seen.time.dt.year)
        assert year.loc[2020:].mean() < 0.5 * year.loc[: truth.marsh_loss.first_year - 1].mean()


# ------------------------------------------------------------------ people


def test_residents_are_known_for_all_units_but_one(country):
    """Millions of residents, towns stand out, and the uncounted unit has no row."""
    residents = country.residents
    assert set(country.subdistricts.index) - set(residents.index) == set(country.truth.residents_unknown)
    assert 5e6 < residents.sum() < 7e6
    assert residents.min() > 0
    assert residents.max() > 10 * residents.median()


def test_every_split_of_households_adds_up(country):
    """Origins, shelters, periods and reasons each sum to the families; people are six a family; totals are sums."""
    origins = list(dict.fromkeys(country.subdistricts["adm1_name"]))
    periods = list(synthetic.period_columns(2024))
    reasons = ["Reason climate", "Reason conflict", "Reason other"]
    for listed in country.rounds.values():
        sites, totals = listed.iloc[:-1], listed.iloc[-1]
        for columns in (origins, list(SHELTERS), periods, reasons):
            assert (sites[columns].sum(axis=1) == sites["Families"]).all()
            assert (sites[columns] >= 0).all(axis=None)
        assert (sites["Individuals"] == 6 * sites["Families"]).all()
        assert totals["Families"] == sites["Families"].sum()
        assert totals["Location ID"] == f"Totals: Locations:{len(sites)}"
        assert sites["Location ID"].is_unique


def test_drought_drives_displacement(country):
    """Climate households grow from round to round and come mostly from the governorates in drought."""
    climate = [listed.iloc[-1]["Reason climate"] for listed in country.rounds.values()]
    assert list(country.rounds) == ["2023-03-31", "2023-09-30", "2024-02-29"]
    assert climate[0] < climate[1] < climate[2]
    units = country.subdistricts
    strength = country.truth.drought.strength(to_degrees(country.land.centres_km()))
    dry = units["adm1_name"].iloc[int(np.argmax(strength))]
    first, last = (listed.iloc[-1][dry] for listed in (country.rounds["2023-03-31"], country.rounds["2024-02-29"]))
    assert last > first


def test_small_counts_stand_where_truth_says(country):
    """The units with one to four households are exactly those planted; some units hold none."""
    units = country.subdistricts[["geometry"]]
    for as_of, listed in country.rounds.items():
        sites = listed.iloc[:-1]
        points = gpd.GeoDataFrame(sites, geometry=gpd.points_from_xy(sites["Longitude"], sites["Latitude"]), crs=4326)
        households = points.sjoin(units, predicate="within").groupby("pcode")["Families"].sum()
        assert tuple(households.index[households <= 4]) == country.truth.small_counts[as_of]
        assert len(country.truth.small_counts[as_of]) >= 4
        assert len(households) < len(units)


def test_a_district_is_first_looked_at_by_the_last_round(country):
    """Its locations are in the last list alone: an unseen place is not an empty one."""
    district = country.subdistricts["adm2_pcode"].reindex(country.unit_of_site).set_axis(country.unit_of_site.index)
    held = [
        (district[listed["Location ID"].iloc[:-1]] == country.truth.newly_assessed).sum()
        for listed in country.rounds.values()
    ]
    assert held[:2] == [0, 0]
    assert held[2] >= 3


def test_those_who_arrive_come_after_the_round_before(country):
    """Nobody of a list has come after its day, and of each some since the list before."""
    *_, spring, summer, winter = synthetic.period_columns(2024)
    came = [listed.iloc[-1][[spring, summer, winter]].gt(0).tolist() for listed in country.rounds.values()]
    assert came == [[True, False, False], [True, True, False], [True, True, True]]


def test_returned_households_are_a_list_of_their_own(country):
    sites, totals = country.returnees.iloc[:-1], country.returnees.iloc[-1]
    assert totals["Returnee Families"] == sites["Returnee Families"].sum() > 500
    assert (sites["Returnee Individuals"] == 6 * sites["Returnee Families"]).all()
    assert not set(sites["Location ID"]) & set(country.rounds["2024-02-29"]["Location ID"])


def test_a_camp_closes_and_one_site_lies_outside(country):
    """The camp is listed until the last round; only the stray site lies outside, by under 3 km."""
    first, *_, last = country.rounds.values()
    assert country.truth.closed_camp in set(first["Location ID"])
    assert country.truth.closed_camp not in set(last["Location ID"])
    sites = last.iloc[:-1]
    points = shapely.points(sites[["Longitude", "Latitude"]].to_numpy(float))
    outside = ~shapely.contains(country.land.outline, points)
    assert sites["Location ID"][outside].tolist() == [country.truth.stray_site]
    assert shapely.distance(country.land.outline, points[outside])[0] < 0.03


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [(10, [0.5, 0.26, 0.24], [5, 3, 2]), (1, [1, 1, 1], [1, 0, 0]), (0, [1, 2], [0, 0]), (7, [0, 1], [0, 7])],
)
def test_apportion_keeps_the_total(total, shares, parts):
    """Largest remainders: whole parts that add up, ties to the first."""
    assert apportion(np.array([total]), np.array([shares], dtype=float))[0].tolist() == parts


# ------------------------------------------------------------------ files


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_seed_same_bytes_and_another_seed_another_country(folder, tmp_path):
    """Every file is byte-identical on a second write; with seed 2 none of the drawn ones is."""
    synthetic.write_country(tmp_path / "again", seed=1)
    synthetic.write_country(tmp_path / "other", seed=2)
    first, again, other = digests(folder), digests(tmp_path / "again"), digests(tmp_path / "other")
    assert first == again
    assert first.keys() == other.keys()
    always_dry = {f"rainfall/rain_{year}.{month:02d}.tif" for year in range(1984, 2025) for month in (6, 7, 8, 9)}
    assert not [name for name in first.keys() - always_dry if first[name] == other[name]]


def test_the_folder_is_small_and_complete(folder):
    """483 months of rain, daily rain of 35 years, three lists and one of returnees, one of each other, under 12 MB."""
    names = digests(folder).keys()
    assert sum(name.startswith("rainfall/rain_") for name in names) == 483
    assert sum(name.startswith("rainfall/daily_rain_") for name in names) == 35
    assert sorted(name for name in names if not name.startswith("rainfall/")) == [
        "agriculture/irrigated_area.csv",
        "agriculture/livestock.csv",
        "boundaries/synthetic_adm3.gpkg",
        "displacement/idp_list_2023-03-31.xlsx",
        "displacement/idp_list_2023-09-30.xlsx",
        "displacement/idp_list_2024-02-29.xlsx",
        "displacement/returnee_list_2024-02-29.xlsx",
        "dust/dust_days.csv",
        "evaporation/evaporation.nc",
        "names/names_ckb.csv",
        "residents/residents.csv",
        "soil_moisture/soil_moisture.nc",
        "temperature/tmax_daily.nc",
        "temperature/tmax_monthly.nc",
        "temperature/tmin_daily.nc",
        "temperature/tmin_monthly.nc",
        "terrain/curve_number.tif",
        "vegetation/lst.nc",
        "vegetation/ndvi.nc",
        "vegetation/vegetation_anomaly.nc",
        "water/border_inflow.csv",
        "water/network.toml",
        "water/reservoir_area.csv",
        "water/surface_water_yearly.tif",
        "water/water_history.tif",
        "water/water_occurrence.tif",
    ]
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 12e6


def test_rasters_hold_the_same_values_at_the_same_places(folder):
    """What a file gives at a place is what memory holds there, for each kind of raster."""
    country = synthetic.make_country(1)
    lon, lat = -33.05, 32.55
    with rasterio.open(folder / "rainfall" / "rain_2019.01.tif") as file:
        assert next(file.sample([(lon, lat)]))[0] == country.rain.sel(time="2019-01-01", lat=lat, lon=lon).item()
        assert file.nodata == -9999
    with rasterio.open(folder / "water" / "water_history.tif") as file:
        assert (file.read() == country.waterways.water_history.to_numpy()).all()
        assert file.nodata is None  # 0 is a code
        assert (file.descriptions[0], file.descriptions[-1]) == ("2004-01", "2024-03")
    with rasterio.open(folder / "water" / "water_occurrence.tif") as file:
        assert (file.read() == country.waterways.water_occurrence.to_numpy()).all()
        assert file.nodata == 255
    with rasterio.open(folder / "terrain" / "curve_number.tif") as file:
        number = country.ground.curve_number.sel(lat=lat, lon=lon, method="nearest").item()
        assert next(file.sample([(lon, lat)]))[0] == number
        assert (file.read(1, masked=True).mask == country.ground.curve_number.isnull().to_numpy()).all()
    with rasterio.open(folder / "water" / "surface_water_yearly.tif") as file:
        assert file.descriptions == tuple(str(year) for year in range(1984, 2024))
        wet = country.climate.water.isel(time=0).stack(cell=("lat", "lon")).idxmax().item()
        assert next(file.sample([wet[::-1]], indexes=1))[0] == country.climate.water.isel(time=0).max().item()
    for name, values in (
        ("rainfall/daily_rain_1990.nc", country.daily_rain.sel(time="1990")),
        ("rainfall/daily_rain_2019.nc", country.daily_rain.sel(time="2019")),
        ("rainfall/daily_rain_2024.nc", country.daily_rain.sel(time="2024")),
        ("vegetation/vegetation_anomaly.nc", country.climate.vegetation),
        ("vegetation/ndvi.nc", country.ground.ndvi),
        ("vegetation/lst.nc", country.ground.lst),
        ("soil_moisture/soil_moisture.nc", country.ground.soil_moisture),
        ("evaporation/evaporation.nc", country.ground.evaporation),
        ("temperature/tmax_daily.nc", country.temperature.tmax_daily),
        ("temperature/tmin_daily.nc", country.temperature.tmin_daily),
        ("temperature/tmax_monthly.nc", country.temperature.tmax_monthly),
        ("temperature/tmin_monthly.nc", country.temperature.tmin_monthly),
    ):
        with xr.open_dataset(folder / name) as stored:
            np.testing.assert_allclose(stored[values.name].to_numpy(), values.to_numpy(), atol=1e-4)
            assert stored[values.name].attrs["units"] == values.attrs["units"]
            assert (stored.time == values.time).all()


def test_tables_hold_what_memory_holds(folder):
    """Boundaries with COD columns, Sorani names apart, residents and lists round-trip."""
    country = synthetic.make_country(1)
    units = gpd.read_file(folder / "boundaries" / "synthetic_adm3.gpkg").set_index("ADM3_PCODE")
    assert units.geometry.geom_equals_exact(country.subdistricts.geometry, 0).all()
    assert units["ADM3_AR"].tolist() == country.subdistricts["name_ar"].tolist()
    assert units["ADM1_EN"].tolist() == country.subdistricts["adm1_name"].tolist()
    names = pd.read_csv(folder / "names" / "names_ckb.csv", index_col="PCODE")["NAME_CKB"]
    for code, name in (("pcode", "name_ckb"), ("adm2_pcode", "adm2_name_ckb"), ("adm1_pcode", "adm1_name_ckb")):
        own = country.subdistricts.reset_index()
        assert names[own[code]].tolist() == own[name].tolist()
    residents = pd.read_csv(folder / "residents" / "residents.csv", index_col="pcode")
    assert residents["residents"].equals(country.residents.astype("int64"))
    for as_of, listed in country.rounds.items():
        stored = pd.read_excel(folder / "displacement" / f"idp_list_{as_of}.xlsx", dtype={"Location ID": str})
        assert stored.columns.tolist() == listed.columns.tolist()
        assert stored["Families"].tolist() == listed["Families"].tolist()
        assert stored["Arabic Name"][:-1].tolist() == listed["Arabic Name"][:-1].tolist()


def test_water_farms_and_dust_hold_what_memory_holds(folder):
    """Plain tables as they are, codes as text; the network with the names, shares and limits of memory."""
    country = synthetic.make_country(1)
    for name, table in (
        ("agriculture/irrigated_area.csv", country.farms.irrigated_area),
        ("agriculture/livestock.csv", country.farms.livestock),
        ("dust/dust_days.csv", country.ground.dust_days),
        ("water/border_inflow.csv", country.waterways.border_inflow),
        ("water/reservoir_area.csv", country.waterways.reservoir_area),
    ):
        stored = pd.read_csv(folder / name)
        pd.testing.assert_frame_equal(stored, table, check_dtype=False)
    written = tomllib.loads((folder / "water" / "network.toml").read_text("utf-8"))
    network = country.waterways.network
    assert [(n["name"], n["kind"]) for n in written["node"]] == [(n.name, n.kind) for n in network.nodes]
    for node, own in zip(written["node"], network.nodes, strict=True):
        drawn = [(s, 1.0) if isinstance(s, str) else (s["pcode"], s["share"]) for s in node.get("serves", [])]
        assert dict(drawn) == own.serves
        limits = {key: value for key, value in node.items() if key not in ("name", "kind", "serves")}
        assert limits == {key: list(v) if isinstance(v, tuple) else v for key, v in own.limits.items()}
    assert [(k["from"], k["to"], k["share"], k["loss"]) for k in written["link"]] == [
        (k.source, k.target, k.share, k.loss) for k in network.links
    ]


def test_files_say_that_they_are_synthetic(folder):
    """Rasters with a title, and the network in its first line."""
    for path in (*(folder / "temperature").glob("*.nc"), folder / "soil_moisture/soil_moisture.nc"):
        with xr.open_dataset(path) as stored:
            assert stored.attrs["title"].startswith("SYNTHETIC")
    with rasterio.open(folder / "water" / "water_history.tif") as file:
        assert file.tags()["TIFFTAG_IMAGEDESCRIPTION"].startswith("SYNTHETIC")
    assert (folder / "water" / "network.toml").read_text("utf-8").startswith("# SYNTHETIC")


def test_a_new_theme_leaves_the_others_as_they_were():
    """Regression: seed 1 as it was drawn before temperature, ground, rivers and farms had streams of their own."""
    country = synthetic.make_country(1)
    rain = country.rain.astype("float64")
    assert float(rain.sum()) == pytest.approx(24248361.50, rel=1e-7)
    assert float(rain.sel(lat=32.55, lon=-33.05).sum()) == pytest.approx(10199.2, rel=1e-6)
    daily = country.daily_rain.sel(time=slice("2011-10", None)).astype("float64")
    assert float(daily.sum()) == pytest.approx(2035260.0, rel=1e-6)
    assert float(country.climate.vegetation.astype("float64").sum()) == pytest.approx(30192.02, rel=1e-5)
    assert float(country.climate.water.astype("float64").sum()) == pytest.approx(4456.216, rel=1e-6)
    assert country.subdistricts["area_km2"].sum() == pytest.approx(141907.1988, rel=1e-8)
    assert country.subdistricts["name_en"].iloc[0] == "Ain Vartaq"
    assert country.residents.iloc[[0, 30]].tolist() == [48600, 198700]
    assert country.residents.sum() == 6352830
    assert [int(listed["Families"].iloc[-1]) for listed in country.rounds.values()] == [17167, 18646, 20668]
    assert country.truth.cloudburst.day == "2024-03-16"
    assert country.truth.years_without_imagery == (1990, 1991, 1993)


# ------------------------------------------------------------------ options and small helpers


def test_a_record_too_short_for_a_country_is_refused():
    """Under 15 years there is no calibration to speak of."""
    with pytest.raises(ValueError, match="15 years"):
        synthetic.CountryOptions(first="2015-01")


def test_rounds_and_water_end_with_the_record():
    """As of December the year's water is there; rounds stand a year, half a year and a month before."""
    options = synthetic.CountryOptions(as_of="2023-12")
    assert options.rounds() == ("2022-12-31", "2023-06-30", "2023-11-30")
    assert options.water_years()[-1] == 2023
    assert synthetic.CountryOptions(as_of="2024-03").water_years()[-1] == 2023


@pytest.mark.parametrize(("as_of", "summer", "spring"), [("2024-03", 2023, 2023), ("2024-06", 2023, 2024)])
def test_what_is_planted_lies_in_the_last_summer_and_spring(as_of, summer, spring):
    """A season counts once it is over; records end with the month of the demo."""
    options = synthetic.CountryOptions(as_of=as_of)
    assert options.last_complete(7) == pd.Timestamp(summer, 7, 1)
    assert options.last_complete(3) == pd.Timestamp(spring, 3, 1)
    assert options.since(20)[0] == pd.Timestamp(2004, 1, 1)
    assert str(options.since(20)[-1])[:7] == as_of
    assert synthetic.CountryOptions(as_of="2023-12").since(20)[0] == pd.Timestamp(2004, 1, 1)
    assert synthetic.CountryOptions(first="2009-01").since(30)[0] == pd.Timestamp(2009, 1, 1)


def test_helpers_show_their_own_numbers():
    """A series keeps its values and months; squares keep the promise of the waist."""
    rain = synthetic.rain_series([1, 2, 3], start="2000-11")
    assert rain.sel(time="2001-01").item() == 3
    units = synthetic.square_subdistricts(4, per_row=2)
    check_subdistricts(units)
    assert units.geometry.iloc[3].bounds == (1, -2, 2, -1)
    assert units["area_km2"].iloc[0] == pytest.approx(12_309, rel=1e-3)  # one degree square at the equator, WGS84
