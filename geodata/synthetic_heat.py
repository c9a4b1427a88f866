"""Temperature of the synthetic country: a hot dry plain, cooler hills, warm droughts and one heat wave.

Months come first and days are spread around them, so the days of a month average to the
monthly product. The range between night and day is drawn as such and is positive, so the
lowest temperature of a day is always below the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import lfilter

from geodata.synthetic_climate import DAILY_STEP, Spell, as_raster, broad_noise, cell_km, fading
from geodata.synthetic_land import FloatArray, cell_centres, grid_around_country

WARMEST_DAY = 205  # of the year: 24 July
PLAIN_MEAN, PLAIN_SWING = 31.5, 14.3  # degC, highest of the day, over the year
HILLS_COOLER = 11.0  # K, where 700 mm a year fall: some 1,500 m higher
RANGE_MEAN, RANGE_SWING = 14.5, 2.5  # K between night and day
WARMING = 0.03  # K a year


@dataclass(frozen=True)
class HeatWave:
    """Very hot days that were planted.

    Parameters
    ----------
    first, last : str, "YYYY-MM-DD", both within the heat wave
    warmth : float, K above what the days would have been in its heart, half-way through
    lon, lat : float, degrees, the middle
    radius_km : float, where the effect has fallen to half
    pcodes : the subdistricts whose centre lies in the heart (the effect is above 80 %)
    """

    first: str
    last: str
    warmth: float
    lon: float
    lat: float
    radius_km: float
    pcodes: tuple[str, ...]

    def days(self) -> pd.DatetimeIndex:
        """Days of the heat wave."""
        return pd.date_range(self.first, self.last, freq="D")

    def strength(self, lonlat: FloatArray) -> FloatArray:
        """Effect at places (..., 2), degrees: 1 in the heart, 0 far away."""
        return fading(lonlat, self.lon, self.lat, self.radius_km)


@dataclass(frozen=True)
class Temperature:
    """Lowest and highest temperature of the day, degC, (time, lat, lon); no value where no land is."""

    tmax_daily: xr.DataArray
    tmin_daily: xr.DataArray
    tmax_monthly: xr.DataArray
    tmin_monthly: xr.DataArray


def draw_temperature(
    rng: np.random.Generator,
    months: pd.DatetimeIndex,
    rain: FloatArray,
    normal: FloatArray,
    daily_rain: xr.DataArray,
    spells: Sequence[Spell],
    wave: HeatWave,
) -> Temperature:
    """Days and monthly means of the temperature, over the whole grid.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    months : DatetimeIndex
        Month starts of the rain record.
    rain, normal : array (time, lat, lon) and (lat, lon)
        Rain of each month and of the mean year, mm, on the daily grid.
    daily_rain : DataArray (time, lat, lon)
        Rain of the last years, mm/day; its days are those of the daily temperature.
    spells : sequence of Spell
        Planted dry spells warm the air, wet ones cool it.
    wave : HeatWave
        What is planted; its months are warmer by what its days bring.
    """
    height = rise_of_land(normal)
    wetness = monthly_anomaly(rain, months)
    tmax = _of_plain_and_hills(month_middles(months), height) + _departures(rng, months, wetness, spells)
    spread = _spread(month_middles(months), height) * np.clip(
        1 - 0.04 * wetness + 0.05 * broad_noise(rng, len(months), normal.shape, 4), 0.6, 1.4
    )
    days = pd.DatetimeIndex(daily_rain["time"].to_numpy())
    hot = _heat(wave, days)
    chance = 1 - 0.7 * hot / wave.warmth  # the heat wave is what stands out, and nothing undoes it
    of_months = (tmax[-_count(days) :], spread[-_count(days) :])
    high, low = _days(rng, days, daily_rain.to_numpy(), height, of_months, chance)
    high, low = high + hot, low + 0.6 * hot
    tmax[-_count(days) :] += _month_means(hot, days)
    low_months = tmax - spread
    low_months[-_count(days) :] = _month_means(low, days)
    return Temperature(
        tmax_daily=_raster(high, days, "tmax", "Highest temperature of the day"),
        tmin_daily=_raster(low, days, "tmin", "Lowest temperature of the day"),
        tmax_monthly=_raster(tmax, months, "tmax", "Highest temperature of the day, mean of the month"),
        tmin_monthly=_raster(low_months, months, "tmin", "Lowest temperature of the day, mean of the month"),
    )


def rise_of_land(normal: FloatArray) -> FloatArray:
    """How far a cell lies up the hills, 0 in the plain and 1 where 700 mm a year fall, (lat, lon)."""
    return np.clip(np.log(normal / 220) / np.log(700 / 220), 0, 1.1)


def monthly_anomaly(rain: FloatArray, months: pd.DatetimeIndex) -> FloatArray:
    """Rain against that of the same calendar month, standard deviations, (time, lat, lon); 0 where none ever falls."""
    root = np.sqrt(rain)
    anomaly = np.empty_like(root)
    for m in range(1, 13):
        same = root[months.month == m]
        anomaly[months.month == m] = (same - same.mean(axis=0)) / (same.std(axis=0) + 0.3)
    return np.clip(anomaly, -2.5, 2.5)


def month_middles(months: pd.DatetimeIndex) -> FloatArray:
    """Day of the year in the middle of each month."""
    return np.asarray(months.day_of_year + months.days_in_month / 2, dtype="float64")


# ------------------------------------------------------------------ the year


def _season(day: FloatArray) -> FloatArray:
    """1 on the warmest day of the year, -1 half a year later, (time, 1, 1)."""
    return np.cos(2 * np.pi * (day - WARMEST_DAY) / 365.25)[:, None, None]


def _of_plain_and_hills(day: FloatArray, height: FloatArray) -> FloatArray:
    """Mean highest temperature on days of the year, degC, (time, lat, lon)."""
    north = cell_km(grid_around_country(DAILY_STEP))[..., 1] / 100
    return PLAIN_MEAN - HILLS_COOLER * height - 0.2 * north + PLAIN_SWING * _season(day)


def _spread(day: FloatArray, height: FloatArray) -> FloatArray:
    """Mean range between night and day, K, (time, lat, lon): wider in the dry summer, narrower in the hills."""
    return (RANGE_MEAN + RANGE_SWING * _season(day)) * (1 - 0.12 * height)


def _departures(
    rng: np.random.Generator, months: pd.DatetimeIndex, wetness: FloatArray, spells: Sequence[Spell]
) -> FloatArray:
    """What each month is warmer than its mean, K, (time, lat, lon): chance, clouds, spells and a slow warming."""
    noise = broad_noise(rng, len(months), wetness.shape[1:], 6)
    warmer = (0.9 - 0.3 * _season(month_middles(months))) * noise - 0.7 * wetness
    warmer += WARMING * (months.year.to_numpy() - 2004)[:, None, None]
    lonlat = np.stack(np.meshgrid(*cell_centres(grid_around_country(DAILY_STEP))), axis=-1)
    for spell in spells:
        warmer[months.isin(spell.months())] -= 1.3 * np.log(spell.factor) * spell.strength(lonlat)
    return warmer


# ------------------------------------------------------------------ days


def _days(
    rng: np.random.Generator,
    days: pd.DatetimeIndex,
    rain: FloatArray,
    height: FloatArray,
    of_months: tuple[FloatArray, FloatArray],
    chance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Highest and lowest temperature of each day, degC, around those of its month; rainy days are cool and mild.

    ``of_months`` are the highest and the range of each month, ``chance`` what is left of the weather, 0 to 1.
    """
    tmax, spread = of_months
    season = _season(days.day_of_year.to_numpy())
    weather = chance * _persistent(broad_noise(rng, len(days), height.shape, 5))
    of_day = _of_plain_and_hills(days.day_of_year.to_numpy(dtype="float64"), height)
    of_day += (2.4 - 0.9 * season) * weather - 0.25 * np.minimum(rain, 12)
    clear = np.clip(1 + 0.13 * broad_noise(rng, len(days), height.shape, 5) - 0.04 * np.minimum(rain, 8), 0.4, 1.6)
    month = (days.year - days.year[0]) * 12 + days.month - days.month[0]
    high = of_day + (tmax - _month_means(of_day, days))[month]
    return high, high - clear * (spread / _month_means(clear, days))[month]


def _persistent(noise: NDArray[np.float32]) -> FloatArray:
    """Noise (time, ...) in which each day resembles the one before, with the same variance."""
    return lfilter([np.sqrt(1 - 0.7**2)], [1, -0.7], noise, axis=0)


def _month_means(values: FloatArray, days: pd.DatetimeIndex) -> FloatArray:
    """Means of whole months, (month, lat, lon), of daily values."""
    starts = np.flatnonzero(days.day == 1)
    return np.add.reduceat(values, starts, axis=0) / days.days_in_month.to_numpy()[starts, None, None]


def _count(days: pd.DatetimeIndex) -> int:
    return int((days.day == 1).sum())


def _heat(wave: HeatWave, days: pd.DatetimeIndex) -> FloatArray:
    """What the heat wave adds to each day, K, (time, lat, lon): it rises, stays and falls."""
    planted = wave.days()
    course = np.minimum(1, 1.6 * np.sin(np.pi * (np.arange(len(planted)) + 0.5) / len(planted)))
    added = np.zeros(len(days))
    added[days.isin(planted)] = wave.warmth * course
    lonlat = np.stack(np.meshgrid(*cell_centres(grid_around_country(DAILY_STEP))), axis=-1)
    return added[:, None, None] * wave.strength(lonlat)


def _raster(values: FloatArray, times: pd.DatetimeIndex, name: str, long_name: str) -> xr.DataArray:
    return as_raster(values, times, DAILY_STEP, 1, name, "degC", long_name)
