"""Demand for water: numbers of FAO and of hand arithmetic, laws of the scenarios, and what is not known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from geodata.schema import ContractError, Status, check_cube, status_attrs
from models.demand import (
    PARTS,
    SCENARIOS,
    Coefficient,
    DemandOptions,
    DomesticOptions,
    IrrigationOptions,
    displaced_by_shelter,
    domestic_demand,
    effective_rain,
    irrigation_demand,
    leaching_share,
    livestock_demand,
    unknown_demand,
    with_total,
    words_of_sectors,
)

MONTHS = pd.date_range("2024-01-01", periods=3, freq="MS", unit="ns")
PCODES = ["A", "B"]


def one(value, spread=0.0):
    """A coefficient whose three values lie `spread` apart."""
    return {"low": value - spread, "mid": value, "high": value + spread, "source": "test"}


def all_year(value, spread=0.0):
    return {key: [number] * 12 for key, number in one(value, spread).items() if key != "source"} | {"source": "test"}


def by_unit(values, units, **extra_dims):
    """(time, pcode) or (time, pcode, <dim>): one value a unit, or one row a month."""
    table = np.array(values, dtype=float)
    shape = (len(MONTHS), len(PCODES), *(len(v) for v in extra_dims.values()))
    coords = {"time": MONTHS, "pcode": PCODES, **extra_dims}
    return xr.DataArray(
        np.broadcast_to(table, shape), dims=("time", "pcode", *extra_dims), coords=coords, attrs={"units": units}
    )


def flags_like(values, *codes):
    """Status flags, one for each unit."""
    table = np.broadcast_to(np.array(codes, dtype="int8"), values.shape[:2])
    return xr.DataArray(table, dims=values.dims[:2], coords=values.coords, attrs=status_attrs())


DOMESTIC = {
    "residents_litres": one(100, 50),
    "camp_litres": one(20, 5),
    "critical_litres": one(50, 10),
    "other_litres": one(100, 20),
    "losses": one(0.5, 0.1),
}
FIELDS = {
    "efficiency": one(0.5, 0.1),
    "water_salinity_ds_m": one(1.2),
    "crops": {
        "maize": {"kc": all_year(1.15), "soil_salinity_ds_m": one(2.5)},
        "dates": {"kc": all_year(0.9, 0.05), "soil_salinity_ds_m": one(4.0, 1.0)},
    },
}
HERD = {"sheep": Coefficient(**one(6, 2)), "camels": Coefficient(**one(20, 5))}


def people(residents=(1000.0, 2000.0), households=(10.0, 0.0), critical=(4.0, 0.0), **options):
    shelters = displaced_by_shelter(
        by_unit(households, "households"), 6.0, critical=by_unit(critical, "households"), **options
    )
    return domestic_demand(by_unit(residents, "people"), shelters, DomesticOptions.model_validate(DOMESTIC))


def fields(hectares=((100.0, 0.0), (0.0, 0.0)), evapotranspiration=150.0, rain=30.0, options=FIELDS, **flags):
    return irrigation_demand(
        by_unit(hectares, "ha", crop=["maize", "dates"]),
        by_unit(evapotranspiration, "mm/month"),
        by_unit(rain, "mm/month"),
        IrrigationOptions.model_validate(options),
        **flags,
    )


def mid(demand, part, pcode="A", month=0):
    return demand[f"demand_{part}"].sel(scenario="mid", pcode=pcode).isel(time=month).item()


# ------------------------------------------------------------------ numbers that are not ours


@pytest.mark.parametrize(("rain", "usable"), [(0, 0), (100, 84), (250, 150), (300, 155)])
def test_effective_rain_of_the_usda(rain, usable):
    """FAO's table of the USDA method; both branches give 150 at 250 mm."""
    found = effective_rain(xr.DataArray([float(rain)], dims="time", attrs={"units": "mm/month"}))
    assert found.item() == pytest.approx(usable, abs=1e-12)


def test_leaching_requirement_of_fao_29():
    """Its maize under water of 1.2 dS/m: 0.16 for the full yield, 0.10 for nine tenths of it, and 890 mm for 800."""
    assert leaching_share(1.2, 1.7) == pytest.approx(0.16, abs=0.005)
    assert leaching_share(1.2, 2.5) == pytest.approx(0.10, abs=0.01)
    assert round(800 / (1 - round(leaching_share(1.2, 2.5), 1)), -1) == 890


def test_irrigation_by_hand():
    """1.15 x 150 mm - 28.56 mm of rain = 143.94 mm over 100 ha, half lost, a share of 1.2/11.3 leached, 31 days."""
    by_hand = 143.94 * 10 * 100 / 0.5 / (1 - 1.2 / 11.3) / 31
    found = fields()
    assert mid(found, "irrigation") == pytest.approx(by_hand, rel=1e-12)
    assert mid(found, "irrigation", month=1) == pytest.approx(by_hand * 31 / 29, rel=1e-12)  # February 2024
    assert mid(found, "irrigation", "B") == 0
    without = {key: value for key, value in FIELDS.items() if key != "water_salinity_ds_m"}
    assert mid(fields(options=without), "irrigation") == pytest.approx(by_hand * (1 - 1.2 / 11.3), rel=1e-12)


def test_domestic_by_hand():
    """1,000 residents x 100 L, and 60 displaced: 24 in critical shelter x 50 L, 36 elsewhere x 100 L; half lost."""
    found = people()
    assert mid(found, "residents") == pytest.approx(200, rel=1e-12)
    assert mid(found, "displaced") == pytest.approx((24 * 50 + 36 * 100) / 1000 / 0.5, rel=1e-12)
    assert mid(found, "domestic") == pytest.approx(209.6, rel=1e-12)
    assert found["demand_domestic"].sel(pcode="A", scenario="high").isel(time=0).item() == pytest.approx(
        (1000 * 150 + 24 * 60 + 36 * 120) / 1000 / 0.4, rel=1e-12
    )


def test_camps_are_a_class_of_their_own():
    found = people(camp=by_unit((2.0, 0.0), "households"))
    assert mid(found, "displaced") == pytest.approx((12 * 20 + 24 * 50 + 24 * 100) / 1000 / 0.5, rel=1e-12)


def test_livestock_by_hand():
    heads = by_unit(((1000.0, 10.0), (0.0, 0.0)), "head", animal=["sheep", "camels"])
    found = livestock_demand(heads, HERD)
    assert found["demand_livestock"].sel(pcode="A").isel(time=0).values.tolist() == pytest.approx([4.15, 6.2, 8.25])
    assert mid(found, "livestock", "B") == 0


def test_a_crop_asks_for_water_in_the_months_it_grows():
    winter = {"low": [1.0] + [0.0] * 11, "mid": [1.0] + [0.0] * 11, "high": [1.0] + [0.0] * 11, "source": "test"}
    options = {"efficiency": one(0.5), "crops": {"maize": {"kc": winter}, "dates": {"kc": winter}}}
    found = fields(rain=0.0, options=options)
    assert mid(found, "irrigation", month=0) > 0
    assert mid(found, "irrigation", month=1) == 0


# ------------------------------------------------------------------ laws

amounts = st.floats(0, 1e5, allow_subnormal=False)
coefficients = st.tuples(st.floats(0, 300), st.floats(0, 50), st.floats(0, 50)).map(
    lambda t: {"low": t[0], "mid": t[0] + t[1], "high": t[0] + t[1] + t[2], "source": "test"}
)
shares = st.lists(st.floats(0.1, 0.9), min_size=3, max_size=3).map(
    lambda t: dict(zip(("low", "mid", "high"), sorted(t), strict=True)) | {"source": "test"}
)


def rises(demand):
    """Scenarios in their order, up to rounding."""
    low, middle, high = (demand.sel(scenario=s) for s in SCENARIOS)
    slack = 1e-12 * abs(high)
    return bool(((low <= middle + slack) & (middle <= high + slack)).all())


@settings(max_examples=40)
@given(amounts, amounts, st.floats(0, 1), *[coefficients] * 4, shares)
def test_scenarios_of_people_stand_in_their_order(residents, households, critical, r, c, s, o, losses):
    block = {"residents_litres": r, "camp_litres": c, "critical_litres": s, "other_litres": o, "losses": losses}
    shelters = displaced_by_shelter(
        by_unit(households, "households"), 6.0, critical=by_unit(households * critical, "households")
    )
    found = domestic_demand(by_unit(residents, "people"), shelters, DomesticOptions.model_validate(block))
    assert rises(found["demand_domestic"])


@settings(max_examples=40)
@given(
    amounts, st.floats(0, 300), st.floats(0, 400), shares, shares, st.lists(st.floats(1.0, 8.0), min_size=3, max_size=3)
)
def test_scenarios_of_fields_stand_in_their_order(area, evaporation, rain, kc, efficiency, salinity):
    """Efficiency and tolerance of salt lower the demand, so their ends are turned."""
    bears = dict(zip(("low", "mid", "high"), sorted(salinity), strict=True)) | {"source": "test"}
    kc = {k: v if k == "source" else [v] * 12 for k, v in kc.items()}
    crops = {name: {"kc": kc, "soil_salinity_ds_m": bears} for name in ("maize", "dates")}
    options = {"efficiency": efficiency, "water_salinity_ds_m": one(1.2, 0.3), "crops": crops}
    found = fields(((area, 0.0), (0.0, area)), evaporation, rain, options)
    assert rises(found["demand_irrigation"])
    assert bool((found["demand_irrigation"] >= 0).all())


@settings(max_examples=40)
@given(st.floats(0, 1e4), st.floats(0, 400), st.floats(0, 400), st.floats(0, 100))
def test_irrigation_falls_with_rain_and_rises_with_area_and_evaporation(area, evaporation, rain, more):
    """More of the cause never gives less of its effect."""
    base = mid(fields(((area, 0.0), (0.0, 0.0)), evaporation, rain), "irrigation")
    assert mid(fields(((area, 0.0), (0.0, 0.0)), evaporation, rain + more), "irrigation") <= base + 1e-9
    assert mid(fields(((area, 0.0), (0.0, 0.0)), evaporation + more, rain), "irrigation") >= base
    assert mid(fields(((area + more, 0.0), (0.0, 0.0)), evaporation, rain), "irrigation") >= base


@settings(max_examples=40)
@given(st.floats(0, 1000), st.floats(0, 1500), st.floats(0, 1500))
def test_no_household_is_counted_in_two_shelters(households, critical, camp):
    """Parts that were rounded up above the whole are cut to it."""
    found = displaced_by_shelter(
        by_unit(households, "households"),
        6.0,
        critical=by_unit(critical, "households"),
        camp=by_unit(camp, "households"),
    )
    assert sum(found.values()).isel(time=0, pcode=0).item() == pytest.approx(households * 6, rel=1e-12, abs=1e-9)
    assert all(bool((group >= 0).all()) for group in found.values())


def test_chunks_change_nothing():
    whole, parts = fields(), IrrigationOptions.model_validate(FIELDS)
    chunked = irrigation_demand(
        by_unit(((100.0, 0.0), (0.0, 0.0)), "ha", crop=["maize", "dates"]).chunk(pcode=1),
        by_unit(150.0, "mm/month").chunk(time=2),
        by_unit(30.0, "mm/month").chunk(time=1, pcode=1),
        parts,
    )
    assert chunked["demand_irrigation"].chunks is not None
    xr.testing.assert_identical(chunked.compute(), whole)


# ------------------------------------------------------------------ what is not known


def whole(**replaced):
    """All four parts with their total; a part may be replaced."""
    heads = by_unit(((1000.0, 10.0), (0.0, 0.0)), "head", animal=["sheep", "camels"])
    domestic = replaced.get("domestic", people())
    parts = [domestic, replaced.get("irrigation", fields()), replaced.get("livestock", livestock_demand(heads, HERD))]
    return with_total(xr.merge(parts, join="exact").transpose("time", "pcode", "scenario"))


def test_the_total_is_the_sum_of_its_parts_and_names_them():
    found = whole()
    check_cube(found)
    total = sum(found[f"demand_{part}"] for part in PARTS)
    np.testing.assert_allclose(found["demand_total"], total, rtol=1e-14)
    assert {words_of_sectors(held) for held in found["sectors_known"].values.ravel()} == {" ".join(PARTS)}


def test_a_sector_without_input_is_unknown_and_the_total_a_lower_bound():
    found = whole(irrigation=unknown_demand("irrigation", by_unit(0.0, "people")))
    check_cube(found)
    assert bool(found["demand_irrigation"].isnull().all())
    assert set(found["demand_irrigation_status"].values.ravel().tolist()) == {Status.input_missing}
    assert {words_of_sectors(held) for held in found["sectors_known"].values.ravel()} == {
        "residents displaced livestock"
    }
    assert mid(found, "total") == pytest.approx(mid(found, "domestic") + mid(found, "livestock"))
    assert "lower bound" in found["demand_total"].attrs["comment"]


def test_people_nobody_counted_ask_for_no_known_water():
    """Residents unknown in B: no domestic demand there, never 0; of the total, what is known."""
    found = whole(domestic=people(residents=(1000.0, np.nan)))
    check_cube(found)
    assert np.isnan(mid(found, "domestic", "B"))
    assert found["demand_domestic_status"].sel(pcode="B").values.tolist() == [Status.input_missing] * 3
    assert words_of_sectors(found["sectors_known"].sel(pcode="B")[0].item()) == "displaced irrigation livestock"


@pytest.mark.parametrize("reason", [Status.input_missing, Status.insufficient_data])
def test_displaced_people_nobody_counted_are_not_nobody(reason):
    """A: 10 households. B: nobody counted, so its people ask for no known water, and of its total the rest is known."""
    residents, households = by_unit((1000.0, 2000.0), "people"), by_unit((10.0, np.nan), "households")
    found = whole(
        domestic=domestic_demand(
            residents,
            displaced_by_shelter(households, 6.0),
            DomesticOptions.model_validate(DOMESTIC),
            displaced_status=flags_like(residents, Status.ok, reason),
        )
    )
    check_cube(found)
    assert mid(found, "domestic") == pytest.approx(212)
    assert np.isnan(found["demand_domestic"].sel(pcode="B")).all()
    assert found["demand_domestic_status"].isel(time=0).values.tolist() == [Status.ok, reason]
    assert mid(found, "total", "B") == pytest.approx(400 + mid(found, "irrigation", "B"))
    assert words_of_sectors(found["sectors_known"].sel(pcode="B")[0].item()) == "residents irrigation livestock"


def test_a_round_that_counted_none_in_a_unit_is_none():
    found = whole(domestic=people(households=(10.0, 0.0)))
    assert mid(found, "domestic", "B") == pytest.approx(400)
    assert words_of_sectors(found["sectors_known"].sel(pcode="B")[0].item()) == " ".join(PARTS)


def test_without_a_list_of_displaced_people_the_residents_are_a_lower_bound():
    residents = by_unit((1000.0, 2000.0), "people")
    found = whole(domestic=domestic_demand(residents, None, DomesticOptions.model_validate(DOMESTIC)))
    check_cube(found)
    assert np.isnan(mid(found, "domestic"))
    assert set(found["demand_domestic_status"].values.ravel().tolist()) == {Status.input_missing}
    assert mid(found, "total") == pytest.approx(200 + mid(found, "irrigation") + mid(found, "livestock"))
    assert words_of_sectors(found["sectors_known"][0, 0].item()) == "residents irrigation livestock"


# ------------------------------------------------------------------ displaced people among the residents


def included(residents, displaced, **flags):
    return domestic_demand(
        residents, displaced, DomesticOptions.model_validate(DOMESTIC), residents_include_displaced=True, **flags
    )


def test_displaced_people_among_the_residents_are_counted_once():
    """Of 1,000 people 60 are displaced: 940 x 100 L, 24 in critical shelter x 50 L, 36 elsewhere x 100 L; half lost."""
    residents, households = by_unit((1000.0, 50.0), "people"), by_unit((10.0, 10.0), "households")
    shelters = displaced_by_shelter(households, 6.0, critical=by_unit((4.0, 0.0), "households"))
    found = included(residents, shelters)
    assert mid(found, "domestic") == pytest.approx((940 * 100 + 24 * 50 + 36 * 100) / 1000 / 0.5, rel=1e-12)
    # a count of more displaced people than residents stands for itself, and takes nobody away
    assert mid(found, "domestic", "B") == pytest.approx(60 * 100 / 1000 / 0.5, rel=1e-12)


def test_residents_who_include_uncounted_displaced_people_are_all_the_people_there_are():
    residents, households = by_unit((1000.0, 2000.0), "people"), by_unit((10.0, np.nan), "households")
    unknown = flags_like(residents, Status.ok, Status.input_missing)
    found = whole(domestic=included(residents, displaced_by_shelter(households, 6.0), displaced_status=unknown))
    check_cube(found)
    assert mid(found, "domestic", "B") == pytest.approx(400)
    assert words_of_sectors(found["sectors_known"].sel(pcode="B")[0].item()) == " ".join(PARTS)
    without = whole(domestic=included(residents, None))
    assert mid(without, "domestic") == pytest.approx(200)


@settings(max_examples=40)
@given(amounts, amounts, st.floats(0, 1))
def test_people_counted_once_ask_for_no_more_than_people_added(residents, households, critical):
    arguments = (
        by_unit(residents, "people"),
        displaced_by_shelter(
            by_unit(households, "households"), 6.0, critical=by_unit(households * critical, "households")
        ),
    )
    added = domestic_demand(*arguments, DomesticOptions.model_validate(DOMESTIC))["demand_domestic"]
    once = included(*arguments)["demand_domestic"]
    assert bool((once <= added * (1 + 1e-12)).all())


def test_a_unit_of_which_nothing_is_known_has_no_total():
    like = by_unit(0.0, "people")
    nobody = domestic_demand(by_unit(np.nan, "people"), None, DomesticOptions.model_validate(DOMESTIC))
    found = whole(
        domestic=nobody, irrigation=unknown_demand("irrigation", like), livestock=unknown_demand("livestock", like)
    )
    check_cube(found)
    assert set(found["demand_total_status"].values.ravel().tolist()) == {Status.input_missing}


def test_an_old_count_makes_an_old_demand():
    residents, households = by_unit((1000.0, 2000.0), "people"), by_unit((10.0, 10.0), "households")
    found = domestic_demand(
        residents,
        displaced_by_shelter(households, 6.0),
        DomesticOptions.model_validate(DOMESTIC),
        residents_status=flags_like(residents, Status.ok, Status.resolution_limited),
        displaced_status=flags_like(residents, Status.stale, Status.ok),
    )
    assert found["demand_domestic_status"].isel(time=0).values.tolist() == [Status.stale, Status.resolution_limited]


def test_weather_nobody_observed_leaves_irrigation_unknown_but_for_land_without_fields():
    """A: fields and no rain known. B: no field, so no demand, whatever the weather was."""
    found = fields(rain=((np.nan, np.nan), (30.0, 30.0), (30.0, 30.0)))
    check_cube(found)
    assert found["demand_irrigation_status"].values.tolist() == [[Status.input_missing, Status.ok], [0, 0], [0, 0]]
    assert mid(found, "irrigation", "B") == 0


def test_a_flag_that_keeps_no_value_takes_the_value_away():
    weather = by_unit(150.0, "mm/month")
    stale = flags_like(weather, Status.stale, Status.stale)
    gone = flags_like(weather, Status.insufficient_data, Status.ok)
    found = fields(((100.0, 0.0), (5.0, 0.0)), evapotranspiration_status=gone, rain_status=stale)
    check_cube(found)
    assert found["demand_irrigation_status"].isel(time=0).values.tolist() == [Status.insufficient_data, Status.stale]


# ------------------------------------------------------------------ wrong coefficients and inputs


@pytest.mark.parametrize(
    ("where", "value", "complaint"),
    [
        (("domestic", "camp_litres"), {"low": 30, "mid": 20, "high": 40, "source": "x"}, "low <= mid <= high"),
        (("domestic", "camp_litres"), {"low": 1, "mid": 2, "high": 3}, "source"),
        (("domestic", "camp_litres"), {**one(1), "unit": "L"}, "unit"),
        (("domestic", "camp_litres"), one(-1), "greater than or equal to 0"),
        (("domestic", "losses"), one(1.0), "less than 1"),
        (("irrigation", "efficiency"), one(0.0), "greater than 0"),
        (("irrigation", "efficiency"), one(1.2), "less than or equal to 1"),
        (("irrigation", "crops"), {}, "at least 1"),
        (("irrigation", "crops", "maize", "kc"), {**all_year(1.0), "mid": [1.0] * 11}, "at least 12"),
        (("irrigation", "crops", "maize", "kc"), {**all_year(1.0), "mid": [1.0] * 11 + [0.9]}, "month 12"),
        (("irrigation", "crops", "maize", "soil_salinity_ds_m"), one(0.4), "2.5 ECe"),
        (("livestock", "sheep"), one(float("nan")), "finite"),
        (("returns",), {"environment": one(0.1)}, "domestic"),
        (("returns",), {"domestic": one(1.5)}, "less than or equal to 1"),
        (("water",), 1, "Extra inputs"),
    ],
)
def test_a_wrong_coefficient_is_refused(where, value, complaint):
    block = {"domestic": dict(DOMESTIC), "irrigation": dict(FIELDS), "livestock": {"sheep": one(6, 2)}}
    block["irrigation"]["crops"] = {name: dict(crop) for name, crop in FIELDS["crops"].items()}
    DemandOptions.model_validate(block)
    place = block
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(ValidationError, match=complaint):
        DemandOptions.model_validate(block)


def test_a_crop_that_bears_no_known_salt_cannot_be_leached():
    crops = {"maize": {"kc": all_year(1.0)}}
    with pytest.raises(ValidationError, match="soil_salinity"):
        IrrigationOptions.model_validate({"efficiency": one(0.5), "water_salinity_ds_m": one(1.0), "crops": crops})


def test_a_crop_or_animal_without_coefficient_is_an_error():
    """What the table holds and the country file does not know may not be left out of the sum."""
    with pytest.raises(ContractError, match="rice"):
        irrigation_demand(
            by_unit(((1.0,), (1.0,)), "ha", crop=["rice"]),
            by_unit(150.0, "mm/month"),
            by_unit(30.0, "mm/month"),
            IrrigationOptions.model_validate(FIELDS),
        )
    with pytest.raises(ContractError, match="lions"):
        livestock_demand(by_unit(((1.0,), (1.0,)), "head", animal=["lions"]), HERD)


def test_units_are_checked_at_the_door():
    with pytest.raises(ContractError, match="mm/day"):
        effective_rain(by_unit(1.0, "mm/day"))
    with pytest.raises(ContractError, match="km2"):
        irrigation_demand(
            by_unit(((1.0,), (1.0,)), "km2", crop=["maize"]),
            by_unit(150.0, "mm/month"),
            by_unit(30.0, "mm/month"),
            IrrigationOptions.model_validate(FIELDS),
        )
    with pytest.raises(ContractError, match="households"):
        domestic_demand(by_unit(1.0, "households"), None, DomesticOptions.model_validate(DOMESTIC))
