"""Residents of subdistricts: from a table, or from a raster of people per cell."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from .grids import grid_of
from .options import SourceOptions, require_columns, require_file
from .rasters import RasterStack
from .schema import Findings, Status, status_attrs
from .sheets import listed, read_sheet, rows
from .tables import UnitColumns, match_units, read_values
from .zonal import zonal_sum, zonal_weights


class ResidentsOptions(SourceOptions):
    """Who the residents are.

    Parameters
    ----------
    includes_displaced : bool
        False (the default) where the residents are a census, or one carried on: it leaves people where they lived
        before they fled, so displaced people are added where they are. True where they are all who
        are there, as in a model fitted to what is built or lit now: then displaced people are among them.
        Not to know it counts them twice rather than not at all.
    includes_displaced_source : str
        What says so.
    """

    includes_displaced: bool = False
    includes_displaced_source: str = ""

    @model_validator(mode="after")
    def _subtracted_for_a_reason(self) -> Self:
        if self.includes_displaced and not self.includes_displaced_source.strip():
            found = "nothing, expected what says that displaced people are among the residents"
            raise ValueError(f"includes_displaced_source: found {found}")
        return self


class ResidentsTable(ResidentsOptions, UnitColumns):
    """Reader "residents_table": one row per subdistrict.

    A number for a district says nothing of its subdistricts, so the level is 3.

    Parameters
    ----------
    value_column : str
        Residents, people.
    reference : date
        Day the residents were counted or estimated for.
    """

    reader: Literal["residents_table"]
    level: Literal[3] = 3
    value_column: str
    reference: date

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Residents by subdistrict: see `read_residents_table`."""
        return read_residents_table(self, root, log, subdistricts)


class ResidentsRaster(ResidentsOptions):
    """Reader "residents_raster": people per cell (never a density).

    Parameters
    ----------
    units : "people"
        A raster of people per km2 is refused: it must be turned into counts first.
    reference : date
        Day the raster speaks about.
    variable : str or None
        Variable of a NetCDF that holds several.
    nodata : float or None
        A missing value the file does not declare itself.
    crs : str or None
        Declares a CRS for a file that has none.
    absent_is_zero : bool
        True for products that leave cells without people empty (WorldPop constrained).
    """

    reader: Literal["residents_raster"]
    units: Literal["people"]
    reference: date
    variable: str | None = None
    nodata: float | None = None
    crs: str | None = None
    absent_is_zero: bool = False

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Residents by subdistrict: see `read_residents_raster`."""
        return read_residents_raster(self, root, log, subdistricts)


def read_residents_table(options: ResidentsTable, root: Path, log: Findings, subdistricts: pd.DataFrame) -> xr.Dataset:
    """Residents of a table; a subdistrict nobody counted is unknown, not empty.

    Parameters
    ----------
    options : ResidentsTable
        What the country file says of the table.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong; subdistricts without a row are a warning.
    subdistricts : DataFrame
        The subdistricts table.

    Returns
    -------
    Dataset (time, pcode)
        ``residents`` (people) and ``residents_status``; time is the reference month, one step.
    """
    file = options.path
    frame = read_sheet(require_file(root, file, log), file, log, options.sheet)
    wanted = [options.unit_column, options.value_column, options.parent_column]
    require_columns(frame.columns, [c for c in wanted if c], file=file, log=log)
    log.stop()
    unit = match_units(frame, options, subdistricts, log)
    value = read_values(frame, options.value_column, file, log, allow_negative=False)
    if (again := unit.notna() & unit.duplicated(keep=False)).any():
        field = f"column {options.unit_column!r}, {rows(unit.index[again])}"
        log.error(file=file, field=field, found=listed(unit[again].unique()), expected="one row per subdistrict")
    log.stop()
    residents = pd.Series(value.to_numpy(), index=unit.to_numpy()).reindex(subdistricts.index)
    if (unknown := residents.isna()).any():
        found = f"no residents for {int(unknown.sum())} subdistricts ({listed(residents.index[unknown])})"
        action = "left unknown (input_missing)"
        log.warning(file=file, field=options.value_column, found=found, expected="all of them", action=action)
    status = np.where(unknown, Status.input_missing, Status.ok)
    return _dataset(residents.to_numpy(), status, subdistricts, options.reference)


def read_residents_raster(
    options: ResidentsRaster, root: Path, log: Findings, subdistricts: gpd.GeoDataFrame
) -> xr.Dataset:
    """Residents of a raster, each cell shared by area: the sum within the country is kept.

    Parameters
    ----------
    options : ResidentsRaster
        What the country file says of the raster.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong.
    subdistricts : GeoDataFrame
        The subdistricts table, EPSG:4326.

    Returns
    -------
    Dataset (time, pcode)
        As `read_residents_table`; status resolution_limited where a subdistrict has fewer than
        two cells, insufficient_data where half of it lies under no value.
    """
    shared = options.model_dump(include=set(SourceOptions.model_fields) - {"reader"})
    variables = options.model_dump(include={"variable", "nodata", "crs"})
    start = None if options.path.endswith((".nc", ".nc4")) else options.reference.isoformat()
    stack = RasterStack(**{**shared, **variables, "quantity": "count", "cadence": "once", "start": start})
    people = stack.read(root, log, subdistricts)
    if people.sizes["time"] != 1:
        expected = "one image: the residents of one day"
        raise log.fail(file=options.path, field="images", found=people.sizes["time"], expected=expected)
    sums = zonal_sum(people, zonal_weights(grid_of(people), subdistricts), absent_is_zero=options.absent_is_zero)
    if (unknown := sums["value"].isel(time=0).isnull().values).any():
        found = f"no residents for {int(unknown.sum())} subdistricts ({listed(sums['pcode'].values[unknown])})"
        action = "left unknown"
        log.warning(file=options.path, field="coverage", found=found, expected="all of them", action=action)
    return _dataset(sums["value"].values[0], sums["status"].values[0], subdistricts, options.reference)


def _dataset(residents: Any, status: Any, subdistricts: pd.DataFrame, reference: date) -> xr.Dataset:
    dims, attrs = ("time", "pcode"), {"units": "people", "long_name": "residents"}
    month = pd.DatetimeIndex([pd.Timestamp(reference).replace(day=1)]).as_unit("ns")
    return xr.Dataset(
        {
            "residents": (dims, np.asarray(residents, dtype="float64")[np.newaxis], attrs),
            "residents_status": (dims, np.asarray(status, dtype="int8")[np.newaxis], status_attrs()),
        },
        coords={"time": month, "pcode": subdistricts.index.to_numpy().astype(str)},
    )
