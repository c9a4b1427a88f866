"""Climate of the synthetic country: rain, vegetation and surface water, with planted spells.

Rain is drawn as it falls in arid countries: in each month a cell is dry with a
known probability and otherwise gamma distributed, and neighbours share one smooth Gaussian
field, so wet and dry months come in regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import gammaincinv, ndtr, ndtri

from geodata.schema import GridSpec
from geodata.synthetic_land import FloatArray, Land, cell_centres, grid_around_country, to_km

RAIN_STEP = 0.1
DAILY_STEP = 0.2
WATER_STEP = 0.05
BARREN_BELOW_MM = 75.0

# Per calendar month, January first: share of the year's rain, chance of a dry month in the
# middle of the country, and gamma shape of the wet months.
SEASON = np.array([0.18, 0.17, 0.17, 0.11, 0.035, 0.003, 0.0, 0.0, 0.005, 0.045, 0.125, 0.157])
DRY_CHANCE = np.array([0.05, 0.06, 0.08, 0.17, 0.48, 0.98, 1.0, 1.0, 0.94, 0.38, 0.15, 0.06])
SHAPE = np.array([2.4, 2.4, 2.2, 1.6, 1.1, 0.9, 0.9, 0.9, 0.9, 1.1, 1.7, 2.3])


def fading(lonlat: FloatArray, lon: float, lat: float, radius_km: float) -> FloatArray:
    """1 in the heart around a place, half at ``radius_km``, 0 far away; at places (..., 2), degrees."""
    apart = to_km(lonlat) - to_km(np.array([lon, lat]))
    distance = np.hypot(apart[..., 0], apart[..., 1])
    return 1 / (1 + np.exp((distance - radius_km) / (0.2 * radius_km)))


@dataclass(frozen=True)
class Spell:
    """Months that were planted: of little or much rain, or of dust.

    Parameters
    ----------
    first, last : str, "YYYY-MM", both within the spell
    factor : float, what the rain, or the dust days, in the heart of the spell were multiplied with
    lon, lat : float, degrees, the middle
    radius_km : float, where the effect has fallen to half
    pcodes : the subdistricts whose centre lies in the heart (the effect is above 80 %)
    """

    first: str
    last: str
    factor: float
    lon: float
    lat: float
    radius_km: float
    pcodes: tuple[str, ...]

    def months(self) -> pd.DatetimeIndex:
        """Month starts of the spell."""
        return pd.date_range(self.first, self.last, freq="MS")

    def strength(self, lonlat: FloatArray) -> FloatArray:
        """Effect of the spell at places (..., 2), degrees: 1 in the heart, 0 far away."""
        return fading(lonlat, self.lon, self.lat, self.radius_km)


@dataclass(frozen=True)
class Cloudburst:
    """A few hours of rain that fill a dry valley.

    Parameters
    ----------
    day : str, "YYYY-MM-DD"
    pcode : the subdistrict of the valley
    lon, lat : float, degrees
    mm : float, mm of that day at the centre
    radius_km : float
    """

    day: str
    pcode: str
    lon: float
    lat: float
    mm: float
    radius_km: float

    def rain(self, grid: GridSpec) -> FloatArray:
        """Rain of the day, mm, (lat, lon)."""
        apart = cell_km(grid) - to_km(np.array([self.lon, self.lat]))
        return self.mm * np.exp(-(apart**2).sum(axis=-1) / (2 * self.radius_km**2))


@dataclass(frozen=True)
class Climate:
    """The rasters of the country, (time, lat, lon), north first, as an analyst would get them."""

    rain: xr.DataArray
    daily_rain: xr.DataArray
    vegetation: xr.DataArray
    water: xr.DataArray


# ------------------------------------------------------------------ rain


def draw_rain(
    rng: np.random.Generator, months: pd.DatetimeIndex, spells: Sequence[Spell]
) -> tuple[FloatArray, FloatArray]:
    """Monthly rain, mm, (time, lat, lon), and the mean year, mm, (lat, lon).

    Parameters
    ----------
    rng : Generator
        Source of chance.
    months : DatetimeIndex
        Month starts.
    spells : sequence of Spell
        What is planted. The background of their months is kept near normal, so that they
        are what stands out and nothing undoes them by chance.
    """
    grid = grid_around_country(RAIN_STEP)
    normal = _normal_year(rng, grid)
    planted = np.logical_or.reduce([months.isin(spell.months()) for spell in spells])
    field = _weather(rng, (grid.height, grid.width), planted)
    lonlat = np.stack(np.meshgrid(*cell_centres(grid)), axis=-1)
    rain = _rain_of(ndtr(field), months.month.to_numpy() - 1, normal)
    for spell in spells:
        rain[months.isin(spell.months())] *= 1 - (1 - spell.factor) * spell.strength(lonlat)
    return rain, normal


def _normal_year(rng: np.random.Generator, grid: GridSpec) -> FloatArray:
    """Mean rain of a year, mm, (lat, lon): mountains in the north and east, desert in the south-west."""
    east, north = np.moveaxis(cell_km(grid), -1, 0)
    hills = smooth_noise(rng, 1, (grid.height, grid.width), 4)[0]
    place = np.clip(north / 250 + 0.12 * east / 200, -1.1, 1.1)
    return np.exp(np.interp(place, [-1.1, -0.6, 0.0, 1.1], np.log([42, 75, 185, 700])) + 0.08 * hills)


def _weather(rng: np.random.Generator, shape: tuple[int, int], calm: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Standard normal fields (month, *shape), narrower in ``calm`` months.

    A part is common to the country, one regional and one local.
    """
    count = len(calm)
    common = rng.standard_normal(count)
    for t in range(1, count):
        common[t] = 0.25 * common[t - 1] + np.sqrt(1 - 0.25**2) * common[t]
    common[calm] *= 0.1
    regional = smooth_noise(rng, count, shape, 8)
    regional[calm] *= 0.55
    local = smooth_noise(rng, count, shape, 1.5)
    return (
        np.sqrt(0.4) * common[:, None, None].astype("float32") + np.sqrt(0.5) * regional + np.sqrt(0.1) * local
    ).astype("float32")


def _rain_of(chance: NDArray[np.float32], month: NDArray[np.int_], normal: FloatArray) -> FloatArray:
    """Rain, mm, at non-exceedance ``chance``: a mass at zero, then a gamma law with the right mean."""
    rain = np.zeros(chance.shape)
    aridity = np.interp(np.log(normal), np.log([60, 185, 600]), [0.45, 0.0, -0.45])
    grid = np.linspace(0, 0.9999, 4000)
    for m in range(12):
        if DRY_CHANCE[m] >= 1:
            continue
        dry = ndtr(ndtri(DRY_CHANCE[m]) + aridity)
        if DRY_CHANCE[m] > 0.9:
            dry = np.where(normal < 120, 1.0, dry)  # the desert never sees summer rain
        wet = np.clip((chance[month == m] - dry) / np.maximum(1 - dry, 1e-9), 0, 0.9999)
        amount = normal * SEASON[m] / np.maximum(1 - DRY_CHANCE[m], 0.02)
        rain[month == m] = amount * np.interp(wet, grid, gammaincinv(SHAPE[m], grid) / SHAPE[m])
    return rain


def smooth_noise(rng: np.random.Generator, count: int, shape: tuple[int, int], reach: float) -> NDArray[np.float32]:
    """Independent standard normal fields (count, *shape), correlated over ``reach`` cells."""
    margin = int(3 * reach)
    white = rng.standard_normal((count, shape[0] + margin, shape[1] + margin), dtype="float32")
    smooth = gaussian_filter(white, sigma=(0, reach, reach), mode="wrap", truncate=3)
    return smooth[:, : shape[0], : shape[1]] * np.float32(2 * reach * np.sqrt(np.pi))


def broad_noise(rng: np.random.Generator, count: int, shape: tuple[int, int], reach: float) -> NDArray[np.float32]:
    """As `smooth_noise`, made of bumps a little under ``reach`` cells apart: quick where there are many fields."""
    sides = [np.arange(-2 * reach, size + 2 * reach, 0.9 * reach) for size in shape]
    bumps = [np.exp(-((np.arange(n)[:, None] - at) ** 2) / (2 * reach**2)) for n, at in zip(shape, sides, strict=True)]
    heights = rng.standard_normal((count, *map(len, sides)), dtype="float32")
    unit = [(b / np.linalg.norm(b, axis=1, keepdims=True)).astype("float32") for b in bumps]
    return unit[0] @ heights @ unit[1].T


def halved(fields: FloatArray) -> FloatArray:
    """Means of two by two cells of fields (..., lat, lon)."""
    height, width = fields.shape[-2:]
    return fields.reshape(*fields.shape[:-2], height // 2, 2, width // 2, 2).mean(axis=(-3, -1))


def draw_daily(
    rng: np.random.Generator, rain: FloatArray, months: pd.DatetimeIndex
) -> tuple[FloatArray, pd.DatetimeIndex]:
    """Spread monthly rain (time, lat, lon) over days on a grid twice as coarse; months keep their sum."""
    coarse = halved(rain)
    days = pd.date_range(months[0], months[-1] + pd.offsets.MonthEnd(0), freq="D")
    storm = np.maximum(smooth_noise(rng, len(days), coarse.shape[1:], 3) - 0.25, 0)
    starts = np.flatnonzero(days.day == 1)
    total = np.add.reduceat(storm, starts, axis=0)
    month_of_day = np.repeat(np.arange(len(months)), np.diff([*starts, len(days)]))
    share = np.where(total > 0, coarse / np.where(total > 0, total, 1), 0)[month_of_day] * storm
    # Where no storm came near, what little rain fell came on the fifteenth.
    share[starts + 14] += np.where(total > 0, 0, coarse)
    return share, days


# ------------------------------------------------------------------ vegetation and water


def draw_vegetation(rng: np.random.Generator, rain: FloatArray, normal: FloatArray, first: int) -> FloatArray:
    """Vegetation anomaly, standard deviations, (time, lat, lon) from month number ``first`` on.

    It follows the rain of the last six months; bare desert has none and reads NaN.
    """
    summed = np.cumsum(rain, axis=0)
    season = np.sqrt(summed[6:] - summed[:-6])  # season[i] ends with month i + 6
    anomaly = np.empty_like(season)
    for m in range(12):
        same = season[m::12]
        anomaly[m::12] = (same - same.mean(axis=0)) / (same.std(axis=0) + 0.3)
    recent = anomaly[first - 6 :]
    noise = smooth_noise(rng, len(recent), normal.shape, 1.5)
    return np.where(normal < BARREN_BELOW_MM, np.nan, np.clip(0.8 * recent + 0.45 * noise, -4, 4))


@dataclass(frozen=True)
class MarshLoss:
    """Where and from when the marshes fell dry: cells on the ``bearing`` side of the middle."""

    first_year: int
    bearing: float  # radians from east, anticlockwise


def draw_water(
    rng: np.random.Generator, land: Land, flow: FloatArray, years: Sequence[int], loss: MarshLoss, blind: Sequence[int]
) -> FloatArray:
    """Share of each cell that is water, 0 to 1, (year, lat, lon).

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        River, marsh and outline.
    flow : array (year,)
        The river of the year relative to normal.
    years : sequence of int
        Calendar years.
    loss : MarshLoss
        The planted loss of marshes.
    blind : sequence of int
        Years with hardly any imagery: they read almost no water, as real yearly products do.
    """
    grid = grid_around_country(WATER_STEP)
    km, points = cell_km(grid), shapely.points(np.stack(np.meshgrid(*cell_centres(grid)), axis=-1))
    to_river = shapely.distance(land.river, points) * 100
    middle = to_km(shapely.get_coordinates(land.marsh.centroid)[0])
    towards = (km - middle) @ np.array([np.cos(loss.bearing), np.sin(loss.bearing)])
    depth = np.clip(shapely.distance(land.marsh.exterior, points) * 100 / 12, 0, 1) * shapely.contains(
        land.marsh, points
    )
    ragged = np.clip(0.75 + 0.35 * smooth_noise(rng, 1, depth.shape, 1.2)[0], 0.1, 1)
    lake = 0.9 / (1 + np.exp((np.hypot(*np.moveaxis(km - lake_km(land), -1, 0)) - 11) / 1.6))
    inside = shapely.contains(land.outline.buffer(0.03), points)
    water = np.empty((len(years), *depth.shape))
    for i, year in enumerate(years):
        kept = np.where(towards > -6, 0.12 ** min(1.0, max(0, year - loss.first_year + 1) / 3), 1.0)
        stream = 0.20 * flow[i] ** 0.5 * np.exp(-((to_river / 3.2) ** 2))
        marsh = 0.7 * flow[i] ** 0.7 * depth * ragged * kept
        water[i] = np.clip(np.maximum.reduce([stream, marsh, lake * min(1.0, flow[i] ** 0.6)]), 0, 0.98) * inside
    water[np.isin(years, blind)] *= 0.01
    return water


def lake_km(land: Land) -> FloatArray:
    """Middle of the reservoir: on the river, a quarter of the way from the north-west."""
    main = max(shapely.get_parts(land.river), key=lambda part: part.length)
    return to_km(shapely.get_coordinates(main.interpolate(0.22, normalized=True))[0])


def cell_km(grid: GridSpec) -> FloatArray:
    """Cell centres, (lat, lon, 2), kilometres east and north of the middle of the country."""
    return to_km(np.stack(np.meshgrid(*cell_centres(grid)), axis=-1))


def as_raster(
    values: FloatArray, times: pd.DatetimeIndex, step: float, digits: int, name: str, units: str, long_name: str
) -> xr.DataArray:
    """Values (time, lat, lon) on the grid of ``step`` degrees, rounded as the product would be."""
    lon, lat = cell_centres(grid_around_country(step))
    return xr.DataArray(
        np.round(values, digits).astype("float32"),
        dims=("time", "lat", "lon"),
        coords={"time": times, "lat": lat, "lon": lon},
        name=name,
        attrs={"units": units, "long_name": long_name, "crs": "EPSG:4326"},
    )
