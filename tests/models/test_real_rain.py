"""Real rain: CHIRPS over Java and TerraClimate over Bali, against what is known of their dry years."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import gamma, norm

from geodata.rasters import RasterStack
from geodata.schema import KEEPS_VALUE, Findings, Status
from models.runs import months_in_drought
from models.spei import spei, spei_drivers
from models.spi import spi

pytestmark = pytest.mark.slow

NORMAL = (1991, 2020)
AUTUMN = (9, 10, 11)


@pytest.fixture(scope="module")
def java(shared_data):
    """Monthly rain of the 480 files, as our reader gives it out."""
    block = {
        "path": "java/chirps/java_chirps-v2.0.{YYYY}.{MM}.tif",
        "quantity": "precipitation",
        "label": {"en": "Rainfall"},
        "units": "mm",
        "cadence": "month",
        "licence": "public domain",
        "attribution": "CHC",
    }
    return RasterStack(**block).read(shared_data, Findings("sources.rain")).compute()


@pytest.fixture(scope="module")
def java_spi(java):
    return {k: spi(java, k, NORMAL) for k in (3, 12)}


@pytest.fixture(scope="module")
def bali(shared_data):
    """Rain and PET of 1958 to 2024, and their SPEI-12."""
    names = {"ppt": "rain", "pet": "pet"}
    rain, pet = (
        xr.load_dataset(shared_data / f"bali/terraclimate_bali_{v}_1958_2024.nc")[v]
        .rename(name)
        .assign_attrs(units="mm/month")
        for v, name in names.items()
    )
    return rain, pet, spei(rain, pet, 12, NORMAL)


def months_of(index, year, months=AUTUMN):
    return index.sel(time=[pd.Timestamp(year, m, 1) for m in months])


# ------------------------------------------------------------------ Java


@pytest.mark.parametrize("k", [3, 12])
def test_every_land_cell_of_java_has_an_index_in_every_month(java, java_spi, k):
    """4,908 land cells: a wet climate, so nothing is masked; the sea, and the first k - 1 months, have none."""
    out = java_spi[k]
    land = java.notnull().all("time").values
    assert land.sum() == 4908
    status = out.spi_status.values
    assert (status[k - 1 :, land] == Status.ok).all()
    assert (status[:, ~land] == Status.insufficient_data).all()
    assert (status[: k - 1] == Status.insufficient_data).all()
    assert np.array_equal(out.spi.notnull(), np.isin(status, list(KEEPS_VALUE)))
    assert (out.max_detectable_class.values[:, land] == 3).all()


@pytest.mark.parametrize("k", [3, 12])
def test_the_index_of_java_is_standard_over_its_calibration(java_spi, k):
    """Mean near 0 and deviation near 1 in 1991 to 2020, in nearly every cell."""
    index = java_spi[k].spi.sel(time=slice("1991", "2020"))
    assert float(index.mean()) == pytest.approx(0, abs=0.05)
    assert float(index.std()) == pytest.approx(1, abs=0.05)
    by_cell = index.mean("time")
    assert float(np.abs(by_cell).max()) < 0.15
    assert 0.7 < float(index.std("time").min()) < float(index.std("time").max()) < 1.3


def test_the_dry_years_of_java_show(java_spi):
    """The El Niños of 1997 and 2015: median SPI-3 of September to November below -1; of all years about 0."""
    index = java_spi[3].spi
    assert float(months_of(index, 1997).median()) < -1
    assert float(months_of(index, 2015).median()) < -1
    assert float(index.isel(time=index.time.dt.month.isin(AUTUMN)).median()) == pytest.approx(0, abs=0.1)
    for wet in (2010, 2016):  # La Niña
        assert float(months_of(index, wet).median()) > 1


def test_the_dry_year_of_1997_is_one_of_twelve_months(java_spi):
    """SPI-12 of December: 1997 is extreme, the driest of the record; 2015 is a drought; half of all years are not."""
    december = java_spi[12].spi.isel(time=java_spi[12].time.dt.month == 12).median(["lat", "lon"])
    by_year = december.assign_coords(time=december.time.dt.year.values).to_series().dropna()
    assert by_year.idxmin() == 1997
    assert by_year[1997] <= -1.9
    assert by_year[2015] <= -1
    assert abs(by_year.median()) < 0.3


def test_most_of_java_was_in_drought_in_1997_and_2015(java_spi):
    """Runs of SPI-3 under way in November, three months old or more, in most cells; in a wet year in few."""
    out = java_spi[3]
    followed = months_in_drought(out.spi, out.spi_status)
    land = out.spi.isel(time=-1).notnull()
    share = {
        year: float((followed.run_months.sel(time=f"{year}-11-01") >= 3).where(land).mean())
        for year in (1997, 2015, 2010)
    }
    assert share[1997] > 0.6
    assert share[2015] > 0.5
    assert share[2010] < 0.02


def test_a_cell_of_java_by_hand(java, java_spi):
    """SPI-12 of September at 7.6 S 112.0 E: Thom's gamma of the 30 totals, by scipy's distribution."""
    place = {"lat": -7.6, "lon": 112.0, "method": "nearest"}
    rain = java.sel(**place).values.astype(float)
    september = np.array([rain[i - 11 : i + 1].sum() for i in range(8 + 12, 480, 12)])  # 1982 to 2020
    sample = september[9:]
    s = np.log(sample.mean()) - np.log(sample).mean()
    shape = (1 + np.sqrt(1 + 4 * s / 3)) / (4 * s)
    expected = norm.ppf(gamma.cdf(september, shape, scale=sample.mean() / shape))
    found = java_spi[12].spi.sel(**place).values[8 + 12 :: 12]
    assert len(sample) == 30
    np.testing.assert_allclose(found, np.clip(expected, -3, 3), rtol=0, atol=1e-5)


# ------------------------------------------------------------------ Bali


def test_spei_of_bali_is_a_standard_index_of_every_land_cell(bali):
    rain, _, out = bali
    land = rain.notnull().all("time").values
    status = out.spei_status.values[11:]
    assert np.isin(status[:, land], list(KEEPS_VALUE)).all()
    assert (status[:, ~land] == Status.insufficient_data).all()
    assert (status[:, land] == Status.out_of_support).mean() < 0.005
    index = out.spei.sel(time=slice("1991", "2020"))
    assert float(index.mean()) == pytest.approx(0, abs=0.05)
    assert float(index.std()) == pytest.approx(1, abs=0.05)
    assert float(np.abs(out.spei).max()) <= 3


def test_spei_of_bali_follows_its_spi(bali):
    """Rain is nine parts in ten of the balance: correlation above .95, and the same years are dry and wet."""
    rain, pet, out = bali
    index = spi(rain, 12, NORMAL).spi
    both = (index.notnull() & out.spei.notnull()).values
    assert both.mean() > 0.3
    assert np.corrcoef(index.values[both], out.spei.values[both])[0, 1] > 0.95
    december = out.spei.isel(time=out.time.dt.month == 12).median(["lat", "lon"])
    for dry in ("1972-12-01", "1982-12-01", "1997-12-01", "2015-12-01"):
        assert float(december.sel(time=dry)) < -1, dry
    assert float(december.sel(time="2010-12-01")) > 1
    drivers = spei_drivers(rain, pet, out, 12, NORMAL)
    land = rain.notnull().all("time").values
    assert (drivers.share_rain.values[land] > 0.8).all()
    assert (drivers.r_rain.values[land] > 0.9).all()
    assert (drivers.heat_index.values[land] == 0).all()
    assert (drivers.heat_index.values[~land] == -1).all()
