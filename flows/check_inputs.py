"""Read everything, report everything, compute no score."""

from __future__ import annotations

from prefect import flow

from geodata.schema import Finding

from .plan import plan_run
from .policy import quiet_input_errors
from .reading import read_country


@flow(name="check-inputs")
def check_inputs(config: str, data: str | None, as_of: str | None, issued: str) -> list[Finding]:
    """Every finding about every input of a country, errors first.

    Raises
    ------
    InputError : the country file itself is wrong, or there is no data folder
    """
    quiet_input_errors()
    order = ("error", "warning", "repair", "note")
    return sorted(read_country(plan_run(config, data, as_of, issued)).findings, key=lambda f: order.index(f.severity))
