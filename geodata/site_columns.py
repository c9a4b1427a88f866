"""Columns of displacement lists in the layouts seen in the wild: other spellings, dates in headers, lines above it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from .schema import Findings

if TYPE_CHECKING:
    from .displacement import SiteColumns

HEADER_WITHIN = 15
"""Lines among which the header is looked for; above it stand titles and logos."""

COMMON: Mapping[str, tuple[str, ...]] = {
    "site_id": ("locationid", "placeid", "siteid", "locationcode", "placecode", "loccode"),
    "people": ("individuals", "persons", "people", "totalindividuals"),
    "lat": ("latitude", "lat"),
    "lon": ("longitude", "long", "lon", "lng"),
    "name": ("locationname", "placename", "location", "locationnameen", "locationnameenglish", "name"),
    "name_ar": ("arabicname", "locationnamear", "locationnamearabic", "placenamearabic"),
    "governorate": ("governorate", "governoratename", "admin1", "admin1name", "adm1en"),
    "district": ("district", "districtname", "admin2", "admin2name", "adm2en"),
    "subdistrict": ("subdistrict", "subdistrictname", "admin3", "admin3name", "adm3en"),
    "pcode": ("pcode", "adm3pcode", "admin3pcode", "subdistrictpcode"),
}
"""Field -> how lists spell its column, without case, blanks and marks; the first that is there is taken."""

DISPLACED: Mapping[str, tuple[str, ...]] = {
    **COMMON,
    "households": ("families", "idpfamilies", "households", "idphouseholds", "totalfamilies", "numberoffamilies"),
    "people": (*COMMON["people"], "idpindividuals"),
}
RETURNEES: Mapping[str, tuple[str, ...]] = {
    **COMMON,
    "households": (
        "returneefamilies",
        "returnfamilies",
        "returneehouseholds",
        "families",
        "households",
        "totalfamilies",
    ),
    "people": ("returneeindividuals", *COMMON["people"]),
}

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*"
_DATES = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})(?:[-/.]\d{1,2})?(?:[ T]00:00:00)?"),
    re.compile(r"\d{1,2}[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})"),
    re.compile(
        rf"(?:\d{{1,2}}(?:st|nd|rd|th)?[ ,.-]*)?\b(?P<m>{_MONTH})[ ,.-]*(?:\d{{1,2}}[ ,]+)?(?P<y>\d{{4}})", re.I
    ),
)
_AS_OF = re.compile(r"\b(as of|as at|in|on|up to)\b\s*$", re.IGNORECASE)


def header_month(text: str) -> tuple[str, str]:
    """The name of a column without the date in it, and the month of that date as "YYYY-MM" ("" without one).

    >>> header_month("Families as of 31 Aug 2019"), header_month("Families (2019-08-31)"), header_month("Families")
    (('Families', '2019-08'), ('Families', '2019-08'), ('Families', ''))
    """
    for pattern in _DATES:
        if found := pattern.search(text):
            said = found["m"].lower()[:3]
            month = _MONTHS.index(said) + 1 if said in _MONTHS else int(found["m"])
            if not 1 <= month <= 12:
                continue
            rest = _AS_OF.sub("", text[: found.start()].rstrip(" ([-–_")) + text[found.end() :]
            return rest.strip(" ()[]-–_,:"), f"{found['y']}-{month:02d}"
    return text, ""


def lift_header(frame: pd.DataFrame, spellings: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """The table under the line that names most of the columns sought; as it is where the first line names any.

    Parameters
    ----------
    frame : DataFrame of `sheets.read_sheet`
    spellings : mapping, `DISPLACED` or `RETURNEES`
    """
    known = {spelling for options in spellings.values() for spelling in options}
    if any(_bare(header_month(str(c))[0]) in known for c in frame.columns):
        return frame
    named = [
        sum(_bare(header_month(str(c))[0]) in known for c in row if isinstance(c, str))
        for row in frame.iloc[:HEADER_WITHIN].itertuples(index=False)
    ]
    if max(named, default=0) < 3:
        return frame
    at = named.index(max(named))
    header = [" ".join(c.split()) if isinstance(c, str) else "" for c in frame.iloc[at]]
    below = frame.iloc[at + 1 :].set_axis(pd.Index(header, dtype=object), axis=1)
    tagged = len(below) > 0 and below.iloc[0].dropna().astype(str).str.startswith("#").all()
    return below.iloc[1:] if tagged else below


def find_columns(
    header: list[str],
    columns: SiteColumns,
    spellings: Mapping[str, tuple[str, ...]],
    as_of: date,
    *,
    file: str,
    log: Findings,
) -> SiteColumns:
    """Names of the columns that are there, for fields the country file leaves to the reader.

    A column the country file names is never replaced. Of several dated columns the one of the round's month is taken;
    dates of other months alone are an error, since the counts are then another round's.

    Parameters
    ----------
    header : list of str
    columns : SiteColumns
    spellings : mapping, `DISPLACED` or `RETURNEES`
    as_of : date of the round
    file, log : told which spelling was read
    """
    changed, plain = {}, [(name, *header_month(name)) for name in header]
    for field, name in columns.model_dump().items():
        if name is None or name in header or field in columns.model_fields_set or field not in spellings:
            continue
        found = [(n, m) for s in spellings[field] for n, base, m in plain if _bare(base) == s]
        right = [n for n, month in found if month in ("", f"{as_of:%Y-%m}")]
        if right:
            changed[field] = right[0]
            log.add("note", file=file, field="columns", found=right[0], expected=name, action=f"read as {field}")
        elif found:
            told = ", ".join(repr(n) for n, _ in found)
            log.error(file=file, field="columns", found=told, expected=f"{name!r} of the round, {as_of:%Y-%m}")
    return columns.model_copy(update=changed)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
