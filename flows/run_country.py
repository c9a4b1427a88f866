"""The whole pipeline for one country, stage by stage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import flow, runtime

from geodata.schema import Finding, InputError

from .balance_water import balance_water
from .changes import own_earlier, tell_change
from .compute_hazards import compute_hazards
from .issue_warnings import issue_warnings
from .plan import Plan, plan_run, with_inputs
from .policy import quiet_input_errors, show_progress, step
from .publish_products import leave_artifacts, publish_products
from .read_sources import read_sources
from .score_risk import score_risk
from .summary import read_summary
from .workspace import finished, point_latest, swap_in, timed, unfinished

log = logging.getLogger("wadi")

STAGES = (read_sources, balance_water, compute_hazards, score_risk, issue_warnings, publish_products)
"""In their order; each takes the folder of the unfinished run."""

ANSWER_WITHIN_S = 10


def name_of_run() -> str:
    """Country and as-of month; without a month, the day that decides which is the last complete one."""
    given = runtime.flow_run.parameters
    return f"{Path(given['config']).stem}-{given.get('as_of') or given.get('issued') or start_date()}"


@flow(name="run-country", flow_run_name=name_of_run)
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
    show_progress()
    plan = plan_run(config, data, as_of, issued or start_date(), exercise=exercise, restricted=restricted)
    plan = with_inputs(plan)
    folder = finished(plan, out)
    if folder is None:
        with dask_scheduler(dask), unfinished(plan, out) as work:
            for stage in STAGES:
                with timed(work, stage.name):
                    step(stage)(str(work))
            folder = swap_in(work, plan, out)
    else:
        log.info("An identical run is there already: %s", folder)
    tell_change(folder, own_earlier(folder))
    if may_go_live(plan, strict, folder):
        point_latest(folder)
    leave_artifacts(folder)
    return str(folder)


def may_go_live(plan: Plan, strict: bool, folder: Path) -> bool:
    """A drill, a staged country, and a strict run with gaps leave `latest` as it was."""
    if plan.exercise or plan.settings.country.publish != "auto":
        return False
    return not (strict and read_summary(folder).gaps)


def start_date() -> str:
    """Day a scheduled run was due; the day it began where nobody scheduled it."""
    return runtime.flow_run.scheduled_start_time.date().isoformat()


@contextmanager
def dask_scheduler(url: str | None) -> Iterator[None]:
    """Send Dask's work to a scheduler for the time of a run.

    Raises
    ------
    InputError : nothing answers at the URL
    """
    if url is None:
        yield
        return
    from distributed import Client
    from distributed.utils import LoopRunner

    try:
        kind = LoopRunner().run_sync(kind_of_server, url)
    except OSError:
        kind = f"no answer within {ANSWER_WITHIN_S} s"
    except ValueError:
        kind = "no address"
    if kind != "Scheduler":
        raise InputError(Finding("error", "arguments", "command line", "--dask", f"{url}: {kind}", "a Dask scheduler"))
    with Client(url, timeout=ANSWER_WITHIN_S):
        yield


async def kind_of_server(url: str) -> str:
    """What answers at a URL, asked before a Client is made: one that fails goes on waiting after its error."""
    from distributed import rpc

    async with rpc(url, timeout=ANSWER_WITHIN_S) as server:
        return str((await asyncio.wait_for(server.identity(), ANSWER_WITHIN_S))["type"])
