"""Land of the synthetic country: outline, river, subdistricts and their parents.

Everything is drawn on a plane in kilometres and moved to degrees by one affine map at the
end, so neighbours keep exactly the same border vertices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from scipy.cluster.vq import kmeans2
from scipy.interpolate import CubicSpline
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from shapely.geometry import LineString, MultiPoint, Point, Polygon
from shapely.ops import polygonize

from geodata.schema import SUBDISTRICT_COLUMNS, GridSpec
from geodata.synthetic_names import Name, NameGiver

FloatArray = NDArray[np.float64]

# The country lies in the open Atlantic, where no land is, and its codes begin with XW, which
# ISO 3166 leaves to users: neither can be mistaken for a real place.
PREFIX = "XW"
LON0, LAT0 = -34.0, 32.0
KM_PER_DEGREE = (111.320 * float(np.cos(np.radians(LAT0))), 110.90)
WIDTH_KM, HEIGHT_KM = 400.0, 500.0
GOVERNORATES = 6
BORDER_STEP_KM = 3.0
ROUGHNESS = (0.1, 0.085, 0.07, 0.04, 0.0)


def to_degrees(xy: FloatArray) -> FloatArray:
    """Longitude and latitude of points given in kilometres from the middle of the country, to 0.1 m."""
    return np.round(np.asarray(xy) / KM_PER_DEGREE + (LON0, LAT0), 6)


def to_km(lonlat: FloatArray) -> FloatArray:
    """Kilometres east and north of the middle of the country."""
    return (np.asarray(lonlat) - (LON0, LAT0)) * KM_PER_DEGREE


@dataclass(frozen=True)
class Land:
    """The lie of the land.

    Parameters
    ----------
    subdistricts : GeoDataFrame [pcode], as the waist promises them
    outline, river, marsh : shapely geometries, degrees
    main, tributary : LineString, degrees, the two courses of the river downstream, from beyond the border on
    """

    subdistricts: gpd.GeoDataFrame
    outline: Polygon
    river: shapely.Geometry
    marsh: Polygon
    main: LineString
    tributary: LineString

    def centres_km(self) -> FloatArray:
        """Centroid of each subdistrict, (unit, 2), kilometres east and north."""
        return to_km(shapely.get_coordinates(shapely.centroid(self.subdistricts.geometry.to_numpy())))

    def unit_of_cells(self, grid: GridSpec) -> NDArray[np.intp]:
        """Row number of the subdistrict at each cell centre, (lat, lon); -1 outside the country."""
        lon, lat = np.meshgrid(*cell_centres(grid))
        points = shapely.points(lon.ravel(), lat.ravel())
        cells, units = shapely.STRtree(self.subdistricts.geometry.to_numpy()).query(points, predicate="within")
        found = np.full(points.size, -1, dtype=np.intp)
        found[cells] = units
        return found.reshape(lon.shape)

    def nearest_unit(self, grid: GridSpec) -> NDArray[np.intp]:
        """Row number of the subdistrict at or nearest to each cell centre, (lat, lon)."""
        lon, lat = np.meshgrid(*cell_centres(grid))
        tree = shapely.STRtree(self.subdistricts.geometry.to_numpy())
        return tree.nearest(shapely.points(lon.ravel(), lat.ravel())).reshape(lon.shape)

    def covers(self, grid: GridSpec) -> NDArray[np.bool_]:
        """True for each cell (lat, lon) of which any part may lie in the country."""
        lon, lat = np.meshgrid(*cell_centres(grid))
        half_diagonal = float(np.hypot(grid.dx, grid.dy)) / 2
        return shapely.distance(self.outline, shapely.points(lon, lat)) <= half_diagonal


def cell_centres(grid: GridSpec) -> tuple[FloatArray, FloatArray]:
    """Longitudes (west to east) and latitudes (north to south) of the cell centres, degrees."""
    lon = grid.west + grid.dx * (np.arange(grid.width) + 0.5)
    lat = grid.north - grid.dy * (np.arange(grid.height) + 0.5)
    return np.round(lon, 6), np.round(lat, 6)


def grid_around_country(step: float) -> GridSpec:
    """A grid of ``step`` degrees that covers the country with a margin."""
    return GridSpec("EPSG:4326", LON0 - 2.4, LAT0 + 2.6, step, step, round(4.8 / step), round(5.2 / step))


def draw_land(rng: np.random.Generator, n_subdistricts: int) -> Land:
    """Draw a country with ``n_subdistricts`` subdistricts in districts in six governorates."""
    outline = _draw_outline(rng)
    river, marsh = _draw_river(rng)
    faces = _partition(outline, _settle(rng, outline, river, n_subdistricts))
    shapes = _draw_borders(rng, faces)
    names = NameGiver(rng)
    units = _name_units(shapes, names, _landscape(shapes, river, marsh))
    country = shapely.union_all(units.geometry.to_numpy())
    main, tributary = shapely.get_parts(_in_degrees(river))
    return Land(
        subdistricts=units,
        outline=country,
        river=shapely.intersection(_in_degrees(river), country),
        marsh=_in_degrees(marsh),
        main=main,
        tributary=tributary,
    )


# ------------------------------------------------------------------ outline and river


def _draw_outline(rng: np.random.Generator) -> Polygon:
    """An irregular country with a bay in the south, kilometres, before its borders are roughened."""
    angle = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    radius = np.ones_like(angle)
    for mode in range(2, 16):
        radius += rng.normal(0, 0.16 / mode**0.95) * np.cos(mode * angle + rng.uniform(0, 2 * np.pi))
    body = Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    west, south, east, north = body.bounds
    bay_x = rng.uniform(0.35, 0.65) * (east - west) + west
    bay = Point(bay_x, south - 0.05).buffer(rng.uniform(0.2, 0.28), quad_segs=5)
    body = max(shapely.get_parts(body.difference(bay)), key=lambda part: part.area)
    west, south, east, north = body.bounds
    scale = (WIDTH_KM / (east - west), HEIGHT_KM / (north - south))
    return Polygon((shapely.get_coordinates(body) - ((west + east) / 2, (south + north) / 2)) * scale)


def _draw_river(rng: np.random.Generator) -> tuple[shapely.Geometry, Polygon]:
    """A river from the north-west through the marshes to the bay, and one tributary, kilometres."""
    knots = np.array([[-230, 230], [-125, 140], [-55, 60], [15, -30], [45, -120], [20, -190], [0, -270]], dtype=float)
    knots[1:-1] += rng.normal(0, 14, (len(knots) - 2, 2))
    main = _meander(rng, knots)
    mouth = knots[3] + (0, 12)
    branch = _meander(rng, np.array([[190, 235], rng.normal((120, 150), 12), [75, 60], mouth], dtype=float))
    turn = np.radians(rng.uniform(-35, 35))
    circle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    size = 1 + sum(rng.normal(0, 0.12) * np.cos(k * circle + rng.uniform(0, 6)) for k in (2, 3, 5))
    ring = np.column_stack([58 * size * np.cos(circle), 30 * size * np.sin(circle)])
    ring = ring @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return shapely.MultiLineString([main, branch]), Polygon(ring + knots[4])


def _meander(rng: np.random.Generator, knots: FloatArray) -> LineString:
    """A smooth winding line through ``knots``, (n, 2) kilometres."""
    along = np.linspace(0, len(knots) - 1, 60 * (len(knots) - 1))
    line = CubicSpline(np.arange(len(knots)), knots)(along)
    ease = np.minimum(1, 2 * np.minimum(along, along[-1] - along))[:, None]
    for length, swing in ((0.55, 5.0), (0.21, 2.2)):
        line += ease * swing * np.sin(2 * np.pi * along[:, None] / length + rng.uniform(0, 6, 2))
    return LineString(line)


# ------------------------------------------------------------------ the partition


def _settle(rng: np.random.Generator, outline: Polygon, river: shapely.Geometry, count: int) -> FloatArray:
    """Places around which subdistricts form: dense in the north and by the river, sparse in the desert."""
    west, south, east, north = outline.bounds
    cloud = rng.uniform((west, south), (east, north), (9000, 2))
    cloud = cloud[shapely.contains_xy(outline, cloud)]
    from_river = shapely.distance(river, shapely.points(cloud))
    density = 0.22 + 0.55 * (cloud[:, 1] - south) / (north - south) + 0.7 * np.exp(-((from_river / 35) ** 2))
    cloud = cloud[rng.uniform(0, density.max(), len(cloud)) < density]
    seats = cloud[rng.choice(len(cloud), count, replace=False)]
    for _ in range(3):  # a few Lloyd steps: no slivers, yet not a honeycomb
        nearest = cKDTree(seats).query(cloud)[1]
        seats = np.array([cloud[nearest == i].mean(axis=0) for i in range(count)])
    return seats


def _partition(outline: Polygon, seats: FloatArray) -> list[Polygon]:
    """Voronoi faces of ``seats`` within ``outline``; a piece cut off by a bay joins its longest neighbour."""
    rays = shapely.voronoi_polygons(MultiPoint(seats), extend_to=outline.buffer(100), only_edges=True)
    faces = [
        f for f in polygonize(shapely.union_all([rays, outline.exterior])) if outline.contains(f.point_on_surface())
    ]
    owner = cKDTree(seats).query([f.centroid.coords[0] for f in faces])[1]
    main = {i: max((f for f, o in zip(faces, owner, strict=True) if o == i), key=lambda f: f.area) for i in set(owner)}
    homes = [[main[i]] for i in sorted(main)]
    for piece in (f for f in faces if all(f is not m for m in main.values())):
        max(homes, key=lambda home: shapely.length(shapely.intersection(home[0], piece))).append(piece)
    return [shapely.union_all(home) for home in homes]


def _draw_borders(rng: np.random.Generator, faces: Sequence[Polygon]) -> list[Polygon]:
    """The faces with rough borders, as rough as they can be without crossing, degrees."""
    for roughness in ROUGHNESS:
        borders = _Borders(rng, roughness)
        shapes = [borders.draw(face) for face in faces]
        if all(shape.is_valid for shape in shapes):
            break
    return shapes


class _Borders:
    """Roughens borders; the stretch between two corners is drawn once and used by both neighbours."""

    def __init__(self, rng: np.random.Generator, roughness: float):
        self.rng, self.roughness = rng, roughness
        self.drawn: dict[tuple[tuple[float, float], tuple[float, float]], FloatArray] = {}
        self.waves = [
            (swing, 2 * np.pi / length * _unit(rng.uniform(0, 2 * np.pi)), rng.uniform(0, 2 * np.pi), axis)
            for length, swing in ((170, 7.0), (75, 2.4))
            for axis in (0, 1)
            for _ in range(2)
        ]

    def draw(self, face: Polygon) -> Polygon:
        """The face with rough, gently bent borders, degrees."""
        corners = [(float(x), float(y)) for x, y in face.exterior.coords]
        ring = [self._stretch(a, b)[:-1] for a, b in pairwise(corners)]
        return Polygon(to_degrees(self._bend(np.vstack(ring))))

    def _stretch(self, a: tuple[float, float], b: tuple[float, float]) -> FloatArray:
        if a > b:
            return self._stretch(b, a)[::-1]
        if (a, b) not in self.drawn:
            self.drawn[a, b] = _roughen(self.rng, np.array([a, b]), self.roughness)
        return self.drawn[a, b]

    def _bend(self, points: FloatArray) -> FloatArray:
        """Slide the plane itself: a slope below 1 everywhere cannot fold it, so faces cannot overlap."""
        moved = points.copy()
        for swing, wave, phase, axis in self.waves:
            moved[:, axis] += swing * np.sin(points @ wave + phase)
        return moved


def _unit(angle: float) -> FloatArray:
    return np.array([np.cos(angle), np.sin(angle)])


def _roughen(rng: np.random.Generator, line: FloatArray, roughness: float) -> FloatArray:
    """Midpoint displacement of a straight stretch, (n, 2) kilometres, ends kept."""
    while True:
        step = np.diff(line, axis=0)
        length = np.hypot(*step.T)
        if length.max() < BORDER_STEP_KM:
            return line
        shift = roughness * np.clip(rng.standard_normal(len(step)), -2, 2)
        middle = (line[:-1] + line[1:]) / 2 + shift[:, None] * np.column_stack([-step[:, 1], step[:, 0]])
        line = np.insert(line, np.arange(1, len(line)), middle, axis=0)


# ------------------------------------------------------------------ parents and names


def _landscape(shapes: Sequence[Polygon], river: shapely.Geometry, marsh: Polygon) -> list[str]:
    """What each subdistrict is like: marsh, river, mountain, desert or plain."""
    stream, wet = _in_degrees(river), _in_degrees(marsh)
    lat = np.array([s.centroid.y for s in shapes])
    high, low = np.quantile(lat, [0.78, 0.33])
    kinds = []
    for shape, y in zip(shapes, lat, strict=True):
        if shape.intersection(wet).area > 0.2 * shape.area:
            kinds.append("marsh")
        elif shape.intersects(stream):
            kinds.append("river")
        else:
            kinds.append("mountain" if y > high else "desert" if y < low else "plain")
    return kinds


def _name_units(shapes: list[Polygon], names: NameGiver, kinds: list[str]) -> gpd.GeoDataFrame:
    """Group neighbours into districts and governorates, give codes from north to south, and names."""
    near = _neighbour_distances(shapes)
    centres = np.array([s.centroid.coords[0] for s in shapes])
    adm1_names = names.distinct(GOVERNORATES)
    everything = np.arange(len(shapes))
    rows: list[dict[str, object]] = []
    for g, members in enumerate(_groups(names.rng, everything, GOVERNORATES, centres, near), start=1):
        adm1 = adm1_names[g - 1]
        for q, district in enumerate(
            _groups(names.rng, members, max(2, round(len(members) / 3.3)), centres, near), start=1
        ):
            ordered = district[np.argsort(-centres[district, 1], kind="stable")]
            own = [names.place(kinds[i]) for i in ordered]
            for n, (i, name) in enumerate(zip(ordered, own, strict=True), start=1):
                codes = (f"{PREFIX}G{g:02d}", f"{PREFIX}G{g:02d}Q{q:02d}", f"{PREFIX}G{g:02d}Q{q:02d}N{n:02d}")
                rows.append(_row(codes, (adm1, own[0], name), shapes[i], kinds[i]))
    units = gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326").set_index("pcode").sort_index()
    return units[[*SUBDISTRICT_COLUMNS, "landscape", "geometry"]]


def _row(codes: tuple[str, str, str], names: tuple[Name, Name, Name], shape: Polygon, kind: str) -> dict[str, object]:
    adm1, adm2, own = names
    return {
        "pcode": codes[2],
        **{f"name_{language}": own[language] for language in ("en", "ar", "ckb")},
        "adm1_pcode": codes[0],
        "adm1_name": adm1["en"],
        "adm1_name_ar": adm1["ar"],
        "adm1_name_ckb": adm1["ckb"],
        "adm2_pcode": codes[1],
        "adm2_name": adm2["en"],
        "adm2_name_ar": adm2["ar"],
        "adm2_name_ckb": adm2["ckb"],
        "area_km2": abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 1e6,
        "landscape": kind,
        "geometry": shape,
    }


def _neighbour_distances(shapes: list[Polygon]) -> csr_array:
    """Distance between the centres of units that share a border; 0 elsewhere."""
    a, b = shapely.STRtree(shapes).query(shapes, predicate="touches")
    centres = np.array([s.centroid.coords[0] for s in shapes])
    shared = np.array([shapes[i].intersection(shapes[j]).length > 0 for i, j in zip(a, b, strict=True)])
    a, b = a[shared], b[shared]
    return csr_array((np.hypot(*(centres[a] - centres[b]).T), (a, b)), shape=(len(shapes),) * 2)


def _groups(
    rng: np.random.Generator, members: NDArray[np.intp], count: int, centres: FloatArray, near: csr_array
) -> list[NDArray[np.intp]]:
    """Split ``members`` into ``count`` connected groups, ordered from north to south.

    Each member joins the seat it reaches first walking from neighbour to neighbour, which
    keeps every group in one piece. Of a few draws the most even one is kept.
    """
    inside, places = near[members][:, members], centres[members]
    draws = []
    for _ in range(16):
        start = places[rng.choice(len(members), count, replace=False)]
        middles = kmeans2(places, start, minit="matrix", iter=8, missing="warn")[0]
        seats = np.unique(cKDTree(places).query(middles)[1])
        if len(seats) == count:
            found = dijkstra(inside, directed=False, indices=seats, min_only=True, return_predecessors=True)[2]
            draws.append([members[found == seat] for seat in seats])
    even = min(draws, key=lambda groups: max(map(len, groups)) - min(map(len, groups)))
    return sorted(even, key=lambda group: -float(centres[group, 1].mean()))


def _in_degrees(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, to_degrees)
