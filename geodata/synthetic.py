"""A small invented country, with everything the pipeline reads and a truth to find again.

The demo, the tests and the notebooks stand on it. Whatever is planted (a drought, a wet
season, a cloudburst, lost marshes, tiny sites) is kept in ``truth``, so a test can ask
whether a method finds it. Everything follows from the seed: the same seed writes the same
bytes, another seed draws another country.

``make_country`` holds the country in memory; ``write_country`` writes the files as an
analyst would receive them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from numpy.typing import NDArray
from pyproj import Geod

from geodata.schema import SUBDISTRICT_COLUMNS
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
    halved,
)
from geodata.synthetic_country import CountryOptions, SyntheticCountry, Truth, Waterways
from geodata.synthetic_farms import draw_farms
from geodata.synthetic_files import write_files
from geodata.synthetic_ground import (
    Ground,
    draw_curve_number,
    draw_dust,
    draw_evaporation,
    draw_greenness,
    draw_soil_moisture,
    soil_water,
)
from geodata.synthetic_heat import HeatWave, Temperature, draw_temperature
from geodata.synthetic_land import FloatArray, Land, draw_land, grid_around_country, to_degrees
from geodata.synthetic_names import COUNTRY_NAME
from geodata.synthetic_people import PEOPLE_PER_HOUSEHOLD, displace, period_columns, settle_residents
from geodata.synthetic_rivers import MAIN, InflowGap, LowInflow, draw_inflow, draw_network, plan_gap
from geodata.synthetic_water import draw_history, occurrence_of, reservoir_area

GEOD = Geod(ellps="WGS84")

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
    # One stream per theme, so that a change in one leaves the others as they were; a new theme goes last.
    streams = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(options.seed).spawn(13)]
    land = draw_land(streams[0], options.subdistricts)
    spells = _plan_spells(streams[1], land, options)
    drought, earlier, wet = spells
    burst = _plan_cloudburst(streams[1], land, drought, options)
    rain, normal = draw_rain(streams[2], options.months(), spells)
    climate, loss, blind, flow = _rasters((*streams[3:5], streams[11]), land, rain, normal, burst, options)
    residents = settle_residents(streams[5], land, _unit_means(land, normal))
    strength = drought.strength(to_degrees(land.centres_km()))
    moved = displace(streams[5], land, residents, strength, options.rounds())
    unknown = _uncounted(land, [burst.pcode, *moved.small[options.rounds()[-1]]])
    wave = _plan_heat_wave(streams[6], land, options)
    temperature = _temperature(streams[6], land, halved(rain), halved(normal), climate, spells, wave, options)
    spring = _plan_dust(streams[8], land, options)
    ground, no_dust = _ground((*streams[7:9], streams[12]), land, rain, normal, temperature, flow, spring, options)
    waterways, unseen, low, gap = _waterways(streams[9], land, climate.water, blind, flow, options)
    farms = draw_farms(streams[10], land, waterways.network)
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
        newly_assessed=moved.newly_assessed,
        stray_site=moved.stray,
        residents_unknown=unknown,
        heat_wave=wave,
        dusty_spring=spring,
        dust_unknown=no_dust,
        months_without_imagery=unseen,
        low_inflow=low,
        inflow_gap=gap,
        fields_unknown=farms.fields_unknown,
        herds_unknown=farms.herds_unknown,
    )
    return SyntheticCountry(
        options=options,
        land=land,
        climate=climate,
        temperature=temperature,
        ground=ground,
        waterways=waterways,
        farms=farms,
        residents=residents.drop(list(unknown)),
        rounds=moved.rounds,
        returnees=moved.returnees,
        unit_of_site=moved.unit_of_site,
        truth=truth,
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
) -> tuple[Climate, MarshLoss, tuple[int, ...], FloatArray]:
    """Rain, vegetation and water, the loss of marshes, the years without imagery, and the river of each month.

    The river of a month is that of its year, relative to normal; the year that is not over has that of the last.
    """
    months, years = options.months(), options.water_years()
    daily, days = _daily_rain((rngs[2], rngs[0]), rain, months, options)
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
    return climate, loss, blind, flow[np.minimum(months.year - years[0], len(years) - 1)]


def _daily_rain(
    rngs: Sequence[np.random.Generator], rain: FloatArray, months: pd.DatetimeIndex, options: CountryOptions
) -> tuple[FloatArray, pd.DatetimeIndex]:
    """Rain of each day, mm, (time, lat, lon), from two streams: the later years do not depend on how many came before.

    The later part is as long as the daily temperature, which is cooler on its rainy days.
    """
    first, later = (
        int(months.searchsorted(options.season_start(years)))
        for years in (max(options.daily_rain_years, options.daily_years), options.daily_years)
    )
    parts = [
        draw_daily(rng, rain[part], months[part])
        for rng, part in zip(rngs, (slice(first, later), slice(later, None)), strict=True)
        if len(months[part])
    ]
    return np.concatenate([rain for rain, _ in parts]), parts[0][1].append([days for _, days in parts[1:]])


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


def _plan_heat_wave(rng: np.random.Generator, land: Land, options: CountryOptions) -> HeatWave:
    """Nine very hot days over part of the plain in the last July that is well over."""
    first = options.last_complete(7) + pd.Timedelta(days=int(rng.integers(3, 20)))
    middle = (rng.uniform(-90, 90), rng.uniform(-130, 0))
    lon, lat = (float(v) for v in to_degrees(np.array(middle)))
    wave = HeatWave(str(first.date()), str((first + pd.Timedelta(days=8)).date()), 6.5, lon, lat, 130, ())
    return replace(wave, pcodes=_codes(land, wave.strength(to_degrees(land.centres_km())) > 0.8))


def _plan_dust(rng: np.random.Generator, land: Land, options: CountryOptions) -> Spell:
    """The last spring that is over: four times the dust in part of the country."""
    first = options.last_complete(3)
    middle = (rng.uniform(-90, 90), rng.uniform(-130, 20))
    return _spell(land, first, first + pd.DateOffset(months=2), 4.0, middle, 160)


def _temperature(
    rng: np.random.Generator,
    land: Land,
    rain: FloatArray,
    normal: FloatArray,
    climate: Climate,
    spells: Sequence[Spell],
    wave: HeatWave,
    options: CountryOptions,
) -> Temperature:
    """Temperature where land is."""
    daily_rain = climate.daily_rain.sel(time=slice(options.season_start(options.daily_years), None))
    drawn = draw_temperature(rng, options.months(), rain, normal, daily_rain, spells, wave)
    covered = land.covers(grid_around_country(DAILY_STEP))
    return Temperature(**{name: raster.where(covered) for name, raster in vars(drawn).items()})


def _ground(
    rngs: Sequence[np.random.Generator],
    land: Land,
    rain: FloatArray,
    normal: FloatArray,
    temperature: Temperature,
    flow: FloatArray,
    spring: Spell,
    options: CountryOptions,
) -> tuple[Ground, str]:
    """Soil, evaporation, greenness, surface temperature, curve numbers and dust; the district without dust reports."""
    months = options.months()
    covered = land.covers(grid_around_country(DAILY_STEP))
    water = soil_water(halved(rain), months)
    long = options.since(options.long_years)
    moisture = draw_soil_moisture(rngs[0], water, long).where(covered)
    evaporation = draw_evaporation(rngs[2], land, water, temperature, months, flow, len(long))
    times = options.since(options.recent_years)
    ndvi, lst = draw_greenness(rngs[0], land, water, halved(normal), temperature, times, flow[-len(times) :])
    number = draw_curve_number(rngs[0], land)
    dust, silent = draw_dust(rngs[1], land, rain, months, len(long), spring)
    return Ground(moisture, evaporation, ndvi, lst, number, dust), silent


def _waterways(
    rng: np.random.Generator,
    land: Land,
    water: xr.DataArray,
    blind: Sequence[int],
    flow: FloatArray,
    options: CountryOptions,
) -> tuple[Waterways, tuple[str, ...], LowInflow, InflowGap]:
    """Monthly surface water, reservoir, network and inflow; months without imagery, and what was planted."""
    times = options.since(options.recent_years)
    history, unseen = draw_history(rng, land, water, blind, times)
    network = draw_network(rng, land)
    low = LowInflow(MAIN, f"{options.season_start(1):%Y-%m}", options.as_of, 0.42)
    gap = plan_gap(rng, network, times)
    inflow = draw_inflow(rng, times, flow[-len(times) :], low, gap)
    years = sorted(set(times.year) & set(options.water_years()))
    waterways = Waterways(history, occurrence_of(history, years), reservoir_area(land, water, blind), network, inflow)
    return waterways, unseen, low, gap


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
    write_files(Path(folder), country)
    return country


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
