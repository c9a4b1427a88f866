"""What a slow source says in the months after its period: for how long, how old, and knowing nothing later."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from flows.compute_hazards import found_on_the_way, hazard_on_months
from flows.issue_warnings import levels
from flows.plan import Plan
from flows.raster_means import by_subdistrict
from flows.settings import load_settings
from geodata.schema import KEEPS_VALUE, Status, has_status, status_like
from models.spi import spi

UNITS = 10


@pytest.fixture(scope="module")
def demo():
    """The demo's settings: water by the year, calibrated 1991-2020, stale after 400 days."""
    return load_settings("demo")


def lakes(last=2023, seed=1):
    """Yearly area of ten lakes of 16 to 24 km2 from 1984 on; the last year is the driest of all."""
    years = last - 1983
    area = np.random.default_rng(seed).uniform(16, 24, (years, UNITS))
    area[-1] = 15.0
    coords = {"time": pd.date_range("1984", periods=years, freq="YS"), "pcode": [f"U{i}" for i in range(UNITS)]}
    values = xr.DataArray(area, dims=("time", "pcode"), coords=coords, attrs={"units": "km2", "long_name": "water"})
    return xr.Dataset({"surface_water": values, "surface_water_status": status_like(values)})


def water(demo, inputs, as_of, *, lag=0, **options):
    """The water hazard as a run of this month has it, and that run."""
    plan = Plan(demo, data="", as_of=as_of, issued="2026-01-15")
    source = demo.sources["surface_water"].model_copy(update={"available_after_days": lag})
    block = demo.assessed_hazards["water"].model_copy(update=options)
    return hazard_on_months("water", inputs, block, source, plan), plan


def words(flags):
    return [Status(int(f)).name for f in flags.values[:, 0]]


def test_a_year_is_as_old_as_the_months_since_it_ended(demo):
    """2023 is told 60 days after its end: in January 2024 2022 speaks, 13 months old; in February 2023 does."""
    out, _ = water(demo, lakes(), "2024-06", lag=60)
    recent = out.sel(time=slice("2024-01", None))
    assert recent["water_age_months"].values[:, 0].tolist() == [13, 2, 3, 4, 5, 6]
    assert words(recent["hazard_water_status"]) == ["ok"] * 6
    kept = has_status(out["water_age_months_status"], KEEPS_VALUE)
    assert (kept == out["water_age_months"].notnull()).all()


def test_the_age_a_hazard_declares_stands_before_that_of_its_source(demo):
    """2023 is 91 days old at the end of March, 121 a month later; the source would allow 400."""
    months = {"as_of": "2024-04"}
    assert words(water(demo, lakes(), **months)[0]["hazard_water_status"])[-2:] == ["ok", "ok"]
    assert words(water(demo, lakes(), **months, max_age_days=100)[0]["hazard_water_status"])[-2:] == ["ok", "stale"]


def test_water_without_an_age_of_its_own_ages_as_its_source_says(demo):
    """2022, with nothing after it: 396 days old at the end of January 2024, 425 a month later, and good until 400."""
    out, _ = water(demo, lakes(last=2022), "2024-03")
    assert words(out["hazard_water_status"])[-4:] == ["ok", "ok", "stale", "stale"]


def test_one_yearly_reading_is_twelve_months_and_says_how_old_it_is(demo):
    """Only 2023 is low: eight months later that is still one reading."""
    out, plan = water(demo, lakes(), "2024-08")
    only = plan.settings.model_copy(update={"hazards": {"water": plan.settings.hazards["water"]}})
    _, reasons = levels(Plan(only, data="", as_of="2024-08", issued="2026-01-15"), out)
    told = reasons["reason_values"].iloc[0]
    assert reasons["reason_code"].iloc[0] == "above_threshold"
    assert (told["months"], told["age_months"]) == (12, 8)
    assert json.dumps(told)


def test_a_year_found_without_images_is_not_told_as_the_year_before(demo):
    """2022 reads nothing, as in a great drought or without images: from its end to that of 2023 nobody knows."""
    inputs = lakes()
    inputs["surface_water"].loc["2022"] = 0.0
    out, _ = water(demo, inputs, "2024-01")
    assert out.attrs["years_found"] == "2022"
    recent = out.sel(time=slice("2022-11", None))
    assert words(recent["hazard_water_status"]) == ["ok"] + ["insufficient_data"] * 12 + ["ok"] * 2
    for name in [str(v) for v in recent.data_vars if f"{v}_status" in recent and "trend" not in str(v)]:
        assert (recent[name].notnull() == has_status(recent[f"{name}_status"], KEEPS_VALUE)).all()
        assert recent[name].notnull().values[:, 0].tolist() == [True] + [False] * 12 + [True] * 2, name
    declared, _ = water(demo, inputs, "2024-01", years_without_imagery=(2022,))
    told = words(declared["hazard_water_status"].sel(time=slice("2022-11", None)))
    assert (
        told == ["ok"] * 3 + ["stale"] * 10 + ["ok"] * 2
    )  # of a year known to have no image, the one before, its age told


def test_months_of_a_year_found_without_images_are_not_bridged_from_the_year_before(demo):
    """By the month: nothing of 2023, nor of the month after it, is told as December 2022."""
    times = pd.date_range("1984-01", "2024-01", freq="MS")
    area = np.random.default_rng(2).uniform(16, 24, (len(times), UNITS))
    area[times.year == 2023] = 0.0
    area[-1] = np.nan
    coords = {"time": times, "pcode": [f"U{i}" for i in range(UNITS)]}
    values = xr.DataArray(area, dims=("time", "pcode"), coords=coords, attrs={"units": "km2", "long_name": "water"})
    inputs = xr.Dataset({"surface_water": values, "surface_water_status": status_like(values)})
    plan = Plan(demo, data="", as_of="2024-01", issued="2026-01-15")
    source = demo.sources["surface_water"].model_copy(update={"cadence": "month", "max_age_days": 800})
    out = hazard_on_months("water", inputs, demo.assessed_hazards["water"], source, plan)
    assert words(out["hazard_water_status"])[-14:] == ["ok"] + ["insufficient_data"] * 13


def test_an_indicator_warns_of_years_found_as_a_hazard_does(demo):
    plan = Plan(demo, data="", as_of="2024-01", issued="2026-01-15")
    found = xr.Dataset(attrs={"years_found": "2022"})
    (of_hazard,), (of_indicator,) = (found_on_the_way(plan, name, found) for name in ("water", "open_water"))
    assert (of_hazard.source, of_indicator.source) == ("sources.surface_water", "sources.water_history")
    assert of_hazard.found == of_indicator.found
    assert of_hazard.severity == of_indicator.severity == "warning"
    assert found_on_the_way(plan, "open_water", xr.Dataset()) == []


@pytest.mark.parametrize("later", [0.0, 3.0])
def test_years_after_both_the_month_and_the_calibration_change_nothing(demo, later):
    """As of 2021-06, calibrated to 2020: what 2021 to 2030 read, or whether they were seen, is unknown."""
    inputs = lakes(last=2030)
    inputs["surface_water"].loc["2005"] = 0.9
    other = inputs.copy(deep=True)
    other["surface_water"].loc["2021":] *= later
    own, _ = water(demo, inputs, "2021-06")
    changed, _ = water(demo, other, "2021-06")
    assert own.attrs["years_found"] == "2005"
    xr.testing.assert_identical(own, changed)


def test_the_headline_drought_index_is_the_spi_of_area_weighted_rain_and_never_a_mean_of_the_spis_of_cells(demo):
    """A subdistrict of one cell and half of the next, whose rains differ: two thirds of the one, a third of the other.

    A mean of two SPIs that are not alike has a deviation below 1: it hides the droughts.
    """
    months = pd.date_range("1991-01", "2020-12", freq="MS")
    place = {"time": months, "lat": [31.75, 31.25], "lon": [40.25, 40.75]}
    values = np.random.default_rng(9).gamma(2.0, 20.0, (len(months), 2, 2)) + 2.0
    rain = xr.DataArray(values, dims=("time", "lat", "lon"), coords=place, attrs={"units": "mm/month"}, name="rain")
    shape, names = [shapely.box(40.0, 31.5, 40.75, 32.0)], pd.Index(["U"], name="pcode")
    unit = gpd.GeoDataFrame({"area_km2": [1.0]}, geometry=shape, index=names, crs="EPSG:4326")
    means = by_subdistrict(rain.assign_attrs(crs="EPSG:4326"), demo.sources["rain"], unit)
    inputs = xr.Dataset({"rain": means["value"], "rain_status": means["status"]})
    plan = Plan(demo, data="", as_of="2020-12", issued="2026-01-15")
    out = hazard_on_months("drought", inputs, demo.hazards["drought"], demo.sources["rain"], plan)

    first, second = (rain.isel(lat=0, lon=i, drop=True) for i in (0, 1))
    weighted = ((2 * first + second) / 3).assign_attrs(units="mm/month")
    of_the_mean, *of_cells = (spi(r, 6, (1991, 2020))["spi"].values[12:] for r in (weighted, first, second))
    headline, mean_of_cells = out["drought_index"].values[12:, 0], (2 * of_cells[0] + of_cells[1]) / 3
    assert headline == pytest.approx(of_the_mean, abs=1e-6)
    assert np.abs(headline - mean_of_cells).max() > 0.3
    assert (headline < -2).sum() > (mean_of_cells < -2).sum()
    assert headline.std() == pytest.approx(1.0, abs=0.05)
    assert mean_of_cells.std() == pytest.approx(np.sqrt(5) / 3, abs=0.06)
