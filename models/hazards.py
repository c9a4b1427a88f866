"""What a hazard is: an option model, an index, and a score 0-10 (10 worst). One module ``hazard_<method>`` for each.

A method works in steps, because its source may be finer than a subdistrict and slower or faster
than a month: ``cells`` is what must be computed cell by cell before the mean over a
subdistrict, ``index`` computes the index on the source's own time axis, and the index named
``scored``, by then on the monthly axis, becomes the hazard. `assess_hazard` does it all for
a source that is monthly already.

Blocks under ``[hazards]`` of a country file are scored; blocks under ``[indicators]`` use the same
methods and are published without a score.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.special import ndtr

import models
from geodata.schema import KEEPS_VALUE, Status, has_status, more_cautious, status_attrs, status_like
from models.scoring import Breakpoints, carry_forward, check_breakpoints, score_by_breakpoints

_PREFIX = "hazard_"
_SOURCE = "names a source block"

SourceName = Annotated[str, _SOURCE]
"""Type of an option that names a block under ``[sources]``."""

OptionalSourceName = Annotated[str | None, _SOURCE]

Learnt = Mapping[str, xr.Dataset]
"""What a method learnt from the calibration years, by name; each a dataset that can be saved as it is."""


# ------------------------------------------------------------------ options


class HazardOptions(BaseModel):
    """What every hazard block of a country file may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    source: SourceName
    label: dict[str, str] = Field(default_factory=dict)
    breakpoints: Breakpoints
    breakpoints_source: str
    max_age_days: int | None = None  # beyond this age a carried index is stale; None: as its source declares
    calibration_years: tuple[int, int] | None = None  # where the source's record is not the country's period

    @field_validator("breakpoints")
    @classmethod
    def _rise_or_fall(cls, value: Breakpoints) -> Breakpoints:
        check_breakpoints(value)
        return value

    @property
    def sources(self) -> dict[str, str]:
        """Option -> source block it names; the first sets the time axis."""
        fields = [name for name, info in type(self).model_fields.items() if _SOURCE in info.metadata]
        return {name: getattr(self, name) for name in fields if getattr(self, name) is not None}

    @property
    def turned(self) -> bool:
        """True if the breakpoints are read for the index with its sign turned."""
        return False

    @property
    def worse_side(self) -> Literal["low", "high"]:
        """Side on which the index is bad."""
        (_, at_low), *_, (_, at_high) = sorted(self.breakpoints)
        return "high" if (at_high > at_low) != self.turned else "low"

    @property
    def years_needed(self) -> dict[str, int]:
        """Option -> calibration years that its source must hold; all of a block's sources need as many, unless said."""
        needed = getattr(self, "min_years", 0)
        return dict.fromkeys(self.sources, needed) if needed else {}

    def for_cells(self) -> HazardOptions:
        """What of it a raster of cells needs: the scored index, and those that are mapped."""
        return self


# ------------------------------------------------------------------ methods


@dataclass(frozen=True)
class HazardMethod:
    """How one kind of hazard is computed.

    Parameters
    ----------
    options : type[HazardOptions], the block of the country file
    index : (inputs, options, calibration) -> Dataset, each index with its ``<index>_status``, on the source's axis
        With `fit`, the third argument is what was learnt.
    scored : str, name of the index that is scored
    standardised : bool
        The scored index is in standard deviations, so that its percentile is known.
    own_names : bool
        Indices keep their names in the cube; else they follow the name of the block: ``<block>_<index>``.
    cells : (rasters, options, calibration) -> Dataset on months, before the mean over a subdistrict
        With `fit_cells`, the third argument is what that learnt.
    fit_cells : (rasters, options, calibration) -> Learnt, what `cells` learns of each cell, saved and used again
    window : (options) -> (int, int), days before and after a month that `cells` needs of it, once it has learnt
        A record of these days and any longer one must say the same of the month, bit by bit.
    scored_cells : names of what `cells` gives that the scored index is made of; all, unless named
    fit : (inputs, options, calibration) -> Learnt, what is saved and used again
    months_back : (options) -> int, months up to and with the last that its index needs, once it has learnt
    score : (name, indices, options) -> Dataset on the monthly axis, where the general one does not do
    made_by : str, what makes the inputs if no source holds them: "water_balance"
    mapped : (options) -> names of the indices that are published cell by cell too
    cadences : of the source that sets the time axis; the further ones have the same
    static : options that name a source without a time axis
    """

    options: type[HazardOptions]
    index: Callable[[xr.Dataset, Any, Any], xr.Dataset]
    scored: str = "index"
    standardised: bool = False
    own_names: bool = False
    cells: Callable[[xr.Dataset, Any, Any], xr.Dataset] | None = None
    fit_cells: Callable[[xr.Dataset, Any, tuple[int, int]], Learnt] | None = None
    window: Callable[[Any], tuple[int, int]] | None = None
    scored_cells: tuple[str, ...] = ()
    fit: Callable[[xr.Dataset, Any, tuple[int, int]], Learnt] | None = None
    months_back: Callable[[Any], int] | None = None
    score: Callable[[str, xr.Dataset, Any], xr.Dataset] | None = None
    made_by: str = ""
    mapped: Callable[[Any], tuple[str, ...]] | None = None
    cadences: tuple[str, ...] = ("month",)
    static: tuple[str, ...] = ()

    @property
    def needs_days(self) -> bool:
        """True if no source by month can stand in: its extremes are those of days."""
        return self.cadences == ("day",)

    def indices(
        self, inputs: xr.Dataset, options: HazardOptions, calibration: tuple[int, int], learnt: Learnt | None = None
    ) -> xr.Dataset:
        """Indices on the axis of the inputs; with `learnt`, nothing is fitted."""
        if self.fit is None:
            return self.index(inputs, options, calibration)
        return self.index(inputs, options, self.fit(inputs, options, calibration) if learnt is None else learnt)

    def in_months(
        self, rasters: xr.Dataset, options: HazardOptions, calibration: tuple[int, int], learnt: Learnt | None = None
    ) -> xr.Dataset:
        """What `cells` makes of the rasters; with `learnt`, nothing is fitted."""
        assert self.cells is not None
        if self.fit_cells is None:
            return self.cells(rasters, options, calibration)
        return self.cells(rasters, options, self.fit_cells(rasters, options, calibration) if learnt is None else learnt)

    def scores(self, name: str, indices: xr.Dataset, options: HazardOptions) -> xr.Dataset:
        """Hazard, and the indices under their names in the cube, on the monthly axis."""
        if self.score is not None:
            return self.score(name, indices, options)
        return score_index(name, indices, options, self)

    def named(self, name: str, indices: xr.Dataset) -> xr.Dataset:
        """Indices under their names in the cube."""
        return indices if self.own_names else indices.rename({v: f"{name}_{v}" for v in map(str, indices.data_vars)})


class _Methods(Mapping[str, HazardMethod]):
    """Method -> how it is computed: every module ``models.hazard_<method>``, imported when asked for."""

    def __getitem__(self, name: str) -> HazardMethod:
        module = f"{models.__name__}.{_PREFIX}{name}"
        if module not in sys.modules and name not in list(self):
            raise KeyError(name)
        found: HazardMethod = import_module(module).METHOD
        return found

    def __iter__(self) -> Iterator[str]:
        names = (module.name for module in pkgutil.iter_modules(models.__path__))
        return (name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))

    def __len__(self) -> int:
        return sum(1 for _ in self)


HAZARDS: Mapping[str, HazardMethod] = _Methods()


def assess_hazard(name: str, inputs: xr.Dataset, options: HazardOptions, calibration: tuple[int, int]) -> xr.Dataset:
    """Indices and score of one hazard whose source is on the monthly axis.

    Parameters
    ----------
    name : str, e.g. "drought"
    inputs : Dataset (time, ...) with the variable ``options.source`` and, if known, ``<source>_status``
    options : HazardOptions, of the method it names
    calibration : (first year, last year), both included

    Returns
    -------
    Dataset (time, ...)
        ``hazard_<name>`` (0-10), ``<name>_index`` or ``<name>_percentile`` (1, share of years that are lower),
        ``<name>_age_months``, and the other indices of the method, each with ``<...>_status``.
    """
    method = HAZARDS[options.method]
    if method.cells is not None:
        inputs = method.in_months(inputs, options, calibration)
    return method.scores(name, method.indices(inputs, options, calibration), options)


def score_index(name: str, indices: xr.Dataset, options: HazardOptions, method: HazardMethod) -> xr.Dataset:
    """Score of the scored index, carried to the months after the last observed one.

    Parameters
    ----------
    name : str
    indices : Dataset (time, ...), monthly
    options, method : of the hazard

    Returns
    -------
    Dataset (time, ...), as of `assess_hazard`
    """
    carried = carry_forward(
        indices[method.scored], indices[f"{method.scored}_status"], max_age_days=options.max_age_days
    )
    value, status = carried["value"], carried["status"]
    out = {
        method.scored: value.assign_attrs(indices[method.scored].attrs),
        "age_months": carried["age_months"],
    }
    if method.standardised:
        share = xr.apply_ufunc(ndtr, value, dask="parallelized", output_dtypes=[np.float64])
        out["percentile"] = share.assign_attrs(units="1", long_name="share of years that are lower")
    new = xr.Dataset({f"{name}_{key}{end}": v for key, values in out.items() for end, v in with_flags(values, status)})
    further = [v for v in map(str, indices.data_vars) if v not in (method.scored, f"{method.scored}_status")]
    return method.named(name, indices[further]).assign(new).assign(as_hazard(name, value, status, options))


def with_flags(values: xr.DataArray, status: xr.DataArray) -> tuple[tuple[str, xr.DataArray], ...]:
    """A variable and its flags, with the endings of their names."""
    return ("", values), ("_status", status)


def as_hazard(name: str, value: xr.DataArray, status: xr.DataArray, options: HazardOptions) -> dict[str, xr.DataArray]:
    """``hazard_<name>`` from its index by the breakpoints of the block, and its status."""
    score = score_by_breakpoints(-value if options.turned else value, options.breakpoints)
    return {
        f"{_PREFIX}{name}": score.assign_attrs(units="1", long_name=f"hazard: {name} (0-10)"),
        f"{_PREFIX}{name}_status": status,
    }


# ------------------------------------------------------------------ what methods share


def kept_input(inputs: xr.Dataset, source: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Values of a source that its status keeps, and that status."""
    values = inputs[source]
    flags = inputs[f"{source}_status"] if f"{source}_status" in inputs else status_like(values, Status.input_missing)
    return values.where(has_status(flags, KEEPS_VALUE)), flags


def with_input_status(status: xr.DataArray, of_input: xr.DataArray) -> xr.DataArray:
    """Index status, unless the input says something more: its caution, or why it is absent this month."""
    absent = ~has_status(of_input, KEEPS_VALUE)
    kept = has_status(status, KEEPS_VALUE)
    merged = xr.where(kept, more_cautious(status, xr.where(absent, np.int8(Status.ok), of_input)), status)
    merged = xr.where(absent & ~kept, of_input, merged)
    return merged.astype("int8").transpose(*status.dims).assign_attrs(status_attrs())
