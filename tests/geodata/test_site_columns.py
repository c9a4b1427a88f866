"""Lists in the layouts seen in the wild are read as the same locations; a count of another month is refused."""

from datetime import date

import pandas as pd
import pytest

from geodata.displacement import DtmIdpList, DtmReturneeList, read_sites
from geodata.schema import Findings, InputError
from geodata.site_columns import header_month

COMMON = {
    "path": "list.csv",
    "round_as_of": date(2019, 8, 31),
    "label": {"en": "Displaced households"},
    "units": "households",
    "cadence": "round",
    "licence": "none stated",
    "attribution": "IOM DTM",
    "bbox": (38.5, 28.9, 48.9, 37.5),
}
ROW = ["77", "Ninewa", "Sinjar", "Khana Sor", 36.5, 41.9, 12, 72]
PLAIN = ["Location ID", "Governorate", "District", "Location Name", "Latitude", "Longitude", "Families", "Individuals"]


def read(folder, header, *rows, above=(), model=DtmIdpList, reader="dtm_idp_list", **changes):
    lines = [*above, header, *(rows or (ROW,))]
    width = max(map(len, lines))
    pd.DataFrame([[*line, *[None] * (width - len(line))] for line in lines]).to_csv(
        folder / "list.csv", index=False, header=False
    )
    log = Findings("sources.displacement")
    options = model.model_validate({**COMMON, "reader": reader, **changes})
    return read_sites(options, folder, log)[date(2019, 8, 31)], log


def replaced(**names):
    return [names.get(c.split(" ")[0], c) for c in PLAIN]


@pytest.mark.parametrize(
    "header",
    [
        PLAIN,
        ["Place_ID", "Governorate", "District", "Location_name", "Latitude", "Longitude", "Families", "Individuals"],
        ["place id", "GOVERNORATE", "district", "PlaceName", "lat", "Long", "IDP Families", "IDP Individuals"],
        replaced(Families="Families as of 31 Aug 2019", Individuals="Individuals (2019-08-31)"),
        replaced(Families="2019-08 Households", Individuals="Persons August 31, 2019"),
    ],
)
def test_a_list_is_the_same_however_it_spells_its_columns(tmp_path, header):
    sites, log = read(tmp_path, header)
    found = sites[["site_id", "governorate", "district", "name", "households", "people"]].values.tolist()
    assert found == [["77", "Ninewa", "Sinjar", "Khana Sor", 12, 72]]
    assert (sites.geometry.x[0], sites.geometry.y[0]) == (41.9, 36.5)
    assert {f.severity for f in log.items} <= {"note"}
    assert len(log.items) == sum(c not in PLAIN for c in header)


def test_a_list_of_returnees_has_their_families_and_one_of_the_displaced_never_takes_them(tmp_path):
    header = replaced(Families="Returnee Families", Individuals="Returnee Individuals")
    sites, _ = read(tmp_path, header, model=DtmReturneeList, reader="dtm_returnee_list")
    assert sites["households"].tolist() == [12]
    with pytest.raises(InputError, match="no 'Families'"):
        read(tmp_path, header)


def test_titles_above_the_header_and_tags_below_it_are_no_locations(tmp_path):
    titles = [["IOM DTM, Round 112"], [], ["Latitude and families by location"]]
    tags = ["#loc+code", "#adm1", "#adm2", "#loc", "#geo+lat", "#geo+lon", "#affected+hh", "#affected+ind"]
    sites, _ = read(tmp_path, PLAIN, tags, ROW, above=titles)
    assert sites["site_id"].tolist() == ["77"]


def test_of_several_dated_columns_the_rounds_own_is_read(tmp_path):
    header = [*replaced(Families="Families 2019-06-30"), "Families 2019-08-31"]
    sites, _ = read(tmp_path, header, [*ROW[:6], 99, 72, 12])
    assert sites["households"].tolist() == [12]


def test_a_column_dated_to_another_month_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'Families Jun 2019', expected 'Families' of the round, 2019-08"):
        read(tmp_path, replaced(Families="Families Jun 2019"))


def test_a_column_that_the_country_file_names_is_never_replaced(tmp_path):
    with pytest.raises(InputError, match="no 'Households'"):
        read(tmp_path, PLAIN, columns={"households": "Households"})


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("Families", ""),
        ("Pre June14 Period", ""),
        ("Families 31/08/2019", "2019-08"),
        ("Families 2019-13-01", ""),
        ("2019-08-31 00:00:00", "2019-08"),
        ("Rented pre Apr 2019", "2019-04"),
    ],
)
def test_a_header_tells_a_month_where_it_holds_a_whole_date(text, month):
    assert header_month(text)[1] == month


def test_one_file_under_two_dates_and_the_same_counts_twice_are_refused(tmp_path):
    rows = [[str(n), *ROW[1:4], 36 + n / 100, 42, n, 6 * n] for n in range(1, 31)]
    table = pd.DataFrame(rows, columns=PLAIN)
    for name, change in (("a", 0), ("b", 0), ("c", 1)):
        changed = table.assign(Families=table["Families"] + change, Individuals=table["Individuals"] + 6 * change)
        changed.to_csv(tmp_path / f"{name}.csv", index=False)

    def rounds(*names):
        listed = [{"path": f"{n}.csv", "as_of": date(2019, 6 + k, 30)} for k, n in enumerate(names)]
        block = {**COMMON, "reader": "dtm_idp_list", "rounds": listed, "path": ".", "round_as_of": None}
        return read_sites(DtmIdpList.model_validate(block), tmp_path, Findings("s"))

    assert len(rounds("a", "c")) == 2
    with pytest.raises(InputError, match=r"b\.csv: round: found the locations and counts of 2019-06-30 \(a\.csv\)"):
        rounds("a", "b")
    with pytest.raises(ValueError, match="the same round twice under two dates"):
        rounds("a", "a")
