"""What is measured, and against whom. Each side is a function that returns the seconds of its core."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CELLS, MONTHS = 44_000, 528
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """Ours against a peer, or against a limit where the question has no peer."""

    name: str
    ours: str
    wanted: str
    peer: str = ""
    limit: float | None = None
    unit: str = "seconds"


CASES = [
    Case("SPI-3, 44,000 cells x 528 months, climate_indices", "spi_ours", "< 0.1", peer="spi_climate_indices"),
    Case("SPI-3, 44,000 cells x 528 months, xclim", "spi_ours", "< 0.1", peer="spi_xclim"),
    Case("SPI-3, memory", "spi_ours", "< 1", limit=1000, unit="peak_mb"),
    Case("zonal means, 528 months, 300 polygons, 200 x 220 cells", "zonal_ours", "< 0.2", peer="zonal_xvec"),
    Case("demo to the printed path", "demo_ours", "< 1", limit=60),
    Case("demo, memory", "demo_ours", "< 1", limit=1500, unit="peak_mb"),
    Case("Iraq index.html", "iraq_page", "< 1", limit=1_500_000, unit="bytes"),
    Case("Iraq index.html, gzipped", "iraq_page", "< 1", limit=450_000, unit="gzip_bytes"),
]


def rain() -> np.ndarray:
    """Gamma rain with dry summers, float32 (months, cells), the same in every process."""
    generator = np.random.default_rng(7)
    values = generator.gamma(0.8, 20.0, (MONTHS, CELLS)).astype("float32")
    summer = (np.arange(MONTHS) % 12 >= 5) & (np.arange(MONTHS) % 12 <= 8)
    values[summer] *= generator.random((int(summer.sum()), CELLS)) > 0.9
    return values


def months() -> object:
    """Month starts of the record."""
    import pandas as pd

    return pd.date_range("1980-01-01", periods=MONTHS, freq="MS")


def spi_ours() -> dict[str, float]:
    """Our SPI-3 of every cell."""
    import xarray as xr

    from models.spi import spi

    values = rain()
    cube = xr.DataArray(
        values, dims=("time", "cell"), coords={"time": months()}, attrs={"units": "mm/month"}, name="rain"
    )
    start = time.perf_counter()
    result = spi(cube, 3, (1981, 2010))
    share = float(result["spi"].notnull().mean())
    return {"seconds": time.perf_counter() - start, "share_with_value": share}


def spi_climate_indices() -> dict[str, float]:
    """SPI-3 by climate_indices 3.1, cell by cell, as its manual shows it."""
    from climate_indices import compute, indices

    values = rain().astype("float64")
    start = time.perf_counter()
    for cell in range(CELLS):
        indices.spi(values[:, cell], 3, indices.Distribution.gamma, 1980, 1981, 2010, compute.Periodicity.monthly)
    return {"seconds": time.perf_counter() - start}


def spi_xclim() -> dict[str, float]:
    """SPI-3 by xclim 0.62, all cells at once."""
    import xarray as xr
    from xclim.indices import standardized_precipitation_index

    cube = xr.DataArray(
        rain(), dims=("time", "cell"), coords={"time": months()}, attrs={"units": "mm/month"}, name="pr"
    )
    start = time.perf_counter()
    standardized_precipitation_index(
        cube,
        freq=None,
        window=3,
        dist="gamma",
        method="APP",
        fitkwargs={"floc": 0},
        cal_start="1981-01-01",
        cal_end="2010-12-31",
        prob_zero_interpolation="center",
        plotting_position_zero="weibull",
    ).load()
    return {"seconds": time.perf_counter() - start}


def grid_and_polygons() -> tuple[object, object]:
    """528 monthly images of 200 x 220 cells of 0.05 degrees, and about 300 polygons over them."""
    import geopandas as gpd
    import shapely
    import xarray as xr

    generator = np.random.default_rng(11)
    lat, lon = 38.0 - 0.05 * (np.arange(200) + 0.5), 38.0 + 0.05 * (np.arange(220) + 0.5)
    values = generator.gamma(0.8, 20.0, (MONTHS, 200, 220)).astype("float32")
    values[:, generator.random((200, 220)) < 0.01] = np.nan
    raster = xr.DataArray(
        values, dims=("time", "lat", "lon"), coords={"time": months(), "lat": lat, "lon": lon}, name="rain"
    )
    raster.attrs = {"units": "mm/month", "crs": "EPSG:4326"}
    points = shapely.multipoints(np.column_stack([generator.uniform(38, 49, 300), generator.uniform(28, 38, 300)]))
    cells = shapely.intersection(
        shapely.get_parts(shapely.voronoi_polygons(points)), shapely.box(38.1, 28.1, 48.9, 37.9)
    )
    frame = gpd.GeoDataFrame(geometry=[c for c in cells if not c.is_empty], crs="EPSG:4326")
    frame.index = [f"P{i:03d}" for i in range(len(frame))]
    return raster, frame.rename_axis("pcode")


def zonal_ours() -> dict[str, float]:
    """Our zonal means, weights included."""
    from geodata.grids import grid_of
    from geodata.zonal import zonal_mean, zonal_weights

    raster, polygons = grid_and_polygons()
    start = time.perf_counter()
    zonal_mean(raster, zonal_weights(grid_of(raster), polygons))["value"].load()
    return {"seconds": time.perf_counter() - start}


def zonal_xvec() -> dict[str, float]:
    """Zonal means by xvec with exactextract."""
    import rioxarray  # noqa: F401  registers an accessor
    import xvec  # noqa: F401  registers an accessor

    raster, polygons = grid_and_polygons()
    start = time.perf_counter()
    raster.rename(lon="x", lat="y").rio.write_crs("EPSG:4326").xvec.zonal_stats(
        polygons.geometry, x_coords="x", y_coords="y", stats="mean", method="exactextract"
    )
    return {"seconds": time.perf_counter() - start}


def demo_ours() -> dict[str, float]:
    """`wadi demo` in an empty folder, Prefect included, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([_wadi(), "demo", "--out", folder], check=True, capture_output=True)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


def iraq_page() -> dict[str, float]:
    """Bytes of the Iraq page (needs the real data)."""
    if not SHARED.is_dir():
        sys.exit("the real data is not on this machine")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        arguments = ["--config", "iraq", "--data", str(SHARED / "iraq"), "--as-of", "2019-08", "--out", folder]
        subprocess.run([_wadi(), "run", *arguments], check=True, capture_output=True)
        page = (Path(folder) / "iraq" / "latest" / "site" / "index.html").read_bytes()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": len(page), "gzip_bytes": len(gzip.compress(page, 9, mtime=0))}


def _wadi() -> str:
    return str(Path(sys.executable).with_name("wadi"))


def main() -> None:
    """Run the function named on the command line and print its figures."""
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    figures = globals()[sys.argv[1]]()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mb": own, **figures}))


if __name__ == "__main__":
    main()
