"""A small invented country, with everything the pipeline reads and a truth to find again.

The demo, the tests and the notebooks stand on it. Whatever is planted (a drought, a wet
season, a cloudburst, lost marshes, tiny sites) is kept in ``truth``, so a test can ask
whether a method finds it. Everything follows from the seed: the same seed writes the same
bytes, another seed draws another country.

``make_country`` holds the country in memory; ``write_country`` writes the files as an
analyst would receive them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
import xarray as xr
import xlsxwriter
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.transform import from_origin

from geodata.schema import SUBDISTRICT_COLUMNS, GridSpec
from geodata.synthetic_climate import (
    DAILY_STEP,
    RAIN_STEP,
    WATER_STEP,
    Climate,
    Cloudburst,
    MarshLoss,
    Spell,
    as_raster,
    draw_daily,
    draw_rain,
    draw_vegetation,
    draw_water,
)
from geodata.synthetic_land import PREFIX, FloatArray, Land, draw_land, grid_around_country, to_degrees
from geodata.synthetic_names import COUNTRY_NAME
from geodata.synthetic_people import PEOPLE_PER_HOUSEHOLD, displace, period_columns, settle_residents

NODATA = -9999.0
"""What stands for "no value" in the GeoTIFFs, as in CHIRPS."""

LAYER = "synthetic_adm3"
GEOD = Geod(ellps="WGS84")
FIXED_DATE = datetime(2024, 4, 1)

__all__ = [
    "COUNTRY_NAME",
    "PEOPLE_PER_HOUSEHOLD",
    "CountryOptions",
    "SyntheticCountry",
    "Truth",
    "make_country",
    "period_columns",
    "rain_series",
    "square_subdistricts",
    "write_country",
]


@dataclass(frozen=True)
class CountryOptions:
    """What country to draw.

    Parameters
    ----------
    seed : int, the same seed gives the same bytes
    first : str, "YYYY-MM", first month of rain, at least 15 years before the last
    as_of : str, "YYYY-MM", last month of rain: the month a demo speaks about
    subdistricts : int
    daily_years, vegetation_years : int, length of these records
    """

    seed: int = 1
    first: str = "1984-01"
    as_of: str = "2024-03"
    subdistricts: int = 60
    daily_years: int = 12
    vegetation_years: int = 10

    def __post_init__(self) -> None:
        if len(self.months()) < 180:
            raise ValueError(f"{self.first} to {self.as_of} is shorter than the 15 years a country needs")

    def months(self) -> pd.DatetimeIndex:
        """Month starts of the rain record."""
        return pd.date_range(self.first, self.as_of, freq="MS")

    def season_start(self, seasons_ago: int = 0) -> pd.Timestamp:
        """October in which the rain season of ``as_of`` began, or an earlier one."""
        end = pd.Timestamp(self.as_of)
        return pd.Timestamp(end.year - (end.month < 10) - seasons_ago, 10, 1)

    def rounds(self) -> tuple[str, ...]:
        """As-of dates of the displacement rounds: a year, half a year and a month before the end."""
        end = pd.Timestamp(self.as_of)
        return tuple(str((end - pd.DateOffset(months=n) + pd.offsets.MonthEnd(0)).date()) for n in (12, 6, 1))

    def water_years(self) -> range:
        """Calendar years of surface water, the last one complete at ``as_of``."""
        end = pd.Timestamp(self.as_of)
        return range(pd.Timestamp(self.first).year, end.year + (end.month == 12))


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Parameters
    ----------
    drought : the drought of the day, three rain seasons up to ``as_of``
    earlier_drought, wet_spell : spells of the record
    cloudburst : in a dry valley, in the as-of month
    marsh_loss : from when, and towards which side
    lost_marsh_pcodes : subdistricts that lost more than half of their water to it
    years_without_imagery : years in which the water raster reads almost nothing
    small_counts : per round, the subdistricts with 1 to 4 displaced households
    closed_camp, stray_site : location ids
    closed_camp_pcode : str
    residents_unknown : subdistricts without a row in the table of residents
    """

    drought: Spell
    earlier_drought: Spell
    wet_spell: Spell
    cloudburst: Cloudburst
    marsh_loss: MarshLoss
    lost_marsh_pcodes: tuple[str, ...]
    years_without_imagery: tuple[int, ...]
    small_counts: dict[str, tuple[str, ...]]
    closed_camp: str
    closed_camp_pcode: str
    stray_site: str
    residents_unknown: tuple[str, ...]


@dataclass(frozen=True)
class SyntheticCountry:
    """The country in memory, before any file is written.

    Parameters
    ----------
    subdistricts : GeoDataFrame [pcode], as the waist promises them, and ``landscape``
    climate : Climate, rain mm/month, daily rain mm/day, vegetation 1, water 1; each (time, lat, lon)
    residents : Series [pcode], people; a few units are absent
    rounds : per date "YYYY-MM-DD", a displacement list in the DTM layout, totals row last
    unit_of_site : Series [location id], p-code
    """

    options: CountryOptions
    land: Land
    climate: Climate
    residents: pd.Series
    rounds: dict[str, pd.DataFrame]
    unit_of_site: pd.Series
    truth: Truth

    @property
    def subdistricts(self) -> gpd.GeoDataFrame:
        """Index pcode, columns of the waist, geometry in EPSG:4326."""
        return self.land.subdistricts

    @property
    def rain(self) -> xr.DataArray:
        """Monthly rain, mm/month, (time, lat, lon)."""
        return self.climate.rain

    @property
    def daily_rain(self) -> xr.DataArray:
        """Daily rain, mm/day, (time, lat, lon), on a grid twice as coarse as the monthly one."""
        return self.climate.daily_rain


# ------------------------------------------------------------------ drawing


def make_country(seed: int = 1, options: CountryOptions | None = None) -> SyntheticCountry:
    """Draw the country.

    Parameters
    ----------
    seed : int
        Used when no options are given.
    options : CountryOptions
        What country to draw, seed included.
    """
    options = options or CountryOptions(seed=seed)
    # One stream per theme, so that a change in one leaves the others as they were.
    streams = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(options.seed).spawn(6)]
    land = draw_land(streams[0], options.subdistricts)
    drought, earlier, wet = _plan_spells(streams[1], land, options)
    burst = _plan_cloudburst(streams[1], land, drought, options)
    rain, normal = draw_rain(streams[2], options.months(), (drought, earlier, wet))
    climate, loss, blind = _rasters(streams[3:5], land, rain, normal, burst, options)
    residents = settle_residents(streams[5], land, _unit_means(land, normal))
    strength = drought.strength(to_degrees(land.centres_km()))
    moved = displace(streams[5], land, residents, strength, options.rounds())
    unknown = _uncounted(land, [burst.pcode, *moved.small[options.rounds()[-1]]])
    truth = Truth(
        drought=drought,
        earlier_drought=earlier,
        wet_spell=wet,
        cloudburst=burst,
        marsh_loss=loss,
        lost_marsh_pcodes=_lost_marshes(land, climate.water, loss.first_year, blind),
        years_without_imagery=blind,
        small_counts=moved.small,
        closed_camp=moved.closed_camp,
        closed_camp_pcode=str(moved.unit_of_site[moved.closed_camp]),
        stray_site=moved.stray,
        residents_unknown=unknown,
    )
    return SyntheticCountry(
        options, land, climate, residents.drop(list(unknown)), moved.rounds, moved.unit_of_site, truth
    )


def _plan_spells(rng: np.random.Generator, land: Land, options: CountryOptions) -> tuple[Spell, Spell, Spell]:
    """A drought that lasts to the end in part of the country, an earlier one, and a wet season."""
    east, west = rng.permutation([-1.0, 1.0])
    start = options.season_start
    here = (east * rng.uniform(70, 110), rng.uniform(40, 120))
    there = (west * rng.uniform(60, 120), rng.uniform(-60, 60))
    drought = _spell(land, start(2), pd.Timestamp(options.as_of), 0.36, here, 96)
    earlier = _spell(land, start(16), start(15) + pd.DateOffset(months=7), 0.4, there, 260)
    wet = _spell(land, start(5), start(5) + pd.DateOffset(months=6), 1.9, (0.0, 0.0), 420)
    return drought, earlier, wet


def _spell(
    land: Land, first: pd.Timestamp, last: pd.Timestamp, factor: float, middle_km: tuple[float, float], radius_km: float
) -> Spell:
    lon, lat = (float(v) for v in to_degrees(np.array(middle_km)))
    spell = Spell(f"{first:%Y-%m}", f"{last:%Y-%m}", factor, lon, lat, radius_km, ())
    heart = spell.strength(to_degrees(land.centres_km())) > 0.8
    return replace(spell, pcodes=_codes(land, heart))


def _plan_cloudburst(rng: np.random.Generator, land: Land, drought: Spell, options: CountryOptions) -> Cloudburst:
    """A night of rain over one desert subdistrict, the most compact one outside the drought."""
    units = land.subdistricts
    shapes = units.geometry.to_numpy()
    compact = shapely.area(shapes) / shapely.length(shapes) ** 2
    dry = (units["landscape"] == "desert").to_numpy() & (drought.strength(to_degrees(land.centres_km())) < 0.3)
    unit = int(np.argmax(np.where(dry, compact, -1)))
    place = units.geometry.iloc[unit].centroid
    day = pd.Timestamp(options.as_of) + pd.Timedelta(days=int(rng.integers(8, 24)))
    return Cloudburst(str(day.date()), str(units.index[unit]), round(place.x, 3), round(place.y, 3), 95.0, 24.0)


def _rasters(
    rngs: Sequence[np.random.Generator],
    land: Land,
    rain: FloatArray,
    normal: FloatArray,
    burst: Cloudburst,
    options: CountryOptions,
) -> tuple[Climate, MarshLoss, tuple[int, ...]]:
    """All rasters of the country, the loss of marshes, and the years without imagery."""
    months, years = options.months(), options.water_years()
    recent = int(months.searchsorted(options.season_start(options.daily_years)))
    daily, days = draw_daily(rngs[0], rain[recent:], months[recent:])
    daily[days == burst.day] += burst.rain(grid_around_country(DAILY_STEP))
    rain[-1] += burst.rain(grid_around_country(RAIN_STEP))
    green_from = len(months) - 12 * options.vegetation_years
    green = draw_vegetation(rngs[0], rain, normal, green_from)
    loss = MarshLoss(years[-1] - 6, float(rngs[1].uniform(0, 2 * np.pi)))
    blind = tuple(int(y) for y in sorted(rngs[1].choice(list(years)[3:14], 3, replace=False)))
    flow = _river_flow(rain, normal, months, years)
    water = draw_water(rngs[1], land, flow, years, loss, blind)
    year_starts = pd.DatetimeIndex([pd.Timestamp(y, 1, 1) for y in years])
    climate = Climate(
        rain=as_raster(rain, months, RAIN_STEP, 1, "rain", "mm/month", "Monthly rain"),
        daily_rain=as_raster(daily, days, DAILY_STEP, 1, "rain", "mm/day", "Daily rain"),
        vegetation=as_raster(
            green, months[green_from:], RAIN_STEP, 2, "vegetation_anomaly", "1", "Standardised vegetation anomaly"
        ),
        water=as_raster(water, year_starts, WATER_STEP, 3, "surface_water", "1", "Share of the cell covered by water"),
    )
    return climate, loss, blind


def _river_flow(rain: FloatArray, normal: FloatArray, months: pd.DatetimeIndex, years: Sequence[int]) -> FloatArray:
    """River of each year relative to normal: rain of the wet northern half, damped by snow and lakes."""
    north = normal.shape[0] // 2
    yearly = np.array([rain[months.year == y][:, :north].sum(axis=0).mean() for y in years]) / normal[:north].mean()
    before = np.concatenate([yearly[:1], yearly[:-1]])
    return np.clip(0.65 * yearly + 0.35 * before, 0.2, 2.5) ** 0.8


def _unit_means(land: Land, values: FloatArray) -> FloatArray:
    """Mean of the rain-grid cells (lat, lon) whose centre lies in each subdistrict."""
    unit = land.unit_of_cells(grid_around_country(RAIN_STEP))
    inside = unit >= 0
    count = len(land.subdistricts)
    cells = np.bincount(unit[inside], minlength=count)
    return np.bincount(unit[inside], weights=values[inside], minlength=count) / np.maximum(cells, 1)


def _lost_marshes(land: Land, water: xr.DataArray, first_year: int, blind: Sequence[int]) -> tuple[str, ...]:
    """Subdistricts that had over 40 km2 of water before the loss and kept under half of it."""
    grid = grid_around_country(WATER_STEP)
    unit = land.unit_of_cells(grid)
    cell_km2 = (grid.dy * 110.9) * (grid.dx * 111.32 * np.cos(np.radians(water.lat.to_numpy())))[:, None]
    years = water.time.dt.year.to_numpy()
    seen = ~np.isin(years, blind)

    def area(chosen: NDArray[np.bool_]) -> FloatArray:
        mean = water.to_numpy()[chosen].mean(axis=0) * cell_km2
        return np.bincount(unit[unit >= 0], weights=mean[unit >= 0], minlength=len(land.subdistricts)).astype("float64")

    before, after = area(seen & (years < first_year)), area(years > first_year + 2)
    marsh = (land.subdistricts["landscape"] == "marsh").to_numpy()
    return _codes(land, marsh & (before > 40) & (after < 0.5 * before))


def _uncounted(land: Land, taken: Sequence[str]) -> tuple[str, ...]:
    """The largest desert subdistrict not ``taken``: nobody knows how many people live there."""
    units = land.subdistricts.drop(list(taken))
    return (str(units.loc[units["landscape"] == "desert", "area_km2"].idxmax()),)


def _codes(land: Land, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(str(code) for code in land.subdistricts.index[chosen])


# ------------------------------------------------------------------ files


def write_country(folder: Path | str, seed: int = 1, options: CountryOptions | None = None) -> SyntheticCountry:
    """Draw the country and write its files below ``folder``, as an analyst would receive them.

    Returns
    -------
    SyntheticCountry, the same country in memory, with its truth
    """
    country = make_country(seed, options)
    root = Path(folder)
    for name in ("boundaries", "names", "rainfall", "vegetation", "water", "residents", "displacement"):
        (root / name).mkdir(parents=True, exist_ok=True)
    _write_boundaries(root, country.subdistricts)
    _write_rain(root / "rainfall", country.rain)
    _write_netcdf(root / "rainfall" / "daily_rain.nc", country.daily_rain, 0.1)
    _write_netcdf(root / "vegetation" / "vegetation_anomaly.nc", country.climate.vegetation, 0.01)
    _write_water(root / "water" / "surface_water_yearly.tif", country.climate.water)
    _write_residents(root / "residents" / "residents.csv", country)
    for as_of, listed in country.rounds.items():
        _write_list(root / "displacement" / f"idp_list_{as_of}.xlsx", listed)
    return country


def _write_boundaries(root: Path, units: gpd.GeoDataFrame) -> None:
    """Boundaries with COD columns (no Sorani, as in most CODs), and the Sorani names as a table."""
    parent = {"ADM2": "adm2", "ADM1": "adm1"}
    cod = {"ADM3_EN": units["name_en"], "ADM3_AR": units["name_ar"], "ADM3_PCODE": units.index}
    for upper, lower in parent.items():
        cod |= {
            f"{upper}_EN": units[f"{lower}_name"],
            f"{upper}_AR": units[f"{lower}_name_ar"],
            f"{upper}_PCODE": units[f"{lower}_pcode"],
        }
    cod |= {"ADM0_EN": COUNTRY_NAME["en"], "ADM0_AR": COUNTRY_NAME["ar"], "ADM0_PCODE": PREFIX}
    table = gpd.GeoDataFrame(cod, geometry=units.geometry.to_numpy(), crs="EPSG:4326", index=units.index)
    target = root / "boundaries" / f"{LAYER}.gpkg"
    target.unlink(missing_ok=True)
    with _fixed_clock():
        pyogrio.write_dataframe(table.reset_index(drop=True), target, layer=LAYER, driver="GPKG")
    pairs = [("pcode", "name_ckb"), ("adm2_pcode", "adm2_name_ckb"), ("adm1_pcode", "adm1_name_ckb")]
    flat = units.reset_index()
    names = pd.concat([flat[list(pair)].set_axis(["PCODE", "NAME_CKB"], axis=1) for pair in pairs]).drop_duplicates()
    names.sort_values("PCODE").to_csv(root / "names" / "names_ckb.csv", index=False, lineterminator="\n")


@contextmanager
def _fixed_clock() -> Iterator[None]:
    """A GeoPackage carries its time of writing; GDAL takes it from here."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{FIXED_DATE:%Y-%m-%dT%H:%M:%S.000Z}"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write_rain(folder: Path, rain: xr.DataArray) -> None:
    """One GeoTIFF per month, as rain products are delivered."""
    profile = _profile(grid_around_country(RAIN_STEP))
    values = rain.to_numpy()
    with rasterio.Env():
        for month, layer in zip(pd.DatetimeIndex(rain.time.to_numpy()), values, strict=True):
            with rasterio.open(folder / f"rain_{month:%Y}.{month:%m}.tif", "w", **profile) as file:
                file.write(layer, 1)


def _write_water(target: Path, water: xr.DataArray) -> None:
    """One band per year, the year as the band's description."""
    with rasterio.open(target, "w", **_profile(grid_around_country(WATER_STEP), water.sizes["time"])) as file:
        file.write(water.to_numpy())
        file.descriptions = tuple(str(year) for year in water.time.dt.year.to_numpy())


def _profile(grid: GridSpec, bands: int = 1) -> dict[str, object]:
    return {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": NODATA,
        "crs": grid.crs,
        "transform": from_origin(grid.west, grid.north, grid.dx, grid.dy),
        "width": grid.width,
        "height": grid.height,
        "count": bands,
        "compress": "deflate",
        "predictor": 3,
        "interleave": "band",
    }


def _write_netcdf(target: Path, values: xr.DataArray, precision: float) -> None:
    """CF-NetCDF packed into 16-bit integers."""
    target.unlink(missing_ok=True)
    packed = values.to_dataset()
    packed[values.name].attrs.pop("crs", None)
    packed["lat"].attrs.update(standard_name="latitude", units="degrees_north")
    packed["lon"].attrs.update(standard_name="longitude", units="degrees_east")
    packed.attrs["Conventions"] = "CF-1.8"
    how = {"dtype": "int16", "scale_factor": precision, "_FillValue": -32768, "zlib": True, "complevel": 2}
    packed.to_netcdf(
        target,
        engine="netcdf4",
        encoding={values.name: how, "time": {"units": "days since 1980-01-01", "dtype": "int32"}},
    )


def _write_residents(target: Path, country: SyntheticCountry) -> None:
    """Residents per p-code; a unit that nobody counted has no row."""
    reference = pd.Timestamp(country.options.as_of).year - 4
    table = pd.DataFrame(
        {
            "pcode": country.residents.index,
            "name_en": country.subdistricts.loc[country.residents.index, "name_en"].to_numpy(),
            "residents": country.residents.to_numpy(),
            "reference_year": reference,
        }
    )
    table.to_csv(target, index=False, lineterminator="\n")


def _write_list(target: Path, listed: pd.DataFrame) -> None:
    """A displacement list: one sheet, header in the first row, totals in the last."""
    with xlsxwriter.Workbook(target) as book:
        book.set_properties({"title": "IDP list of an invented country", "created": FIXED_DATE})
        sheet = book.add_worksheet("Sheet")
        sheet.write_row(0, 0, listed.columns)
        for number, row in enumerate(listed.astype(object).to_numpy(), start=1):
            sheet.write_row(number, 0, [None if pd.isna(value) else value for value in row])


# ------------------------------------------------------------------ small things for tests


def rain_series(values: Sequence[float], start: str = "1984-01", units: str = "mm/month") -> xr.DataArray:
    """A monthly series (time,) that shows its own numbers.

    Examples
    --------
    >>> rain_series([10, 0, 5], start="2020-01").sel(time="2020-03").item()
    5.0
    """
    times = pd.date_range(start, periods=len(values), freq="MS")
    return xr.DataArray(
        np.asarray(values, dtype=float), dims=("time",), coords={"time": times}, name="rain", attrs={"units": units}
    )


def square_subdistricts(n: int, per_row: int | None = None, west: float = 0.0, north: float = 0.0) -> gpd.GeoDataFrame:
    """A subdistricts table of ``n`` one-degree squares, row by row from the north-west.

    Examples
    --------
    >>> square_subdistricts(2).geometry.iloc[1].bounds
    (1.0, -1.0, 2.0, 0.0)
    """
    per_row = per_row or n
    rows = []
    for i in range(n):
        x, y = west + i % per_row, north - i // per_row
        square = shapely.box(x, y - 1, x + 1, y)
        parents = {"adm1_pcode": "TS01", "adm1_name": "North", "adm1_name_ar": "شمال", "adm1_name_ckb": "باکوور"}
        parents |= {"adm2_pcode": "TS0101", "adm2_name": "Middle", "adm2_name_ar": "وسط", "adm2_name_ckb": "ناوەڕاست"}
        own = {"name_en": f"Square {i + 1}", "name_ar": f"مربع {i + 1}", "name_ckb": f"چوارگۆشە {i + 1}"}
        area = abs(GEOD.geometry_area_perimeter(square)[0]) / 1e6
        rows.append({"pcode": f"TS0101{i + 1:03d}", **own, **parents, "area_km2": area, "geometry": square})
    units = gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326").set_index("pcode")
    return units[[*SUBDISTRICT_COLUMNS, "geometry"]]
