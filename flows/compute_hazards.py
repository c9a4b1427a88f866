"""From sources by subdistrict to indices and hazard scores on the monthly axis."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import xarray as xr
from prefect import flow

from geodata.options import SourceOptions
from geodata.schema import Finding, check_cube
from geodata.store import write_cube
from models.hazards import HAZARDS, HazardOptions, Learnt
from models.scoring import combine_hazards

from .doubt import without_doubtful_years
from .hazard_inputs import inputs_by_subdistrict
from .learning import learn, save_learnt
from .months import FLOWING, axis_of, known_or_calibrating, months_since_observed, on_months, on_one_axis, years_of
from .plan import Plan
from .policy import computing
from .workspace import load_plan, stage

log = logging.getLogger("wadi")


@flow(name="compute-hazards")
def compute_hazards(work: str) -> None:
    """Indices and scores of every hazard that has a source, all hazards together, and the indicators beside them."""
    plan = load_plan(work)
    hazards, indicators = plan.settings.assessed_hazards, plan.settings.indicators
    parts = [assess(plan, name, work) for name in hazards]
    beside = [indicate(plan, name, work) for name in indicators]
    told = dict(zip([*hazards, *indicators], [*parts, *beside], strict=True))
    findings = [finding for name, part in told.items() for finding in found_on_the_way(plan, name, part)]
    (stage(work) / "hazards.json").write_text(json.dumps([asdict(f) for f in findings]), "utf-8")
    cube = together(apart(told), tuple(plan.settings.hazards))
    check_cube(cube)
    write_cube(cube, stage(work) / "hazards.nc", packed=False)
    log.info("Hazards assessed: %s", ", ".join(hazards))


@computing("assess-hazard")
def assess(plan: Plan, name: str, work: str) -> xr.Dataset:
    """Indices and score of one hazard on the months of the run."""
    block = plan.settings.assessed_hazards[name]
    inputs = inputs_by_subdistrict(name, block, plan, work)
    learnt = learn(name, block, plan, work, "subdistricts", lambda: inputs)
    save_learnt(name, learnt, work)
    return labelled(hazard_on_months(name, inputs, block, axis_of(block, plan), plan, learnt), name, block)


@computing("compute-indicator")
def indicate(plan: Plan, name: str, work: str) -> xr.Dataset:
    """Indices of one indicator on the months of the run; it is published and not scored."""
    block, source = dated(plan.settings.indicators[name], axis_of(plan.settings.indicators[name], plan))
    inputs, method = inputs_by_subdistrict(name, block, plan, work), HAZARDS[block.method]
    learnt = learn(name, block, plan, work, "subdistricts", lambda: inputs)
    save_learnt(name, learnt, work)
    own = method.indices(inputs, block, years_of(block, plan), learnt)
    indices = on_months(own, source, plan)
    if method.score is None:
        told = method.named(name, indices)
    else:
        told = method.scores(name, indices, block).drop_vars([f"hazard_{name}", f"hazard_{name}_status"])
    return labelled(without_doubtful_years(told.assign_attrs(own.attrs), own, method.scored, source), name, block)


def labelled(indices: xr.Dataset, name: str, block: HazardOptions) -> xr.Dataset:
    """Indices and scores that say which block they are of, and in whose name they stand in the cube."""
    label = block.label.get("en", next(iter(block.label.values()), ""))
    for variable in [v for v in indices.data_vars if "long_name" in indices[v].attrs]:
        said = {"comment": label} if label else {}
        indices[variable] = indices[variable].assign_attrs(block=name, **said)
    return indices


def apart(parts: Mapping[str, xr.Dataset]) -> list[xr.Dataset]:
    """Indices of all blocks, no two of one name: of two blocks of SPI the second has ``<block>_spi_3``."""
    taken: set[str] = set()
    out = []
    for name, part in parts.items():
        free = part.rename({v: f"{name}_{v}" for v in map(str, part.data_vars) if v in taken})
        taken |= set(map(str, free.data_vars))
        out.append(free)
    return out


@computing("combine-hazards")
def together(parts: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """All of them on one axis, from the first month that any source has, and the hazards combined."""
    cube = on_one_axis(parts)
    return cube.merge(combine_hazards(cube, names), join="exact")


def hazard_on_months(
    name: str,
    inputs: xr.Dataset,
    options: HazardOptions,
    source: SourceOptions,
    plan: Plan,
    learnt: Learnt | None = None,
) -> xr.Dataset:
    """Index on the axis of the inputs, then on the months of the run, then the score.

    A state, such as the water seen in a year, is first ranked among its own years and then
    carried. A flow, such as a month's rain, stays in its month; the method bridges later
    months by its own rule. Years after the as-of month may calibrate, and never speak; what comes
    after both is not looked at.
    """
    method, calibration = HAZARDS[options.method], years_of(options, plan)
    options, source = dated(options, source)
    indices = method.indices(known_or_calibrating(inputs, source, calibration, plan), options, calibration, learnt)
    hazard = method.scores(name, on_months(indices, source, plan), options).assign_attrs(indices.attrs)
    hazard = without_doubtful_years(hazard, indices, method.scored, source)
    if source.cadence in FLOWING:
        return hazard
    age = months_since_observed(indices, method.scored, source, plan)
    whole = age.where(hazard[f"hazard_{name}"].notnull()).assign_attrs(hazard[f"{name}_age_months"].attrs)
    return hazard.assign({f"{name}_age_months": whole})


def dated(options: HazardOptions, source: SourceOptions) -> tuple[HazardOptions, SourceOptions]:
    """A block and its source, both with the age beyond which a value is stale: the block's own, else the source's."""
    oldest = {"max_age_days": source.max_age_days if options.max_age_days is None else options.max_age_days}
    return options.model_copy(update=oldest), source.model_copy(update=oldest)


def found_on_the_way(plan: Plan, name: str, hazard: xr.Dataset) -> list[Finding]:
    """What a method noticed in its source: years in which almost all water is gone at once."""
    years = hazard.attrs.get("years_found", "")
    source = plan.settings.blocks[name].source
    if not years:
        return []
    return [
        Finding(
            "warning",
            f"sources.{source}",
            plan.settings.sources[source].path,
            "years",
            f"{years}: most units that usually hold water read almost none",
            "images of every year",
            "not told, for want of images or of water; add those without images to years_without_imagery",
        )
    ]
