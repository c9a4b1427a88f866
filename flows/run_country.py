"""The whole pipeline for one country, stage by stage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow

from .compute_hazards import compute_hazards
from .issue_warnings import issue_warnings
from .plan import plan_run, with_inputs
from .policy import quiet_input_errors, step
from .publish_products import leave_artifacts, publish_products
from .read_sources import read_sources
from .score_risk import score_risk
from .workspace import finished, point_latest, swap_in, unfinished

log = logging.getLogger("wadi")


@flow(name="run-country", flow_run_name="{config}-{as_of}")
def run_country(
    config: str,
    data: str | None = None,
    as_of: str | None = None,
    issued: str = "",
    out: str = "out",
    dask: str | None = None,
    exercise: bool = False,
    strict: bool = False,
    restricted: bool = False,
) -> str:
    """Read, compute, score, warn and publish; an identical run is reused, not rewritten.

    Parameters
    ----------
    config : str, a bundled country or the path of a country file
    data : str, folder of the inputs
    as_of : str, "YYYY-MM"; default that of the country file
    issued : str, "YYYY-MM-DD"; a scheduled run gets the date of its start
    out : str, folder of the results
    dask : str, URL of a Dask scheduler; default threads of this process
    exercise, strict, restricted : bool, see `wadi run --help`

    Returns
    -------
    str, folder of the finished run

    Raises
    ------
    InputError : an input is wrong; nothing was published
    """
    quiet_input_errors()
    plan = plan_run(config, data, as_of, issued or start_date(), exercise=exercise, restricted=restricted)
    plan = with_inputs(plan)
    folder = finished(plan, out)
    if folder is None:
        with dask_scheduler(dask), unfinished(plan, out) as work:
            for stage in (read_sources, compute_hazards, score_risk, issue_warnings):
                step(stage)(str(work))
            gaps = step(publish_products)(str(work), out)
            folder = swap_in(work, plan, out)
    else:
        log.info("An identical run is there already: %s", folder)
        gaps = []
    if may_go_live(plan, strict, folder):
        point_latest(folder)
    leave_artifacts(folder)
    return str(folder)
