"""What is measured, and against whom. Each side is a function that returns the seconds of its core."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # a side pays, in time and memory, for what it needs alone
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from models.composite import Level

CELLS, MONTHS = 44_000, 528
SCALES = (1, 3, 6, 9, 12, 24)
CALIBRATION = (1981, 2010)
IRAQ = (38.5, 28.9, 48.9, 37.5)  # west, south, east, north
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """Ours against a peer, against a floor, or against a limit where the question has neither.

    Parameters
    ----------
    ours : str, name of a function of this module, measured in a process of its own
    wanted : str, of the ratio
    peer : str, another such function, or one figure of `ours`, where both sides were measured in turn
    limit : float, in the unit
    runs : int, processes of ours, of which the median counts
    """

    name: str
    ours: str
    wanted: str
    peer: str = ""
    limit: float | None = None
    unit: str = "seconds"
    runs: int = 3


ZONAL = "zonal means, 528 months, 300 polygons, 200 x 220 cells"
CASES = [
    Case("SPI-3, 44,000 cells x 528 months, climate_indices", "spi_ours", "< 0.05", peer="spi_climate_indices"),
    Case("SPI-3, 44,000 cells x 528 months, xclim", "spi_ours", "< 0.1", peer="spi_xclim"),
    Case("SPI-3, memory", "spi_ours", "< 1", limit=1000, unit="peak_mb"),
    Case("SPI of six scales, 44,000 cells x 528 months", "six_scales_in_turn", "< 2", peer="floor", runs=1),
    Case("SPI of six scales, memory", "six_scales", "< 1", limit=1500, unit="peak_mb"),
    Case(f"{ZONAL}, with the weights", "zonal_ours", "< 0.2", peer="zonal_xvec"),
    Case(f"{ZONAL}, weights there", "zonal_whole", "< 0.025", peer="zonal_xvec"),
    Case(f"{ZONAL}, nothing missing", "zonal_whole", "< 3", peer="one_sum_of_numpy"),
    Case(f"{ZONAL}, nothing missing", "zonal_whole", "< 3", peer="one_sum_of_xarray"),
    Case(f"{ZONAL}, a sea", "zonal_with_a_sea", "< 15", peer="one_sum_of_numpy"),
    Case(f"{ZONAL}, a sea", "zonal_with_a_sea", "< 15", peer="one_sum_of_xarray"),
    Case(f"{ZONAL}, gaps that move", "zonal_with_moving_gaps", "< 15", peer="one_sum_of_numpy"),
    Case(f"{ZONAL}, gaps that move", "zonal_with_moving_gaps", "< 15", peer="one_sum_of_xarray"),
    Case("hazard stage, Iraq, 0.05 degrees x 44 years of months", "iraq_hazards", "< 1", limit=30),
    Case("hazard stage, Iraq, memory", "iraq_hazards", "< 1", limit=2000, unit="peak_mb"),
    Case("daily rain, 44,000 cells x 16,000 days, memory", "daily_rain", "< 1", limit=2000, unit="peak_mb", runs=1),
    Case("a new month, Iraq, daily and monthly rain, a full run", "month_of_days", "< 0.25", peer="full", runs=1),
    Case("a new month and its full run, memory", "month_of_days", "< 1", limit=2000, unit="peak_mb", runs=1),
    Case("a new month, Iraq, monthly rain alone, a full run", "month_of_months", "told", peer="full", runs=1),
    Case("risk, 294 units, 2,000 draws, taken apart", "risk_of_a_country", "< 1", limit=5),
    Case("risk, 3,000 units x 50 indicators x 2,000 draws", "risk_of_many_units", "< 1", limit=30),
    Case("risk, 3,000 units, memory", "risk_of_many_units", "< 1", limit=2000, unit="peak_mb"),
    Case("risk, 3,000 units, growth from 1,500", "risk_of_many_units", "< 2.5", peer="half_of_the_units"),
    Case("100,000 locations read and placed in 300 units", "places", "< 1", limit=10),
    Case("100,000 locations, memory", "places", "< 1", limit=1500, unit="peak_mb"),
    Case("100,000 locations, growth from 50,000", "places", "< 2.5", peer="half_of_the_places"),
    Case("demo to the printed path", "demo_ours", "< 1", limit=60),
    Case("demo, memory", "demo_ours", "< 1", limit=1500, unit="peak_mb"),
    Case("Iraq index.html", "iraq_page", "< 1", limit=1_500_000, unit="bytes"),
    Case("Iraq index.html, gzipped", "iraq_page", "< 1", limit=450_000, unit="gzip_bytes"),
]


# ------------------------------------------------------------------ SPI


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


def cube_of_rain() -> xr.DataArray:
    """`rain` as a DataArray (time, cell)."""
    import xarray as xr

    coords = {"time": months()}
    return xr.DataArray(rain(), dims=("time", "cell"), coords=coords, attrs={"units": "mm/month"}, name="rain")


def spi_ours() -> dict[str, float]:
    """Our SPI-3 of every cell."""
    from models.spi import spi

    cube = cube_of_rain()
    start = time.perf_counter()
    result = spi(cube, 3, CALIBRATION)
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
    from xclim.indices import standardized_precipitation_index

    cube = cube_of_rain().rename("pr")
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


def six_scales() -> dict[str, float]:
    """Our SPI of six scales, all kept in memory."""
    from models.spi import spi

    cube = cube_of_rain()
    start = time.perf_counter()
    results = [spi(cube, k, CALIBRATION) for k in SCALES]
    return {"seconds": time.perf_counter() - start, "scales": len(results)}


def six_scales_in_turn() -> dict[str, float]:
    """Our SPI of six scales, and the floor: six passes of the same gammainc and ndtri, and nothing else.

    Scale by scale one after the other, and of each the fastest of three, as a busy machine would
    decide the ratio of two long measurements.
    """
    from models.spi import fit_spi, spi

    cube = cube_of_rain()
    figures = {"seconds": 0.0, "floor": 0.0}
    for k in SCALES:
        learnt = fit_spi(cube, k, CALIBRATION).values
        rounds = []
        for _ in range(3):
            start = time.perf_counter()
            spi(cube, k, CALIBRATION)
            rounds.append((time.perf_counter() - start, seconds_of_gammainc_and_ndtri(cube.values, k, learnt)))
        figures = {
            name: figures[name] + min(side) for name, side in zip(figures, zip(*rounds, strict=True), strict=True)
        }
    return figures


def seconds_of_gammainc_and_ndtri(values: np.ndarray, scale_months: int, learnt: xr.Dataset) -> float:
    """One pass over every cell and month, shared out among the processors; the arguments are there before it starts."""
    from scipy.special import gammainc, ndtri

    from models.spi import accumulate

    x = accumulate(values.astype("float64"), scale_months, 1.0)
    month = np.arange(MONTHS) % 12
    shape = learnt["shape"].transpose("month", "cell").values
    x /= learnt["scale"].transpose("month", "cell").values[month]

    def work(block: slice) -> None:
        for i in range(12):
            ndtri(gammainc(shape[i, block], x[i::12, block]))

    threads = os.cpu_count() or 1
    blocks = [slice(i, i + 1000) for i in range(0, CELLS, 1000)]
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))
    return time.perf_counter() - start


# ------------------------------------------------------------------ zonal means


def grid_and_polygons() -> tuple[xr.DataArray, gpd.GeoDataFrame]:
    """528 monthly images of 200 x 220 cells of 0.05 degrees, 1 % of them sea, and 300 polygons over them."""
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
    zonal_mean(raster, zonal_weights(grid_of(raster), polygons))
    return {"seconds": time.perf_counter() - start}


def zonal_whole() -> dict[str, float]:
    """Means with weights at hand where every cell has a value."""
    raster, polygons = grid_and_polygons()
    return zonal_against_one_sum(raster.fillna(1.0), polygons)


def zonal_with_a_sea() -> dict[str, float]:
    """Means with weights at hand where the same cells have no value in every month."""
    return zonal_against_one_sum(*grid_and_polygons())


def zonal_with_moving_gaps() -> dict[str, float]:
    """Means with weights at hand where other cells have no value in every month."""
    raster, polygons = grid_and_polygons()
    raster.values[np.random.default_rng(3).random(raster.shape, dtype="float32") < 0.01] = np.nan
    return zonal_against_one_sum(raster, polygons)


def zonal_against_one_sum(raster: xr.DataArray, polygons: gpd.GeoDataFrame) -> dict[str, float]:
    """Fastest of many, in turn: our means, and one sum over the array.

    "One sum" can be read in two ways: numpy's, which skips no missing value and is as fast as
    the memory; and xarray's own, which skips them.
    """
    from geodata.grids import grid_of
    from geodata.zonal import zonal_mean, zonal_weights

    weights = zonal_weights(grid_of(raster), polygons)
    sides = {
        "seconds": lambda: zonal_mean(raster, weights),
        "one_sum_of_numpy": lambda: raster.values.sum(),
        "one_sum_of_xarray": lambda: raster.sum(),
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(30):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            found[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in found.items()}


def zonal_xvec() -> dict[str, float]:
    """Zonal means by xvec with exactextract, which has no weights to keep."""
    import rioxarray  # noqa: F401  registers an accessor
    import xvec  # noqa: F401  registers an accessor

    raster, polygons = grid_and_polygons()
    start = time.perf_counter()
    raster.rename(lon="x", lat="y").rio.write_crs("EPSG:4326").xvec.zonal_stats(
        polygons.geometry, x_coords="x", y_coords="y", stats="mean", method="exactextract"
    )
    return {"seconds": time.perf_counter() - start}


# ------------------------------------------------------------------ places


def list_of_places(count: int, polygons: gpd.GeoDataFrame) -> pd.DataFrame:
    """Locations of a list: nine of ten with a point, half with a p-code, one in a hundred with that of another unit."""
    import pandas as pd
    import shapely

    generator = np.random.default_rng(13)
    lon, lat = generator.uniform(38.2, 48.8, count), generator.uniform(28.2, 37.8, count)
    inside = polygons.sindex.nearest(shapely.points(lon, lat), return_all=False)[1]
    given = polygons.index.to_numpy()[inside]
    given = np.where(generator.random(count) < 0.01, polygons.index[0], given)
    given = np.where(generator.random(count) < 0.5, given, "")
    return pd.DataFrame(
        {
            "Location ID": np.arange(count) + 1_000_001,
            "Location Name": [f"Place {n}" for n in range(count)],
            "Latitude": lat.round(6),
            "Longitude": lon.round(6),
            "PCODE": given,
            "Families": generator.integers(1, 200, count),
        }
    )


def seconds_of_places(count: int) -> float:
    """Seconds to read a CSV of that many locations and to place each."""
    from datetime import date

    from geodata.displacement import DtmIdpList, SiteColumns, count_by_unit
    from geodata.placing import place_sites
    from geodata.schema import SUBDISTRICT_COLUMNS, Findings

    _, polygons = grid_and_polygons()
    polygons = polygons.assign(**dict.fromkeys(SUBDISTRICT_COLUMNS, "") | {"adm1_pcode": "G1", "adm2_pcode": "D1"})
    polygons["name_en"] = [f"Unit {code}" for code in polygons.index]
    columns = SiteColumns(people=None, governorate=None, district=None, pcode="PCODE")
    with tempfile.TemporaryDirectory() as folder:
        list_of_places(count, polygons).to_csv(Path(folder) / "list.csv", index=False)
        options = DtmIdpList(
            reader="dtm_idp_list", path="list.csv", round_as_of=date(2024, 2, 29), bbox=(38, 28, 49, 38),
            label={"en": "List"}, units="households", cadence="round", licence="none", attribution="none",
            columns=columns,
        )  # fmt: skip
        log = Findings("sources.displacement")
        start = time.perf_counter()
        (sites,) = options.read(Path(folder), log).values()
        placed = place_sites(sites, polygons, options.placing, log, file="list").sites
        counted = count_by_unit(placed, polygons.index)
        seconds = time.perf_counter() - start
    if counted["households"].sum() != sites["households"].sum():
        sys.exit("households were lost")
    return seconds


def places() -> dict[str, float]:
    """Reading and placing 100,000 locations, and half as many."""
    half = seconds_of_places(50_000)
    return {"seconds": seconds_of_places(100_000), "half_of_the_places": half}


# ------------------------------------------------------------------ risk


def units_with_indicators(units: int, hazards: int, indicators: int) -> tuple[pd.DataFrame, Level]:
    """Scores of units, some of which lack a dimension and some one indicator, and the tree they belong to."""
    import pandas as pd

    from models.composite import inform, leaves

    names = [f"indicator_{i}" for i in range(indicators)]
    parts = {"vulnerability": names[: indicators // 2], "lack_of_coping": names[indicators // 2 :]}
    tree = inform([f"h{i}" for i in range(hazards)], ["hazard_and_exposure", *parts], indicators=parts)
    values = np.random.default_rng(5).uniform(0, 10, (units, len(leaves(tree))))
    scores = pd.DataFrame(values, columns=leaves(tree), index=[f"U{i:04d}" for i in range(units)])
    scores.loc[scores.index[: units // 10], parts["vulnerability"]] = np.nan
    scores.loc[scores.index[units // 10 : units // 5], names[0]] = np.nan
    return scores, tree


def risk_drawn(units: int, hazards: int, indicators: int) -> float:
    """Seconds of 2,000 draws with an error of every score, the contributions and the smallest changes."""
    from models.confidence import Draws, HazardError, risk_confidence
    from models.explain import smallest_change, tree_contributions

    scores, tree = units_with_indicators(units, hazards, indicators)
    start = time.perf_counter()
    errors = dict.fromkeys(scores, HazardError(0.8))
    risk_confidence(scores, tree, errors=errors, options=Draws(draws=2000))
    values = {str(n): scores[n].to_numpy() for n in scores}
    tree_contributions(values, tree)
    smallest_change(values, tree, "up")
    smallest_change(values, tree, "down")
    return time.perf_counter() - start


def risk_of_a_country() -> dict[str, float]:
    """Range, tiers, contributions and smallest changes of the subdistricts of Iraq's number."""
    return {"seconds": risk_drawn(294, 4, 6)}


def risk_of_many_units() -> dict[str, float]:
    """The same of 3,000 units with 50 scores, and of half as many."""
    half = risk_drawn(1500, 4, 45)
    return {"seconds": risk_drawn(3000, 4, 45), "half_of_the_units": half}


# ------------------------------------------------------------------ stages and runs


def iraq_hazards() -> dict[str, float]:
    """Means, indices, scores and the last month cell by cell, of made-up rain on Iraq's own subdistricts."""
    from .scaling import BOX, hazard_stage, settings_of_rain_alone, write_rain, write_units

    settings = settings_of_rain_alone()
    real = SHARED / "iraq" / Path(settings.boundaries.path).parent
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_rain((data / settings.sources["rain"].path).parent, 0.05, IRAQ if real.is_dir() else BOX)
        if real.is_dir():
            shutil.copytree(real, data / Path(settings.boundaries.path).parent)
        else:
            write_units(data / settings.boundaries.path, 300)
        done = hazard_stage(data)
    return {
        "seconds": done.seconds,
        "processor_seconds": done.processor,
        "peak_mb": done.peak_mb,
        "real_boundaries": float(real.is_dir()),
    }


def daily_rain() -> dict[str, float]:
    """Heavy-rain indices of a daily record that does not fit the memory."""
    from .daily_rain import daily_rain_ours

    return daily_rain_ours()


def month_of_days() -> dict[str, float]:
    """A new month after 44 years of daily and monthly rain, and the full run of it."""
    from .new_month import new_month

    return new_month(daily=True)


def month_of_months() -> dict[str, float]:
    """The same of monthly rain alone, where the means of a month are a small part of a run."""
    from .new_month import new_month

    return new_month(daily=False)


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
