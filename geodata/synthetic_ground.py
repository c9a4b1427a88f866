"""Ground of the synthetic country: soil moisture, evaporation, greenness, surface temperature, dust and curve numbers.

All of it follows the rain and the temperature already drawn. The soil empties in the dry
summer until years no longer differ; bare desert hardly greens; in the cold months of the
hills warmth, not water, decides how green it is and how much evaporates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
import xarray as xr

from geodata.synthetic_climate import (
    DAILY_STEP,
    RAIN_STEP,
    Spell,
    as_raster,
    smooth_noise,
)
from geodata.synthetic_heat import Temperature, monthly_anomaly
from geodata.synthetic_land import FloatArray, Land, cell_centres, grid_around_country, to_degrees

# Per calendar month, January first: share of the soil's water that is still there a month later,
# growth where it is warm enough, and dust days in an ordinary month of the plain.
KEPT = np.array([0.80, 0.78, 0.70, 0.58, 0.40, 0.25, 0.18, 0.18, 0.20, 0.40, 0.65, 0.78])
IRRIGATED = np.array([0.5, 0.7, 1.0, 0.9, 0.5, 0.4, 0.5, 0.5, 0.4, 0.3, 0.3, 0.4])
DUST_DAYS = np.array([0.6, 0.9, 1.8, 2.8, 3.2, 3.0, 2.9, 2.0, 1.2, 0.9, 0.6, 0.5])
DUST_OF = {"desert": 1.6, "plain": 1.2, "river": 1.0, "marsh": 0.8, "mountain": 0.35}
CURVE_NUMBER_OF = {"desert": 84, "plain": 77, "river": 72, "marsh": 88, "mountain": 66}
GREEN_FROM_MM = 95.0  # rain of the mean year below which nearly nothing grows
MM_OF_A_DEGREE = (
    5.0  # mm/month, the most that evaporates for each degC above freezing, about as Blaney and Criddle have it
)
FIELD_MM = 120.0  # mm/month from fields beside the river, where they are watered in full
SOIL_FLOOR, SOIL_RANGE, SOIL_SCALE_MM = 0.05, 0.28, 120.0
NO_CURVE_NUMBER = 255


@dataclass(frozen=True)
class Ground:
    """What lies and grows, and what blows.

    Parameters
    ----------
    soil_moisture : DataArray (time, lat, lon), m3/m3, monthly
    evaporation : DataArray (time, lat, lon), mm/month, actual; downward is positive: what evaporates is negative
    ndvi, lst : DataArray (time, lat, lon), 1 and degC, monthly greenness and surface temperature by day
    curve_number : DataArray (lat, lon), 1, SCS curve number; NaN outside the country
    dust_days : DataFrame [adm2_pcode, month, dust_days], as in the file
    """

    soil_moisture: xr.DataArray
    evaporation: xr.DataArray
    ndvi: xr.DataArray
    lst: xr.DataArray
    curve_number: xr.DataArray
    dust_days: pd.DataFrame


# ------------------------------------------------------------------ soil, greenness and surface temperature


def soil_water(rain: FloatArray, months: pd.DatetimeIndex) -> FloatArray:
    """Water of past rain still in the soil at the end of each month, mm, (time, lat, lon).

    A store that loses a share each month; its first year is run twice, so that it does not begin empty.
    """
    store, water = np.zeros(rain.shape[1:]), np.empty_like(rain)
    for t in (*range(12), *range(len(rain))):
        store = KEPT[months[t].month - 1] * store + rain[t]
        water[t] = store
    return water


def draw_soil_moisture(rng: np.random.Generator, water: FloatArray, times: pd.DatetimeIndex) -> xr.DataArray:
    """Soil moisture, m3/m3, (time, lat, lon), of the last months of ``water``: a dry floor, and what rain adds."""
    floor = SOIL_FLOOR + 0.008 * smooth_noise(rng, 1, water.shape[1:], 4)
    noise = 0.0012 * smooth_noise(rng, len(times), water.shape[1:], 1.5)
    moist = floor + SOIL_RANGE * (1 - np.exp(-water[-len(times) :] / SOIL_SCALE_MM)) + noise
    return as_raster(
        np.maximum(moist, 0.01), times, DAILY_STEP, 3, "soil_moisture", "m3/m3", "Soil moisture of the root zone"
    )


def draw_evaporation(
    rng: np.random.Generator,
    land: Land,
    water: FloatArray,
    temperature: Temperature,
    months: pd.DatetimeIndex,
    flow: FloatArray,
    count: int,
) -> xr.DataArray:
    """Actual evaporation, mm/month, (time, lat, lon), of the last ``count`` months, counted downward as ERA5 does.

    What the soil loses and the river gives to fields evaporates, as far as the month is warm enough.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        Fields lie by the river.
    water : array (time, lat, lon)
        Water in the soil, mm, whole record.
    temperature : Temperature
        Monthly means over the whole record; no value where no land is.
    months : DatetimeIndex
        Month starts of the record.
    flow : array (time,)
        The river relative to normal, in each of these months.
    count : int
    """
    month = months.month.to_numpy()[-count:] - 1
    before = np.concatenate([water[:1], water[:-1]])[-count:]
    lost = (1 - KEPT[month])[:, None, None] * before
    watered = IRRIGATED[month] * (0.7 + 0.3 * np.minimum(flow[-count:], 1.5))
    offered = lost + FIELD_MM * _beside_river(land) * watered[:, None, None]
    mean = (temperature.tmax_monthly.to_numpy()[-count:] + temperature.tmin_monthly.to_numpy()[-count:]) / 2
    noise = 1 + 0.04 * smooth_noise(rng, count, water.shape[1:], 1.5)
    evaporated = np.minimum(offered, MM_OF_A_DEGREE * np.maximum(mean, 0)) * noise
    return as_raster(
        -evaporated, months[-count:], DAILY_STEP, 1, "e", "mm/month", "Actual evaporation, downward positive"
    )


def draw_greenness(
    rng: np.random.Generator,
    land: Land,
    water: FloatArray,
    normal: FloatArray,
    temperature: Temperature,
    times: pd.DatetimeIndex,
    flow: FloatArray,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Greenness (NDVI, 1) and surface temperature by day (LST, degC), monthly, (time, lat, lon).

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        Fields by the river are irrigated and follow its flow, not the rain.
    water : array (time, lat, lon)
        Water in the soil, mm, whole record.
    normal : array (lat, lon)
        Rain of the mean year, mm: it says how much of a cell can green at all.
    temperature : Temperature
        Monthly means over the whole record.
    times : DatetimeIndex
        Month starts wanted, the last ones of the record.
    flow : array (time,)
        The river relative to normal, in each of these months.
    """
    count, month = len(times), times.month.to_numpy() - 1
    high, low = temperature.tmax_monthly.to_numpy(), temperature.tmin_monthly.to_numpy()
    warmer = _against_calendar_month(high.astype("float64"))[-count:]
    cold = _cold_season((high + low)[-count:] / 2, month)
    water = np.concatenate([water[:1], water])
    moist = 1 - np.exp(-(0.6 * water[1:] + 0.4 * water[:-1])[-count:] / SOIL_SCALE_MM)
    lush = np.clip(np.log(normal / GREEN_FROM_MM) / np.log(400 / GREEN_FROM_MM), 0, 1)
    fields = _beside_river(land)
    ndvi = 0.09 + lush * (0.04 + 0.45 * moist * (1 - 0.95 * cold) + 0.02 * cold * warmer)
    ndvi += 0.22 * fields * (IRRIGATED[month] * (0.7 + 0.3 * np.minimum(flow, 1.5)))[:, None, None]
    ndvi += (0.005 + 0.008 * lush) * smooth_noise(rng, count, normal.shape, 1.5)
    ndvi = np.clip(ndvi, -0.1, 0.9)
    sun = 7 - 5 * np.cos(2 * np.pi * (month + 0.5) / 12)
    lst = high[-count:] + sun[:, None, None] - 22 * (ndvi - 0.09) + 0.5 * smooth_noise(rng, count, normal.shape, 1.5)
    return (
        as_raster(ndvi, times, DAILY_STEP, 3, "ndvi", "1", "Normalised difference vegetation index"),
        as_raster(lst, times, DAILY_STEP, 1, "lst", "degC", "Temperature of the land surface by day"),
    )


def _against_calendar_month(values: FloatArray) -> FloatArray:
    """Values (time, ...) minus the mean of the same calendar month."""
    anomaly = np.empty_like(values)
    for m in range(12):
        anomaly[m::12] = values[m::12] - values[m::12].mean(axis=0)
    return anomaly


def _cold_season(mean: FloatArray, month: FloatArray) -> FloatArray:
    """How far cold holds back growth, 0 to 1, (time, lat, lon): by the usual warmth of the calendar month."""
    usual = np.stack([mean[month == m].mean(axis=0) for m in range(12)])
    return (1 / (1 + np.exp((usual - 8.5) / 1.5)))[month]


def _beside_river(land: Land) -> FloatArray:
    """Share of each cell that the river waters, about, (lat, lon)."""
    points = shapely.points(np.stack(np.meshgrid(*cell_centres(grid_around_country(DAILY_STEP))), axis=-1))
    return np.exp(-((shapely.distance(land.river, points) * 100 / 10) ** 2))


# ------------------------------------------------------------------ curve number


def draw_curve_number(rng: np.random.Generator, land: Land) -> xr.DataArray:
    """SCS curve number (lat, lon), whole numbers, by landscape; NaN outside the country."""
    grid = grid_around_country(RAIN_STEP)
    usual = land.subdistricts["landscape"].map(CURVE_NUMBER_OF).to_numpy(dtype="float64")
    number = usual[land.nearest_unit(grid)] + 3.5 * smooth_noise(rng, 1, (grid.height, grid.width), 1.5)[0]
    number = np.where(land.covers(grid), np.clip(np.round(number), 30, 98), np.nan)
    lon, lat = cell_centres(grid)
    return xr.DataArray(
        number.astype("float32"),
        dims=("lat", "lon"),
        coords={"lat": lat, "lon": lon},
        name="curve_number",
        attrs={"units": "1", "long_name": "SCS curve number", "crs": "EPSG:4326"},
    )


# ------------------------------------------------------------------ dust


def draw_dust(
    rng: np.random.Generator, land: Land, rain: FloatArray, months: pd.DatetimeIndex, count: int, spring: Spell
) -> tuple[pd.DataFrame, str]:
    """Dust days per district and month, and the district of which nothing is reported.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        Subdistricts, districts and landscapes.
    rain : array (time, lat, lon)
        Monthly rain, mm, whole record: dry months let dust rise.
    months : DatetimeIndex
        Month starts of the record.
    count : int
        Number of months wanted, the last ones.
    spring : Spell
        The planted dusty spring; its factor multiplies dust days.
    """
    units = land.subdistricts
    districts = np.unique(units["adm2_pcode"])
    weight = (units["adm2_pcode"].to_numpy() == districts[:, None]) * units["area_km2"].to_numpy()
    weight /= weight.sum(axis=1, keepdims=True)
    times = months[-count:]
    drier = np.exp(-0.25 * _district_anomaly(land, rain, months, weight))[-count:]
    planted = 1 + (spring.factor - 1) * weight @ spring.strength(to_degrees(land.centres_km()))
    usual = DUST_DAYS[times.month - 1][:, None] * (weight @ units["landscape"].map(DUST_OF).to_numpy())
    rate = usual * drier * np.where(times.isin(spring.months())[:, None], planted, 1.0)
    days = rng.poisson(rate * rng.gamma(12, 1 / 12, rate.shape))
    table = pd.DataFrame(
        {
            "adm2_pcode": np.repeat(districts, count),
            "month": np.tile(times.strftime("%Y-%m"), len(districts)),
            "dust_days": np.minimum(days, times.days_in_month.to_numpy()[:, None]).T.ravel(),
        }
    )
    silent = str(districts[np.argmax(weight @ (units["landscape"] == "mountain").to_numpy(dtype="float64"))])
    return table[table["adm2_pcode"] != silent].reset_index(drop=True), silent


def _district_anomaly(land: Land, rain: FloatArray, months: pd.DatetimeIndex, weight: FloatArray) -> FloatArray:
    """Rain of the last six months against normal, standard deviations, (time, district)."""
    unit = land.unit_of_cells(grid_around_country(RAIN_STEP))
    cells = (unit.ravel() == np.arange(len(land.subdistricts))[:, None]).astype("float64")
    cells /= np.maximum(cells.sum(axis=1, keepdims=True), 1)
    by_district = rain.reshape(len(rain), -1) @ (weight @ cells).T
    summed = np.cumsum(np.concatenate([np.tile(by_district[:12].mean(axis=0), (6, 1)), by_district]), axis=0)
    six = (summed[6:] - summed[:-6])[..., None]
    return monthly_anomaly(six, months)[..., 0]
