"""Daily rain of 44,000 cells and 16,000 days, from files of whole images through the heavy-rain indices."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr

DAYS, ROWS, COLUMNS = 16_000, 200, 220
CALIBRATION = (1982, 2011)
_IMAGES = 100  # in one chunk of the record


def daily_rain_ours() -> dict[str, float]:
    """Seconds and memory of every monthly index of every cell, and what was read and written on the way."""
    with tempfile.TemporaryDirectory() as folder:
        record = write_record(Path(folder) / "rain.zarr")
        return _measure(record, Path(folder) / "scratch")


def write_record(path: Path, days: int = DAYS, rows: int = ROWS, columns: int = COLUMNS) -> Path:
    """Rain on one day in five, a tenth of the cells without a value, one image in 700 missing; the same every time."""
    store = zarr.create_array(
        store=str(path), shape=(days, rows, columns), chunks=(_IMAGES, rows, columns), dtype="float32"
    )
    sea = np.random.default_rng(5).random((rows, columns)) < 0.1
    for first in range(0, days, _IMAGES):
        generator = np.random.default_rng([7, first])
        images = generator.standard_exponential((min(_IMAGES, days - first), rows, columns), dtype="float32")
        images = np.maximum(8.0 * (images - 1.6), 0.0).astype("float32")
        images[:, sea] = np.nan
        images[(np.arange(first, first + len(images)) % 700) == 350] = np.nan
        store[first : first + len(images)] = images
    return path


def open_record(path: Path) -> xr.DataArray:
    """The record as a reader gives it: lazy, in chunks of whole images."""
    import dask.array as da

    values = da.from_zarr(str(path))
    _, rows, columns = values.shape
    coords = {
        "time": pd.date_range("1981-01-01", periods=len(values)),
        "lat": 38.0 - 0.05 * (np.arange(rows) + 0.5),
        "lon": 38.0 + 0.05 * (np.arange(columns) + 0.5),
    }
    return xr.DataArray(values, dims=("time", "lat", "lon"), coords=coords, attrs={"units": "mm/day"}, name="rain")


def _measure(record: Path, scratch: Path) -> dict[str, float]:
    from geodata.bands import by_bands
    from models.heavy_rain import daily_rain_indices

    rain = open_record(record)
    start = time.perf_counter()
    bands = by_bands(rain, scratch)
    turned = time.perf_counter()
    indices = daily_rain_indices(bands, CALIBRATION)
    indices.to_zarr(
        scratch / "indices.zarr", consolidated=False
    )  # written band by band: computed whole, they would stand in memory twice
    done = time.perf_counter()
    return {
        "seconds": done - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "seconds_to_turn": turned - start,
        "gb_read": 2 * rain.nbytes / 1e9,  # images once, bands once
        "gb_of_indices": indices.nbytes / 1e9,
        "share_with_value": float(
            xr.open_zarr(scratch / "indices.zarr", consolidated=False)["rx1day"].notnull().mean()
        ),
    }
