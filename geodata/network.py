"""River and canal networks: nodes and links from a TOML file, inflow at the border from a table.

The order of the water is declared, not guessed from terrain: in a plain of canals the ground does
not say which way water goes. What crosses the border is a boundary condition that only a
measurement can give.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .calendar import period_label, period_range
from .options import DataPath, Options, SourceOptions, describe_missing, nearest, require_columns, require_file
from .schema import Findings, Status, status_attrs
from .sheets import clean_text, listed, one_column, read_sheet, rows
from .tables import parse_periods, read_values

KINDS = ("border", "reach", "canal", "reservoir", "outlet")
SERVING = ("reach", "canal", "reservoir")
SECONDS_A_DAY = 86_400.0
M3_PER_MM3 = 1e6  # "mm3" is a million cubic metres, as reservoirs are measured
M3_PER_MM_KM2 = 1e3
SHARES_ADD_UP = 1e-6

_COLUMNS = ("month", "node", "inflow_m3s")
_OF_USERS = ("serves", "drains", "min_flow_m3s", "industry_m3d")
_OF_RESERVOIRS = ("capacity_mm3", "dead_mm3", "initial_mm3", "release_share", "surface_km2", "evaporation_mm")
_REQUIRED_OF_RESERVOIRS = ("capacity_mm3", "initial_mm3", "release_share")

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Text = Annotated[str, Field(min_length=1)]
Quantity = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Served(Options):
    """A subdistrict that draws a share of its demand at a node."""

    pcode: Text
    share: float = Field(gt=0, le=1)


class Node(Options):
    """A place where water is taken, stored, or passes; see `WaterNetwork` for what its keys mean."""

    name: Text
    kind: Literal["border", "reach", "canal", "reservoir", "outlet"]
    serves: tuple[Text | Served, ...] = ()
    drains: tuple[Text, ...] = ()
    min_flow_m3s: Quantity = 0.0
    industry_m3d: Quantity = 0.0
    capacity_mm3: Quantity | None = None
    dead_mm3: Quantity = 0.0
    initial_mm3: Quantity | None = None
    release_share: Annotated[float, Field(gt=0, le=1)] | None = None
    surface_km2: Quantity | None = None
    evaporation_mm: Annotated[tuple[Quantity, ...], Field(min_length=12, max_length=12)] | None = None

    def shares(self) -> list[tuple[str, float | None]]:
        """Subdistricts served, each with its share; None where the file gives none."""
        return [(s, None) if isinstance(s, str) else (s.pcode, s.share) for s in self.serves]


class Link(BaseModel):
    """Water that goes from one node to another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Text = Field(alias="from")
    to: Text
    share: float = Field(gt=0, le=1)
    loss: float = Field(default=0.0, ge=0, lt=1)


class WaterNetwork(SourceOptions):
    """Reader "water_network": a TOML file of ``[[node]]`` and ``[[link]]`` tables, and the inflow at the border.

    A node has a ``name`` and a ``kind``: border (water enters the country), reach, canal, reservoir, or
    outlet (water leaves the network). Reaches, canals and reservoirs may have

    - ``serves``: subdistricts that draw here, a p-code or ``{ pcode = "...", share = 0.6 }``. One that
      draws at several nodes needs its shares, and they sum to 1;
    - ``drains``: subdistricts whose local runoff enters here;
    - ``min_flow_m3s``: least flow that is to be left in the river below;
    - ``industry_m3d``: demand of industry.

    A reservoir has ``capacity_mm3``, ``initial_mm3`` (million m3), ``release_share`` (of what stands above
    ``dead_mm3``, in a month) and, both or none, ``surface_km2`` and ``evaporation_mm`` (January to
    December). A link has ``from``, ``to``, ``share`` (of the outflow of its first node; those of a node
    sum to 1) and ``loss`` (share lost on the way).

    Parameters
    ----------
    inflow : str or None
        CSV or workbook with the columns month, node, inflow_m3s; None where nobody measures it.
    """

    reader: Literal["water_network"]
    units: Literal["m3/s"]
    cadence: Literal["month"]
    inflow: DataPath | None = None

    def files(self, root: Path) -> list[Path]:
        """The network and the table of inflow, where they exist."""
        wanted = [self.path, *([self.inflow] if self.inflow else [])]
        return sorted(path for path in {root / name for name in wanted} if path.is_file())

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.Dataset:
        """Network and inflow: see `read_network`."""
        return read_network(self, root, log, subdistricts)


def read_network(options: WaterNetwork, root: Path, log: Findings, subdistricts: pd.DataFrame) -> xr.Dataset:
    """A network, checked as a graph, with its inflow.

    Parameters
    ----------
    options : WaterNetwork
        What the country file says of it.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong; months of unknown inflow are a warning.
    subdistricts : DataFrame
        The subdistricts table, for its p-codes.

    Returns
    -------
    Dataset (time, border, node, to, pcode, month)
        ``border_inflow`` (time, border), m3/day, NaN and input_missing where unknown, and its status;
        ``share`` and ``loss`` (node, to), 1, of the link between two nodes, 0 where there is none;
        ``serves`` and ``drains`` (node, pcode), 1; ``min_flow`` and ``industry`` (node), m3/day;
        ``capacity``, ``dead``, ``initial`` (node), m3; ``release_share`` (node), 1;
        ``evaporation`` (node, month), m3/month; ``kind`` (node), flags of `KINDS`.
    """
    nodes, links = _parse(require_file(root, options.path, log), options.path, log)
    log.stop()
    _check_graph(nodes, links, options.path, log)
    _check_users(nodes, subdistricts.index, options.path, log)
    inflow = _read_inflow(options, nodes, root, log)
    log.stop()
    return xr.merge([inflow, _as_arrays(nodes, links, subdistricts.index)], join="exact")


# ------------------------------------------------------------------ the TOML file


def _parse(path: Path, file: str, log: Findings) -> tuple[list[Node], list[Link]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise log.fail(file=file, field="syntax", found=error, expected="TOML in UTF-8") from None
    for key in content.keys() - {"node", "link"}:
        log.error(file=file, field=key, found=f"unknown table {key!r}", expected="[[node]] and [[link]]")
    nodes = [_model(Node, entry, _called(entry, n), file, log) for n, entry in enumerate(_tables(content, "node"), 1)]
    links = [_model(Link, entry, _between(entry, n), file, log) for n, entry in enumerate(_tables(content, "link"), 1)]
    if not nodes:
        log.error(file=file, field="node", found="none", expected="[[node]] tables")
    return [n for n in nodes if n is not None], [k for k in links if k is not None]


def _tables(content: Mapping[str, Any], key: str) -> list[Any]:
    found = content.get(key, [])
    return found if isinstance(found, list) else [found]


def _called(entry: Any, number: int) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return f"node {name!r}" if isinstance(name, str) and name else f"node number {number}"


def _between(entry: Any, number: int) -> str:
    ends = [entry.get(k) for k in ("from", "to")] if isinstance(entry, Mapping) else [None]
    return f"link {ends[0]!r} to {ends[1]!r}" if all(isinstance(e, str) for e in ends) else f"link number {number}"


def _model(model: type[M], entry: Any, where: str, file: str, log: Findings) -> M | None:
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        known = [info.alias or name for name, info in model.model_fields.items()]
        for item in error.errors():
            place = ".".join(str(step) for step in item["loc"] if step not in ("str", "Served"))
            field = f"{where}.{place}" if place else where
            if item["type"] == "extra_forbidden":
                hint = nearest(str(item["loc"][-1]), known, likeness=0.0)
                log.error(file=file, field=field, found="an unknown key", expected=f"a known one (nearest: {hint!r})")
            elif item["type"] == "missing":
                log.error(file=file, field=field, found="nothing", expected="a value")
            else:
                log.error(file=file, field=field, found=repr(item["input"])[:80], expected=item["msg"])
        return None


# ------------------------------------------------------------------ the graph


def _check_graph(nodes: list[Node], links: list[Link], file: str, log: Findings) -> None:
    kinds = {node.name: node.kind for node in nodes}
    for name in _repeated(node.name for node in nodes):
        log.error(file=file, field=f"node {name!r}", found="two nodes of this name", expected="each node once")
    for source, to in _repeated((link.source, link.to) for link in links):
        log.error(file=file, field=f"link {source!r} to {to!r}", found="two such links", expected="each link once")
    known = [link for link in links if _check_ends(link, kinds, file, log)]
    if len(known) == len(links):
        _check_shares(kinds, links, file, log)
        _check_sources(nodes, links, file, log)
    _check_cycles(known, file, log)
    for node in nodes:
        _check_kind(node, file, log)


def _check_ends(link: Link, kinds: Mapping[str, str], file: str, log: Findings) -> bool:
    """True if both ends are nodes; a wrong direction is noted."""
    where = f"link {link.source!r} to {link.to!r}"
    for key, name in (("from", link.source), ("to", link.to)):
        if name not in kinds:
            log.error(
                file=file, field=f"{where}.{key}", found=describe_missing(name, kinds), expected="the name of a node"
            )
    if kinds.get(link.to) == "border":
        log.error(file=file, field=where, found="a link into a border node", expected="links that lead away from it")
    if kinds.get(link.source) == "outlet":
        log.error(file=file, field=where, found="a link out of an outlet", expected="none: water leaves there")
    return link.source in kinds and link.to in kinds


def _check_shares(kinds: Mapping[str, str], links: list[Link], file: str, log: Findings) -> None:
    for name, kind in kinds.items():
        leaving = [link.share for link in links if link.source == name]
        total = math.fsum(leaving)
        if kind != "outlet" and abs(total - 1.0) > SHARES_ADD_UP:
            found = f"{len(leaving)} links with shares that sum to {total:g}" if leaving else "no link that leaves it"
            expected = "links whose shares sum to 1 (water that leaves the network goes to an outlet)"
            log.error(file=file, field=f"node {name!r}", found=found, expected=expected)


def _check_sources(nodes: list[Node], links: list[Link], file: str, log: Findings) -> None:
    entered = {link.to for link in links}
    for node in nodes:
        if node.kind != "border" and node.name not in entered and not node.drains:
            expected = "a link to it, or subdistricts that it drains"
            log.error(file=file, field=f"node {node.name!r}", found="no water that enters it", expected=expected)


def _check_cycles(links: list[Link], file: str, log: Findings) -> None:
    upstream: dict[str, set[str]] = {}
    for link in links:
        upstream.setdefault(link.to, set()).add(link.source)
    try:
        TopologicalSorter(upstream).prepare()
    except CycleError as error:
        found = f"a cycle: {' to '.join(error.args[1])}"
        log.error(file=file, field="link", found=found, expected="water that never comes back to where it was")


def _check_kind(node: Node, file: str, log: Findings) -> None:
    """Keys that belong to another kind of node, and reservoirs that cannot be."""
    foreign = [] if node.kind in SERVING else list(_OF_USERS)
    foreign += [] if node.kind == "reservoir" else list(_OF_RESERVOIRS)
    for key in sorted(node.model_fields_set & set(foreign)):
        kinds = ", ".join(SERVING) if key in _OF_USERS else "reservoir"
        log.error(file=file, field=f"node {node.name!r}.{key}", found=f"on a {node.kind}", expected=f"on {kinds} only")
    if node.kind != "reservoir":
        return
    for key in _REQUIRED_OF_RESERVOIRS:
        if getattr(node, key) is None:
            log.error(file=file, field=f"node {node.name!r}.{key}", found="nothing", expected="a value")
    if (node.surface_km2 is None) != (node.evaporation_mm is None):
        found = "one of surface_km2 and evaporation_mm"
        log.error(file=file, field=f"node {node.name!r}", found=found, expected="both or none of them")
    if node.capacity_mm3 is not None:
        for key, value in (("dead_mm3", node.dead_mm3), ("initial_mm3", node.initial_mm3 or 0.0)):
            if value > node.capacity_mm3:
                expected = f"at most the capacity, {node.capacity_mm3:g}"
                log.error(file=file, field=f"node {node.name!r}.{key}", found=f"{value:g}", expected=expected)


def _check_users(nodes: list[Node], pcodes: pd.Index, file: str, log: Findings) -> None:
    known = set(pcodes)
    draws: dict[str, list[tuple[str, float | None]]] = {}
    drained: dict[str, list[str]] = {}
    for node in nodes:
        for pcode, share in node.shares():
            draws.setdefault(pcode, []).append((node.name, share))
        for pcode in node.drains:
            drained.setdefault(pcode, []).append(node.name)
        for key, named in (("serves", [p for p, _ in node.shares()]), ("drains", node.drains)):
            if strange := sorted(set(named) - known):
                found, expected = f"unknown p-codes {listed(strange)}", "p-codes of the boundary file"
                log.error(file=file, field=f"node {node.name!r}.{key}", found=found, expected=expected)
    for pcode, places in draws.items():
        _check_draw(pcode, places, file, log)
    for pcode, names in drained.items():
        if len(names) > 1:
            log.error(
                file=file, field="drains", found=f"{pcode} at {listed(names)}", expected="runoff that enters once"
            )


def _check_draw(pcode: str, places: list[tuple[str, float | None]], file: str, log: Findings) -> None:
    """One subdistrict's demand, all of it and once."""
    names, shares = [name for name, _ in places], [share for _, share in places]
    if twice := _repeated(names):
        log.error(file=file, field=f"node {twice[0]!r}.serves", found=f"{pcode} twice", expected="each p-code once")
        return
    if len(places) > 1 and None in shares:
        found = (
            f"{pcode} also at {listed(n for n in names if n != names[shares.index(None)])}, and here without a share"
        )
        expected = "one node, or a share at each of them"
        log.error(file=file, field=f"node {names[shares.index(None)]!r}.serves", found=found, expected=expected)
        return
    total = math.fsum(1.0 if share is None else share for share in shares)
    if abs(total - 1.0) > SHARES_ADD_UP:
        found, expected = f"{pcode}: shares that sum to {total:g} over {listed(names)}", "shares that sum to 1"
        log.error(file=file, field="serves", found=found, expected=expected)


def _repeated(items: Iterable[T]) -> list[T]:
    return [item for item, times in Counter(items).items() if times > 1]


# ------------------------------------------------------------------ inflow


def _read_inflow(options: WaterNetwork, nodes: list[Node], root: Path, log: Findings) -> xr.Dataset:
    borders = [node.name for node in nodes if node.kind == "border"]
    if options.inflow is None:
        return _inflow(pd.DataFrame(columns=borders, index=pd.DatetimeIndex([]), dtype="float64"))
    file = options.inflow
    frame = read_sheet(require_file(root, file, log), file, log)
    require_columns(frame.columns, _COLUMNS, file=file, log=log)
    if not set(_COLUMNS) <= set(frame.columns):
        return _inflow(pd.DataFrame(columns=borders, index=pd.DatetimeIndex([]), dtype="float64"))
    month = parse_periods(one_column(frame, "month"), options.model_copy(update={"path": file}), log)
    name = clean_text(one_column(frame, "node"), file=file, log=log)
    value = read_values(frame, "inflow_m3s", file, log, allow_negative=False)
    _check_names(name, nodes, borders, file, log)
    table = pd.DataFrame({"month": month, "node": name, "value": value * SECONDS_A_DAY}).dropna(subset=["month"])
    if (again := table.duplicated(["month", "node"], keep=False)).any():
        field = f"columns 'month' and 'node', {rows(table.index[again])}"
        found = listed(f"{n} in {m:%Y-%m}" for m, n in table.loc[again, ["month", "node"]].drop_duplicates().values)
        log.error(file=file, field=field, found=f"twice: {found}", expected="one row per month and node")
        table = table[~again]
    wide = table.pivot(index="month", columns="node", values="value").reindex(columns=borders)
    if len(wide):
        wide = wide.reindex(period_range(wide.index.min(), wide.index.max(), "month"))
    _warn_of_gaps(wide, file, log)
    return _inflow(wide)


def _check_names(name: pd.Series, nodes: list[Node], borders: list[str], file: str, log: Findings) -> None:
    known = {node.name for node in nodes}
    for one, where in name.groupby(name).groups.items():
        if one not in borders:
            found = f"{one!r}, no border node" if one in known else describe_missing(str(one), borders)
            log.error(file=file, field=f"column 'node', {rows(where)}", found=found, expected="border nodes")


def _warn_of_gaps(wide: pd.DataFrame, file: str, log: Findings) -> None:
    for name in wide.columns:
        unknown = wide.index[wide[name].isna()]
        if len(unknown):
            months = "no month" if len(unknown) == len(wide) else listed(period_label(m, "month") for m in unknown)
            found = f"{name!r}: no inflow" if months == "no month" else f"{name!r}: no inflow in {months}"
            action = "unknown for all that lies downstream; below a reservoir from then on"
            log.warning(file=file, field="inflow_m3s", found=found, expected="every month", action=action)


def _inflow(wide: pd.DataFrame) -> xr.Dataset:
    dims, values = ("time", "border"), wide.to_numpy(dtype="float64")
    status = np.where(np.isnan(values), Status.input_missing, Status.ok).astype("int8")
    attrs = {"units": "m3/day", "long_name": "inflow at the border"}
    coords = {"time": pd.DatetimeIndex(wide.index).as_unit("ns"), "border": np.array(wide.columns, dtype=str)}
    variables = {"border_inflow": (dims, values, attrs), "border_inflow_status": (dims, status, status_attrs())}
    return xr.Dataset(variables, coords=coords)


# ------------------------------------------------------------------ arrays


def _as_arrays(nodes: list[Node], links: list[Link], pcodes: pd.Index) -> xr.Dataset:
    names = [node.name for node in nodes]
    row, column = ({name: n for n, name in enumerate(items)} for items in (names, list(pcodes)))
    share, loss = (np.zeros((len(names), len(names))) for _ in range(2))
    for link in links:
        share[row[link.source], row[link.to]] = link.share
        loss[row[link.source], row[link.to]] = link.loss
    serves, drains = (np.zeros((len(names), len(pcodes))) for _ in range(2))
    for node in nodes:
        for pcode, part in node.shares():
            serves[row[node.name], column[pcode]] = 1.0 if part is None else part
        for pcode in node.drains:
            drains[row[node.name], column[pcode]] = 1.0
    evaporation = [np.array(n.evaporation_mm or [0.0] * 12) * (n.surface_km2 or 0.0) * M3_PER_MM_KM2 for n in nodes]
    per_node: dict[str, tuple[str, list[float], str]] = {
        "min_flow": ("m3/day", [n.min_flow_m3s * SECONDS_A_DAY for n in nodes], "minimum environmental flow"),
        "industry": ("m3/day", [n.industry_m3d for n in nodes], "demand of industry"),
        "capacity": ("m3", [(n.capacity_mm3 or 0.0) * M3_PER_MM3 for n in nodes], "capacity"),
        "dead": ("m3", [n.dead_mm3 * M3_PER_MM3 for n in nodes], "dead storage"),
        "initial": ("m3", [(n.initial_mm3 or 0.0) * M3_PER_MM3 for n in nodes], "storage before the first month"),
        "release_share": ("1", [n.release_share or 1.0 for n in nodes], "share of live storage released in a month"),
    }
    pairs = {
        "share": (("node", "to"), share, "1", "share of the outflow"),
        "loss": (("node", "to"), loss, "1", "share lost on the way"),
        "serves": (("node", "pcode"), serves, "1", "share of the demand drawn here"),
        "drains": (("node", "pcode"), drains, "1", "share of the runoff that enters here"),
        "evaporation": (("node", "month"), np.array(evaporation), "m3/month", "evaporation of the open water"),
    }
    kinds = np.array([KINDS.index(n.kind) for n in nodes], dtype="int8")
    flags = {"flag_values": np.arange(len(KINDS), dtype="int8"), "flag_meanings": " ".join(KINDS)}
    return xr.Dataset(
        {name: (dims, values, {"units": u, "long_name": words}) for name, (dims, values, u, words) in pairs.items()}
        | {name: ("node", values, {"units": u, "long_name": words}) for name, (u, values, words) in per_node.items()}
        | {"kind": ("node", kinds, flags)},
        coords={"node": names, "to": names, "pcode": np.array(pcodes, dtype=str), "month": np.arange(1, 13)},
    )
