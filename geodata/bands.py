"""Bands of rows: a record of whole images turned, on disk, into bands that hold the whole time axis of few rows.

Files hold one image after the other; what is computed along time needs all times of a cell.
Turned in memory, the whole record would stand there. So the images are written once, a block of
times after the other, into a scratch store cut into bands, and read again band by band. The
graph holds paths, not pixels, so that worker processes read and write for themselves: they must see
the scratch folder.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.base import compute
from dask.delayed import delayed

from .schema import ContractError, Finding, InputError
from .store import writing

IN_MEMORY_BYTES = 256e6
"""Records up to this size are turned in memory."""

BAND_BYTES = 96e6
"""Size of a band: one stands in memory for each thread, and again in part while it is worked on."""

_BLOCK_BYTES = 64e6  # of images written at once


def by_bands(
    raster: xr.DataArray,
    scratch: Path,
    rows: int | None = None,
    budget_bytes: float = IN_MEMORY_BYTES,
) -> xr.DataArray:
    """Raster in bands of rows, each with the whole time axis in one chunk.

    Parameters
    ----------
    raster : DataArray (time, lat, lon), any units
        Dask-backed, in chunks of whole images as `read_raster_stack` gives them; or in memory.
    scratch : Path
        Folder for the scratch store; it is made if need be. The caller removes it when nothing
        reads the bands any more. Worker processes must see it under the same path.
    rows : int, optional
        Rows of a band; without it, as many as `BAND_BYTES` allow.
    budget_bytes : float
        A raster up to this size is turned in memory, and nothing is written.

    Returns
    -------
    DataArray (time, lat, lon), the values, coordinates and attributes of ``raster``
        Dask-backed, chunks {time: all, lat: rows, lon: all}.

    Raises
    ------
    InputError
        The disk of the scratch folder is too small, or cannot be written to.
    ContractError
        Other dimensions.

    Examples
    --------
    >>> images = xr.DataArray(np.zeros((6, 4, 2)), dims=("time", "lat", "lon")).chunk(time=1)
    >>> by_bands(images, Path("unused"), rows=3).chunks
    ((6,), (3, 1), (2,))
    """
    if tuple(raster.dims) != ("time", "lat", "lon"):
        raise ContractError(f"{raster.name}: dims {tuple(raster.dims)}, expected ('time', 'lat', 'lon')")
    rows = min(rows or _rows_of_a_band(raster), raster.sizes["lat"])
    if raster.chunks is None or raster.nbytes <= budget_bytes:
        return raster.chunk({"time": -1, "lat": rows, "lon": -1})
    _require_space(raster, scratch)
    with writing(scratch / "bands"):
        store = Path(tempfile.mkdtemp(prefix=f"{raster.name or 'raster'}-", suffix=".zarr", dir=scratch))
        try:
            _write(raster, store, rows)
        except BaseException:
            shutil.rmtree(store, ignore_errors=True)
            raise
    turned = da.from_zarr(str(store), chunks=(raster.sizes["time"], rows, raster.sizes["lon"]), inline_array=True)
    return raster.copy(data=turned)


def _rows_of_a_band(raster: xr.DataArray) -> int:
    row = raster.sizes["time"] * raster.sizes["lon"] * raster.dtype.itemsize
    return max(int(BAND_BYTES // max(row, 1)), 1)


def _times_of_a_block(raster: xr.DataArray) -> int:
    """Whole images of about `_BLOCK_BYTES`, in step with the chunks of the raster where these are even."""
    image = raster.sizes["lat"] * raster.sizes["lon"] * raster.dtype.itemsize
    times = max(int(_BLOCK_BYTES // max(image, 1)), 1)
    chunk = raster.chunks[0][0] if raster.chunks else 1
    return min(max(times // chunk, 1) * chunk, raster.sizes["time"])


def _require_space(raster: xr.DataArray, scratch: Path) -> None:
    there = next(p for p in (scratch, *scratch.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(there).free
    if free < raster.nbytes:
        found, expected = f"{free / 1e9:.1f} GB free", f"{raster.nbytes / 1e9:.1f} GB to turn {raster.name} into bands"
        raise InputError(Finding("error", "output", str(scratch), "disk", found, expected))


def _write(raster: xr.DataArray, store: Path, rows: int) -> None:
    """Write the images into an array of chunks (block of times, rows of a band, all columns)."""
    times = _times_of_a_block(raster)
    zarr.create_array(
        store=str(store),
        shape=raster.shape,
        chunks=(times, rows, raster.sizes["lon"]),
        dtype=raster.dtype,
        fill_value=np.nan if raster.dtype.kind == "f" else 0,
        compressors=None,  # read once: packing takes longer than writing
        overwrite=True,
    )
    blocks = raster.data.rechunk((times, -1, -1)).to_delayed().ravel()
    # A block is one task, so that at most one for each thread stands in memory.
    compute(*(delayed(_write_block)(block, str(store), i * times) for i, block in enumerate(blocks)))


def _write_block(images: np.ndarray, store: str, first: int) -> int:
    """Write whole images from time ``first`` on. Returns: bytes written."""
    zarr.open_array(store, mode="r+")[first : first + len(images)] = images
    return math.prod(images.shape) * images.itemsize
