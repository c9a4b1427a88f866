"""Rivers and canals of the synthetic country as a network, and what flows in over the border.

The main river and its tributary come from upstream neighbours. A reservoir dams one of them,
a canal leaves each, and the river runs through the marshes to the sea. Who draws where
follows from the map; hills and desert away from the water draw nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import LineString, Point
from shapely.ops import substring

from geodata.synthetic_climate import lake_km
from geodata.synthetic_land import FloatArray, Land, to_km
from geodata.synthetic_water import LAKE

MAIN, TRIBUTARY = "upstream", "upstream-east"
SEA, DRAIN = "sea", "drain"
MEAN_INFLOW = {MAIN: 260.0, TRIBUTARY: 90.0}  # m3/s
SNOWMELT = np.array([0.85, 1.05, 1.45, 1.75, 1.60, 1.00, 0.65, 0.55, 0.50, 0.55, 0.65, 0.75])
LAKE_KM2, LAKE_DEPTH_M = 340.0, 7.5
LAKE_EVAPORATION_MM = (45, 60, 100, 150, 220, 280, 310, 290, 220, 140, 80, 50)
CANALS = {MAIN: "canal-1", TRIBUTARY: "canal-2"}
REACH = {MAIN: "reach", TRIBUTARY: "tributary"}
CANAL_SHARE = {MAIN: 0.12, TRIBUTARY: 0.4}
CANAL_REACH_KM, CANAL_BOW_KM, SHARED_FROM_KM = 7.0, 42.0, 18.0


@dataclass(frozen=True)
class Node:
    """A place of the network.

    Parameters
    ----------
    name : str
    kind : "border", "reach", "canal", "reservoir" or "outlet"
    serves : per p-code that draws here, the share of its demand
    limits : further numbers of the node, under their names in the file
    """

    name: str
    kind: str
    serves: dict[str, float]
    limits: dict[str, float | tuple[float, ...]]


@dataclass(frozen=True)
class Link:
    """Water that runs from one node to another: a share of what leaves the first, less what is lost on the way."""

    source: str
    target: str
    share: float
    loss: float


@dataclass(frozen=True)
class Network:
    """Rivers and canals.

    Parameters
    ----------
    nodes, links : tuples, from the borders to the outlets
    lines : per reach and canal, its course, kilometres east and north of the middle of the country
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    lines: dict[str, LineString]

    def served(self) -> dict[str, dict[str, float]]:
        """Per p-code that draws anywhere, its nodes and shares."""
        found: dict[str, dict[str, float]] = {}
        for node in self.nodes:
            for pcode, share in node.serves.items():
                found.setdefault(pcode, {})[node.name] = share
        return found


@dataclass(frozen=True)
class LowInflow:
    """Months in which the upstream neighbour let little through."""

    node: str
    first: str
    last: str
    factor: float

    def months(self) -> pd.DatetimeIndex:
        """Month starts of the period."""
        return pd.date_range(self.first, self.last, freq="MS")


@dataclass(frozen=True)
class InflowGap:
    """Months of which no inflow was reported."""

    node: str
    months: tuple[str, ...]


# ------------------------------------------------------------------ network


def draw_network(rng: np.random.Generator, land: Land) -> Network:
    """The network of the country: two borders, reaches, the reservoir, two canals and two outlets."""
    courses = {MAIN: shapely.transform(land.main, to_km), TRIBUTARY: shapely.transform(land.tributary, to_km)}
    lake = Point(lake_km(land))
    meeting = courses[MAIN].project(Point(courses[TRIBUTARY].coords[-1]))
    ends = {MAIN: meeting, TRIBUTARY: courses[TRIBUTARY].length}
    dammed = min(courses, key=lambda border: float(courses[border].distance(lake)))
    cuts: dict[str, dict[str, float]] = {MAIN: {"meeting": meeting}, TRIBUTARY: {}}
    cuts[dammed][LAKE] = courses[dammed].project(lake)
    for border, canal in CANALS.items():
        cuts[border][canal] = _intake(cuts[border].get(LAKE), ends[border])
    lines: dict[str, LineString] = {}
    links: list[tuple[str, str, float]] = []
    for border, course in courses.items():
        lines |= _reaches(border, course, cuts[border])
        links += _links_along(border, cuts[border])
    links.append((f"{REACH[TRIBUTARY]}-{len(cuts[TRIBUTARY]) + 1}", _below(cuts[MAIN], "meeting"), 1.0))
    tail = courses[MAIN].interpolate(min(meeting + 90, courses[MAIN].length - 40))
    for border, canal in CANALS.items():
        start = courses[border].interpolate(cuts[border][canal])
        lines[canal] = _bow(start, tail, -CANAL_BOW_KM if border == MAIN else CANAL_BOW_KM)
    serves = _who_draws_where(land, lines, lake)
    return Network(
        nodes=tuple(_node(name, serves, len(cuts[MAIN]) + 1) for name in _in_order(links)),
        links=tuple(Link(*link, _loss(rng, link[1])) for link in links),
        lines=lines,
    )


def _intake(lake: float | None, end: float) -> float:
    """Where a canal leaves a course, km along it, before ``end``: below the lake, if that leaves room."""
    start = lake if lake is not None and lake < end - 60 else 0.2 * end
    return start + 0.35 * (end - start)


def _reaches(border: str, course: LineString, cuts: dict[str, float]) -> dict[str, LineString]:
    """Stretches of a course between its cuts, downstream."""
    places = [0.0, *sorted(cuts.values()), course.length]
    return {f"{REACH[border]}-{n}": substring(course, a, b) for n, (a, b) in enumerate(pairwise(places), start=1)}


def _links_along(border: str, cuts: dict[str, float]) -> list[tuple[str, str, float]]:
    """Links (from, to, share) from the border along the reaches; canals end in the drain, the main river in the sea."""
    here, links = f"{REACH[border]}-1", [(border, f"{REACH[border]}-1", 1.0)]
    for n, event in enumerate(sorted(cuts, key=lambda name: cuts[name]), start=2):
        below = f"{REACH[border]}-{n}"
        if event == LAKE:
            links += [(here, LAKE, 1.0), (LAKE, below, 1.0)]
        elif event in CANALS.values():
            links += [(here, below, 1 - CANAL_SHARE[border]), (here, event, CANAL_SHARE[border]), (event, DRAIN, 1.0)]
        else:
            links.append((here, below, 1.0))
        here = below
    return links if border == TRIBUTARY else [*links, (here, SEA, 1.0)]


def _below(cuts: dict[str, float], event: str) -> str:
    """The reach of the main river that begins at an event."""
    return f"{REACH[MAIN]}-{sorted(cuts.values()).index(cuts[event]) + 2}"


def _bow(start: Point, end: Point, bow_km: float) -> LineString:
    """An arc from one place to another, to the left of the way there."""
    a, b = np.array(start.coords[0]), np.array(end.coords[0])
    along = np.linspace(0, 1, 60)[:, None]
    left = np.array([a[1] - b[1], b[0] - a[0]]) / np.hypot(*(b - a))
    return LineString(a + (b - a) * along + bow_km * np.sin(np.pi * along) * left)


def _in_order(links: Iterable[tuple[str, str, float]]) -> list[str]:
    """Names of all nodes, as the links name them first."""
    return list(dict.fromkeys(name for link in links for name in link[:2]))


def _loss(rng: np.random.Generator, target: str) -> float:
    """Share lost on the way: more in an earthen canal than in a river."""
    return round(float(rng.uniform(0.10, 0.18) if target in CANALS.values() else rng.uniform(0.01, 0.04)), 3)


def _node(name: str, serves: dict[str, dict[str, float]], reaches: int) -> Node:
    own: dict[str, float | tuple[float, ...]] = {}
    kind = "canal" if name in CANALS.values() else "reach"
    if name in MEAN_INFLOW:
        kind = "border"
    elif name in (SEA, DRAIN):
        kind = "outlet"
    elif name == LAKE:
        kind = "reservoir"
        full = LAKE_KM2 * LAKE_DEPTH_M
        own = {"capacity_mm3": full, "dead_mm3": 0.15 * full, "initial_mm3": 0.6 * full, "release_share": 0.3}
        own |= {"surface_km2": LAKE_KM2, "evaporation_mm": LAKE_EVAPORATION_MM}
    elif name == f"{REACH[MAIN]}-{reaches}":
        own = {"min_flow_m3s": 25.0}
    elif name == f"{REACH[MAIN]}-2":
        own = {"industry_m3d": 60_000.0}
    return Node(name, kind, serves.get(name, {}), own)


# ------------------------------------------------------------------ who draws where


def _who_draws_where(land: Land, lines: dict[str, LineString], lake: Point) -> dict[str, dict[str, float]]:
    """Per node, the subdistricts that draw there, with the share of their demand.

    Around the lake they draw from it; along the river from the reach that runs longest through
    them, and a part from a canal that crosses them too; in the plain from a canal nearby.
    """
    reaches = {name: line for name, line in lines.items() if name not in CANALS.values()}
    canals = {name: line for name, line in lines.items() if name in CANALS.values()}
    shore = lake.buffer(9)
    serves: dict[str, dict[str, float]] = {}
    for pcode, unit in land.subdistricts.iterrows():
        shape = shapely.transform(unit.geometry, to_km)
        canal, apart, within = _closest(shape, canals)
        if shape.intersection(shore).area > 0.15 * shore.area:
            shares = {LAKE: 1.0}
        elif unit["landscape"] in ("river", "marsh"):
            reach = _closest(shape, reaches)[0]
            shares = {reach: 0.6, canal: 0.4} if within > SHARED_FROM_KM else {reach: 1.0}
        else:
            shares = {canal: 1.0} if unit["landscape"] == "plain" and apart < CANAL_REACH_KM else {}
        for name, share in shares.items():
            serves.setdefault(name, {})[str(pcode)] = share
    return serves


def _closest(shape: shapely.Geometry, lines: dict[str, LineString]) -> tuple[str, float, float]:
    """Line that runs longest within a shape, else the nearest; its distance and its length within, km."""
    found = [(-shape.intersection(line).length, shape.distance(line), name) for name, line in lines.items()]
    within, apart, name = min(found)
    return name, apart, -within


# ------------------------------------------------------------------ inflow over the border


def plan_gap(rng: np.random.Generator, network: Network, times: pd.DatetimeIndex) -> InflowGap:
    """Two months without a report, some years ago, at a border that does not feed the reservoir if there is one.

    What a reservoir holds after an unknown month is unknown for ever.
    """
    first = len(times) - 12 * int(rng.integers(5, 9)) - int(rng.integers(0, 12))
    free = [border for border in MEAN_INFLOW if LAKE not in _downstream(network, border)]
    return InflowGap([*free, TRIBUTARY][0], tuple(times[first : first + 2].strftime("%Y-%m")))


def _downstream(network: Network, start: str) -> set[str]:
    """All nodes that water from ``start`` may reach."""
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        new = {link.target for link in network.links if link.source == here} - found
        found |= new
        waiting += new
    return found


def draw_inflow(
    rng: np.random.Generator, times: pd.DatetimeIndex, flow: FloatArray, low: LowInflow, gap: InflowGap
) -> pd.DataFrame:
    """Inflow over each border, m3/s, as in the file: one row per month and node, none in the gap.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    times : DatetimeIndex
        Month starts.
    flow : array (time,)
        The river relative to normal, in each of these months.
    low : LowInflow
        Planted: little comes over one border.
    gap : InflowGap
        Planted: months not reported.
    """
    season = (SNOWMELT / SNOWMELT.mean())[times.month - 1]
    parts = []
    for node, mean in MEAN_INFLOW.items():
        amount = mean * season * flow * rng.lognormal(0, 0.12, len(times))
        held_back = times.isin(low.months()) & (node == low.node)
        amount = np.round(amount * np.where(held_back, low.factor, 1.0), 1)
        table = pd.DataFrame({"month": times.strftime("%Y-%m"), "node": node, "inflow_m3s": amount})
        parts.append(table[~(table["month"].isin(gap.months) & (node == gap.node))])
    return pd.concat(parts, ignore_index=True)
