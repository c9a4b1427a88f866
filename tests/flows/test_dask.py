"""Dask changes where a run computes, and nothing of what it says."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from rasterio.transform import from_origin

from flows.run_country import dask_scheduler, run_country
from geodata.grids import grid_of
from geodata.rasters import RasterStack, read_raster_stack
from geodata.schema import Findings, InputError
from geodata.store import read_cube
from geodata.zonal import zonal_mean, zonal_weights
from models.hazard_spi import DroughtOptions
from models.hazards import assess_hazard
from models.spi import spi

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
        {"scheduler": "threads", "num_workers": 4},
    ],
    ids=lambda where: "-".join(map(str, where.values())),
)
@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(where, demo_run, run_in):
    """In the main thread alone, and in four: the same words and numbers as by default."""
    with dask.config.set(where):
        assert_same(demo_run, run_in())


# ------------------------------------------------------------------ worker processes


TWO_WORKERS = {
    "n_workers": 2,
    "threads_per_worker": 1,
    "processes": True,
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",  # any free port: clusters of other tests may run beside this one
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A scheduler with two worker processes on this machine."""
    with LocalCluster(**TWO_WORKERS) as running:
        yield running


@pytest.mark.slow
def test_worker_processes_change_nothing(cluster, demo_run, run_in):
    """Two processes do the work, and say the same."""
    with Client(cluster.scheduler_address) as client:
        assert len(set(client.run(os.getpid).values()) - {os.getpid()}) == 2
    assert not cluster.scheduler.task_prefixes
    assert_same(demo_run, run_in(dask=cluster.scheduler_address))
    assert cluster.scheduler.task_prefixes


# ------------------------------------------------------------------ a worker that dies


def write_months(folder: Path, months: int) -> RasterStack:
    """One GeoTIFF a month, 40 x 60 cells of a tenth of a degree; and the block that describes them."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(months)
    layout = {"height": 40, "width": 60, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    for month in pd.period_range("1980-01", periods=months, freq="M"):
        with rasterio.open(
            folder / f"rain_{month:%Y.%m}.tif", "w", **layout, transform=from_origin(40, 34, 0.1, 0.1)
        ) as file:
            file.write(generator.gamma(0.8, 20.0, (40, 60)).astype("float32"), 1)
    return RasterStack.model_validate(
        {
            "path": "rain_{YYYY}.{MM}.tif",
            "quantity": "precipitation",
            "units": "mm/month",
            "cadence": "month",
            "max_age_days": 92,
            "label": {"en": "Rain"},
            "licence": "none",
            "attribution": "made up",
        }
    )


@pytest.fixture(scope="module")
def rain_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], xr.DataArray]:
    """Rain of some months, a file each, as it is read in a run: lazy."""
    root = tmp_path_factory.mktemp("months")

    def read(months: int) -> xr.DataArray:
        return read_raster_stack(write_months(root / str(months), months), root / str(months), Findings("rain"))

    made = {months: read(months) for months in (48, 480)}
    return made.__getitem__


def units_of(n: int) -> gpd.GeoDataFrame:
    """Units of equal size, side by side over all cells."""
    edges = np.linspace(40, 46, n + 1)
    boxes = [shapely.box(west, 30, east, 34) for west, east in pairwise(edges)]
    return gpd.GeoDataFrame(geometry=boxes, index=pd.Index([f"U{i:03d}" for i in range(n)]), crs="EPSG:4326")


def hazards_of(rain: xr.DataArray) -> dict[str, bytes]:
    """Means of 60 units in blocks of months, and drought in strips of cells: every array as its bytes."""
    means = zonal_mean(rain, zonal_weights(grid_of(rain), units_of(60)))
    inputs = xr.Dataset({"rain": rain.chunk({"time": -1, "lat": 10})})
    options = DroughtOptions(scales_months=(3, 12), further_scales_months=())
    cells = assess_hazard("drought", inputs, options, (1980, 2009)).compute()
    return {str(name): values.values.tobytes() for part in (means, cells) for name, values in part.data_vars.items()}


class KillsWorkers(SchedulerPlugin):
    """Of each kind of task, kills the first worker that reports one done while other work is still to do.

    The scheduler calls `transition` itself and hears of nothing else until it returns: what was
    not done then was not done when the process died, and what the process held is gone.
    """

    name = "kills-workers"

    def __init__(self, cluster: LocalCluster, kinds: tuple[str, ...]) -> None:
        self.cluster, self.left = cluster, list(kinds)
        self.killed: dict[str, str] = {}  # key -> address of the worker that held it
        self.dead: set[str] = set()
        self.made_again: set[str] = set()

    def transition(self, key: Any, start: str, finish: str, *args: Any, worker: str = "", **kwargs: Any) -> None:
        """Kill, or note that what a dead worker held was made once more."""
        if (start, finish) != ("processing", "memory"):
            return
        if str(key) in self.killed:
            self.made_again.add(str(key))
        elif self.left and self.left[0] in str(key) and self.to_do() > 1:
            self.left.pop(0)
            self.killed[str(key)] = worker
            (process_id,) = (n.pid for n in self.cluster.workers.values() if n.worker_address == worker)
            os.kill(process_id, signal.SIGKILL)

    def to_do(self) -> int:
        """Tasks that are not done."""
        states = [task.state for task in self.cluster.scheduler.tasks.values()]
        return sum(state in ("waiting", "queued", "processing") for state in states)

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        """The scheduler sees one go."""
        self.dead.add(worker)


@pytest.mark.slow
def test_workers_that_die_in_the_middle_cost_no_result(rain_of):
    """One process is killed with images it had read, one with cells it had fitted: the same bytes come out."""
    rain = rain_of(480)
    with dask.config.set(scheduler="synchronous"):
        expected = hazards_of(rain)
    with LocalCluster(**TWO_WORKERS) as cluster, Client(cluster.scheduler_address):
        deaths = KillsWorkers(cluster, ("load_images", "kernel"))
        cluster.scheduler.add_plugin(deaths)
        found = hazards_of(rain)
        assert len(deaths.killed) == 2
        assert deaths.made_again == set(deaths.killed)
        assert deaths.dead >= set(deaths.killed.values())
    assert found.keys() == expected.keys()
    assert [name for name, values in expected.items() if found[name] != values] == []


# ------------------------------------------------------------------ the graph


def graphs_of(work: Callable[[], Any]) -> list[dict[Any, Any]]:
    """Every graph that Dask is asked to compute, as it would go to a scheduler."""
    graphs = []

    def seen(graph: Any, keys: Any, **options: Any) -> Any:
        graphs.append(dict(graph.__dask_graph__()))
        return dask.get(graphs[-1], keys, **options)

    with dask.config.set(scheduler=seen):
        work()
    return graphs


def means_graph(rain: xr.DataArray, units: int) -> dict[Any, Any]:
    (graph,) = graphs_of(lambda: zonal_mean(rain, zonal_weights(grid_of(rain), units_of(units))))
    return graph


def spi_graph(rain: xr.DataArray) -> dict[Any, Any]:
    """Of four strips of cells, each with its whole record."""
    index = spi(rain.chunk({"time": -1, "lat": 10}), 3, (1980, 1983), min_years=3, min_positive=3)
    (graph,) = graphs_of(lambda: index[["spi", "spi_status"]].compute())
    return graph


def sent_bytes(graph: dict[Any, Any]) -> int:
    """Size of all tasks, each on its own, as workers get them."""
    return sum(len(cloudpickle.dumps(task)) for task in graph.values())


@pytest.mark.parametrize(
    ("graph_of", "for_each_block"),
    # A block is its list of files, their images, and the products; or, after the images, a part of each of four strips.
    [(lambda rain: means_graph(rain, 60), 3), (spi_graph, 3 + 4)],
    ids=["means", "spi"],
)
def test_the_graph_grows_with_blocks_and_not_with_files(graph_of, for_each_block, rain_of):
    """480 files are eight blocks of images, and 48 are one."""
    few, many = rain_of(48), rain_of(480)
    assert (few.data.npartitions, many.data.npartitions) == (1, 8)
    assert len(graph_of(many)) - len(graph_of(few)) <= 8 * for_each_block


def test_the_graph_does_not_grow_with_subdistricts(rain_of):
    assert len(means_graph(rain_of(480), 600)) == len(means_graph(rain_of(480), 60))


def test_weights_are_sent_once_and_not_with_every_block(rain_of):
    """Ten times the files, in many blocks, add less than one more copy of the weights."""
    weights = zonal_weights(grid_of(rain_of(48)), units_of(600))
    copy = len(cloudpickle.dumps(weights.matrix))
    assert rain_of(480).data.npartitions >= 8
    once = sent_bytes(means_graph(rain_of(48), 600))
    assert copy < once < 1.5 * copy
    assert sent_bytes(means_graph(rain_of(480), 600)) < once + copy


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
