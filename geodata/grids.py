"""Which pixels a raster has: one grid noun, read from the coordinates and never guessed.

All grids here are geographic. A raster in metres is refused by name: resampling changes
values, so it is left to whoever prepares the data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from .schema import ContractError, GridSpec

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_SAME_CELL = 0.01  # share of a cell by which two files of one product may differ (float32 coordinates)
_DECIMALS = 10  # of a degree: far below any survey, far above rounding noise


def parse_crs(text: str) -> pyproj.CRS | None:
    """CRS that `text` names (EPSG code, WKT or PROJ string), or None if it names none."""
    try:
        return pyproj.CRS.from_user_input(text)
    except CRSError:
        return None


def is_geographic_wgs84(crs: pyproj.CRS) -> bool:
    """True if latitudes and longitudes of `crs` may be read as WGS84.

    WGS84 and GRS80 differ by less than two metres; a sphere is how climate models say
    "latitude and longitude". Older national datums lie hundreds of metres away: not these.
    """
    if not crs.is_geographic or crs.ellipsoid is None:
        return False
    ellipsoid = crs.ellipsoid
    at_greenwich = crs.prime_meridian is None or crs.prime_meridian.longitude == 0
    is_sphere = ellipsoid.semi_major_metre == ellipsoid.semi_minor_metre
    return at_greenwich and (is_sphere or abs(ellipsoid.semi_major_metre - 6378137.0) < 1.0)


def north_first(lat: Floats) -> Indices:
    """Order of rows that puts the northernmost first: applied to data and labels alike."""
    return np.argsort(-np.asarray(lat, dtype="float64"), kind="stable")


def west_first(lon: Floats) -> tuple[Indices, Floats]:
    """Order of columns from west to east on -180..180, and the longitudes in that order.

    Longitudes are wrapped only if some lie east of 180, so a grid that ends at 180 stays as it is.

    >>> order, lon = west_first(np.array([0.5, 90.5, 180.5, 270.5]))
    >>> order, lon
    (array([2, 3, 0, 1]), array([-179.5,  -89.5,    0.5,   90.5]))
    """
    lon = np.asarray(lon, dtype="float64")
    if lon.size and lon.max() > 180.0 + 1e-6:
        lon = (lon + 180.0) % 360.0 - 180.0
    order = np.argsort(lon, kind="stable")
    return order, lon[order]


def grid_from_centres(lat: Floats, lon: Floats, crs: str = "EPSG:4326") -> GridSpec:
    """Grid whose cell centres are `lat` (north first) and `lon` (west first).

    Parameters
    ----------
    lat, lon : array (n,), degree
        Cell centres, evenly spaced. If one of the two has a single value its spacing is taken to
        be that of the other.
    crs : str
        As `GridSpec` keeps it.

    Raises
    ------
    ContractError
        If the spacing is uneven, the order is another, or there is but one cell.
    """
    lat, lon = np.asarray(lat, dtype="float64"), np.asarray(lon, dtype="float64")
    dy, dx = _spacing(-lat, "latitudes"), _spacing(lon, "longitudes")
    dy, dx = dy or dx, dx or dy
    if not dx or not dy:
        raise ContractError(f"grid: {lat.size} x {lon.size} cells, expected at least two to tell the cell size")
    west, north, dx, dy = (round(float(v), _DECIMALS) for v in (lon[0] - dx / 2, lat[0] + dy / 2, dx, dy))
    return GridSpec(crs=crs, west=west, north=north, dx=dx, dy=dy, width=lon.size, height=lat.size)


def _spacing(rising: Floats, name: str) -> float:
    if rising.size < 2:
        return 0.0
    step = float(rising[-1] - rising[0]) / (rising.size - 1)
    even = rising[0] + step * np.arange(rising.size)
    if step <= 0 or np.abs(rising - even).max() > _SAME_CELL * step:
        raise ContractError(f"grid: {name} run unevenly, expected one spacing throughout")
    return step


def grid_of(raster: xr.DataArray) -> GridSpec:
    """Grid of a raster with dims (..., lat, lon), from its coordinates and its attribute `crs`."""
    if tuple(raster.dims[-2:]) != ("lat", "lon"):
        raise ContractError(f"{raster.name}: dims {tuple(raster.dims)}, expected (..., 'lat', 'lon')")
    return grid_from_centres(raster["lat"].values, raster["lon"].values, str(raster.attrs.get("crs", "EPSG:4326")))


def same_pixels(a: GridSpec, b: GridSpec) -> bool:
    """True if two grids have the same cells, up to the rounding of coordinates kept as float32."""
    if (a.crs, a.width, a.height) != (b.crs, b.width, b.height):
        return False
    apart = np.abs(np.subtract(a.bounds, b.bounds))
    return bool((apart <= _SAME_CELL * np.array([a.dx, a.dy, a.dx, a.dy])).all())


def describe_grid(grid: GridSpec) -> str:
    """One line for a finding.

    >>> describe_grid(GridSpec("EPSG:4326", 38.0, 38.0, 0.25, 0.25, 46, 38))
    '38 rows x 46 columns of 0.25 x 0.25 degree from 38N 38E'
    """
    north = f"{abs(grid.north):g}{'N' if grid.north >= 0 else 'S'}"
    west = f"{abs(grid.west):g}{'E' if grid.west >= 0 else 'W'}"
    return f"{grid.height} rows x {grid.width} columns of {grid.dy:g} x {grid.dx:g} degree from {north} {west}"


def cell_centres(grid: GridSpec) -> tuple[Floats, Floats]:
    """Latitudes (north first) and longitudes (west first) of the cell centres, degree."""
    lat = grid.north - grid.dy * (np.arange(grid.height, dtype="float64") + 0.5)
    lon = grid.west + grid.dx * (np.arange(grid.width, dtype="float64") + 0.5)
    return np.asarray(lat), np.asarray(lon)


def row_areas(grid: GridSpec) -> Floats:
    """Relative area of the cells of each row, array (height,), 1 at the equator.

    On a sphere a cell between two latitudes has the area of the difference of their sines. Good
    for weights; published km2 are geodesic (`boundaries`).
    """
    edges = np.radians(np.clip(grid.north - grid.dy * np.arange(grid.height + 1), -90.0, 90.0))
    return -np.diff(np.sin(edges)) / (2.0 * np.sin(np.radians(grid.dy) / 2.0))


def rows_and_columns(grid: GridSpec, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of the cells that `bounds` (west, south, east, north) touch; empty if none."""
    west, south, east, north = bounds
    first_row = int(np.floor((grid.north - north) / grid.dy + 1e-9))
    last_row = int(np.ceil((grid.north - south) / grid.dy - 1e-9))
    first_column = int(np.floor((west - grid.west) / grid.dx + 1e-9))
    last_column = int(np.ceil((east - grid.west) / grid.dx - 1e-9))
    return (
        slice(min(max(first_row, 0), grid.height), max(min(last_row, grid.height), 0)),
        slice(min(max(first_column, 0), grid.width), max(min(last_column, grid.width), 0)),
    )
