"""No product, no message and no set of kept runs tells more of a household count than the rule does.

Three attacks on two runs of the synthetic country that share two rounds. *Invariance*: other
true counts of the same classes give the same bytes, so nothing published can depend on more
than the classes. *Linear programmes* (HiGHS): all that the products say of a round, written
down as equations, leaves every cell its whole class. *Search*: no location, and no point.
A leak put in on purpose is caught by the first and the second.
"""

import io
import json
import logging
import re
import shutil
import struct
import zipfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import xarray as xr
from scipy.optimize import linprog
from scipy.sparse import csr_array

import flows.balance_water
import flows.displacement
import flows.score_risk
from flows.changes import changes_folder
from flows.run_country import run_country
from flows.settings import load_settings
from geodata.schema import InputError
from models.protection import STAND_IN, interval, protect

from .conftest import ISSUED

MONTHS = ("2023-10", "2024-03")
ROUNDS = {"2023-03-31": 1, "2023-09-30": 1, "2024-02-29": 2}
"""Rounds, and how many of the period columns are five years old by then."""
PEOPLE_PER_HOUSEHOLD = 6  # as the country file declares
COUNTS = {
    "households": "displaced_households",
    "critical": "displaced_critical",
    "camp_or_critical": "displaced_camp_or_critical",
    "protracted": "displaced_protracted",
    "climate": "displaced_climate_households",
}
AMONG = {
    "critical": ("camp_or_critical", "households"),
    "camp_or_critical": ("households",),
    "protracted": ("households",),
    "climate": ("households",),
}
"""Counts that each count is among: critical <= camp or critical <= households is a chain."""
CRITICAL = ("Informalsettlements", "Religiousbuilding", "Rented Uninhabitable", "Schoolbuilding", "Unfinishedbuilding")
KEPT = ("ok", "stale")
SHARES = {
    "critical": "critical_shelter_value",
    "camp_or_critical": "camp_or_critical_shelter_value",
    "protracted": "protracted_displacement_value",
}
"""Count -> its share of the displaced households, as an indicator."""
NEW_TABLES = ("displacement_by_reason", "displacement_flows", "displacement_change", "host_pressure")
PERIOD = "Period of displacement"
RECENT = {
    "2023-03-31": (),
    "2023-09-30": (f"April to September 2023 {PERIOD}", f"Since October 2023 {PERIOD}"),
    "2024-02-29": (f"Since October 2023 {PERIOD}",),
}
"""Columns of those who arrived since the round before."""


# ------------------------------------------------------------------ another truth of the same classes


class RoundList:
    """One round's workbook as an attacker would like it: true counts that can be moved within their class."""

    def __init__(self, path: Path, old_periods: int, shapes: gpd.GeoDataFrame):
        self.path, self.book = path, openpyxl.load_workbook(path)
        self.sheet = self.book.active
        head, *body = [list(row) for row in self.sheet.iter_rows(values_only=True)]
        self.rows = pd.DataFrame(body[:-1], columns=head)
        names = list(self.rows.columns)
        periods = [c for c in names if c.endswith("Period of displacement")]
        shelters = names[names.index("Camp") : names.index(periods[0])]
        self.origins = names[names.index("Individuals") + 1 : names.index("Camp")]
        elsewhere = [c for c in shelters if c not in (*CRITICAL, "Camp")]
        self.inside = {
            "critical": list(CRITICAL),
            "camp_or_critical": [*CRITICAL, "Camp"],
            "protracted": periods[:old_periods],
            "climate": ["Reason climate"],
        }
        recent = [c for c in periods if c in RECENT[path.stem.removeprefix("idp_list_")]]
        # Each split of the households in groups of columns, in the order in which running totals are protected.
        self.splits = {
            "shelter": [list(CRITICAL), ["Camp"], elsewhere],
            "period": [
                g for g in (periods[:old_periods], [c for c in periods[old_periods:] if c not in recent], recent) if g
            ],
            "reason": [["Reason climate"], ["Reason other"], ["Reason conflict"]],
            "origin": [[origin] for origin in self.origins],
        }
        points = gpd.points_from_xy(self.rows["Longitude"], self.rows["Latitude"], crs=4326)
        placed = gpd.sjoin(gpd.GeoDataFrame(geometry=points), shapes[["ADM3_PCODE", "geometry"]], how="left")
        self.unit = placed["ADM3_PCODE"]

    def counts(self) -> pd.DataFrame:
        """Exact counts per subdistrict."""
        columns = {"households": ["Families"], **self.inside}
        return pd.DataFrame({n: self.rows[c].sum(axis=1).groupby(self.unit).sum() for n, c in columns.items()})

    def running_totals(self) -> pd.DataFrame:
        """Exact running totals of every split, per subdistrict: (split, group) -> households."""
        sums = {
            (name, n): self.rows[columns].sum(axis=1).groupby(self.unit).sum()
            for name, groups in self.splits.items()
            for n, columns in enumerate(groups)
        }
        return pd.DataFrame(sums).T.groupby(level=0, sort=False).cumsum().T

    def resize(self, rows: pd.Index, households: int) -> None:
        """Let households come to, or leave, the largest location, in a group of each split that has them."""
        row = self.rows.loc[rows, "Families"].idxmax()
        self.rows.loc[row, "Families"] += households
        for groups in self.splits.values():
            left = households
            for column in sorted((c for group in groups for c in group), key=lambda c: -self.rows.at[row, c]):
                step = max(left, -self.rows.at[row, column])
                self.rows.loc[row, column] += step
                left -= step
            assert left == 0

    def regroup(self, rows: pd.Index, groups: list[list[str]], wanted: list[int]) -> None:
        """Move households at their locations from groups that have too many to groups that have too few."""
        over = [int(self.rows.loc[rows, g].sum(axis=None)) - w for g, w in zip(groups, wanted, strict=True)]
        for source in (n for n, many in enumerate(over) if many > 0):
            for row, column in ((r, c) for c in groups[source] for r in rows):
                while over[source] > 0 and self.rows.at[row, column] > 0:
                    target = next(n for n, few in enumerate(over) if few < 0)
                    step = min(over[source], -over[target], self.rows.at[row, column])
                    self.rows.loc[row, column] -= step
                    self.rows.loc[row, groups[target][0]] += step
                    over[source], over[target] = over[source] - step, over[target] + step
        assert over == [0] * len(groups)

    def scramble(self) -> pd.Series:
        """Another truth: every running total goes to an end of its class, the sum of all households stays.

        Returns: per count, in how many units it changed.
        """
        before, totals, balance = self.counts(), self.running_totals(), 0
        for pcode, households in before["households"].items():
            low, high = class_of(households)
            step = (low if balance >= 0 else high) - households
            balance += step
            self.resize(self.rows.index[self.unit == pcode], step)
        for pcode, households in self.counts()["households"].items():
            low, high = class_of(households)
            step = int(np.clip(-balance, low - households, high - households))
            balance += step
            self.resize(self.rows.index[self.unit == pcode], step)
        assert balance == 0
        for n, (pcode, households) in enumerate(self.counts()["households"].items()):
            rows = self.rows.index[self.unit == pcode]
            for name, groups in self.splits.items():
                ends = [class_of(total)[n % 2] for total in totals.loc[pcode, name]][:-1]
                running = [*(min(end, households) for end in ends), households]
                self.regroup(rows, groups, np.diff(running, prepend=0).tolist())
        self.rows["Individuals"] = self.rows["Families"] * PEOPLE_PER_HOUSEHOLD
        pd.testing.assert_frame_equal(protect(self.counts()), protect(before))
        for (_split, _group), was in totals.items():
            now = self.running_totals()[_split, _group]
            assert now.map(class_of).tolist() == was.map(class_of).tolist()
        return (self.counts() != before).sum()

    def save(self) -> None:
        """Write the rows and the row of totals back."""
        first = self.rows.columns.get_loc("Families")
        for n, row in enumerate(self.rows.iloc[:, first:].itertuples(index=False), start=2):
            for k, value in enumerate(row, start=first + 1):
                self.sheet.cell(n, k, int(value))
        for k, total in enumerate(self.rows.iloc[:, first:].sum(), start=first + 1):
            self.sheet.cell(len(self.rows) + 2, k, int(total))
        self.book.save(self.path)


def class_of(count: int) -> tuple[int, int]:
    """Ends of the class of a true count: 0 | 1-4 | 5-7 | 8-12 | ..."""
    if count == 0:
        return 0, 0
    if count <= 4:
        return 1, 4
    middle = int(count / 5 + 0.5) * 5
    return max(middle - 2, 5), middle + 2


def lists_of(folder: Path) -> dict[str, RoundList]:
    shapes = gpd.read_file(folder / "boundaries" / "synthetic_adm3.gpkg")
    return {day: RoundList(folder / "displacement" / f"idp_list_{day}.xlsx", n, shapes) for day, n in ROUNDS.items()}


def other_returnees(folder: Path) -> None:
    """Other true counts of returned households, of the same classes."""
    path = folder / "displacement" / "returnee_list_2024-02-29.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book.active
    at = {cell.value: cell.column for cell in sheet[1]}
    shapes = gpd.read_file(folder / "boundaries" / "synthetic_adm3.gpkg")
    lines = list(range(2, sheet.max_row))
    cells = {c: [sheet.cell(n, at[c]).value for n in lines] for c in ("Longitude", "Latitude", "Returnee Families")}
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(cells["Longitude"], cells["Latitude"]), crs=4326)
    unit = gpd.sjoin(points, shapes[["ADM3_PCODE", "geometry"]], how="left")["ADM3_PCODE"]
    households = pd.Series(cells["Returnee Families"])
    sums, changed = households.groupby(unit).sum(), 0
    for pcode, total in sums.items():
        row = households[unit == pcode].idxmax()
        low, high = class_of(total)
        step = high - total or max(low - total, -households[row])
        households[row] += step
        changed += step != 0
    assert changed > 20
    for n, value in zip([*lines, sheet.max_row], [*households, households.sum()], strict=True):
        sheet.cell(n, at["Returnee Families"]).value = int(value)
        sheet.cell(n, at["Returnee Individuals"]).value = int(value) * PEOPLE_PER_HOUSEHOLD
    book.save(path)


@pytest.fixture(scope="module")
def truth(synthetic_inputs: Path) -> dict[str, RoundList]:
    """The lists as they were read."""
    return lists_of(synthetic_inputs)


@pytest.fixture(scope="module")
def other_inputs(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same country, with other true counts of the same classes."""
    folder = Path(shutil.copytree(synthetic_inputs, tmp_path_factory.mktemp("other") / "inputs"))
    other_returnees(folder)
    for one in lists_of(folder).values():
        changed = one.scramble()
        assert changed["households"] > 35
        assert changed.drop("households").min() > 20
        one.save()
    return folder


# ------------------------------------------------------------------ the runs


def run_and_listen(config: str, data: Path, month: str, out: Path, **options: bool) -> tuple[Path, str]:
    """A run's folder, and all it said on the way."""
    said, loggers = io.StringIO(), [logging.getLogger("wadi"), logging.getLogger()]
    handler = logging.StreamHandler(said)
    level = loggers[0].level
    loggers[0].setLevel(logging.DEBUG)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        folder = run_country.fn(config, data=str(data), as_of=month, issued=ISSUED, out=str(out), **options)
    finally:
        loggers[0].setLevel(level)
        for logger in loggers:
            logger.removeHandler(handler)
    return Path(folder), said.getvalue()


@pytest.fixture(scope="module")
def told(synthetic_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Two runs; the earlier one also writes restricted/."""
    out = tmp_path_factory.mktemp("kept")
    return {m: run_and_listen("demo", synthetic_inputs, m, out, restricted=m == MONTHS[0]) for m in MONTHS}


@pytest.fixture(scope="module")
def told_otherwise(other_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """The same two runs of the other truth."""
    out = tmp_path_factory.mktemp("kept_other")
    return {m: run_and_listen("demo", other_inputs, m, out, restricted=m == MONTHS[0]) for m in MONTHS}


def products(folder: Path) -> list[Path]:
    """All files of a run but those under restricted/."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "restricted" not in p.relative_to(folder).parts)


def bytes_of(path: Path) -> bytes:
    """What a file holds, unpacked if it is a workbook."""
    if path.suffix != ".xlsx":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in sorted(archive.namelist()))


def without_input_hashes(folder: Path) -> dict[str, bytes]:
    """Every product, with the run's id and the hashes of its inputs blotted out."""
    receipt = json.loads((folder / "manifest.json").read_text("utf-8"))
    hashes = {f["sha256"] for f in receipt["plan"]["inputs"]} | {s["sha256"] for s in receipt["run"]["sources"]}
    marks = [receipt["run"]["run_id"].encode(), *(h.encode() for h in hashes)]
    found = {}
    for path in products(folder):
        name, content = path.relative_to(folder).as_posix(), bytes_of(path)
        if name == "manifest.json":
            kept = {k: v for k, v in receipt.items() if k not in ("machine", "products")}
            kept["plan"] = {k: v for k, v in receipt["plan"].items() if k not in ("data", "inputs")}
            content = json.dumps(kept).encode()
        for mark in marks:
            content = content.replace(mark, b"*")
        found[name] = content
    return found


def differing(one: Path, other: Path) -> list[str]:
    """Products that tell two truths apart."""
    a, b = without_input_hashes(one), without_input_hashes(other)
    assert a.keys() == b.keys()
    return [name for name in a if a[name] != b[name]]


# ------------------------------------------------------------------ invariance


@pytest.mark.parametrize("month", MONTHS)
def test_another_truth_of_the_same_classes_gives_the_same_bytes(told, told_otherwise, month):
    """Tables, cube, indicators, site, checks and receipt are functions of the classes (and of the one exact sum)."""
    (one, _), (other, _) = told[month], told_otherwise[month]
    assert one.name != other.name  # the inputs do differ
    assert len(products(one)) >= 17
    new = {f"tables/{name}.csv" for name in NEW_TABLES} | {"review/displacement_names.csv"}
    assert new <= without_input_hashes(one).keys()
    assert differing(one, other) == []


def test_the_log_is_a_product_too(told, told_otherwise):
    """Two truths are logged alike."""
    for month in MONTHS:
        (one, first), (other, second) = told[month], told_otherwise[month]
        assert "households" not in first
        assert first.replace(one.name, "") == second.replace(other.name, "")
        assert "Published" in first


def test_the_change_between_two_runs_tells_no_truth_apart(told, told_otherwise):
    """It follows from what both runs published: two truths that are protected alike changed alike."""
    tables = []
    for runs in (told, told_otherwise):
        before, after = (runs[month][0] for month in MONTHS)
        place = changes_folder(after, before.name)
        found = {p.name: p.read_text("utf-8") for p in sorted(place.iterdir())}
        tables.append({n: t.replace(before.name, "*").replace(after.name, "*") for n, t in found.items()})
    assert set(tables[0]) == {"change.csv", "change.json"}
    assert tables[0] == tables[1]


def exact_counts(into: list):
    """`count_by_unit`, remembering what it counted of the displaced."""

    def count(sites, pcodes):
        counts = count_by_unit(sites, pcodes)
        if counts["critical"].notna().any():  # a list of those who returned asks for no shelter
            into.append(counts)
        return counts

    count_by_unit = flows.displacement.count_by_unit
    return count


def from_exact(honest, counted: list, name: str, factor: int, pcode: str):
    """A score that takes one subdistrict's count as it is, not as protected."""

    def leaking(first, second, **options):
        exact = counted[-1][name].sort_index()
        counts = second[name] if isinstance(second, dict) else second
        leaked = counts.where(counts["pcode"] != pcode, exact[pcode] * factor)
        return honest(first, {**second, name: leaked} if isinstance(second, dict) else leaked, **options)

    return leaking


def camps_from_exact(honest, counted: list):
    """Classes of shelter that take the count of the largest camp's subdistrict as it is, not as protected."""

    def leaking(counts, people_per_household):
        exact, name = counted[-1], "displaced_camp_or_critical"
        pcode = (exact["camp_or_critical"] - exact["critical"]).idxmax()
        leaked = counts[name].where(counts["pcode"] != pcode, exact.at[pcode, "camp_or_critical"])
        return honest(counts.assign({name: leaked}), people_per_household)

    return leaking


def reasons_from_exact(honest, counted: list, one: str):
    """Rows of reasons of which one household count is the exact one."""

    def leaking(protected, day, level):
        rows, exact = honest(protected, day, level), counted[-1]["households"]
        return rows.assign(households=rows["households"].where(rows["code"] != one, exact[one]))

    return leaking


def flows_from_exact(honest, counted: list, one: str):
    """Flows of which one subdistrict's part is the exact one, ten times, so that rounding cannot hide it."""

    def leaking(parts, whole):
        return honest(parts, whole).add(parts.mul(10.0 * (parts.index == one), axis=0), fill_value=0.0)

    return leaking


def test_mutation_a_number_from_one_exact_count_is_seen(
    synthetic_inputs, other_inputs, small_config, truth, tmp_path, monkeypatch
):
    """One exact count of one subdistrict, in two scores, in the demand for water and in no printed count, is told."""
    counts, others = truth["2024-02-29"].counts(), lists_of(other_inputs)["2024-02-29"].counts()
    changed = (counts != others) & (counts > 50)
    told_apart = changed.idxmax()  # per count, a subdistrict in which the two truths differ
    assert changed.any().all()
    counted: list[pd.DataFrame] = []
    monkeypatch.setattr(flows.displacement, "count_by_unit", exact_counts(counted))
    for score, name, factor in (("exposure", "households", PEOPLE_PER_HOUSEHOLD), ("displaced_shares", "critical", 1)):
        leaking = from_exact(getattr(flows.score_risk, score), counted, name, factor, told_apart[name])
        monkeypatch.setattr(flows.score_risk, score, leaking)
    leaking = camps_from_exact(flows.balance_water.by_shelter, counted)
    monkeypatch.setattr(flows.balance_water, "by_shelter", leaking)
    for name, leak in (("reason_rows", reasons_from_exact), ("split_by_running_totals", flows_from_exact)):
        monkeypatch.setattr(
            flows.displacement, name, leak(getattr(flows.displacement, name), counted, told_apart["households"])
        )
    one, other = (
        run_and_listen(small_config, data, MONTHS[1], tmp_path / data.parent.name)[0]
        for data in (synthetic_inputs, other_inputs)
    )
    told = {"cube.nc", "tables/indicators.parquet", "tables/water_balance.csv"}
    told |= {"tables/displacement_by_reason.csv", "tables/displacement_flows.csv"}
    assert told <= set(differing(one, other))
    with xr.open_dataset(one / "cube.nc") as a, xr.open_dataset(other / "cube.nc") as b:
        assert [n for n in COUNTS.values() if not a[n].identical(b[n])] == []
        assert [n for n in ("exposure", "vulnerability", "hazard") if a[n].identical(b[n])] == ["hazard"]


@pytest.fixture(scope="module")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's country file with few hazards and no indicator, for runs that only have to differ."""
    import flows

    text = (Path(flows.__file__).parent / "config" / "demo.toml").read_text("utf-8")
    # A source goes with all that reads it; what lacks water is scored from the demand, which one test makes leak.
    sources = r"sources\.(daily_rain|vegetation)"
    for block in (sources, r"hazards\.(heavy_rain|vegetation|water_supply)", r"indicators\.\w+"):
        text = re.sub(rf"(?ms)^\[{block}\].*?(?=^\[|\Z)", "", text)
    text += '\n[hazards.heavy_rain]\nmethod = "none"\n'
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(text, "utf-8")
    return str(path)


# ------------------------------------------------------------------ everything that is said of a count


def cells_of_table(rows: pd.DataFrame):
    """(month, p-code, count, value, status) of a table with one row per subdistrict."""
    for name, column in COUNTS.items():
        for pcode, month, value, status in zip(
            rows["pcode"], rows["as_of"], rows[column], rows[f"{column}_status"], strict=True
        ):
            yield month, pcode, name, float(value) if value not in ("", None) else np.nan, status


def cells_of_csv(folder: Path, name: str = "subdistricts.csv"):
    rows = pd.read_csv(folder / "tables" / name, dtype=str, keep_default_na=False)
    yield from cells_of_table(rows[~rows["pcode"].str.startswith("#")])


def cells_of_hxl(folder: Path):
    yield from cells_of_csv(folder, "subdistricts_hxl.csv")


def cells_of_xlsx(folder: Path):
    sheet = openpyxl.load_workbook(folder / "tables" / "subdistricts.xlsx", read_only=True)["scores"]
    _, head, *body = sheet.iter_rows(values_only=True)
    yield from cells_of_table(pd.DataFrame(body, columns=head).astype(object).where(lambda t: t.notna(), None))


def cells_of_gpkg(folder: Path):
    rows = pyogrio.read_dataframe(folder / "tables" / "subdistricts.gpkg", read_geometry=False)
    yield from cells_of_table(rows.astype(object).where(rows.notna(), None))


def cells_of_parquet(folder: Path):
    rows = pq.read_table(folder / "tables" / "subdistricts.parquet").to_pandas().drop(columns="geometry")
    rows = rows if "pcode" in rows else rows.reset_index()
    yield from cells_of_table(rows.astype(object).where(rows.notna(), None))


def cells_of_indicators(folder: Path):
    rows = pq.read_table(folder / "tables" / "indicators.parquet").to_pandas()
    names = {column: name for name, column in COUNTS.items()}
    rows = rows[rows["indicator"].isin(names)]
    for pcode, month, indicator, value, status in rows[["pcode", "time", "indicator", "value", "status"]].to_numpy():
        yield month, pcode, names[indicator], float(value), status


def cells_of_cube(folder: Path):
    with xr.open_dataset(folder / "cube.nc") as cube:
        for name, column in COUNTS.items():
            flags = cube[f"{column}_status"]
            words = dict(
                zip(np.atleast_1d(flags.attrs["flag_values"]), flags.attrs["flag_meanings"].split(), strict=True)
            )
            table = xr.Dataset({"value": cube[column], "flag": flags}).to_dataframe()[["value", "flag"]]
            table = table[table["flag"].map(words).isin([*KEPT, "suppressed"])].reset_index()
            for time, pcode, value, flag in table[["time", "pcode", "value", "flag"]].to_numpy():
                yield pd.Timestamp(time).strftime("%Y-%m"), pcode, name, value, words[flag]


def payload_of(folder: Path) -> dict:
    page = (folder / "site" / "index.html").read_text("utf-8")
    return json.loads(re.search(r'<script[^>]*id="?wadi-data"?[^>]*>(.*?)</script>', page, re.DOTALL).group(1))


def cells_of_site(folder: Path):
    data = payload_of(folder)
    units = data["units"]
    layer = next(spec for spec in data["layers"] if spec["kind"] == "circles")
    for values, flags in ((units["households"], units["householdsStatus"]), (layer["value"], layer["status"])):
        for pcode, value, flag in zip(units["pcode"], values, flags, strict=True):
            yield data["asOf"], pcode, "households", np.nan if value is None else value, data["statuses"][flag]


READERS = (
    cells_of_csv, cells_of_hxl, cells_of_xlsx, cells_of_gpkg, cells_of_parquet, cells_of_indicators, cells_of_cube,
    cells_of_site,
)  # fmt: skip


def round_of(month: str) -> str | None:
    """The round that a month's counts come from: the last one before its end."""
    return max((day for day in ROUNDS if day[:7] <= month), default=None)


@pytest.fixture(scope="module")
def claims(told) -> dict[tuple[str, str, str], dict[float | None, set[str]]]:
    """Per (round, p-code, count) all that any product of any run says, and which products say it; None is "few"."""
    said: dict = defaultdict(lambda: defaultdict(set))
    for folder, _ in told.values():
        for reader in READERS:
            for month, pcode, name, value, status in reader(folder):
                if status in KEPT or status == "suppressed":
                    claim = None if status == "suppressed" else float(value)
                    said[round_of(month), pcode, name][claim].add(reader.__name__)
    return said


def test_all_products_of_all_runs_say_the_same_of_a_cell(claims):
    """Eight kinds of product, two runs, every month of the cube: one claim for each round, subdistrict and count."""
    assert {k: dict(v) for k, v in claims.items() if len(v) != 1} == {}
    assert {day for day, _, _ in claims} == set(ROUNDS)
    for day in ("2023-09-30", "2024-02-29"):  # rounds that a run's tables show
        of_households = [v for (r, _, name), v in claims.items() if (r, name) == (day, "households")]
        assert len(of_households) == 60
        assert all(set.union(*v.values()) == {r.__name__ for r in READERS} for v in of_households)
    assert len(claims) == 3 * 60 * len(COUNTS)


def test_the_claims_are_true(claims, truth):
    """Each true count lies in the class that is told of it, and few means 1 to 4."""
    for day, one in truth.items():
        counts = one.counts()
        for (_, pcode, name), said in ((k, v) for k, v in claims.items() if k[0] == day):
            low, high = interval(next(iter(said)))
            assert low <= (counts.at[pcode, name] if pcode in counts.index else 0) <= high


def test_what_is_derived_gives_back_the_protected_count_and_no_other(told, claims):
    """People, displaced people and shares of the cube, turned round, hold the printed count or its stand-in."""
    for folder, _ in told.values():
        with xr.open_dataset(folder / "cube.nc") as cube:
            recent = cube.sel(time=slice("2023-04", None)).load()
        shown = {
            name: [
                [next(iter(claims[round_of(str(t)[:7]), p, name])) for p in recent["pcode"].values]
                for t in recent["time"].values
            ]
            for name in COUNTS
        }
        used = {n: np.array([[STAND_IN if v is None else v for v in row] for row in rows]) for n, rows in shown.items()}
        people = ((recent["people"] - recent["residents"]) / PEOPLE_PER_HOUSEHOLD).values
        known = np.isfinite(people)
        np.testing.assert_allclose(people[known], used["households"][known], atol=1e-6)
        displaced = recent["displaced_people"].values / PEOPLE_PER_HOUSEHOLD
        np.testing.assert_array_equal(displaced[np.isfinite(displaced)], used["households"][np.isfinite(displaced)])
        for part, share in SHARES.items():
            counted = recent[share].values * used["households"]
            known = np.isfinite(counted)
            assert known.sum() > 100
            np.testing.assert_allclose(counted[known], np.minimum(used[part], used["households"])[known], atol=1e-9)


def test_demand_for_water_counts_the_printed_households_by_shelter(told, claims):
    """Residents, and displaced people by class of shelter: of the printed count or its stand-in, in every scenario."""
    litres = load_settings("demo").water_demand.domestic
    for month, (folder, _) in told.items():
        table = pd.read_csv(folder / "tables" / "water_balance.csv")
        said = table[table["level"] == "subdistrict"].pivot(
            index="pcode", columns="scenario", values="demand_domestic_m3d"
        )
        printed = {n: pd.Series({p: next(iter(claims[round_of(month), p, n])) for p in said.index}) for n in COUNTS}
        used = {n: values.astype(float).fillna(STAND_IN) for n, values in printed.items()}
        either = used["camp_or_critical"].clip(upper=used["households"])
        critical = used["critical"].clip(upper=either)
        with xr.open_dataset(folder / "cube.nc") as cube:
            residents = cube["residents"].isel(time=-1).to_series()
        assert ((either - critical) > 100).sum() >= 2
        for end in ("low", "mid", "high"):
            displaced = (
                critical * getattr(litres.critical_litres, end)
                + (either - critical) * getattr(litres.camp_litres, end)
                + (used["households"] - either) * getattr(litres.other_litres, end)
            )
            water = residents * getattr(litres.residents_litres, end) + displaced * PEOPLE_PER_HOUSEHOLD
            asked = water / 1000 / (1 - getattr(litres.losses, end))
            known = asked.notna()
            assert known.sum() > 50
            np.testing.assert_allclose(said[end][known], asked[known], atol=0.0501)


# ------------------------------------------------------------------ linear programmes


class Programme:
    """What an attacker writes down of one round: cells in their classes, parts below wholes, exact sums."""

    def __init__(self, claims, day: str):
        self.cells = sorted((p, n) for r, p, n in claims if r == day)
        at = {cell: k for k, cell in enumerate(self.cells)}
        self.bounds = [interval(next(iter(claims[day, *cell]))) for cell in self.cells]
        nested = [(at[p, n], at[p, whole]) for p, n in self.cells for whole in AMONG.get(n, ())]
        self.at_most = np.zeros((len(nested), len(self.cells)))
        for k, (part, whole) in enumerate(nested):
            self.at_most[k, [part, whole]] = 1, -1
        self.sums: list[tuple[np.ndarray, float, float]] = []

    def add_sum(self, pcodes, low: float, high: float) -> None:
        """The households of some subdistricts lie between two numbers."""
        row = np.array([float(n == "households" and p in pcodes) for p, n in self.cells])
        self.sums.append((row, low, high))

    def add_running_totals(self, totals: pd.DataFrame) -> None:
        """Classes of the running totals of every split: more than these no table of parts can tell."""
        households = {p: k for k, (p, n) in enumerate(self.cells) if n == "households"}
        rows, width = [], len(self.cells) + sum(totals[s].shape[1] - 1 for s in totals.columns.unique(0)) * len(totals)
        self.at_most = np.hstack([self.at_most, np.zeros((len(self.at_most), width - len(self.cells)))])
        for split in totals.columns.unique(0):
            for pcode, running in totals[split].iterrows():
                chain = []
                for n, total in enumerate(running.to_numpy()[:-1]):
                    chain.append(len(self.cells))
                    self.cells.append((pcode, f"{split} {n}"))
                    self.bounds.append(class_of(total))
                for part, whole in pairwise([*chain, households[pcode]]):
                    rows.append(np.zeros(width))
                    rows[-1][[part, whole]] = 1, -1
        self.at_most = np.vstack([self.at_most, *rows])
        self.sums = [(np.pad(row, (0, width - len(row))), low, high) for row, low, high in self.sums]

    def narrowed(self, names=tuple(COUNTS)) -> dict[tuple[str, str], tuple[int, int]]:
        """Cells that are known better than their class."""
        sums = [row * sign for row, _, _ in self.sums for sign in (1, -1)]
        limits = [limit for _, low, high in self.sums for limit in (high, -low)]
        matrix = csr_array(np.vstack([self.at_most, *sums]))
        right = np.concatenate([np.zeros(len(self.at_most)), limits])
        found = {}
        for k, cell in enumerate(self.cells):
            if cell[1] not in names or self.bounds[k][0] == self.bounds[k][1]:
                continue
            goal, ends = np.zeros(len(self.cells)), []
            for sign in (1, -1):
                goal[k] = sign
                answer = linprog(goal, A_ub=matrix, b_ub=right, bounds=self.bounds, method="highs")
                assert answer.success, answer.message
                ends.append(round(sign * answer.fun))
            if tuple(ends) != self.bounds[k]:
                found[cell] = tuple(ends)
        return found


def account_of(told, day: str) -> dict:
    """The account of households of a round, which all runs that know it tell alike in checks and receipts."""
    texts = [
        (folder / name).read_text("utf-8") for folder, _ in told.values() for name in ("checks.json", "manifest.json")
    ]
    accounts = [held[day] for held in (json.loads(text)["households"] for text in texts) if day in held]
    assert accounts
    assert all(a == accounts[0] for a in accounts)
    return accounts[0]


@pytest.mark.parametrize("day", list(ROUNDS))
def test_every_cell_keeps_its_whole_class_under_linear_programming(claims, told, truth, day):
    """With the exact sum of the country, for an attacker who has been to the locations that lie outside."""
    account, exact = account_of(told, day), truth[day].counts()["households"]
    programme = Programme(claims, day)
    printed = sum(v for (r, _, n), said in claims.items() if (r, n) == (day, "households") for v in said if v)
    assert account["households_in_tables"] == printed
    parts = [account[f"households_{k}"] for k in ("inside", "outside", "dropped")]
    assert account["households_total"] == sum(part or 0 for part in parts)
    # One location lies outside: its households are hidden, which is not nobody.
    assert (account["locations_outside"], account["households_outside"]) == (1, None)
    assert account["households_total"] == truth[day].rows["Families"].sum()
    programme.add_sum({p for p, _ in programme.cells}, exact.sum(), exact.sum())
    programme.add_running_totals(truth[day].running_totals())
    assert programme.narrowed() == {}


def test_an_unsafe_total_is_withheld_with_all_that_would_give_it_away():
    """72 and 1 households: an exact 73 would leave 69 to 72 of the 70 that is printed."""
    sites = gpd.GeoDataFrame(
        {"site_id": ["1", "2"], "households": [72.0, 1.0], "pcode": ["A", "B"]},
        geometry=gpd.points_from_xy([0, 1], [0, 1]),
    )
    protected = protect(pd.DataFrame({"households": [72, 1]}, index=["A", "B"]))
    account = flows.displacement.publishable_account(sites, protected)
    assert account.pop("households").startswith("withheld")
    assert account == {"locations_total": 2, "locations_inside": 2, "locations_outside": 0, "locations_dropped": 0}


def test_mutation_exact_totals_of_districts_narrow_cells(claims, truth):
    """The programme bites: with exact sums of districts some cell is known better than its class."""
    day = "2024-02-29"
    exact = truth[day].counts()["households"]
    programme = Programme(claims, day)
    for district in sorted({p[:8] for p in exact.index}):
        inside = exact[exact.index.str.startswith(district)]
        programme.add_sum({p for p, _ in programme.cells if p.startswith(district)}, inside.sum(), inside.sum())
    assert len(programme.narrowed(("households",))) > 10


def test_a_round_that_was_shown_is_refused_on_other_boundaries(told, country):
    """Two cuttings of one round are two equations for one unknown."""
    path = country / "boundaries" / "synthetic_adm3.gpkg"
    shapes = gpd.read_file(path)
    shapes.loc[[0, 1], "ADM3_PCODE"] = shapes.loc[[1, 0], "ADM3_PCODE"].to_numpy()
    shapes.to_file(path)
    out = told[MONTHS[0]][0].parents[2]
    with pytest.raises(InputError, match="other boundaries and places than in the kept run"):
        run_country.fn("demo", data=str(country), as_of=MONTHS[1], issued=ISSUED, out=str(out))


# ------------------------------------------------------------------ search


def texts_of(folder: Path) -> dict[str, str]:
    """Every product as text: a workbook unpacked, binaries as Latin-1."""
    return {p.relative_to(folder).as_posix(): bytes_of(p).decode("latin-1") for p in products(folder)}


def test_no_location_stands_in_any_product_beside_a_count(told, truth):
    """Locations are named only where one lies outside every subdistrict, in a finding that has no household in it."""
    sites = pd.concat([one.rows for one in truth.values()])
    strays = {one.rows.loc[one.unit.isna(), "Location ID"].iloc[0] for one in truth.values()}
    ids = re.compile(r"(?<![\d.])(" + "|".join(sorted(set(sites["Location ID"]))) + r")(?![\d.])")
    for folder, _ in told.values():
        for name, text in texts_of(folder).items():
            found = set(ids.findall(text)) if not name.endswith((".nc", ".tif", ".parquet", ".gpkg")) else set()
            # Names that wait for a decision are told by id and name, in a file that holds no count.
            assert found <= (strays if name in ("checks.json", "review/displacement_names.csv") else set()), name
        checks = json.loads((folder / "checks.json").read_text("utf-8"))
        naming = [f for f in checks["findings"] if any(s in f["found"] for s in strays)]
        assert naming
        assert not any("household" in json.dumps(f["found"]) for f in naming)


def test_nothing_is_told_of_the_households_of_locations_that_are_named(told, truth):
    """A group of one location is a location: its households, exact or rounded, are in no account."""
    for day, one in truth.items():
        outside = int(one.rows.loc[one.unit.isna(), "Families"].sum())
        told_of = {v for v in account_of(told, day).values() if isinstance(v, int)}
        inside = int(one.rows["Families"].sum()) - outside
        assert not told_of & {outside, inside, *(range(class_of(outside)[0], class_of(outside)[1] + 1))}


def test_no_point_of_a_location_stands_in_any_product(told, truth):
    """Neither as text nor as a pair of float64, in either order of axes and of bytes."""
    points = pd.concat([one.rows[["Latitude", "Longitude"]] for one in truth.values()]).drop_duplicates()
    for folder, _ in told.values():
        for path in products(folder):
            content = bytes_of(path)
            for lat, lon in points.itertuples(index=False):
                for order in "<>":
                    assert struct.pack(f"{order}dd", lon, lat) not in content, path.name
                    assert struct.pack(f"{order}dd", lat, lon) not in content, path.name
                assert not (f"{lat:.4f}".encode() in content and f"{lon:.4f}".encode() in content), path.name


def test_exact_locations_are_in_restricted_alone(told, truth):
    """The search does find what it looks for where it may be."""
    folder, _ = told[MONTHS[0]]
    exact = pd.read_csv(folder / "restricted" / "locations_2023-09-30.csv", dtype={"site_id": str})
    listed = truth["2023-09-30"].rows
    assert exact.set_index("site_id")["households"].sort_index().tolist() == (
        listed.set_index("Location ID")["Families"].sort_index().tolist()
    )
    assert not (told[MONTHS[1]][0] / "restricted").exists()


def test_messages_name_no_location(told, truth):
    """A log is read by more people than a table."""
    ids = {i for one in truth.values() for i in one.rows["Location ID"]}
    for _, said in told.values():
        assert not [i for i in ids if re.search(rf"\b{i}\b", said)]
