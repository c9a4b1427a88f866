"""Combined drought indicator, version 4: every combination of its rules, droughts by hand, and a past nobody saw."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.schema import KEEPS_VALUE, Status, has_status
from models.cdi import INPUTS, CdiStage
from models.cdi4 import (
    DRY,
    GOOD,
    RANK,
    RECOVERING,
    STRESSED,
    USUAL,
    WEAK,
    WET,
    CdiLevels,
    combined_drought_indicator_v4,
    next_stage,
)

RAIN = {DRY: (0.0, -1.0), USUAL: (0.0, 0.5), WET: (0.6, 0.1)}  # SPI-1 and SPI-3
SOIL = {STRESSED: -1.0, WEAK: -0.5, RECOVERING: 0.0, GOOD: 0.1}
STATES = tuple(RANK)
CALM = [(USUAL, GOOD, GOOD)] * 2  # after two calm steps any past is forgotten


def indices(levels):
    """Dataset of rows (rain, soil, plants) of levels; None is missing."""
    time = pd.date_range("2001-01", periods=len(levels), freq="MS")
    lost = (np.nan, np.nan)
    columns = [(*(RAIN[r] if r is not None else lost), SOIL.get(s, np.nan), SOIL.get(p, np.nan)) for r, s, p in levels]
    return xr.Dataset(
        {n: ("time", [c[i] for c in columns], {"units": "1"}) for i, n in enumerate(INPUTS)}, coords={"time": time}
    )


def stages(rows, **options):
    out = combined_drought_indicator_v4(indices(rows), **options)
    return [CdiStage(int(s)).name for s in out.cdi_stage], out


# ------------------------------------------------------------------ the rules


def test_every_combination_gives_one_stage_and_drier_never_less():
    """3 x 4 x 4 inputs, 7 stages before, held for 0 to 19 steps: 6,720; rain, soil and plants alike."""
    table = {key: next_stage(*key) for key in product(range(3), range(4), range(4), STATES, range(20))}
    assert len(table) == 6720
    for (rain, soil, plants, before, held), (stage, _) in table.items():
        assert stage in STATES
        for drier in ((rain - 1, soil, plants), (rain, soil - 1, plants), (rain, soil, plants - 1)):
            if min(drier) >= 0:
                assert RANK[table[(*drier, before, held)][0]] >= RANK[stage], (rain, soil, plants, before, held)


def test_an_onset_by_hand():
    """Rain, soil, plants, and back: watch, warning, alert, held while the plants are weak, then over."""
    rows = [
        (DRY, GOOD, GOOD), (DRY, STRESSED, GOOD), (USUAL, STRESSED, STRESSED),
        (USUAL, GOOD, WEAK), (USUAL, GOOD, RECOVERING), (USUAL, GOOD, GOOD), (USUAL, GOOD, GOOD),
    ]  # fmt: skip
    found, _ = stages(CALM + rows)
    assert found[2:] == [
        "watch", "warning", "alert", "alert", "temporary_vegetation_recovery", "full_recovery", "none",
    ]  # fmt: skip


def test_a_warning_waits_five_steps_for_its_soil_and_no_more():
    """Five steps of recovering soil, and on the sixth it is over; under dry rain a watch is left."""
    wait = ["temporary_soil_moisture_recovery"] * 5
    for rain, left in ((USUAL, "full_recovery"), (DRY, "watch")):
        rows = [(DRY, STRESSED, GOOD)] + [(rain, RECOVERING, GOOD)] * 6
        assert stages(CALM + rows)[0][2:] == ["warning", *wait, left]
    rows = [(DRY, STRESSED, GOOD)] + [(USUAL, RECOVERING, GOOD)] * 3
    assert stages(CALM + rows, levels=CdiLevels(hold_steps=2))[0][2:] == ["warning", *wait[:2], "full_recovery"]


def test_the_wait_begins_anew_after_a_relapse():
    rows = [(DRY, STRESSED, GOOD), *[(USUAL, WEAK, GOOD)] * 4, (USUAL, STRESSED, GOOD), *[(USUAL, WEAK, GOOD)] * 5]
    assert stages(CALM + rows)[0][2:] == ["warning"] * 11


def test_stressed_plants_alone_are_no_drought():
    """Neither rain nor soil was short: a harvest or a fire, not an alert; in the middle of a drought it is one."""
    assert stages([*CALM, (USUAL, GOOD, STRESSED)])[0][-1] == "none"
    assert stages([*CALM, (DRY, GOOD, GOOD), (USUAL, GOOD, STRESSED)])[0][-1] == "alert"


def test_dry_soil_in_wet_weather_starts_no_drought():
    assert stages([*CALM, (WET, STRESSED, GOOD)])[0][-1] == "none"
    assert stages([*CALM, (USUAL, STRESSED, GOOD)])[0][-1] == "warning"


# ------------------------------------------------------------------ what nobody saw


def every_path(levels):
    """All stages that each step may have, by walking every past and every completion on its own."""
    alive = set(product(STATES, range(6)))
    possible = []
    for row in levels:
        choices = product(*(range(n) if v is None else [v] for v, n in zip(row, (3, 4, 4), strict=True)))
        inputs = list(choices)
        alive = {next_stage(*i, *situation) for i in inputs for situation in alive}
        possible.append({stage for stage, _ in alive})
    return possible


level = st.tuples(
    st.sampled_from([DRY, USUAL, WET, None]),
    st.sampled_from([STRESSED, WEAK, RECOVERING, GOOD, None]),
    st.sampled_from([STRESSED, WEAK, RECOVERING, GOOD, None]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(level, min_size=1, max_size=8))
def test_a_stage_is_published_where_every_past_and_every_missing_input_allow_no_less(rows):
    found, out = stages(rows)
    for name, lower, possible in zip(found, out.cdi_at_least.values, every_path(rows), strict=True):
        if len(possible) == 1:
            assert (name, lower) == (possible.pop().name, 0)
        elif min(RANK[s] for s in possible) > 0:
            assert (name, lower) == (min(possible, key=RANK.get).name, 1)
        else:
            assert (name, lower) == ("unknown", 0)
    assert ((out.cdi_stage != CdiStage.unknown) == has_status(out.cdi_stage_status, KEEPS_VALUE)).all()


def test_a_record_starts_unknown_and_two_calm_steps_settle_it():
    assert stages([(USUAL, GOOD, GOOD)] * 3)[0] == ["unknown", "none", "none"]
    assert stages([(DRY, STRESSED, STRESSED)])[0] == ["alert"]


def test_a_gap_in_the_soil_is_not_a_recovery():
    """Dry rain, soil lost: a watch at least; the alert of thirsty plants needs no soil."""
    found, out = stages([*CALM, (DRY, None, GOOD), (DRY, None, STRESSED)])
    assert found[2:] == ["watch", "alert"]
    assert out.cdi_at_least.values[2:].tolist() == [1, 0]


def test_seasons_without_vegetation_are_masked_and_no_drought_survives_them_unseen():
    rows = indices([*CALM, (DRY, STRESSED, STRESSED), (USUAL, GOOD, None), (USUAL, GOOD, GOOD), *CALM])
    flags = np.zeros(7, "int8")
    flags[3] = Status.masked_dry_season
    rows["vegetation_status"] = ("time", flags)
    out = combined_drought_indicator_v4(rows)
    assert [CdiStage(int(s)).name for s in out.cdi_stage[2:]] == ["alert", "unknown", "unknown", "none", "none"]
    assert int(out.cdi_stage_status[3]) == Status.masked_dry_season
    assert int(out.cdi_stage_status[4]) == Status.insufficient_data


def test_a_masked_spi_1_is_not_dry():
    rows = indices([*CALM, (USUAL, GOOD, GOOD)])
    rows["spi_1_status"] = ("time", np.array([0, 0, Status.masked_dry_season], "int8"))
    assert combined_drought_indicator_v4(rows).cdi_stage.values[-1] == CdiStage.none
    rows["spi_1_status"] = ("time", np.array([0, 0, Status.input_missing], "int8"))
    out = combined_drought_indicator_v4(rows)
    assert (out.cdi_stage.values[-1], out.cdi_stage_status.values[-1]) == (CdiStage.unknown, Status.input_missing)


# ------------------------------------------------------------------ laws


@pytest.mark.parametrize("chunks", [{"time": -1, "pcode": -1}, {"time": 7, "pcode": 2}])
def test_chunks_and_order_of_dimensions_change_nothing(chunks):
    rng = np.random.default_rng(0)
    data = xr.Dataset(coords={"time": pd.date_range("2001-01", periods=60, freq="MS")})
    for name in INPUTS:
        values = rng.normal(-0.4, 1, (60, 5))
        values[rng.uniform(size=(60, 5)) < 0.02] = np.nan
        data[name] = (("time", "pcode"), values, {"units": "1"})
    own = combined_drought_indicator_v4(data)
    assert len(np.unique(own.cdi_stage)) >= 7
    for other in (data.chunk(chunks), data.transpose("pcode", "time").chunk(chunks)):
        xr.testing.assert_identical(combined_drought_indicator_v4(other).compute().transpose("time", "pcode"), own)


def test_the_version_and_its_levels_are_told():
    _, out = stages(CALM)
    assert out.attrs["cdi_version"].startswith("4, rules as condensed")
    assert "hold_steps=5" in out.attrs["levels"]
