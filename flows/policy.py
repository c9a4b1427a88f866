"""How tasks run: retries for what may pass, none for what is wrong; and quiet words for a user's mistake."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

from geodata.schema import Findings, InputError

DEFAULTS = {
    # Prefect's own limit of 20 s is shorter than a cold start on a small machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "wadi",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def prepare_prefect() -> None:
    """Set what Prefect reads at import, where the user has not set it; call before importing Prefect."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Prefect prints what reaches the root logger: each line of progress would stand there twice.
    logging.getLogger("wadi").propagate = False


REPORTERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")
"""Loggers on which Prefect reports a failed run."""


class OneLine(logging.Filter):
    """A user's mistake is one line in the log, not a traceback; a fault of ours keeps its own.

    The line is dropped where only warnings are wanted: the command line ends with the findings.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the traceback off records about an InputError; let the others pass as they are."""
        error = record.exc_info[1] if record.exc_info else None
        if not (isinstance(error, InputError) or f"{InputError.__name__}: " in str(record.msg)):
            return True
        record.exc_info = None
        return logging.getLogger("prefect").isEnabledFor(logging.INFO)


def quiet_input_errors() -> None:
    """Attach `OneLine` to the loggers that Prefect reports failed runs on; call inside a flow."""
    for name in REPORTERS:
        logger = logging.getLogger(name)
        if not any(isinstance(f, OneLine) for f in logger.filters):
            logger.addFilter(OneLine())


def show_progress() -> None:
    """Let a worker's log say how far a run is, where nobody has chosen a level; call inside a flow."""
    progress = logging.getLogger("wadi")
    if inside_a_run() and progress.level == logging.NOTSET:
        progress.setLevel(logging.INFO)


def worth_another_try(task: Any, task_run: Any, state: Any) -> bool:
    """A network drive may come back; a wrong input stays wrong."""
    # A record holds the error where results are stored; `state.result()` would be a coroutine beside a running loop.
    return isinstance(getattr(state.data, "result", state.data), OSError)


Step = Callable[..., Any]


def reading(name: str) -> Callable[[Callable[..., Any]], Step]:
    """Make a library function a task that reads files: three tries; nothing is cached between runs."""
    wrap = _as_task(name, retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=worth_another_try)
    return lambda function: wrap(from_a_fresh_log(function))


def from_a_fresh_log(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a log of its own for each try: what a try found that is made again is found again."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Findings)]
        own = {id(log): Findings(log.source) for log in given}
        try:
            return function(*(own.get(id(a), a) for a in args), **{k: own.get(id(v), v) for k, v in kwargs.items()})
        except OSError:
            own.clear()
            raise
        finally:
            for log in given if own else ():
                log.take(own[id(log)])

    return call


def computing(name: str) -> Callable[[Callable[..., Any]], Step]:
    """Make a library function a task that computes: the same inputs fail the same way, so one try."""
    return _as_task(name)


def _as_task(name: str, **policy: Any) -> Callable[[Callable[..., Any]], Step]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    def wrap(function: Callable[..., Any]) -> Step:
        return step(task(name=name, cache_policy=NO_CACHE, **policy)(function))

    return wrap


def inside_a_run() -> bool:
    """True inside a Prefect flow run; False in plain Python, where no server is wanted."""
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def step(work: Any) -> Step:
    """The task or flow itself inside a run, its plain function outside one.

    So `.fn` of each flow runs the same code without any server.
    """

    @functools.wraps(work.fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        return work(*args, **kwargs) if inside_a_run() else work.fn(*args, **kwargs)

    return call
