"""What one run is: its question, its inputs byte by byte, and the id that follows from them."""

from __future__ import annotations

import calendar
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib import metadata, resources
from pathlib import Path

from geodata.schema import Finding, InputError
from geodata.store import sha256_of

from .indicator_sheet import SHEET
from .settings import Settings, load_settings

PACKAGES = ("flows", "geodata", "models", "maps")
CODE_SUFFIXES = (".py", ".json", ".js", ".css", ".toml")


@dataclass(frozen=True)
class InputFile:
    """One input file of a run. `path` is relative to the data folder."""

    source: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Plan:
    """All that a run depends on. The same plan has the same id and gives the same bytes.

    Parameters
    ----------
    as_of : str, "YYYY-MM", the month the run speaks about
    issued : str, "YYYY-MM-DD", the only clock a product shows
    data : str, the data folder; not part of the id
    """

    settings: Settings
    data: str
    as_of: str
    issued: str
    exercise: bool = False
    restricted: bool = False
    inputs: tuple[InputFile, ...] = ()
    code_version: str = ""

    @property
    def run_id(self) -> str:
        """Ten hexadecimal digits from inputs, settings, code, as-of month and issue date."""
        question = {
            "inputs": [(f.source, f.path, f.sha256) for f in self.inputs],
            "settings": self.settings.sha256,
            "code": self.code_version,
            "as_of": self.as_of,
            "issued": self.issued,
            "exercise": self.exercise,
            "restricted": self.restricted,
        }
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def run_name(self) -> str:
        """Name of the run's folder."""
        return f"{self.as_of}-{self.run_id}" + ("-exercise" if self.exercise else "")

    @property
    def as_of_end(self) -> date:
        """Last day of the as-of month: nothing available later is used."""
        year, month = map(int, self.as_of.split("-"))
        return date(year, month, calendar.monthrange(year, month)[1])

    def to_json(self) -> str:
        """Text that `plan_from_json` reads back."""
        return json.dumps(
            {
                "settings": self.settings.model_dump(mode="json"),
                "data": self.data,
                "as_of": self.as_of,
                "issued": self.issued,
                "exercise": self.exercise,
                "restricted": self.restricted,
                "inputs": [asdict(f) for f in self.inputs],
                "code_version": self.code_version,
            },
            ensure_ascii=False,
        )


def plan_from_json(text: str) -> Plan:
    """The plan that `Plan.to_json` wrote."""
    values = json.loads(text)
    values["settings"] = Settings.model_validate(values["settings"])
    values["inputs"] = tuple(InputFile(**f) for f in values["inputs"])
    return Plan(**values)


def plan_run(
    config: str,
    data: str | None,
    as_of: str | None,
    issued: str,
    *,
    exercise: bool = False,
    restricted: bool = False,
) -> Plan:
    """Settle what to run, before a single input is hashed.

    Raises
    ------
    InputError : the country file is wrong, a date is impossible, or the data folder is not there
    """
    settings = load_settings(config)
    day = parse_day(issued, "--issued")
    month = parse_month(as_of or settings.country.as_of or last_complete_month(day), "--as-of")
    if month > day.isoformat()[:7]:
        raise InputError(_argument("--as-of", month, f"a month that had begun when the run was issued ({day})"))
    folder = Path(data if data is not None else "data")
    if not folder.is_dir():
        raise InputError(_argument("--data", f"no folder {str(folder)!r}", "the folder that holds the inputs"))
    return Plan(settings, str(folder.resolve()), month, day.isoformat(), exercise, restricted)


def with_inputs(plan: Plan) -> Plan:
    """The plan with every input file hashed and the code named: from here on its id stands.

    Raises
    ------
    InputError : an input file cannot be read
    """
    files = [(block, path) for block, paths in input_files(plan).items() for path in paths]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing holds no lock: as many at a time as there are processors
        digests = list(pool.map(sha256_of, [path for _, path in files]))
    inputs = tuple(
        InputFile(block, path.relative_to(plan.data).as_posix(), digest, path.stat().st_size)
        for (block, path), digest in zip(files, digests, strict=True)
    )
    return replace(plan, inputs=inputs, code_version=code_version())


def input_files(plan: Plan) -> dict[str, list[Path]]:
    """Existing files of each block of the country file; readers report what is missing."""
    root = Path(plan.data)
    blocks = {"boundaries": plan.settings.boundaries.files(root)}
    for name, source in plan.settings.sources.items():
        blocks[f"sources.{name}"] = source.files(root)
        blocks[f"sources.{name}.aside"] = source.files_aside(root)
    if plan.settings.indicator_sheet is not None:
        blocks[SHEET] = plan.settings.indicator_sheet.files(root)
    return blocks


@cache
def code_version() -> str:
    """Version of Wadi and a hash of its code, words and bundled country files."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        root = Path(str(resources.files(package)))
        for path in sorted(p for p in root.rglob("*") if p.suffix in CODE_SUFFIXES):
            if path.parent.name != "config":
                digest.update(path.relative_to(root.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{metadata.version('wadi')}+{digest.hexdigest()[:12]}"


def parse_month(text: str, field: str) -> str:
    """A month "YYYY-MM".

    >>> parse_month("2019-08", "--as-of")
    '2019-08'
    """
    try:
        return date.fromisoformat(f"{text}-01").isoformat()[:7]
    except ValueError:
        raise InputError(_argument(field, repr(text), "a month that exists, as YYYY-MM")) from None


def parse_day(text: str, field: str) -> date:
    """A day "YYYY-MM-DD"; InputError if there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(_argument(field, repr(text), "a day that exists, as YYYY-MM-DD")) from None


def last_complete_month(day: date) -> str:
    """The month before the one that `day` lies in.

    >>> last_complete_month(date(2026, 1, 15))
    '2025-12'
    """
    return (day.replace(day=1) - timedelta(days=1)).isoformat()[:7]


def _argument(field: str, found: str, expected: str) -> Finding:
    return Finding("error", "arguments", "command line", field, found, expected)
