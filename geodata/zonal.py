"""From cells to subdistricts: exact coverage fractions once per grid, then one product for all months.

mean = sum(f a v) / sum(f a) over cells with a value, where f is the share of a cell that the
polygon covers and a the area of the cell; coverage = sum(f a) over cells with a value / sum(f a)
over the whole polygon, so what lies outside the raster counts as not covered. Fractions come
from exactextract (ISciences), the rest is a sparse product.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array
import geopandas as gpd
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.delayed import delayed
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from scipy import sparse

from .grids import Floats, describe_grid, grid_of, row_areas, same_pixels
from .schema import ContractError, GridSpec, Status, status_attrs

PUBLISH_COVERAGE = 0.5  # below this share of the polygon no value is given
SURE_COVERAGE = 0.8  # below this share the mean of a part is shown with its caution
SUM_COVERAGE = 0.95  # a mean of most of a unit stands for it; a sum over part of it is short of the rest
MIN_CELLS = 2.0  # effective cells below which a raster is coarser than the unit
_CLUSTER_WEIGHT = 0.8  # units with more of their weight than this in one cell share its value
_BLOCK_BYTES = 3e6  # of pairs of images that a thread holds at a time
_IMAGES_PER_THREAD = 16  # fewer are not worth a thread


@dataclass(frozen=True)
class ZonalWeights:
    """What each cell of one grid is worth to each subdistrict.

    Parameters
    ----------
    grid : GridSpec
    pcodes : array (pcode,), str, in the order of the subdistricts table
    fractions : csr (pcode, cell), share of each cell covered by the polygon; cells row by row
    matrix : csr (pcode, cell), the same times the relative area of the cell
    polygon_cells : array (pcode,), sum of `matrix` if the raster had no edge: the whole polygon
    n_eff : array (pcode,), effective number of cells, (sum w)^2 / sum w^2; 0 outside the raster
    """

    grid: GridSpec
    pcodes: npt.NDArray[np.str_]
    fractions: sparse.csr_array
    matrix: sparse.csr_array
    polygon_cells: Floats
    n_eff: Floats


def zonal_weights(grid: GridSpec, subdistricts: gpd.GeoDataFrame) -> ZonalWeights:
    """Coverage fractions of every subdistrict on a grid, one exactextract pass.

    Parameters
    ----------
    grid : GridSpec
        A geographic grid.
    subdistricts : GeoDataFrame
        Index pcode, EPSG:4326. A subdistrict outside the grid keeps its row, with no weight.

    Returns
    -------
    ZonalWeights
    """
    if subdistricts.crs is None or subdistricts.crs.to_epsg() != 4326 or grid.crs != "EPSG:4326":
        raise ContractError(f"zonal: grid in {grid.crs}, subdistricts in {subdistricts.crs}, expected EPSG:4326")
    padded, row0, column0 = _padded(grid, tuple(subdistricts.total_bounds))
    # A short integer per cell: exactextract wants an array, the values are never read.
    source = NumPyRasterSource(np.zeros((padded.height, padded.width), dtype="int8"), *_edges(padded))
    shapes = gpd.GeoDataFrame(geometry=subdistricts.geometry.reset_index(drop=True))
    found = exact_extract(source, shapes, ["cell_id", "coverage"], output="pandas")
    unit = np.repeat(np.arange(len(shapes)), found["cell_id"].map(len).to_numpy())
    cell = np.concatenate([np.empty(0, "int64"), *found["cell_id"]]).astype("int64")
    fraction = np.concatenate([np.empty(0), *found["coverage"]]).astype("float64")
    weight = fraction * row_areas(padded)[cell // padded.width]
    row, column = cell // padded.width - row0, cell % padded.width - column0
    inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width) & (fraction > 0)
    where = (unit[inside], row[inside] * grid.width + column[inside])
    shape = (len(shapes), grid.height * grid.width)
    matrix = sparse.csr_array((weight[inside], where), shape=shape)
    return ZonalWeights(
        grid=grid,
        pcodes=subdistricts.index.to_numpy().astype(str),
        fractions=sparse.csr_array((fraction[inside], where), shape=shape),
        matrix=matrix,
        polygon_cells=np.bincount(unit, weights=weight, minlength=len(shapes)).astype("float64"),
        n_eff=_effective_cells(matrix),
    )


def _edges(grid: GridSpec) -> tuple[float, float, float, float]:
    west, south, east, north = grid.bounds
    return west, south, east, north


def _padded(grid: GridSpec, bounds: tuple[float, ...]) -> tuple[GridSpec, int, int]:
    """Same cells over both the grid and `bounds`, and where the grid's first row and column lie in it."""
    west, south, east, north = grid.bounds
    left = max(int(np.ceil((west - bounds[0]) / grid.dx)), 0)
    right = max(int(np.ceil((bounds[2] - east) / grid.dx)), 0)
    above = max(int(np.ceil((bounds[3] - north) / grid.dy)), 0)
    below = max(int(np.ceil((south - bounds[1]) / grid.dy)), 0)
    padded = GridSpec(
        crs=grid.crs,
        west=grid.west - left * grid.dx,
        north=grid.north + above * grid.dy,
        dx=grid.dx,
        dy=grid.dy,
        width=left + grid.width + right,
        height=above + grid.height + below,
    )
    return padded, above, left


def _effective_cells(matrix: sparse.csr_array) -> Floats:
    total = np.asarray(matrix.sum(axis=1)).ravel()
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)


def shared_cells(weights: ZonalWeights) -> npt.NDArray[np.int64]:
    """Cluster number of each subdistrict whose value is that of one cell; -1 for the others.

    Two subdistricts with the same number have over 80 % of their weight in the same cell: their
    values are one value, and any rank between them is a tie.
    """
    total = np.asarray(weights.matrix.sum(axis=1)).ravel()
    clusters = np.full(total.size, -1, dtype="int64")
    for unit in np.flatnonzero(total > 0):
        part = slice(weights.matrix.indptr[unit], weights.matrix.indptr[unit + 1])
        largest = int(np.argmax(weights.matrix.data[part]))
        if weights.matrix.data[part][largest] > _CLUSTER_WEIGHT * total[unit]:
            clusters[unit] = weights.matrix.indices[part][largest]
    return clusters


def zonal_mean(raster: xr.DataArray, weights: ZonalWeights, *, sure_coverage: float = SURE_COVERAGE) -> xr.Dataset:
    """Area-weighted mean of each subdistrict at each time.

    Parameters
    ----------
    raster : DataArray (time, lat, lon), any unit
        NaN where a cell has no value. One task for each chunk of whole images if dask-backed,
        else shared out among the processors.
    weights : ZonalWeights
        Of the grid of `raster`.
    sure_coverage : float
        Share of the polygon from which on the mean of the part that has a value stands for the whole.

    Returns
    -------
    Dataset (time, pcode)
        `value` in the unit of the raster, float64; `coverage`, share of the polygon with a value;
        `status`: input_missing where no cell has one, insufficient_data below half coverage,
        resolution_limited where the subdistrict has fewer than two effective cells, or where less
        than `sure_coverage` of it has a value: the mean of a part, shown with this caution. Every
        subdistrict is there, in the order of `weights`. Equal bit for bit however time and space
        are chunked, and by however many threads.
    """
    _require_grid(raster, weights)
    values, valid = _products(raster, weights.matrix, weights.matrix, mean=True)
    return _as_dataset(raster, weights, values, valid, "area: mean", sure=sure_coverage)


def zonal_sum(raster: xr.DataArray, weights: ZonalWeights, *, absent_is_zero: bool = False) -> xr.Dataset:
    """Sum of counts per subdistrict at each time: a cell cut by a border is shared by area.

    Parameters
    ----------
    raster : DataArray (time, lat, lon), counts per cell (never a density)
        NaN where a cell has no value.
    weights : ZonalWeights
        Of the grid of `raster`.
    absent_is_zero : bool
        True for products that leave cells without people empty (WorldPop constrained): an empty
        cell then counts as covered, with nobody in it.

    Returns
    -------
    Dataset (time, pcode)
        As `zonal_mean`, but insufficient_data below a coverage of 0.95: a sum over part of a
        unit is no estimate of the whole. Sums over a partition equal the total within it.
    """
    _require_grid(raster, weights)
    counts = raster.fillna(0.0) if absent_is_zero else raster
    values, valid = _products(counts, weights.fractions, weights.matrix, mean=False)
    return _as_dataset(raster, weights, values, valid, "area: sum", needed=SUM_COVERAGE)


def _require_grid(raster: xr.DataArray, weights: ZonalWeights) -> None:
    if tuple(raster.dims) != ("time", "lat", "lon"):
        raise ContractError(f"{raster.name}: dims {tuple(raster.dims)}, expected ('time', 'lat', 'lon')")
    if not same_pixels(grid := grid_of(raster), weights.grid):
        raise ContractError(f"{raster.name}: {describe_grid(grid)}, weights are for {describe_grid(weights.grid)}")


def _products(
    raster: xr.DataArray, for_values: sparse.csr_array, for_valid: sparse.csr_array, *, mean: bool
) -> tuple[Floats, Floats]:
    """sum(w v), divided by sum(w) for a mean, and sum(w) over cells with a value, each (time, pcode)."""
    if isinstance(raster.data, dask.array.Array):
        both = _products_by_chunk(raster.data, for_values, for_valid, mean=mean)
        return both[:, 0], both[:, 1]
    images = raster.values
    values, valid = (np.empty((len(images), for_values.shape[0])) for _ in range(2))
    threads = min(os.cpu_count() or 1, max(len(images) // _IMAGES_PER_THREAD, 1))
    shares = (np.array_split(array, threads) for array in (images, values, valid))
    work = partial(_fill_products, for_values=for_values, for_valid=for_valid, mean=mean)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, *shares))
    return values, valid


def _products_by_chunk(cells: Any, for_values: sparse.csr_array, for_valid: sparse.csr_array, *, mean: bool) -> Floats:
    """(time, 2, pcode), one task for each chunk of whole images."""
    images = cells.rechunk({1: -1, 2: -1})
    # Keys of their own in the graph, sent once to a worker: as plain arguments they would travel with every task.
    weights = (delayed(matrix, pure=True, traverse=False) for matrix in (for_values, for_valid))
    chunks = (images.chunks[0], (2,), (for_values.shape[0],))
    products = images.map_blocks(_block_products, *weights, mean=mean, chunks=chunks, dtype="float64")
    return products.compute()


def _block_products(
    images: npt.NDArray[Any], for_values: sparse.csr_array, for_valid: sparse.csr_array, *, mean: bool
) -> Floats:
    out = np.empty((len(images), 2, for_values.shape[0]))
    _fill_products(images, out[:, 0], out[:, 1], for_values, for_valid, mean=mean)
    return out


def _fill_products(
    images: npt.NDArray[Any],
    values: Floats,
    valid: Floats,
    for_values: sparse.csr_array,
    for_valid: sparse.csr_array,
    *,
    mean: bool,
) -> None:
    """A few images at a time: each sum runs over the cells in one fixed order, whatever stands beside the image.

    A missing cell makes the sums it belongs to NaN, so images are searched for missing cells only
    where a sum tells of one, or where those before them had some; and sum(w) is made anew only
    where other cells are missing than before.
    """
    flat = images.reshape(len(images), for_values.shape[1])
    of_values = for_values.astype(complex)  # here, as what is real is half as much to send to a worker
    of_valid = of_values if for_valid is for_values else for_valid.astype(complex)
    step = 2 * max(int(_BLOCK_BYTES / 16 / max(flat.shape[1], 1)), 1)
    pairs = _Pairs(min(step, len(flat)), flat.shape[1])
    seen = np.ones(flat.shape[1], dtype=bool)
    share = whole = pairs.sums(seen[np.newaxis], of_valid)
    has_gaps = False
    for first in range(0, len(flat), step):
        several = slice(first, first + step)
        sums = None if has_gaps else pairs.sums(flat[several], of_values)
        if sums is not None and np.isfinite(sums).all():
            shares = whole
        else:
            has_value = np.isfinite(flat[several])
            has_gaps = not has_value.all()
            sums = pairs.sums(flat[several], of_values, has_value)
            if (has_value != seen).any():
                shares = pairs.sums(has_value.astype("float32"), of_valid)  # which turns to float64 faster
                seen, share = has_value[-1], shares[-1:]
            else:
                shares = share
        with np.errstate(invalid="ignore", divide="ignore"):
            values[several] = sums / shares if mean else sums
        valid[several] = shares


class _Pairs:
    """Images as the real and the imaginary parts of half as many, which take less time to multiply.

    Weights are real, so that neither part changes a bit of the other unless one is not finite.
    """

    def __init__(self, images: int, cells: int):
        self._both = np.empty(((max(images, 1) + 1) // 2, cells), dtype=complex)

    def sums(self, images: npt.NDArray[Any], weights: sparse.csr_array, where: Any = None) -> Floats:
        """sum(w v) of each image (image, pcode); if there is a `where`, cells that are not in it count as 0."""
        half = -(-len(images) // 2)
        both = self._both[:half]
        for part, some in ((both.real, slice(half)), (both.imag, slice(half, None))):
            part[: len(images[some])] = images[some]
            part[len(images[some]) :] = 0.0
            if where is not None:
                np.copyto(part[: len(images[some])], 0.0, where=~where[some])
        out = np.empty((2, half, weights.shape[0]))
        for k, pair in enumerate(both):
            found = weights @ pair
            out[0, k], out[1, k] = found.real, found.imag
        return out.reshape(2 * half, -1)[: len(images)]


def _share(valid: Floats, whole: Floats) -> Floats:
    """Share of the polygon with a value; rounding of the fractions must not lift it above 1."""
    return np.clip(np.divide(valid, whole, out=np.zeros_like(valid), where=whole > 0), 0.0, 1.0)


def _as_dataset(
    raster: xr.DataArray,
    weights: ZonalWeights,
    values: Floats,
    valid: Floats,
    cell_methods: str,
    *,
    needed: float = PUBLISH_COVERAGE,
    sure: float = SURE_COVERAGE,
) -> xr.Dataset:
    """Values where enough is covered; coverage and status are worked out once where images in a row have the same."""
    other = np.append(True, (valid[1:] != valid[:-1]).any(axis=1))[: len(valid)]
    of = np.cumsum(other) - 1
    coverage = _share(valid[other], weights.polygon_cells)
    coarse = (weights.n_eff < MIN_CELLS) | (coverage < sure * (1.0 - 1e-9))  # fractions are rounded
    status = np.select(
        [coverage <= 0, coverage < needed, coarse],
        [Status.input_missing, Status.insufficient_data, Status.resolution_limited],
        Status.ok,
    ).astype("int8")
    kept = (
        np.ascontiguousarray(values)
        if (coverage >= needed).all()
        else np.where((coverage >= needed)[of], values, np.nan)
    )
    dims = ("time", "pcode")
    named = {key: raster.attrs[key] for key in ("units", "long_name") if key in raster.attrs}
    return xr.Dataset(
        {
            "value": (dims, kept, {**named, "cell_methods": cell_methods}),
            "coverage": (dims, coverage[of], {"units": "1", "long_name": "share of the unit with a value"}),
            "status": (dims, status[of], status_attrs()),
        },
        coords={"time": raster.indexes["time"], "pcode": weights.pcodes},
    )
