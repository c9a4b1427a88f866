"""The files of the synthetic country, as an analyst would receive them. The same country writes the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import rasterio
import xarray as xr
import xlsxwriter
from rasterio.transform import from_origin

from geodata.schema import GridSpec
from geodata.synthetic_climate import RAIN_STEP, WATER_STEP
from geodata.synthetic_country import SyntheticCountry
from geodata.synthetic_ground import NO_CURVE_NUMBER
from geodata.synthetic_land import PREFIX, grid_around_country
from geodata.synthetic_names import COUNTRY_NAME
from geodata.synthetic_rivers import Network, Node
from geodata.synthetic_water import UNMAPPED

NODATA = -9999.0
"""What stands for "no value" in the GeoTIFFs, as in CHIRPS."""

LAYER = "synthetic_adm3"
FIXED_DATE = datetime(2024, 4, 1)
LABEL = "SYNTHETIC: made-up numbers of an invented country"
FOLDERS = (
    *("boundaries", "names", "rainfall", "temperature", "soil_moisture", "evaporation", "vegetation"),
    *("dust", "water", "terrain", "agriculture", "residents", "displacement"),
)


def write_files(root: Path, country: SyntheticCountry) -> None:
    """Write all files of the country below ``root``."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    _write_boundaries(root, country.subdistricts)
    _write_rain(root / "rainfall", country.rain)
    for year, rain in country.daily_rain.groupby("time.year"):
        _write_netcdf(root / "rainfall" / f"daily_rain_{year}.nc", rain, 0.1)
    _write_netcdf(root / "vegetation" / "vegetation_anomaly.nc", country.climate.vegetation, 0.01)
    _write_water(root / "water" / "surface_water_yearly.tif", country.climate.water)
    _write_residents(root / "residents" / "residents.csv", country)
    for as_of, listed in country.rounds.items():
        _write_list(root / "displacement" / f"idp_list_{as_of}.xlsx", listed)
    _write_list(root / "displacement" / f"returnee_list_{max(country.rounds)}.xlsx", country.returnees)
    for path, raster, precision in _packed_rasters(country):
        _write_netcdf(root / path, raster, precision, title=LABEL)
    months = pd.DatetimeIndex(country.waterways.water_history["time"].to_numpy()).strftime("%Y-%m")
    _write_codes(root / "water" / "water_history.tif", country.waterways.water_history, WATER_STEP, None, tuple(months))
    usual = country.waterways.water_occurrence
    _write_codes(root / "water" / "water_occurrence.tif", usual, WATER_STEP, UNMAPPED, ("Water occurrence, %",))
    number = country.ground.curve_number.fillna(NO_CURVE_NUMBER).expand_dims("time")
    _write_codes(root / "terrain" / "curve_number.tif", number, RAIN_STEP, NO_CURVE_NUMBER, ("SCS curve number",))
    for path, table in _tables(country):
        table.to_csv(root / path, index=False, lineterminator="\n")
    (root / "water" / "network.toml").write_text(_network_text(country.waterways.network), encoding="utf-8")


def _packed_rasters(country: SyntheticCountry) -> list[tuple[str, xr.DataArray, float]]:
    """Path, raster and precision of those that are written as NetCDF with a title."""
    heat, ground = country.temperature, country.ground
    return [
        ("temperature/tmax_daily.nc", heat.tmax_daily, 0.1),
        ("temperature/tmin_daily.nc", heat.tmin_daily, 0.1),
        ("temperature/tmax_monthly.nc", heat.tmax_monthly, 0.1),
        ("temperature/tmin_monthly.nc", heat.tmin_monthly, 0.1),
        ("soil_moisture/soil_moisture.nc", ground.soil_moisture, 0.001),
        ("evaporation/evaporation.nc", ground.evaporation, 0.1),
        ("vegetation/ndvi.nc", ground.ndvi, 0.001),
        ("vegetation/lst.nc", ground.lst, 0.1),
    ]


def _tables(country: SyntheticCountry) -> list[tuple[str, pd.DataFrame]]:
    """Path and content of the plain tables."""
    return [
        ("dust/dust_days.csv", country.ground.dust_days),
        ("water/reservoir_area.csv", country.waterways.reservoir_area),
        ("water/border_inflow.csv", country.waterways.border_inflow),
        ("agriculture/irrigated_area.csv", country.farms.irrigated_area),
        ("agriculture/livestock.csv", country.farms.livestock),
    ]


def _write_boundaries(root: Path, units: gpd.GeoDataFrame) -> None:
    """Boundaries with COD columns (no Sorani, as in most CODs), and the Sorani names as a table."""
    parent = {"ADM2": "adm2", "ADM1": "adm1"}
    cod = {"ADM3_EN": units["name_en"], "ADM3_AR": units["name_ar"], "ADM3_PCODE": units.index}
    for upper, lower in parent.items():
        cod |= {
            f"{upper}_EN": units[f"{lower}_name"],
            f"{upper}_AR": units[f"{lower}_name_ar"],
            f"{upper}_PCODE": units[f"{lower}_pcode"],
        }
    cod |= {"ADM0_EN": COUNTRY_NAME["en"], "ADM0_AR": COUNTRY_NAME["ar"], "ADM0_PCODE": PREFIX}
    table = gpd.GeoDataFrame(cod, geometry=units.geometry.to_numpy(), crs="EPSG:4326", index=units.index)
    target = root / "boundaries" / f"{LAYER}.gpkg"
    target.unlink(missing_ok=True)
    with _fixed_clock():
        pyogrio.write_dataframe(table.reset_index(drop=True), target, layer=LAYER, driver="GPKG")
    pairs = [("pcode", "name_ckb"), ("adm2_pcode", "adm2_name_ckb"), ("adm1_pcode", "adm1_name_ckb")]
    flat = units.reset_index()
    names = pd.concat([flat[list(pair)].set_axis(["PCODE", "NAME_CKB"], axis=1) for pair in pairs]).drop_duplicates()
    names.sort_values("PCODE").to_csv(root / "names" / "names_ckb.csv", index=False, lineterminator="\n")


@contextmanager
def _fixed_clock() -> Iterator[None]:
    """A GeoPackage carries its time of writing; GDAL takes it from here."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{FIXED_DATE:%Y-%m-%dT%H:%M:%S.000Z}"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write_rain(folder: Path, rain: xr.DataArray) -> None:
    """One GeoTIFF per month, as rain products are delivered."""
    profile = _profile(grid_around_country(RAIN_STEP))
    values = rain.to_numpy()
    with rasterio.Env():
        for month, layer in zip(pd.DatetimeIndex(rain.time.to_numpy()), values, strict=True):
            with rasterio.open(folder / f"rain_{month:%Y}.{month:%m}.tif", "w", **profile) as file:
                file.write(layer, 1)


def _write_water(target: Path, water: xr.DataArray) -> None:
    """One band per year, the year as the band's description."""
    with rasterio.open(target, "w", **_profile(grid_around_country(WATER_STEP), water.sizes["time"])) as file:
        file.write(water.to_numpy())
        file.descriptions = tuple(str(year) for year in water.time.dt.year.to_numpy())


def _profile(grid: GridSpec, bands: int = 1) -> dict[str, object]:
    return {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": NODATA,
        "crs": grid.crs,
        "transform": from_origin(grid.west, grid.north, grid.dx, grid.dy),
        "width": grid.width,
        "height": grid.height,
        "count": bands,
        "compress": "deflate",
        "predictor": 3,
        "interleave": "band",
    }


def _write_netcdf(target: Path, values: xr.DataArray, precision: float, title: str = "") -> None:
    """CF-NetCDF packed into 16-bit integers."""
    target.unlink(missing_ok=True)
    packed = values.to_dataset()
    packed[values.name].attrs.pop("crs", None)
    packed["lat"].attrs.update(standard_name="latitude", units="degrees_north")
    packed["lon"].attrs.update(standard_name="longitude", units="degrees_east")
    packed.attrs["Conventions"] = "CF-1.8"
    if title:
        packed.attrs["title"] = title
    how = {"dtype": "int16", "scale_factor": precision, "_FillValue": -32768, "zlib": True, "complevel": 2}
    packed.to_netcdf(
        target,
        engine="netcdf4",
        encoding={values.name: how, "time": {"units": "days since 1980-01-01", "dtype": "int32"}},
    )


def _write_codes(target: Path, codes: xr.DataArray, step: float, nodata: int | None, bands: tuple[str, ...]) -> None:
    """Whole numbers 0 to 255, a band per image with its name as description."""
    profile = _profile(grid_around_country(step), len(bands)) | {"dtype": "uint8", "nodata": nodata, "predictor": 1}
    with rasterio.open(target, "w", **profile) as file:
        file.write(codes.to_numpy().astype("uint8"))
        file.descriptions = bands
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=LABEL)


def _network_text(network: Network) -> str:
    """Rivers and canals as TOML."""
    nodes = [_block("node", _keys_of(node)) for node in network.nodes]
    links = [
        _block("link", {"from": link.source, "to": link.target, "share": link.share, "loss": link.loss})
        for link in network.links
    ]
    return "\n".join([f"# {LABEL}\n", *nodes, *links])


def _keys_of(node: Node) -> dict[str, object]:
    """What the file says of a node; a subdistrict that draws nowhere else needs no share."""
    serves = [code if share == 1 else {"pcode": code, "share": share} for code, share in node.serves.items()]
    keys: dict[str, object] = {"name": node.name, "kind": node.kind}
    return keys | ({"serves": serves} if serves else {}) | node.limits


def _block(name: str, keys: dict[str, object]) -> str:
    return f"[[{name}]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())


def _toml(value: object) -> str:
    """A value in TOML, whose strings and numbers are those of JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return json.dumps(value)


def _write_residents(target: Path, country: SyntheticCountry) -> None:
    """Residents per p-code; a unit that nobody counted has no row."""
    reference = pd.Timestamp(country.options.as_of).year - 4
    table = pd.DataFrame(
        {
            "pcode": country.residents.index,
            "name_en": country.subdistricts.loc[country.residents.index, "name_en"].to_numpy(),
            "residents": country.residents.to_numpy(),
            "reference_year": reference,
        }
    )
    table.to_csv(target, index=False, lineterminator="\n")


def _write_list(target: Path, listed: pd.DataFrame) -> None:
    """A displacement list: one sheet, header in the first row, totals in the last."""
    with xlsxwriter.Workbook(target) as book:
        book.set_properties({"title": "IDP list of an invented country", "created": FIXED_DATE})
        sheet = book.add_worksheet("Sheet")
        sheet.write_row(0, 0, listed.columns)
        for number, row in enumerate(listed.astype(object).to_numpy(), start=1):
            sheet.write_row(number, 0, [None if pd.isna(value) else value for value in row])
