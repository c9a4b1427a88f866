"""Source blocks and the words that readers use for what they miss."""

import pytest
from pydantic import ValidationError

from geodata.options import SourceOptions, describe_missing, nearest, require_columns, require_file
from geodata.schema import Findings, InputError

BLOCK = {
    "reader": "any",
    "path": "rain/a.tif",
    "label": {"en": "Rain"},
    "units": "mm",
    "cadence": "month",
    "licence": "CC0",
    "attribution": "nobody",
}


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="maxage"):
        SourceOptions(**BLOCK, maxage=3)


def test_options_never_change():
    with pytest.raises(ValidationError, match="frozen"):
        SourceOptions(**BLOCK).units = "m"


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.tif", "a/../../b.tif", "", "c\\d.tif"])
def test_a_path_stays_inside_the_data_folder(path):
    with pytest.raises(ValidationError, match="inside the data folder"):
        SourceOptions(**{**BLOCK, "path": path})


def test_a_negative_lag_is_refused():
    with pytest.raises(ValidationError, match="available_after_days"):
        SourceOptions(**BLOCK, available_after_days=-1)


def test_the_nearest_name_ignores_case_and_nothing_is_near_to_nonsense():
    assert nearest("adm3_pcod", ["ADM3_EN", "ADM3_PCODE"]) == "ADM3_PCODE"
    assert nearest("zzz", ["ADM3_EN"]) == ""


def test_a_long_list_of_columns_is_cut_short():
    assert describe_missing("x", [f"column{i:02d}" for i in range(20)]).endswith("and 8 more")


def test_each_missing_column_is_one_error_that_names_the_nearest():
    log = Findings("sources.x")
    require_columns(["pcode", "househods"], ["pcode", "households", "people"], file="a.csv", log=log)
    assert [e.expected for e in log.errors] == ["a column 'households'", "a column 'people'"]
    assert "did you mean 'househods'" in log.errors[0].found


def test_a_missing_file_names_the_folder_and_the_nearest_file(tmp_path):
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain" / "chirps_2019.tif").write_bytes(b"x")
    with pytest.raises(InputError, match=r"rain/chirp_2019.tif: path: found no such file in 'rain' \(did you mean"):
        require_file(tmp_path, "rain/chirp_2019.tif", Findings("s"))
    with pytest.raises(InputError, match="no folder 'snow' in the data folder"):
        require_file(tmp_path, "snow/a.tif", Findings("s"))


def test_files_lists_only_what_is_there(tmp_path):
    options = SourceOptions(**BLOCK)
    assert options.files(tmp_path) == []
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain" / "a.tif").write_bytes(b"x")
    assert options.files(tmp_path) == [tmp_path / "rain" / "a.tif"]
