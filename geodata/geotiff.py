"""GeoTIFF stacks: headers first, pixels when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import xarray as xr
from dask.delayed import delayed
from rasterio.errors import RasterioError
from rasterio.windows import Window

from .calendar import next_period, period_start
from .grids import Floats, cell_centres
from .schema import Findings
from .stacks import (
    BLOCK_BYTES,
    PARTS_OF,
    Bounds,
    Layout,
    StackOptions,
    clipped,
    complete_periods,
    crs_is_fit,
    dated_files,
    only_files,
    require_periods,
    unit_factors,
    what_it_is,
    whole_layout,
)


@dataclass(frozen=True)
class _Slab:
    """Where the image of one period lies: a band of a file, or nowhere (a gap)."""

    path: Path | None
    name: str
    band: int
    factor: float


@dataclass(frozen=True)
class _Header:
    """What a GeoTIFF says of itself. `grid` is as stored: rows may run south to north, longitudes to 360."""

    name: str
    bands: int
    crs: str
    width: int
    height: int
    transform: tuple[float, ...]

    @cached_property
    def lat(self) -> Floats:
        """Latitudes of the rows as stored, degree."""
        return np.asarray(self.transform[5] + self.transform[4] * (np.arange(self.height, dtype="float64") + 0.5))

    @cached_property
    def lon(self) -> Floats:
        """Longitudes of the columns as stored, degree."""
        return np.asarray(self.transform[2] + self.transform[0] * (np.arange(self.width, dtype="float64") + 0.5))


def read_geotiffs(
    options: StackOptions,
    root: Path,
    log: Findings,
    bounds: Bounds | None,
    only: Mapping[pd.Timestamp, str] | None = None,
) -> xr.DataArray:
    """Lazy raster (time, lat, lon) of the GeoTIFF files of a stack.

    With ``only``, no other file is opened than those of these periods, and the first, whose grid is that of all.
    """
    dated = dated_files(options, root, log)
    if only is not None:
        dated = only_files(dated, only)
    headers = [(_header(root, name, options, log), date) for name, date in dated]
    log.stop()
    known = [(header, date) for header, date in headers if header is not None]
    layout = _common_layout([header for header, _ in known], options, log, bounds)
    bands = [(header.name, *at) for header, date in known for at in _bands(header, date, options, log)]
    log.stop()
    if only is None:
        periods = complete_periods(options, [p for _, _, p in bands], [name for name, _, _ in bands], log)
        log.stop()
    else:
        periods = pd.DatetimeIndex(list(only)).as_unit("ns")
        require_periods(only, {period: name for name, _, period in bands}, log)
    factors, offset = unit_factors(options, periods)
    stored = {period: (name, band) for name, band, period in bands}
    slabs = [
        _Slab(root / stored[p][0], stored[p][0], stored[p][1], f) if p in stored else _Slab(None, "", 0, f)
        for p, f in zip(periods, factors, strict=True)
    ]
    lat, lon = cell_centres(layout.grid)
    values = _lazy_images(slabs, layout, options, offset, log.source)
    return xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": periods, "lat": lat, "lon": lon})


def geotiff_periods(
    options: StackOptions, root: Path, name: str, date: pd.Timestamp | None, log: Findings
) -> list[pd.Timestamp]:
    """Starts of the periods whose images a file holds, by its header; none of a file that is not fit."""
    header = _header(root, name, options, log)
    return [] if header is None else [period for _, period in _bands(header, date, options, log)]


def _header(root: Path, name: str, options: StackOptions, log: Findings) -> _Header | None:
    """Header of one file, or None with an error noted."""
    try:
        with rasterio.open(root / name) as file:
            crs = file.crs.to_wkt() if file.crs else ""
            declares = any(s != 1.0 for s in file.scales) or any(o != 0.0 for o in file.offsets)
            header = _Header(name, file.count, crs, file.width, file.height, tuple(file.transform)[:6])
            placed = not file.transform.is_identity
    except RasterioError:
        log.error(file=name, field="file", found=what_it_is(root / name), expected="a readable GeoTIFF")
        return None
    turned = header.transform[1] or header.transform[3]
    if not placed or turned:
        found = "a turned raster" if turned else "no position on the Earth (no geotransform)"
        log.error(file=name, field="grid", found=found, expected="rows and columns along latitude and longitude")
        return None
    if declares and (options.scale, options.offset) != (1.0, 0.0):
        log.error(
            file=name, field="scale", found="a scale in the file and one in the country file", expected="one of the two"
        )
    return header if crs_is_fit(header.crs, name, options, log) else None


def _common_layout(headers: Sequence[_Header], options: StackOptions, log: Findings, bounds: Bounds | None) -> Layout:
    """Layout that all files share; the first that differs from the first file is named with it."""
    reference = headers[0]
    for other in headers[1:]:
        if not _same_layout(reference, other):
            log.error(
                file=other.name,
                field="grid",
                found=_as_stored(other),
                expected=f"that of {reference.name}: {_as_stored(reference)}",
            )
            break
    return clipped(whole_layout(reference.lat, reference.lon, reference.name, log), options, log, bounds)


def _same_layout(a: _Header, b: _Header) -> bool:
    cell = np.abs([a.transform[0], a.transform[4]]).min()
    apart = np.abs(np.subtract(a.transform, b.transform))
    drift = apart * [a.width, 1, 1, 1, a.height, 1]
    return (a.width, a.height) == (b.width, b.height) and bool((drift <= 0.01 * cell).all())


def _as_stored(header: _Header) -> str:
    size = f"{header.height} rows x {header.width} columns of {abs(header.transform[4]):g} degree"
    return f"{size} from ({header.transform[5]:g}, {header.transform[2]:g})"


def _bands(
    header: _Header, date: pd.Timestamp | None, options: StackOptions, log: Findings
) -> Iterator[tuple[int, pd.Timestamp]]:
    """Band and period of each image in a file."""
    one_each = date is not None and options.placeholders >= PARTS_OF.get(options.cadence, {"YYYY"})
    if one_each and header.bands != 1:
        log.error(file=header.name, field="bands", found=header.bands, expected="1, as the date is in the file name")
        return
    if date is None and options.start is None:
        log.error(
            file=header.name,
            field="start",
            found="no date in the file name",
            expected="placeholders in path, or start = the period of the first band",
        )
        return
    period = period_start(date if date is not None else pd.Timestamp(options.start), options.cadence)
    for band in range(1, header.bands + 1):
        yield band, period
        period = next_period(period, options.cadence)


def _lazy_images(
    slabs: Sequence[_Slab], layout: Layout, options: StackOptions, offset: float, source: str
) -> dask.array.Array:
    """Dask array (time, lat, lon) that opens its files when it is computed."""
    height, width = layout.grid.height, layout.grid.width
    step = int(np.clip(BLOCK_BYTES / 4 / (height * width), 1, 60))
    load = delayed(_load_images, pure=False)
    blocks = [
        dask.array.from_delayed(
            load(slabs[i : i + step], layout, options, offset, source),
            shape=(len(slabs[i : i + step]), height, width),
            dtype="float32",
        )
        for i in range(0, len(slabs), step)
    ]
    return dask.array.concatenate(blocks)


def _load_images(
    slabs: Sequence[_Slab], layout: Layout, options: StackOptions, offset: float, source: str
) -> npt.NDArray[np.float32]:
    """Images of some periods; InputError naming every file whose pixels cannot be read."""
    images = np.full((len(slabs), layout.grid.height, layout.grid.width), np.nan, dtype="float32")
    log = Findings(source)
    numbered = enumerate(slabs)
    for path, group in groupby(numbered, key=lambda item: item[1].path):
        if path is None:
            continue
        members = list(group)
        try:
            with rasterio.open(path) as file:
                coding = list(zip(file.nodatavals, file.scales, file.offsets, strict=True))  # each asks every band
                for i, slab in members:
                    values = _image(file, slab.band, coding[slab.band - 1], layout, options)
                    images[i] = values * slab.factor + offset
        except RasterioError:
            log.error(
                file=members[0][1].name, field="pixels", found=what_it_is(path), expected="a whole, readable GeoTIFF"
            )
    log.stop()
    return images


def _image(file: Any, band: int, coding: tuple[Any, Any, Any], layout: Layout, options: StackOptions) -> Floats:
    """Values of one band in the file's units, north first and west first, NaN where missing.

    `coding` has the band's own nodata, scale and offset.
    """
    rows, columns = layout.rows, layout.columns
    top, left = int(rows.min()), int(columns.min())
    window = Window(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
    stored = file.read(band, window=window)[np.ix_(rows - top, columns - left)]
    missing = np.isnan(stored) if stored.dtype.kind == "f" else np.zeros(stored.shape, dtype=bool)
    nodata, scale, zero = coding
    for code in {nodata, options.nodata} - {None}:
        missing |= stored == np.asarray(code, dtype="float64").astype(stored.dtype)
    values = (stored.astype("float64") * scale + zero) * options.scale + options.offset
    values[missing] = np.nan
    return values
