"""Monthly surface water of the synthetic country, and the area of its reservoir, year by year.

Both follow the yearly raster that is drawn with the climate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from geodata.synthetic_climate import WATER_STEP, broad_noise, cell_km, lake_km, smooth_noise
from geodata.synthetic_land import FloatArray, Land, grid_around_country

NOT_SEEN, DRY, WET = 0, 1, 2
"""Codes of the JRC monthly water history."""

UNMAPPED = 255
"""No data in the JRC map of occurrence."""

LAKE = "lake"
LAKE_RADIUS_KM = 17.0
CLOUDY = np.array([0.30, 0.26, 0.22, 0.16, 0.08, 0.02, 0.01, 0.01, 0.02, 0.07, 0.17, 0.28])


def draw_history(
    rng: np.random.Generator, land: Land, water: xr.DataArray, blind: Sequence[int], times: pd.DatetimeIndex
) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Codes (time, lat, lon) as the JRC's monthly history gives them, and months without any imagery.

    Each cell holds water when the year's share, more in spring and less in autumn, exceeds a
    level of its own: so low water lies within high water, and the mean over many cells is the share.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        Outside the country nothing is observed.
    water : DataArray (time, lat, lon)
        Share of the cell covered by water, each year; the last one stands for the year that is not over.
    blind : sequence of int
        Years without imagery.
    times : DatetimeIndex
        Month starts.
    """
    grid = grid_around_country(WATER_STEP)
    shape = (grid.height, grid.width)
    years = water["time"].dt.year.to_numpy()
    share = water.to_numpy()[np.minimum(times.year.to_numpy() - years[0], len(years) - 1)]
    season = 1 + 0.22 * np.cos(2 * np.pi * (times.month.to_numpy() - 4.5) / 12)
    level = _levels(rng, shape) + 0.02 * smooth_noise(rng, len(times), shape, 1.5)
    codes = np.where(share * season[:, None, None] > np.maximum(level, 1e-3), WET, DRY).astype("uint8")
    codes[_clouds(rng, times, shape)] = NOT_SEEN
    gap = times[_lost_months(rng, times, blind)]
    codes[times.year.isin(list(blind)) | times.isin(gap)] = NOT_SEEN
    codes[:, ~land.covers(grid)] = NOT_SEEN
    history = xr.DataArray(
        codes,
        dims=("time", "lat", "lon"),
        coords={"time": times, "lat": water["lat"], "lon": water["lon"]},
        name="water_history",
        attrs={"units": "1", "long_name": "Water seen: 0 no observation, 1 land, 2 water", "crs": "EPSG:4326"},
    )
    return history, tuple(gap.strftime("%Y-%m"))


def occurrence_of(history: xr.DataArray, years: Sequence[int]) -> xr.DataArray:
    """Share of the time under water, %, (time 1, lat, lon), in whole numbers as the JRC maps it; 255 where unseen.

    Each month of the year counts the same, however often it was seen; months never seen are left out.

    Parameters
    ----------
    history : DataArray (time, lat, lon), codes
    years : sequence of int
        Whole years; the image stands for the last day of the last.
    """
    codes = history.sel(time=history["time"].dt.year.isin(list(years)))
    month = codes["time"].dt.month.to_numpy()
    wet, seen = (
        np.stack([chosen[month == m].sum(axis=0) for m in range(1, 13)])
        for chosen in (codes.to_numpy() == WET, codes.to_numpy() != NOT_SEEN)
    )
    share = np.where(seen > 0, wet / np.maximum(seen, 1), 0).sum(axis=0) / np.maximum((seen > 0).sum(axis=0), 1)
    image = np.where(seen.any(axis=0), np.floor(100 * share + 0.5), UNMAPPED).astype("uint8")
    return xr.DataArray(
        image[None],
        dims=("time", "lat", "lon"),
        coords={"time": [pd.Timestamp(years[-1], 12, 31)], "lat": history["lat"], "lon": history["lon"]},
        name="water_occurrence",
        attrs={"units": "%", "long_name": "Share of the time under water", "crs": "EPSG:4326"},
    )


def _levels(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """A level for each cell, 0 to 1, so evenly spread that those of a few neighbours stand for all."""
    row, column = np.indices(shape)
    return (rng.uniform() + 0.7548776662 * row + 0.5698402910 * column) % 1  # steps of the plastic number


def _clouds(rng: np.random.Generator, times: pd.DatetimeIndex, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """True where clouds hid the ground all month, (time, lat, lon): in winter, and more so in the north."""
    north = np.linspace(1.3, 0.7, shape[0])[:, None]
    chance = CLOUDY[times.month - 1][:, None, None] * north
    return broad_noise(rng, len(times), shape, 6) > -ndtri(chance).astype("float32")


def _lost_months(rng: np.random.Generator, times: pd.DatetimeIndex, blind: Sequence[int]) -> slice:
    """Four months in a row without imagery, as between two satellites: about half-way through the record."""
    free = [y for y in sorted(set(times.year))[1:-3] if y not in blind]
    year = free[len(free) // 2 + int(rng.integers(-1, 2))]
    first = int(times.searchsorted(pd.Timestamp(year, 8, 1)))
    return slice(first, first + 4)


def reservoir_area(land: Land, water: xr.DataArray, blind: Sequence[int]) -> pd.DataFrame:
    """Area of the lake, km2, in the wide layout: Year, and a column per reservoir; empty in years without imagery."""
    grid = grid_around_country(WATER_STEP)
    km = cell_km(grid)
    near = np.hypot(*np.moveaxis(km - lake_km(land), -1, 0)) < LAKE_RADIUS_KM
    cell_km2 = cell_areas(water["lat"].to_numpy())
    area = np.round((water.to_numpy() * cell_km2 * near).sum(axis=(1, 2)), 1)
    years = water["time"].dt.year.to_numpy()
    return pd.DataFrame({"Year": years, LAKE: np.where(np.isin(years, blind), np.nan, area)})


def cell_areas(lat: FloatArray) -> FloatArray:
    """Area of a cell of the water grid, km2, (lat, 1)."""
    return (WATER_STEP * 110.9) * (WATER_STEP * 111.32 * np.cos(np.radians(lat)))[:, None]
