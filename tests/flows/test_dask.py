"""Dask changes where a run computes, and nothing of what it says."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from flows.run_country import dask_scheduler, run_country
from geodata.schema import InputError
from geodata.store import read_cube

from .conftest import ISSUED

SAME_BYTES = ("tables/subdistricts.csv", "tables/subdistricts_hxl.csv", "site/index.html")


@pytest.fixture
def run_in(synthetic_inputs: Path, tmp_path: Path) -> Callable[..., Path]:
    """A run of the synthetic country in a folder of results of its own, so that none is reused."""

    def run(**options) -> Path:
        folder = run_country.fn("demo", data=str(synthetic_inputs), issued=ISSUED, out=str(tmp_path / "out"), **options)
        return Path(folder)

    return run


def assert_same(first: Path, second: Path) -> None:
    """One run id, one text of tables and page, one cube to 1e-9."""
    assert first != second
    assert first.name == second.name
    for name in SAME_BYTES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    expected, found = read_cube(first / "cube.nc"), read_cube(second / "cube.nc")
    assert set(expected.variables) == set(found.variables)
    for name, values in expected.variables.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name].values, values.values, rtol=0, atol=1e-9, err_msg=str(name))
        else:
            np.testing.assert_array_equal(found[name].values, values.values, err_msg=str(name))


@pytest.mark.parametrize(
    "where",
    [
        {"scheduler": "synchronous"},
        {"scheduler": "threads", "num_workers": 1},
        {"scheduler": "threads", "num_workers": 4},
    ],
    ids=lambda where: "-".join(map(str, where.values())),
)
@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(where, demo_run, run_in):
    """In the main thread, in one other, in four: the same words and numbers as by default."""
    with dask.config.set(where):
        assert_same(demo_run, run_in())


# ------------------------------------------------------------------ worker processes


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A scheduler with two worker processes on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with LocalCluster(**options, dashboard_address=None) as running:
        yield running


@pytest.mark.slow
def test_worker_processes_change_nothing(cluster, demo_run, run_in):
    """Two processes do the work, and say the same."""
    with Client(cluster.scheduler_address) as client:
        assert len(set(client.run(os.getpid).values()) - {os.getpid()}) == 2
    assert not cluster.scheduler.task_prefixes
    assert_same(demo_run, run_in(dask=cluster.scheduler_address))
    assert cluster.scheduler.task_prefixes


# ------------------------------------------------------------------ no scheduler


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://127.0.0.1:1", pytest.param("tcp://127.0.0.1:1", marks=pytest.mark.slow)]
)
def test_a_scheduler_that_does_not_answer_is_named(url, synthetic_inputs, run_in, tmp_path):
    """A typing error in --dask is the user's, and is found before anything is written."""
    with pytest.raises(InputError) as caught:
        run_in(dask=url)
    (finding,) = caught.value.findings
    assert finding.field == "--dask"
    assert finding.found.startswith(f"{url}: ")
    assert not (tmp_path / "out").exists()


def test_a_worker_is_no_scheduler(cluster):
    """The address of another Dask program is named as what it is."""
    worker = next(iter(cluster.scheduler.workers))
    with pytest.raises(InputError, match=": Worker, expected a Dask scheduler"), dask_scheduler(worker):
        pass


ASKS_IN_VAIN = """
import sys
from flows.run_country import dask_scheduler
from geodata.schema import InputError
try:
    with dask_scheduler(sys.argv[1]):
        pass
except InputError as error:
    print(error)
"""


@pytest.mark.slow
def test_no_client_is_left_waiting_for_a_scheduler_that_is_not_there():
    """The program ends with its message alone: a client that failed would go on, and end in a traceback."""
    script = (sys.executable, "-c", ASKS_IN_VAIN, "tcp://127.0.0.1:1")
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert "--dask: found tcp://127.0.0.1:1: no answer within 10 s, expected a Dask scheduler" in done.stdout
    assert done.stderr == ""


def test_the_client_is_gone_after_the_run(cluster):
    """A run leaves no default scheduler behind for the next one."""
    with dask_scheduler(cluster.scheduler_address):
        assert Client.current().scheduler.address == cluster.scheduler_address
    with pytest.raises(ValueError, match="No clients found"):
        Client.current()
