"""The evaporation of Iraq as its country file reads it: its sign turned once, and six months of 2022 alone."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from flows.run_country import run_country
from flows.settings import load_settings
from geodata.schema import Findings, Status

BAGHDAD, SULAYMANIYAH = (44.43, 33.33), (45.43, 35.58)  # lon, lat, well within a cell


@pytest.fixture(scope="module")
def read(shared_data: Path) -> xr.DataArray:
    source = load_settings("iraq").sources["evaporation"]
    return source.read(shared_data / "iraq", Findings("sources.evaporation")).compute()


@pytest.mark.parametrize("month", ["2022-01", "2022-03", "2022-05"])
def test_more_evaporation_is_a_higher_value_at_the_place_of_the_file(shared_data, read, month):
    """Downward is positive in the file, as in ERA5: what is read there by rasterio stands here with its sign turned."""
    path = shared_data / "iraq" / "drought" / f"evap_z_era5land_{month}.tif"
    for lon, lat in (BAGHDAD, SULAYMANIYAH):
        with rasterio.open(path) as file:
            stored = next(file.sample([(lon, lat)]))[0]
        found = read.sel(time=f"{month}-01").sel(lon=lon, lat=lat, method="nearest")
        assert float(found) == pytest.approx(-float(stored), abs=1e-6)


def test_the_dry_spring_of_2022_left_less_to_evaporate_in_the_plain_and_not_in_the_mountains(read):
    """A known drought, and mountains where warmth and not water is short in March."""
    march = read.sel(time="2022-03-01")
    plain = march.sel(lat=slice(34, 31), lon=slice(43, 46))
    mountains = march.sel(lat=slice(37.3, 36.3))
    assert float(plain.median()) < -0.5
    assert abs(float(mountains.median())) < 0.35


def test_less_evaporation_than_usual_is_the_bad_side():
    block = load_settings("iraq").indicators["evaporation"]
    assert (block.source, block.worse_when, block.worse_side) == ("evaporation", "low", "low")


def test_values_lie_within_what_a_standard_deviation_can_mean(read):
    """None is beyond 3, where a tiny spread would show as a wild value: none is clipped."""
    method = import_module("models.hazard_anomaly").METHOD
    assert float(np.abs(read).max()) < method.options.model_fields["limit"].default


@pytest.mark.slow
def test_a_run_speaks_of_march_2022_and_one_of_2019_of_nothing(shared_data, tmp_path):
    """Baghdad below its normal in March 2022; in August 2019, before its record, input_missing and not normal."""
    tables = {
        month: pd.read_csv(
            Path(
                run_country.fn(
                    "iraq", data=str(shared_data / "iraq"), as_of=month, issued="2026-01-15", out=str(tmp_path)
                )
            )
            / "tables"
            / "subdistricts.csv",
            index_col="pcode",
        )
        for month in ("2019-08", "2022-03")
    }
    assert set(tables["2019-08"]["evaporation_index_status"]) == {Status.input_missing.name}
    assert tables["2019-08"]["evaporation_index"].isna().all()
    told = tables["2022-03"]
    assert set(told["evaporation_index_status"]) <= {Status.ok.name, Status.resolution_limited.name}
    assert told.loc[told["adm1_name"] == "Baghdad", "evaporation_index"].between(-1.2, -0.4).all()
    assert told.loc[told["adm1_name"] == "Duhok", "evaporation_index"].abs().max() < 0.6
