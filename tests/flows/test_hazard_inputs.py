"""What a block reads: of every cadence what its method can use, and of every source what was there in time."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from flows.compute_hazards import apart, hazard_on_months
from flows.hazard_inputs import inputs_by_subdistrict
from flows.months import axis_of, every_period
from flows.plan import Plan
from flows.reading import Country, check_calibrations, note_the_calendar, note_what_needs_days
from flows.settings import Settings, load_settings
from geodata.schema import Status, status_like
from geodata.store import write_cube

UNITS = ["A", "B"]


@pytest.fixture(scope="module")
def demo():
    return load_settings("demo")


def plan_of(settings, as_of="2024-03"):
    return Plan(settings, data="", as_of=as_of, issued="2026-01-15")


def with_source(settings, name, **options):
    sources = settings.sources | {name: settings.sources[name].model_copy(update=options)}
    return settings.model_copy(update={"sources": sources})


def revalidated(settings, section, name, **options):
    """The settings as a country file with these options of one block would give them."""
    values = settings.model_dump(mode="json", exclude_unset=True)
    values[section][name] |= options
    return Settings.model_validate(values)


def refused(change, *arguments, **options):
    """Findings with which a country file is refused."""
    with pytest.raises(ValidationError) as error:
        change(*arguments, **options)
    return error.value.errors()[0]["ctx"]["error"].findings


def monthly(name, months, units="mm/month", seed=0):
    values = np.random.default_rng(seed).gamma(2.0, 20.0, (len(months), len(UNITS)))
    coords = {"time": months, "pcode": UNITS}
    values = xr.DataArray(values, dims=("time", "pcode"), coords=coords, attrs={"units": units, "long_name": name})
    return xr.Dataset({name: values, f"{name}_status": status_like(values)})


# ------------------------------------------------------------------ cadence


def test_a_second_source_by_another_time_step_is_refused(demo):
    """Days of temperature beside months of greenness would be read on the first of each month alone."""
    (finding,) = refused(revalidated, demo, "indicators", "plants", temperature="tmax_daily")
    assert (finding.field, finding.found) == ("indicators.plants.temperature", "sources.tmax_daily with cadence 'day'")
    assert finding.expected == "cadence 'month', that of sources.ndvi"


def test_a_source_whose_time_step_the_method_cannot_use_is_refused(demo):
    (finding,) = refused(revalidated, demo, "hazards", "drought", source="daily_rain")
    assert finding.field == "hazards.drought.source"
    assert (finding.found, finding.expected) == (
        "sources.daily_rain with cadence 'day'",
        "cadence 'month' for method 'spi'",
    )


def test_a_curve_number_has_no_time_step_to_agree_with(demo):
    assert demo.sources[demo.hazards["heavy_rain"].curve_number].cadence == "once"


def test_heavy_rain_from_monthly_rain_alone_is_missing_and_not_zero(demo):
    """It stands among the missing hazards of every product, and the reader of the checks is told why."""
    settings = revalidated(demo, "hazards", "heavy_rain", source="rain", curve_number=None)
    assert "heavy_rain" in settings.missing_hazards
    assert "heavy_rain" not in settings.assessed_hazards
    country = Country()
    note_what_needs_days(country, plan_of(settings))
    (finding,) = country.findings
    assert (finding.severity, finding.source, finding.found) == ("warning", "sources.rain", "cadence 'month'")


def test_a_hazard_made_of_the_water_balance_asks_for_its_coefficients(demo):
    values = demo.model_dump(mode="json", exclude_unset=True)
    del values["water_demand"], values["water_balance"]
    assert [f.field for f in refused(Settings.model_validate, values)] == ["water_demand"]


# ------------------------------------------------------------------ time


def test_a_month_that_a_table_leaves_out_is_a_gap_and_not_the_month_before():
    months = pd.DatetimeIndex(["2020-01-01", "2020-02-01", "2020-05-01"])
    assert [t.month for t in every_period(months, "month")] == [1, 2, 3, 4, 5]
    rounds = pd.DatetimeIndex(["2020-01-17", "2020-05-03"])
    assert every_period(rounds, "round").equals(rounds)


def test_a_table_with_a_missing_month_gives_an_index_with_a_gap(demo, tmp_path):
    """January 2010 has no row: the SPI-1 of that month is unknown, that of the months around it is not."""
    months = pd.date_range("1990-01-01", "2024-03-01", freq="MS")
    plan = plan_of(demo)
    inputs = inputs_on(tmp_path, plan, rain=monthly("rain", months.delete(months.get_loc("2010-01-01"))))
    block = demo.hazards["drought"]
    out = hazard_on_months("drought", inputs, block, axis_of(block, plan), plan)
    spi = out["spi_1"].sel(time=slice("2009-12", "2010-02")).isel(pcode=0)
    assert np.isnan(spi.values).tolist() == [False, True, False]
    assert out["spi_1_status"].sel(time="2010-01-01").values[0] == Status.input_missing


def inputs_on(work, plan, block="drought", **cubes):
    """Inputs of a block from cubes as the stage before has written them."""
    from flows.workspace import stage

    stage(work).mkdir(exist_ok=True)
    for name, cube in cubes.items():
        write_cube(cube.assign_coords(effective_cells=("pcode", [9.0] * len(UNITS))), stage(work) / f"{name}.nc")
    return inputs_by_subdistrict(block, plan.settings.blocks[block], plan, work)


def test_an_index_speaks_when_the_last_of_its_sources_can_be_had(demo, tmp_path):
    """Evapotranspiration comes 45 days after its month: at the end of March SPEI speaks of January at the latest."""
    settings = with_source(demo, "evapotranspiration", available_after_days=45)
    plan, block = plan_of(settings), settings.indicators["spei"]
    months = pd.date_range("1990-01-01", "2024-03-01", freq="MS")
    cubes = {"rain": monthly("rain", months), "evapotranspiration": monthly("evapotranspiration", months, seed=1)}
    inputs = inputs_on(tmp_path, plan, "spei", **cubes)
    out = hazard_on_months("spei", inputs, block, axis_of(block, plan), plan)
    last = out["spei_1_status"].isel(pcode=0).sel(time=slice("2024-01", "2024-03")).values.tolist()
    assert last == [Status.ok, Status.input_missing, Status.input_missing]


def test_an_index_is_stale_when_the_first_of_its_sources_is(demo):
    settings = with_source(with_source(demo, "evapotranspiration", max_age_days=40), "rain", max_age_days=90)
    assert axis_of(settings.indicators["spei"], plan_of(settings)).max_age_days == 40


# ------------------------------------------------------------------ calibration


def test_years_without_a_value_do_not_calibrate(demo):
    """Rain has rows for 1991 to 2020, and values in 29 of these years."""
    months = pd.date_range("1991-01-01", "2020-12-01", freq="MS")
    rain = monthly("rain", months)
    rain["rain"] = rain["rain"].where(rain["time"].dt.year != 2003)
    country = Country(cubes={"rain": rain})
    check_calibrations(country, plan_of(demo))
    drought = [f for f in country.findings if f.field == "calibration of hazards.drought"]
    assert [f.found for f in drought] == ["29 of the years 1991 to 2020 in a record of 1991 to 2020"]


def test_a_calibration_of_fewer_years_than_a_normal_is_told(demo):
    """Nineteen years of greenness are enough for a range, and not for a rank that is finer than a fifth."""
    months = pd.date_range("2005-01-01", "2023-12-01", freq="MS")
    country = Country(cubes={"ndvi": monthly("ndvi", months, units="1")})
    check_calibrations(country, plan_of(demo))
    (finding,) = country.findings
    assert (finding.severity, finding.field) == ("note", "calibration of indicators.plants")
    assert finding.found == "19 of the years 2005 to 2023 in a record of 2005 to 2023"


def test_the_second_source_must_hold_the_calibration_years_too(demo):
    months = pd.date_range("1991-01-01", "2024-03-01", freq="MS")
    short = monthly("evapotranspiration", months[months.year > 2010])
    country = Country(cubes={"rain": monthly("rain", months), "evapotranspiration": short})
    check_calibrations(country, plan_of(demo))
    assert [(f.source, f.field) for f in country.findings] == [
        ("sources.evapotranspiration", "calibration of indicators.spei")
    ]


def test_every_calibration_that_reaches_beyond_the_as_of_month_is_told(demo):
    """The country's years and the own years of a block."""
    country = Country()
    note_the_calendar(country, plan_of(demo, "2015-06"))
    told = {f.field: f.found for f in country.findings if f.source == "calibration"}
    assert told["calibration.end_year"] == "2020"
    assert told["indicators.plants.calibration_years"] == "2023"


# ------------------------------------------------------------------ names


def test_two_blocks_of_one_method_keep_their_indices_apart():
    first, second = (xr.Dataset({"spi_3": ("n", [float(v)]), "spi_3_status": ("n", [v])}) for v in (1, 2))
    drought, other = apart({"drought": first, "gauges": second})
    assert drought["spi_3"].item() == 1.0
    assert other["gauges_spi_3"].item() == 2.0
    assert "gauges_spi_3_status" in other
