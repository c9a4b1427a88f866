"""A finished run, read back: its plan, its indicator sheet, the tree it was scored by, and its published cube."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr
from pydantic import ValidationError

from geodata.schema import Finding, InputError
from geodata.store import read_cube
from models.composite import Level
from models.indicators import IndicatorSheet
from models.risk import DIMENSIONS

from .indicator_sheet import EMPTY
from .plan import Plan, plan_from_json
from .risk_tree import risk_tree
from .settings import Settings
from .workspace import read_receipt


@dataclass(frozen=True)
class FinishedRun:
    """What a run published, and what it was asked.

    Parameters
    ----------
    folder : Path
    receipt : its manifest.json
    plan : Plan
    sheet : IndicatorSheet
    """

    folder: Path
    receipt: dict[str, Any]
    plan: Plan
    sheet: IndicatorSheet

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.plan.run_name

    @property
    def tree(self) -> Level:
        """The tree of means that gave its risk."""
        missing = self.receipt["run"]["dimensions_missing"]
        return risk_tree(self.plan.settings, self.sheet, [d for d in DIMENSIONS if d not in missing])

    def cube(self, *, names: Collection[str] | None = None, months: Sequence[str] | None = None) -> xr.Dataset:
        """Variables and months of its published cube, as of `read_cube`."""
        return read_cube(self.folder / "cube.nc", names=names, months=months)

    @cached_property
    def subdistricts(self) -> gpd.GeoDataFrame:
        """Its published table, with shapes."""
        path = self.folder / "tables" / "subdistricts.parquet"
        try:
            return gpd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(Finding("error", "run", str(path), "file", str(error), "a table of a run")) from None


def read_run(folder: str | Path) -> FinishedRun:
    """A finished run.

    Raises
    ------
    InputError : there is no receipt, or it is of a version whose settings or indicator sheet cannot be read any more
    """
    folder = Path(folder).resolve()
    receipt = read_receipt(folder)
    try:
        plan = plan_from_json(json.dumps(receipt["plan"]))
        return FinishedRun(folder, receipt, plan, sheet_of(receipt, plan.settings))
    except (ValidationError, InputError, KeyError, TypeError) as error:
        found = f"settings that this version cannot read ({str(error).splitlines()[0]})"
        expected = "a run of this version: make it again"
        raise InputError(Finding("error", "run", str(folder), "manifest.json", found, expected)) from None


def sheet_of(receipt: dict[str, Any], settings: Settings) -> IndicatorSheet:
    """The indicator sheet that a receipt holds; of an older one, what the country file itself says."""
    if "indicator_sheet" in receipt:
        return IndicatorSheet.model_validate(receipt["indicator_sheet"])
    if settings.indicator_sheet is None:
        return EMPTY
    return IndicatorSheet.model_validate({"indicators": settings.indicator_sheet.rows})
