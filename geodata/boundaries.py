"""Subdistricts from a boundary file: names, parents and geometry that can be trusted, or refused.

Names and borders are never edited: a disputed border stays as its publisher drew it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import ProjError

from .gazetteer import Gazetteer, fill_names
from .options import DataPath, Options, require_columns, require_file
from .schema import SUBDISTRICT_COLUMNS, Findings, check_subdistricts
from .stacks import listed, what_it_is

LANGUAGES = ("en", "ar", "ckb")
_ELLIPSOID = pyproj.Geod(ellps="WGS84")
_POLYGONS = ("Polygon", "MultiPolygon")
_SIDECARS = (".shx", ".dbf", ".prj", ".cpg", ".CPG")


class NamesTable(Options):
    """A table (CSV, or a JSON list of rows) that adds names the boundary file lacks.

    Parameters
    ----------
    path : str
    key : str, its column of p-codes; of subdistricts, districts and governorates alike
    columns : dict, language -> its column
    """

    path: DataPath
    key: str
    columns: dict[Literal["en", "ar", "ckb"], str]


class BoundaryOptions(Options):
    """Where the subdistricts are, and which columns say what.

    Parameters
    ----------
    path : str, Shapefile, GeoJSON, GeoPackage or GeoParquet
    layer : str or None, of a GeoPackage with several
    pcode, adm1_pcode, adm2_pcode : str, columns of codes
    names, adm1_names, adm2_names : dict, language -> column, or None where there is none
    label : dict, language -> name of the source
    vintage : str, date of the boundaries, e.g. "2019-06-03"
    names_table : further names, by p-code
    gazetteer : further names in Sorani, joined by the names of the file, where no other source has one
    max_overlap_share : float, share of the smaller of two units that both may claim
    max_mend_share : float, share of its area by which mending may change a unit
    """

    path: DataPath
    layer: str | None = None
    pcode: str
    names: dict[str, str | None]
    adm1_pcode: str
    adm1_names: dict[str, str | None]
    adm2_pcode: str
    adm2_names: dict[str, str | None]
    label: dict[str, str]
    licence: str
    attribution: str
    vintage: str
    names_table: NamesTable | None = None
    gazetteer: Gazetteer | None = None
    max_overlap_share: float = 0.001
    max_mend_share: float = 0.01

    def files(self, root: Path) -> list[Path]:
        """Files that the subdistricts are read from, a Shapefile's companions included, sorted."""
        main = root / self.path
        found = [main, *(main.with_suffix(s) for s in _SIDECARS if main.suffix.lower() == ".shp")]
        if self.names_table:
            found.append(root / self.names_table.path)
        if self.gazetteer:
            found += [root / path for path in (self.gazetteer.path, self.gazetteer.review) if path]
        return sorted(path for path in found if path.is_file())


def read_boundaries(options: BoundaryOptions, root: Path, log: Findings) -> gpd.GeoDataFrame:
    """Subdistricts table of a boundary file.

    Parameters
    ----------
    options : BoundaryOptions
        The boundaries as declared.
    root : Path
        The data folder.
    log : Findings
        Collects what is found; everything that can be told in one pass is told in one error.

    Returns
    -------
    GeoDataFrame, index pcode (sorted)
        Columns `SUBDISTRICT_COLUMNS` and geometry (EPSG:4326, valid polygons); `area_km2` is
        geodesic on WGS84. A name that is not there is "".
    """
    found = _read_file(options, root, log)
    _require_declared(found, options, log)
    log.stop()
    frame = _in_degrees(found, options, log)
    frame = frame.set_index(pd.Index(_codes(frame[options.pcode], options.pcode, options, log), name="pcode"))
    _require_unique(frame, options, log)
    table = _names(frame, options, log)
    table["geometry"] = _mended(frame.geometry, options, log)
    log.stop()
    subdistricts = gpd.GeoDataFrame(table, geometry="geometry", crs="EPSG:4326").sort_index()
    _refuse_overlaps(subdistricts, options, log)
    if options.names_table:
        _add_names(subdistricts, options.names_table, root, log)
    if options.gazetteer:
        fill_names(subdistricts, options.gazetteer, root, log)
    log.stop()
    subdistricts.insert(len(SUBDISTRICT_COLUMNS) - 1, "area_km2", areas_km2(subdistricts.geometry))
    check_subdistricts(subdistricts)
    return subdistricts


def areas_km2(geometry: gpd.GeoSeries) -> pd.Series:
    """Geodesic area on WGS84 of polygons in degrees, km2."""
    turned = shapely.orient_polygons(geometry.to_numpy())
    areas = [abs(_ELLIPSOID.geometry_area_perimeter(shape)[0]) / 1e6 for shape in turned]
    return pd.Series(areas, index=geometry.index, dtype="float64")


# ------------------------------------------------------------------ file and columns


def _read_file(options: BoundaryOptions, root: Path, log: Findings) -> gpd.GeoDataFrame:
    path = require_file(root, options.path, log)
    if path.suffix.lower() == ".shp":
        lost = [s for s in (".shx", ".dbf") if not any(path.with_suffix(t).is_file() for t in (s, s.upper()))]
        if lost:
            raise log.fail(
                file=options.path, field="file", found=f"no {' and no '.join(lost)} beside it", expected="all its parts"
            )
    try:
        if path.suffix.lower() in (".parquet", ".geoparquet"):
            return gpd.read_parquet(path)
        return gpd.read_file(path, layer=options.layer) if options.layer else gpd.read_file(path)
    except DataLayerError:
        layers = ", ".join(map(repr, gpd.list_layers(path)["name"]))
        raise log.fail(
            file=options.path, field="layer", found=f"no {options.layer!r} among {layers}", expected="a layer of it"
        ) from None
    except (DataSourceError, OSError, ValueError, RuntimeError):
        raise log.fail(
            file=options.path,
            field="file",
            found=what_it_is(path),
            expected="a Shapefile, GeoJSON, GeoPackage or GeoParquet",
        ) from None


def _require_declared(frame: Any, options: BoundaryOptions, log: Findings) -> None:
    """All columns that the options name, a geometry and a CRS, or an error for each that is absent."""
    names = [c for by in (options.names, options.adm1_names, options.adm2_names) for c in by.values() if c]
    wanted = dict.fromkeys([options.pcode, options.adm1_pcode, options.adm2_pcode, *names])
    require_columns([str(c) for c in frame.columns if c != "geometry"], wanted, file=options.path, log=log)
    if not isinstance(frame, gpd.GeoDataFrame):
        log.error(file=options.path, field="geometry", found="a table without geometry", expected="polygons")
    elif frame.empty:
        log.error(file=options.path, field="rows", found=0, expected="at least one subdistrict")
    elif frame.crs is None:
        log.error(file=options.path, field="crs", found="none", expected="a stated CRS, such as EPSG:4326")


def _in_degrees(frame: gpd.GeoDataFrame, options: BoundaryOptions, log: Findings) -> gpd.GeoDataFrame:
    """The same in EPSG:4326; InputError if the numbers are no degrees then."""
    if frame.crs.to_epsg() != 4326:
        named = (frame.crs.to_epsg() and f"EPSG:{frame.crs.to_epsg()}") or frame.crs.name
        try:
            frame = frame.to_crs("EPSG:4326")
        except ProjError:
            raise log.fail(file=options.path, field="crs", found=named, expected="one that can be converted") from None
        log.repair(file=options.path, field="crs", found=named, expected="EPSG:4326", action="converted to EPSG:4326")
    bounds = frame.total_bounds
    if not np.isfinite(bounds).all() or np.abs(bounds[[0, 2]]).max() > 180 or np.abs(bounds[[1, 3]]).max() > 90:
        shown = ", ".join(f"{b:g}" for b in bounds)
        raise log.fail(
            file=options.path, field="crs", found=f"coordinates {shown} under {frame.crs.name}", expected="degrees"
        )
    return frame


def _codes(column: pd.Series, name: str, options: BoundaryOptions, log: Findings) -> list[str]:
    """Codes as text. A number keeps its digits; an empty one is an error that names the row."""
    is_whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    text = (column.astype("Int64") if is_whole else column).astype("string").fillna("")
    codes = text.str.strip()
    if (padded := codes != text).any():
        log.repair(
            file=options.path,
            field=name,
            found=f"blanks around {int(padded.sum())} codes",
            expected="codes alone",
            action="blanks dropped",
        )
    if (codes == "").any():
        rows = [str(i + 1) for i in np.flatnonzero((codes == "").to_numpy())]
        log.error(file=options.path, field=name, found=f"no code in row {listed(rows)}", expected="a code in each row")
    return [str(code) for code in codes]


def _require_unique(frame: pd.DataFrame, options: BoundaryOptions, log: Findings) -> None:
    repeated = frame.index[frame.index.duplicated() & (frame.index != "")].unique()
    if len(repeated):
        log.error(
            file=options.path,
            field=options.pcode,
            found=f"more than one row for {listed([repr(code) for code in repeated])}",
            expected="each p-code once",
        )


# ------------------------------------------------------------------ names


def _names(frame: gpd.GeoDataFrame, options: BoundaryOptions, log: Findings) -> pd.DataFrame:
    """All columns of the subdistricts table but the area."""
    table = pd.DataFrame(index=frame.index)
    for language in LANGUAGES:
        table[f"name_{language}"] = _text(frame, options.names.get(language))
    for level, code, names in (
        ("adm1", options.adm1_pcode, options.adm1_names),
        ("adm2", options.adm2_pcode, options.adm2_names),
    ):
        table[f"{level}_pcode"] = _codes(frame[code], code, options, log)
        for language in LANGUAGES:
            suffix = "" if language == "en" else f"_{language}"
            table[f"{level}_name{suffix}"] = _text(frame, names.get(language))
        _note_two_names(table, level, options, log)
    split = table.groupby("adm2_pcode")["adm1_pcode"].nunique()
    if (split > 1).any():
        log.error(
            file=options.path,
            field=options.adm2_pcode,
            found=f"{listed(sorted(split.index[split > 1]))} under more than one {options.adm1_pcode}",
            expected="each district in one governorate",
        )
    return table


def _text(frame: pd.DataFrame, column: str | None) -> pd.Series:
    """Names of one column, "" where there is none."""
    if column is None:
        return pd.Series("", index=frame.index, dtype="object")
    return frame[column].astype("string").fillna("").str.strip().astype("object")


def _note_two_names(table: pd.DataFrame, level: str, options: BoundaryOptions, log: Findings) -> None:
    counts = table.groupby(f"{level}_pcode")[f"{level}_name"].nunique()
    for code in counts.index[counts > 1]:
        names = sorted(set(table.loc[table[f"{level}_pcode"] == code, f"{level}_name"]))
        log.warning(file=options.path, field=f"{level}_name", found=f"{code}: {listed(names)}", expected="one name")


def _add_names(subdistricts: gpd.GeoDataFrame, names: NamesTable, root: Path, log: Findings) -> None:
    """Fill in names by p-code, of any level; a code that is not there, or there twice, is an error."""
    rows = _rows(require_file(root, names.path, log), names, log)
    require_columns(rows[0] if rows else [], [names.key, *names.columns.values()], file=names.path, log=log)
    log.stop()
    rows = [row for row in rows if not row[names.key].startswith("#")]
    codes = pd.Index([row[names.key].strip() for row in rows])
    if codes.has_duplicates:
        twice = listed(sorted(set(codes[codes.duplicated()])))
        log.error(file=names.path, field=names.key, found=f"more than one row for {twice}", expected="each p-code once")
    levels = {"": subdistricts.index.to_series(), **{f"{a}_": subdistricts[f"{a}_pcode"] for a in ("adm1", "adm2")}}
    if unknown := sorted(set(codes).difference(*levels.values())):
        log.error(file=names.path, field=names.key, found=listed(unknown), expected="p-codes of the boundary file")
    log.stop()
    for language, theirs in names.columns.items():
        given = pd.Series([row[theirs].strip() for row in rows], index=codes, dtype="object")
        for level, code in levels.items():
            column = f"{level}name" if level and language == "en" else f"{level}name_{language}"
            own = code.map(given[given != ""])
            subdistricts[column] = own.where(own.notna(), subdistricts[column])
        if lacking := int((subdistricts[f"name_{language}"] == "").sum()):
            log.warning(file=names.path, field=theirs, found=f"{lacking} units without a name", expected="all named")


def _rows(path: Path, names: NamesTable, log: Findings) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".json":
                return [{str(k): str(v or "") for k, v in row.items()} for row in json.load(file)]
            return [{str(k): str(v or "") for k, v in row.items()} for row in csv.DictReader(file)]
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, AttributeError, TypeError):
        raise log.fail(
            file=names.path, field="file", found=what_it_is(path), expected="CSV, or a JSON list of rows, in UTF-8"
        ) from None


# ------------------------------------------------------------------ geometry


def _mended(geometry: gpd.GeoSeries, options: BoundaryOptions, log: Findings) -> list[Any]:
    """Valid polygons; each that was mended is listed, each that cannot be is an error."""
    return [_mend(code, shape, options, log) for code, shape in geometry.items()]


def _mend(code: str, shape: Any, options: BoundaryOptions, log: Findings) -> Any:
    field = f"geometry of {code}"
    if shape is None or shape.is_empty:
        log.error(file=options.path, field=field, found="none", expected="a polygon")
        return shape
    if shape.geom_type not in _POLYGONS:
        log.error(file=options.path, field=field, found=f"a {shape.geom_type}", expected="a polygon")
        return shape
    shape = shapely.force_2d(shape)
    if shape.is_valid:
        return shape
    why = shapely.is_valid_reason(shape)
    mended = _polygons_of(shapely.make_valid(shape))
    before, after = shape.area, mended.area
    if after == 0 or abs(after - before) > options.max_mend_share * after:
        found = f"{why}; mending changes its area from {before:.4g} to {after:.4g} square degrees"
        log.error(file=options.path, field=field, found=found, expected="a valid polygon")
        return shape
    log.repair(file=options.path, field=field, found=why, expected="a valid polygon", action="mended")
    return mended


def _polygons_of(shape: Any) -> Any:
    """Polygons of what make_valid gives, without the lines and points it may leave."""
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _refuse_overlaps(subdistricts: gpd.GeoDataFrame, options: BoundaryOptions, log: Findings) -> None:
    """An error for each pair that claims more of the same ground than rounding explains."""
    shapes, codes = subdistricts.geometry.to_numpy(), subdistricts.index.to_numpy()
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = a < b
    a, b = a[once], b[once]
    meeting = ~shapely.touches(shapes[a], shapes[b])
    a, b = a[meeting], b[meeting]
    common = shapely.area(shapely.intersection(shapes[a], shapes[b]))
    share = common / np.minimum(shapely.area(shapes[a]), shapely.area(shapes[b]))
    for i in np.flatnonzero(share > options.max_overlap_share):
        log.error(
            file=options.path,
            field="geometry",
            found=f"{codes[a[i]]} and {codes[b[i]]} overlap by {share[i]:.2%} of the smaller",
            expected=f"at most {options.max_overlap_share:.2%}",
        )
