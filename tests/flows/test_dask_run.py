"""A run on a scheduler whose workers die takes longer and says the same; daily rain is a few tasks for each band."""

from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed import LocalCluster
from typer.testing import CliRunner

from flows.cli import app
from flows.run_country import run_country
from geodata.grids import grid_of
from geodata.zonal import zonal_mean, zonal_weights
from models.hazard_heavy_rain import HeavyRainOptions
from models.hazards import HAZARDS

from .conftest import ISSUED
from .test_dask import TWO_WORKERS, KillsWorkers, assert_same, graphs_of, units_of


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_run_costs_no_result(demo_run, synthetic_inputs, tmp_path, monkeypatch):
    """`wadi run --dask`: one process is killed with images it had read, one with the record of a strip of cells.

    What they held is made once more, code 0 is answered, and the tables, the page and the cube are
    those of the run without a scheduler.
    """
    monkeypatch.setattr("flows.run_country.run_country", run_country.fn)  # all but the server of Prefect
    with LocalCluster(**TWO_WORKERS) as cluster:
        deaths = KillsWorkers(cluster, ("load_images", "rechunk-merge"))
        cluster.scheduler.add_plugin(deaths)
        arguments = ["run", "--config", "demo", "--data", synthetic_inputs, "--issued", ISSUED, "--out", tmp_path]
        done = CliRunner().invoke(app, [*map(str, arguments), "--dask", cluster.scheduler_address])
        assert done.exit_code == 0, done.output
        assert len(deaths.killed) == 2
        assert deaths.dead >= set(deaths.killed.values())
        assert deaths.made_again == set(deaths.killed)
    (folder,) = (Path(tmp_path) / "demo" / "runs").iterdir()
    assert_same(demo_run, folder)


# ------------------------------------------------------------------ the graph of daily rain


def daily_rain(years: int, bands: int) -> xr.DataArray:
    """Days of some years on 40 x 60 cells, lazy, in bands that hold the whole record."""
    days = pd.date_range("2001-10-01", f"{2001 + years}-09-30", freq="D")
    return xr.DataArray(
        da.full((len(days), 40, 60), 3.0, chunks=(-1, 40 // bands, -1), dtype="float32"),
        dims=("time", "lat", "lon"),
        coords={"time": days, "lat": 33.95 - np.arange(40) / 10, "lon": 40.05 + np.arange(60) / 10},
        attrs={"units": "mm/day", "crs": "EPSG:4326"},
        name="rain_daily",
    )


def tasks_of_heavy_rain(years: int, bands: int, units: int) -> int:
    """Tasks of every index of daily rain by month, cell by cell, and of its means over some subdistricts."""
    rain = daily_rain(years, bands)
    method, options = HAZARDS["heavy_rain"], HeavyRainOptions(min_years_of_wet_days=1)

    def work() -> None:
        cells = method.in_months(xr.Dataset({"rain_daily": rain}), options, (2002, 2001 + years))
        highest = cells["rx1day"].assign_attrs(crs=rain.attrs["crs"])
        zonal_mean(highest.chunk({"lat": -1}), zonal_weights(grid_of(rain), units_of(units)))
        cells.compute()

    return sum(map(len, graphs_of(work)))


def test_the_graph_of_daily_rain_grows_with_bands_and_with_nothing_else():
    """Ten times the subdistricts and twice the days are as many tasks; twice the bands at most twice as many."""
    tasks = tasks_of_heavy_rain(years=2, bands=4, units=60)
    assert tasks_of_heavy_rain(years=2, bands=4, units=600) == tasks
    assert tasks_of_heavy_rain(years=4, bands=4, units=60) == tasks
    assert tasks < tasks_of_heavy_rain(years=2, bands=8, units=60) <= 2 * tasks
