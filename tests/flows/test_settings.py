"""Country files: typed, frozen, and nothing in them is guessed."""

from importlib import resources

import pytest
from pydantic import ValidationError

from flows.settings import MISSION_HAZARDS, bundled, load_settings
from geodata.schema import InputError

DEMO = (resources.files("flows") / "config" / "demo.toml").read_text("utf-8")


def load_edited(tmp_path, old, new):
    assert old in DEMO
    path = tmp_path / "edited.toml"
    path.write_text(DEMO.replace(old, new, 1), "utf-8")
    return load_settings(str(path))


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_country_loads(name):
    """A bundled file that does not load is a broken release."""
    assert load_settings(name).country.key == name


def test_a_folder_of_the_country_s_name_does_not_hide_its_bundled_file(tmp_path, monkeypatch):
    """Whoever keeps data in a folder "iraq" still runs `--config iraq` beside it."""
    (tmp_path / "iraq").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_settings("iraq").country.key == "iraq"


@pytest.mark.parametrize("name", bundled())
def test_no_hazard_of_the_mission_is_left_out_in_silence(name):
    """A hazard without a source stands in the file as such."""
    settings = load_settings(name)
    assert set(MISSION_HAZARDS) <= set(settings.hazards)
    assert set(settings.assessed_hazards) | set(settings.missing_hazards) == set(settings.hazards)


def test_settings_do_not_change():
    """Inner packages may hold on to what they got."""
    with pytest.raises(ValidationError):
        load_settings("demo").country.key = "other"


def test_comments_and_order_do_not_change_the_hash(tmp_path):
    """The hash is of what the file says, not of how it says it."""
    same = load_edited(tmp_path, "[calibration]", "# a remark\n[calibration]")
    assert same.sha256 == load_settings("demo").sha256


def test_a_changed_number_changes_the_hash(tmp_path):
    """Otherwise two different runs would share one id."""
    other = load_edited(tmp_path, "persistence_months = 2", "persistence_months = 3")
    assert other.sha256 != load_settings("demo").sha256


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("persistence_months = 2", "persistance_months = 2", ["warning.persistance_months", "'persistence_months'"]),
        ("scales_months = [6", "scale_months = [6", ["hazards.drought.scale_months", "'scales_months'"]),
        ('variable = "rain"', 'varable = "rain"', ["sources.daily_rain.varable", "'variable'"]),
        ("[exposure]", "[exposition]", ["exposition", "'exposure'"]),
        ("critical = [", "critcal = [", ["sources.displacement.shelter.critcal", "'critical'"]),
    ],
)
def test_an_unknown_key_names_its_nearest_neighbour(tmp_path, old, new, words):
    """A typing error must not become a default."""
    with pytest.raises(InputError) as error:
        load_edited(tmp_path, old, new)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('source = "rain"', 'source = "rains"', ["hazards.drought.source", "did you mean 'rain'"]),
        ('method = "spi"', 'method = "spy"', ["hazards.drought.method", "did you mean 'spi'"]),
        ('reader = "residents_table"', 'reader = "resident_table"', ["sources.residents.reader", "residents_table"]),
        ("[hazards.dust]\nmethod", "[hazards.dusts]\nmethod", ["hazards.dust", "no block"]),
        ("end_year = 2020", "end_year = 2010", ["calibration", "found 20 years", "at least 30"]),
        ("[2.0, 4.0, 6.0, 8.0]", "[2.0, 6.0, 4.0, 8.0]", ["risk.class_cut_points", "rising"]),
        ("watch_score = 4.0", "watch_score = 7.0", ["warning", "rise"]),
        ('as_of = "2024-03"', 'as_of = "2024-13"', ["country.as_of", "2024-13"]),
        ("as_of = 2024-02-29", "as_of = 2024-02-30", ["edited.toml", "syntax"]),
        ("people_low = 1_000", 'people_low = "many"', ["exposure.people_low", "many"]),
        ("people_per_household = 6\npeople_per", "people_per", ["country.people_per_household", "nothing"]),
    ],
)
def test_a_wrong_value_names_file_field_found_and_expected(tmp_path, old, new, words):
    """What is wrong, where, and what would be right."""
    with pytest.raises(InputError) as error:
        load_edited(tmp_path, old, new)
    for word in ["edited.toml", "found", "expected", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(("section", "name"), [("hazards", "water_supply"), ("indicators", "short_of_water")])
def test_unmet_demand_without_coefficients_is_refused(tmp_path, section, name):
    """Nothing could be computed: said once, with the block that asks for it, before anything is read."""
    start, end = DEMO.index("[water_demand.domestic]"), DEMO.index("[exposure]")
    asking = 'label = { en = "Less water'
    block = DEMO[DEMO.index("[hazards.water_supply]") : DEMO.index(asking)]
    without = (DEMO[:start] + DEMO[end:]).replace(block, '[hazards.other]\nmethod = "none"\n')
    path = tmp_path / "edited.toml"
    path.write_text(without, "utf-8")
    assert load_settings(str(path)).water_demand is None
    path.write_text(without + block.replace("hazards.water_supply", f"{section}.{name}"), "utf-8")
    with pytest.raises(InputError) as error:
        load_settings(str(path))
    assert len(error.value.findings) == 1
    expected = f"edited.toml: water_demand: found no block, expected coefficients of demand, as {section}.{name}"
    assert expected in str(error.value)


def test_a_country_that_is_not_bundled_names_those_that_are():
    """`--config irak` should not end in a traceback."""
    with pytest.raises(InputError, match="did you mean 'iraq'"):
        load_settings("irak")
