"""Shapes light enough for a phone: borders are simplified once and stay shared.

The polygons are cut into arcs, each between two places where borders meet; an arc is simplified
and rounded on its own and given to both its neighbours, so no gap and no overlap can open along it
(the topology of TopoJSON, Bostock 2012; VISUAL.md section 10). Where a simplified arc would cross
another or make a unit vanish, the arcs of that unit are simplified less until all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from topojson.core.topology import Topology

from .schema import ContractError

Arc = npt.NDArray[np.float64]
Rings = list[list[list[int]]]  # of one unit: polygons, of rings, of arc numbers (~n: arc n backwards)

TOLERANCE_DEG = 0.004  # the overlap with the original shapes stays above 0.88, median 0.98
DECIMALS = 3  # about 100 m: enough to zoom 10
_GRID_DECIMALS = 7  # 1 cm: vertices nearer than this are one vertex
_FINEST = 6  # halvings of the tolerance before a unit is left unsimplified
_MOST_DECIMALS = 7
_NO_OVERLAP = 1e-12  # square degrees


class Simplified(NamedTuple):
    """What the maps draw.

    Parameters
    ----------
    subdistricts : GeoDataFrame, the table given, with simplified geometry
    adm1_lines : GeoDataFrame (a, b, geometry), each border between two governorates once; `b` is ""
        for the outer border
    adm2_lines : GeoDataFrame (a, b, geometry), each border between two districts of one governorate
    """

    subdistricts: gpd.GeoDataFrame
    adm1_lines: gpd.GeoDataFrame
    adm2_lines: gpd.GeoDataFrame


def simplify(
    subdistricts: gpd.GeoDataFrame, *, tolerance: float = TOLERANCE_DEG, decimals: int = DECIMALS
) -> Simplified:
    """Simplify shapes without opening gaps, and take the outlines of their parents from the same arcs.

    Parameters
    ----------
    subdistricts : GeoDataFrame
        Index pcode; columns adm1_pcode and adm2_pcode; EPSG:4326.
    tolerance : float, degree
        Largest distance of a left-out vertex (Douglas and Peucker 1973).
    decimals : int
        Of the coordinates; more are used only if units would vanish or collide otherwise.

    Returns
    -------
    Simplified
        Every unit present and valid.
    """
    arcs, units = _topology(subdistricts)
    shapes, simple = _simplified(arcs, units, tolerance, decimals)
    out = subdistricts.copy()
    out["geometry"] = gpd.GeoSeries(list(shapes), index=subdistricts.index, crs="EPSG:4326")
    owners = _owners(units, len(arcs))
    adm1, adm2 = (subdistricts[c].astype(str).to_numpy() for c in ("adm1_pcode", "adm2_pcode"))
    return Simplified(
        subdistricts=out,
        adm1_lines=_borders(simple, owners, adm1),
        adm2_lines=_borders(simple, owners, adm2, within=adm1),
    )


# ------------------------------------------------------------------ arcs


def _topology(subdistricts: gpd.GeoDataFrame) -> tuple[list[Arc], list[Rings]]:
    """Arcs that the units share, and the rings of each unit as numbers of arcs."""
    shapes = gpd.GeoDataFrame(geometry=_noded(subdistricts.geometry.to_numpy()), crs="EPSG:4326")
    output = Topology(shapes, prequantize=False).output
    arcs = [np.asarray(arc, dtype="float64") for arc in output["arcs"]]
    members = output["objects"]["data"]["geometries"]
    rings: list[Rings] = [[u["arcs"]] if u["type"] == "Polygon" else u["arcs"] for u in members]
    if len(rings) != len(subdistricts):
        raise ContractError(f"topology: {len(rings)} units, expected {len(subdistricts)}")
    return arcs, rings


def _noded(shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Shapes on a grid of 1 cm, with a vertex wherever a neighbour has one.

    Without it a border that one side draws with more vertices than the other would be two borders.
    """
    shapes = np.array([_on_grid(shape) for shape in shapes])
    tree = shapely.STRtree(shapes)
    return np.array([_with_vertices_of(i, tree, shapes) for i in range(len(shapes))])


def _on_grid(shape: Any) -> Any:
    rounded = shapely.transform(shape, lambda xy: np.round(xy, _GRID_DECIMALS))
    return rounded if rounded.is_valid else shape


def _with_vertices_of(i: int, tree: shapely.STRtree, shapes: npt.NDArray[Any]) -> Any:
    cell = 10.0**-_GRID_DECIMALS
    near = shapes[[j for j in tree.query(shapes[i], predicate="dwithin", distance=cell) if j != i]]
    vertices, own = (np.unique(_as_numbers(part)) for part in (near, shapes[i]))
    foreign = shapely.points(_as_points(np.setdiff1d(vertices, own, assume_unique=True)))
    boundary = shapes[i].boundary
    shapely.prepare(boundary)
    on_border = foreign[shapely.dwithin(boundary, foreign, 0.9 * cell)]
    if not on_border.size:
        return shapes[i]
    snapped = shapely.snap(shapes[i], shapely.multipoints(on_border), 0.9 * cell)
    return snapped if snapped.is_valid and not snapped.is_empty else shapes[i]


def _as_numbers(shapes: Any) -> npt.NDArray[np.complex128]:
    """Vertices as complex numbers, which sort by x and then y in one step."""
    return np.ascontiguousarray(shapely.get_coordinates(shapes)).view(np.complex128).ravel()


def _as_points(numbers: npt.NDArray[np.complex128]) -> Arc:
    return np.ascontiguousarray(numbers).view(np.float64).reshape(-1, 2)


def _owners(units: Sequence[Rings], arcs: int) -> list[list[int]]:
    """Units on either side of each arc."""
    owners: list[list[int]] = [[] for _ in range(arcs)]
    for unit, rings in enumerate(units):
        for arc in _arcs_of(rings):
            if unit not in owners[arc]:
                owners[arc].append(unit)
    return owners


def _arcs_of(rings: Rings) -> list[int]:
    return sorted({arc if arc >= 0 else ~arc for polygon in rings for ring in polygon for arc in ring})


# ------------------------------------------------------------------ simplification


def _simplified(
    arcs: Sequence[Arc], units: Sequence[Rings], tolerance: float, decimals: int
) -> tuple[npt.NDArray[Any], list[Arc]]:
    """Shapes and arcs, simplified as far as every unit stays present, valid and apart."""
    for places in range(decimals, _MOST_DECIMALS + 1):
        level = np.zeros(len(arcs), dtype="int64")
        while True:
            simple = [_thinned(arc, _at_level(tolerance, n), places) for arc, n in zip(arcs, level, strict=True)]
            shapes = np.array([_shape(rings, simple) for rings in units])
            wrong = [arc for unit in _misshapen(shapes) for arc in _arcs_of(units[unit])]
            if not wrong:
                return shapes, simple
            coarse = [arc for arc in wrong if level[arc] <= _FINEST]
            if not coarse:
                break
            level[np.unique(coarse)] += 1
    raise ContractError("simplify: units overlap or are invalid as they came, expected a clean boundary table")


def _at_level(tolerance: float, level: int) -> float:
    return tolerance / 2.0**level if level <= _FINEST else 0.0


def _thinned(arc: Arc, tolerance: float, places: int) -> Arc:
    line = shapely.LineString(arc)
    kept = shapely.get_coordinates(line.simplify(tolerance, preserve_topology=True) if tolerance else line)
    rounded = np.round(kept, places)
    moved = np.r_[True, (np.diff(rounded, axis=0) != 0).any(axis=1)]
    return rounded[moved]


def _shape(rings: Rings, arcs: Sequence[Arc]) -> Any:
    """Polygon or multipolygon of one unit; parts and holes that have shrunk to a line are left out."""
    polygons = []
    for polygon in rings:
        shell, *holes = (_ring(ring, arcs) for ring in polygon)
        if shell is not None:
            polygons.append(shapely.Polygon(shell, [hole for hole in holes if hole is not None]))
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _ring(numbers: Sequence[int], arcs: Sequence[Arc]) -> Arc | None:
    parts = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
    points = np.concatenate(parts)
    points = points[np.r_[True, (np.diff(points, axis=0) != 0).any(axis=1)]]
    return points if len(points) >= 4 and (points[0] == points[-1]).all() else None


def _misshapen(shapes: npt.NDArray[Any]) -> list[int]:
    """Units that are empty, invalid, or lie over another."""
    wrong = shapely.is_empty(shapes) | ~shapely.is_valid(shapes)
    sound = np.flatnonzero(~wrong)
    a, b = shapely.STRtree(shapes[sound]).query(shapes[sound], predicate="intersects")
    a, b = sound[a[a < b]], sound[b[a < b]]
    over = shapely.area(shapely.intersection(shapes[a], shapes[b])) > _NO_OVERLAP
    return sorted({*np.flatnonzero(wrong).tolist(), *a[over].tolist(), *b[over].tolist()})


# ------------------------------------------------------------------ lines


def _borders(
    arcs: Sequence[Arc],
    owners: Sequence[Sequence[int]],
    parents: npt.NDArray[Any],
    within: npt.NDArray[Any] | None = None,
) -> gpd.GeoDataFrame:
    """Arcs between different parents, merged by pair; with `within`, only inside one of those."""
    between: dict[tuple[str, str], list[Any]] = {}
    for arc, units in zip(arcs, owners, strict=True):
        codes = sorted({str(parents[u]) for u in units})
        outer = len(units) == 1
        if len(arc) < 2 or (len(codes) == 1 and not outer):
            continue
        if within is not None and (outer or len({str(within[u]) for u in units}) > 1):
            continue
        pair = (codes[0], "" if outer else codes[1])
        between.setdefault(pair, []).append(shapely.LineString(arc))
    pairs = sorted(between)
    lines = [shapely.line_merge(shapely.MultiLineString(between[pair])) for pair in pairs]
    columns = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(lines, crs="EPSG:4326"), crs="EPSG:4326")
