"""Tables beside that of the subdistricts: runs of drought, rare rain, usual water, the water balance, usable months."""

from __future__ import annotations

import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from geodata.options import SourceOptions
from geodata.rasters import RasterStack
from geodata.schema import KEEPS_VALUE, Status, has_status
from geodata.store import read_cube, writing
from maps.tables import write_records
from models.hazard_drought_runs import DroughtRunOptions
from models.hazard_heavy_rain import HeavyRainOptions
from models.heavy_rain import annual_maxima
from models.return_levels import longest_return_period, return_levels
from models.runs import drought_runs

from .balance_water import water_table
from .plan import Plan
from .workspace import stage

RETURN_PERIODS = (2, 5, 10, 20, 50)
"""Years; a record speaks of those up to twice its length."""


def publish_runs(plan: Plan, folder: Path, cube: xr.Dataset, words: str) -> None:
    """Every run of drought of the record, one row for each, where the country file asks for runs."""
    for name, block in plan.settings.indicators.items():
        if isinstance(block, DroughtRunOptions):
            runs = drought_runs(cube[f"{name}_index"], cube[f"{name}_index_status"], onset=block.onset, end=block.end)
            runs = runs.assign(index=f"SPI-{block.scale_months}", notice=words)
            with writing(folder / "tables" / f"{name}.csv") as path:
                write_records(runs, path)


def publish_return_levels(
    plan: Plan, folder: Path, cube: xr.Dataset, subdistricts: gpd.GeoDataFrame, words: str
) -> None:
    """How much higher than usual the highest day of a year is once in T years; pooled over each governorate."""
    for name, block in plan.settings.assessed_hazards.items():
        if isinstance(block, HeavyRainOptions):
            rows = growth_factors(cube[f"{name}_rx1day"], subdistricts["adm1_pcode"], block)
            with writing(folder / "tables" / f"{name}_return_levels.csv") as path:
                write_records(rows.assign(notice=words), path)


def growth_factors(rx1day: xr.DataArray, region: pd.Series, block: HeavyRainOptions) -> pd.DataFrame:
    """Growth factors with their interval, and levels where gauges have calibrated the rain; or why there are none.

    Parameters
    ----------
    rx1day : DataArray (time, pcode), mm/day, monthly
    region : Series, index pcode
    block : of the hazard

    Returns
    -------
    DataFrame, one row for each subdistrict and return period, with the years behind it; of a period that the record is
    too short for, the status alone
    """
    maxima = annual_maxima(rx1day, start_month=block.start_month)
    longest = longest_return_period(int(maxima.notnull().sum("year").max()))
    periods = [period for period in RETURN_PERIODS if period <= longest] or [RETURN_PERIODS[0]]
    regions = xr.DataArray(region.loc[maxima["pcode"].values].to_numpy(), dims="pcode")
    found = return_levels(maxima, regions, periods, gauge_calibration=block.gauge_calibration)
    found = found.assign(years=maxima.notnull().sum("year")).assign_coords(return_period=periods)
    codes = found["growth_factor_status"].reindex(
        return_period=RETURN_PERIODS, fill_value=np.int8(Status.insufficient_data)
    )
    values = found.drop_vars([v for v in found.data_vars if str(v).endswith("_status")])
    rows = values.reindex(return_period=RETURN_PERIODS).reset_coords(drop=True)
    rows = rows.to_dataframe(dim_order=["pcode", "return_period"])
    flags = codes.transpose("pcode", "return_period").values.ravel()
    return (
        rows.assign(region=region.loc[rows.index.get_level_values("pcode")].to_numpy())
        .assign(status=[Status(int(code)).name for code in flags])
        .reset_index()
    )


def publish_usual_water(plan: Plan, work: str, cube: xr.Dataset, words: str) -> None:
    """Where water usually is, from a map of its occurrence: a fact of the ground, beside the water of a month."""
    for name, source in plan.settings.sources.items():
        if isinstance(source, RasterStack) and source.quantity == "water_occurrence":
            stored = read_cube(stage(work) / f"{name}.nc").isel(time=0)
            areas = stored.rename({name: "value", f"{name}_coverage": "coverage"}).reset_coords()
            rows = usual_water(areas, cube[f"{name}_status"].isel(time=-1))
            with writing(Path(work) / "tables" / f"{name}.csv") as path:
                write_records(rows.assign(notice=words), path)


def usual_water(areas: xr.Dataset, status: xr.DataArray) -> pd.DataFrame:
    """Usual, permanent and changing water of each subdistrict, or why it is not known.

    Parameters
    ----------
    areas : Dataset (pcode), as of `geodata.water_codes.occurrence_by_subdistrict`
    status : DataArray (pcode), flag of the source in the as-of month: a map of later years is not known yet

    Returns
    -------
    DataFrame, one row for each subdistrict
    """
    known = areas[["value", "permanent", "changing"]].where(has_status(status, KEEPS_VALUE))
    return pd.DataFrame(
        {
            "pcode": areas["pcode"].values,
            "usual_water_km2": known["value"].values,
            "permanent_water_km2": known["permanent"].values,
            "changing_water_km2": known["changing"].values,
            "observed_share": areas["coverage"].values,
            "status": [Status(int(code)).name for code in status.values],
        }
    )


def publish_balance(work: str, subdistricts: gpd.GeoDataFrame, words: str) -> None:
    """Demand for water, supply and what is unmet in the as-of month, at three levels, one after the other."""
    balance = water_balance(work)
    if balance is not None:
        rows = pd.concat(water_table(balance, subdistricts).values(), ignore_index=True).assign(notice=words)
        with writing(Path(work) / "tables" / "water_balance.csv") as path:
            write_records(rows, path, {column: 1 for column in rows if column.endswith("_m3d")})


def publish_usable_months(
    plan: Plan, folder: Path, cube: xr.Dataset, subdistricts: gpd.GeoDataFrame, words: str
) -> None:
    """In what share of its months each SPI says something, by governorate and calendar month."""
    rows = usable_months(cube, subdistricts["adm1_name"])
    if len(rows):
        caveats = [s.note["en"] for s in plan.settings.sources.values() if "en" in s.note and rain_of(s)]
        rows = rows.assign(note=" ".join(caveats), notice=words)
        with writing(folder / "tables" / "usable_months.csv") as path:
            write_records(rows, path)


def water_balance(work: str) -> xr.Dataset | None:
    """The balance of demand and supply (time, pcode, scenario), where the country file has coefficients."""
    path = stage(work) / "water_balance.nc"
    return read_cube(path) if path.is_file() else None


def rain_of(source: SourceOptions) -> bool:
    """True for a source of rain."""
    return getattr(source, "quantity", "") == "precipitation"


def usable_months(cube: xr.Dataset, region: pd.Series) -> pd.DataFrame:
    """Share of the months in which an SPI is informative, of those it could be computed for.

    Parameters
    ----------
    cube : Dataset (time, pcode)
    region : Series, index pcode

    Returns
    -------
    DataFrame: ``index``, ``region``, ``month`` (1 to 12), ``usable`` (1), ``months`` (how many stand behind it)
    """
    parts = []
    for name in [str(v) for v in cube.data_vars if re.fullmatch(r"spi_\d+", str(v))]:
        flags = cube[f"{name}_status"].transpose("time", "pcode")
        kept, masked = has_status(flags, KEEPS_VALUE), flags == int(Status.masked_dry_season)
        table = pd.DataFrame(
            {
                "region": np.tile(region.loc[cube["pcode"].values].to_numpy(), flags.sizes["time"]),
                "month": np.repeat(cube["time"].dt.month.values, flags.sizes["pcode"]),
                "usable": kept.values.ravel(),
                "known": (kept | masked).values.ravel(),
            }
        )
        found = table[table["known"]].groupby(["region", "month"])["usable"].agg(["mean", "size"]).reset_index()
        parts.append(found.rename(columns={"mean": "usable", "size": "months"}).assign(index=name))
    order = ["index", "region", "month", "usable", "months"]
    return pd.concat(parts, ignore_index=True)[order] if parts else pd.DataFrame(columns=order)
