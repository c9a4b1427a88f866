"""Displacement lists (IOM DTM): locations with households, placed in subdistricts and counted.

Schema of a round: a row per location, key the location id (text, not empty); households a whole number of 0 or more,
and so are people, shelter, period, origin and reason, each empty where not known and none above the households;
latitude and longitude in degrees, EPSG:4326, inside the country's bounding box (swapped pairs are put right); names are
text. Columns are those of `SiteColumns`, or another spelling of `site_columns`; a row of totals is left out.

Exact and location-level figures pass through here and leave for `models.protection` alone.
Findings name locations by id and name, never a count beside a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from .crosswalk import EarlierBoundaries
from .options import DataPath, Options, SourceOptions
from .placing import Placing
from .rounds import CARRIED_DAYS
from .schema import Findings, InputError
from .site_columns import DISPLACED, RETURNEES
from .site_rows import read_round

SUBSETS = (
    *("critical", "camp_or_critical"),
    *("protracted", "settled"),
    *("climate", "climate_at_most", "not_conflict"),
)
"""Counts of households among ``households`` of a location, each line a chain."""

FEW_LOCATIONS = 20
"""Rounds with fewer may hold the same counts twice and be two rounds."""


class Round(Options):
    """One round of a list.

    Parameters
    ----------
    path : str
        Its file, relative to the data folder.
    as_of : date
        Day the round speaks about.
    """

    path: DataPath
    as_of: date


class SiteColumns(Options):
    """Names of the columns of a list; None where a list has no such column."""

    site_id: str = "Location ID"
    households: str = "Families"
    people: str | None = "Individuals"
    lat: str = "Latitude"
    lon: str = "Longitude"
    name: str = "Location Name"
    name_ar: str | None = None
    governorate: str | None = "Governorate"
    district: str | None = "District"
    subdistrict: str | None = None
    pcode: str | None = None
    updated: str | None = None


class Shelter(Options):
    """Columns of households by shelter: critical shelter, and camps."""

    critical: tuple[str, ...] = ()
    camp: tuple[str, ...] = ()


class Periods(Options):
    """Columns of households by period of arrival, and which of them are protracted.

    Parameters
    ----------
    protracted : tuple of str or None
        These columns; None leaves it to ``ends``.
    ends : dict
        Column -> last day of its period. Protracted is a period that ended ``years`` or more
        before the round, so the same block serves every round.
    starts : dict
        Column -> first day of its period. Those that begin after the round before hold the households that arrived
        since: new arrivals, apart from the stock.
    years : int
    """

    protracted: tuple[str, ...] | None = None
    ends: dict[str, date] = Field(default_factory=dict)
    starts: dict[str, date] = Field(default_factory=dict)
    years: int = Field(default=5, ge=1)


class Reasons(Options):
    """Columns of households by reason of displacement; empty where a list does not ask.

    Whoever is in none of them left for a reason that is not known.
    """

    climate: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


class DtmList(SourceOptions):
    """A master list of IOM DTM: one row per location with households, XLSX or CSV.

    Parameters
    ----------
    rounds : tuple of Round
        Rounds, each carried on separately. A list of one round may be given by ``path`` and
        ``round_as_of`` instead.
    columns, shelter, periods, origins, reasons
        Which columns say what; origins are columns of households by governorate of origin.
    people_per_household : float
        Declared factor; households are the primary count.
    bbox : (west, south, east, north), degree
        Where locations can lie at all.
    max_stray_share : float
        Share of locations with swapped or impossible coordinates above which the file is refused.
    placing : Placing
        How a location finds its subdistrict.
    sheet : str or None
        Sheet of a workbook; None is the first.
    earlier_boundaries : EarlierBoundaries or None
        What locations are counted on where it is not the boundaries of the country; a crosswalk moves the counts.
    max_age_days : int
        A round is carried for six months at most.
    """

    path: DataPath = "."
    max_age_days: int | None = Field(default=CARRIED_DAYS, ge=0, le=CARRIED_DAYS)
    round_as_of: date | None = None
    rounds: tuple[Round, ...] = ()
    columns: SiteColumns = SiteColumns()
    shelter: Shelter = Shelter()
    periods: Periods = Periods()
    origins: tuple[str, ...] = ()
    reasons: Reasons = Reasons()
    people_per_household: float = Field(default=6.0, gt=0)
    bbox: tuple[float, float, float, float]
    max_stray_share: float = Field(default=0.03, ge=0, le=1)
    placing: Placing = Placing()
    sheet: str | None = None
    earlier_boundaries: EarlierBoundaries | None = None

    spellings: ClassVar[Mapping[str, tuple[str, ...]]] = DISPLACED
    """How lists of this kind spell the columns that the country file does not name."""

    @model_validator(mode="after")
    def _one_way_to_name_rounds(self) -> DtmList:
        alone = self.round_as_of is not None and self.path != "."
        if bool(self.rounds) == alone or (self.rounds and (self.round_as_of is not None or self.path != ".")):
            raise ValueError("expected either rounds = [{path, as_of}, ...] or path with round_as_of")
        dates = [r.as_of for r in self.rounds]
        if len(set(dates)) < len(dates):
            raise ValueError("expected one file per round, found two with the same as_of")
        if len({r.path for r in self.rounds}) < len(dates):
            raise ValueError("expected one round per file, found the same round twice under two dates")
        west, south, east, north = self.bbox
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise ValueError(f"bbox: found {self.bbox}, expected west, south, east, north in degrees")
        return self

    @property
    def all_rounds(self) -> tuple[Round, ...]:
        """Rounds, oldest first, however they were given."""
        if self.round_as_of is not None:
            return (Round(path=self.path, as_of=self.round_as_of),)
        return tuple(sorted(self.rounds, key=lambda r: r.as_of))

    def files(self, root: Path) -> list[Path]:
        """Files of all rounds that exist."""
        return sorted(path for path in {root / r.path for r in self.all_rounds} if path.is_file())

    def files_aside(self, root: Path) -> list[Path]:
        """The file with an analyst's decisions, and those of earlier boundaries."""
        decisions = [path for path in (root / self.placing.review,) if path.is_file()] if self.placing.review else []
        return decisions + (self.earlier_boundaries.files(root) if self.earlier_boundaries else [])

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> dict[date, gpd.GeoDataFrame]:
        """Locations of each round: see `read_sites`."""
        return read_sites(self, root, log)

    def recent_columns(self, as_of: date) -> tuple[str, ...]:
        """Arrival periods that began after the round before this one; none where it is the first."""
        before = max((r.as_of for r in self.all_rounds if r.as_of < as_of), default=None)
        if before is None:
            return ()
        return tuple(column for column, start in self.periods.starts.items() if start > before)

    def protracted_columns(self, as_of: date) -> tuple[str, ...]:
        """Arrival periods that are protracted at a round."""
        if self.periods.protracted is not None:
            return self.periods.protracted
        latest = (pd.Timestamp(as_of) - pd.DateOffset(years=self.periods.years)).date()
        return tuple(column for column, end in self.periods.ends.items() if end <= latest)


class DtmIdpList(DtmList):
    """Reader "dtm_idp_list": locations of displaced households."""

    reader: Literal["dtm_idp_list"]


class DtmReturneeList(DtmList):
    """Reader "dtm_returnee_list": locations of households that returned, never to be added to the displaced."""

    reader: Literal["dtm_returnee_list"]
    spellings: ClassVar[Mapping[str, tuple[str, ...]]] = RETURNEES


def read_sites(options: DtmList, root: Path, log: Findings) -> dict[date, gpd.GeoDataFrame]:
    """Locations of each round, each round on its own.

    Parameters
    ----------
    options : DtmList
        What the country file says of the list.
    root : Path
        The data folder.
    log : Findings
        InputError with all that is wrong in all rounds; repairs and warnings are added.

    Returns
    -------
    dict
        Round date -> GeoDataFrame sorted by ``site_id``, EPSG:4326: site_id, name, name_ar,
        governorate, district, subdistrict, given_pcode (str, "" if unknown); households,
        people, critical, camp_or_critical, camp, protracted, arrived_since (since the round
        before), settled (the others), climate, climate_at_most (with those of unknown reason),
        not_conflict (float, whole; NaN where not known); ``origin_<column>``; as_of; geometry
        (point as corrected, None for a location whose coordinates can be nowhere).
    """
    read: dict[date, gpd.GeoDataFrame] = {}
    for one in options.all_rounds:
        # What stops one round is in the log already; the others are read to find the rest.
        with suppress(InputError):
            read[one.as_of] = read_round(options, one, root, log)
    _refuse_the_same_round(options, read, log)
    log.stop()
    return read


def _refuse_the_same_round(options: DtmList, read: dict[date, gpd.GeoDataFrame], log: Findings) -> None:
    """An error for two rounds that hold the same counts at the same locations: one file under two dates."""
    file_of = {r.as_of: r.path for r in options.all_rounds}
    for (before, old), (day, new) in pairwise(read.items()):
        # A handful of locations may truly have stayed as they were.
        same = len(new) >= FEW_LOCATIONS and len(old) == len(new)
        if same and (old[["site_id", "households"]].to_numpy() == new[["site_id", "households"]].to_numpy()).all():
            found = f"the locations and counts of {before} ({file_of[before]})"
            log.error(file=file_of[day], field="round", found=found, expected=f"those of {day}")


def count_by_unit(sites: gpd.GeoDataFrame, pcodes: Iterable[str]) -> pd.DataFrame:
    """Exact counts per subdistrict: for `models.protection.protect`, and never to be published.

    The list covers the country, so a subdistrict without a location has none; a count that the
    round does not know (climate, where reasons were not asked) is NaN for every unit, and one
    unknown at a single location is NaN for its unit.

    Parameters
    ----------
    sites : GeoDataFrame
        One round, placed.
    pcodes : iterable of str
        Every subdistrict.

    Returns
    -------
    DataFrame
        Index pcode as given: households, `SUBSETS`, people (float, exact).
    """
    names = ["households", *SUBSETS, "people"]
    units = pd.Index(list(pcodes), name="pcode")
    inside = sites[sites["pcode"].notna()]
    groups = inside["pcode"].astype(str)
    counts = inside[names].groupby(groups).sum().reindex(units, fill_value=0.0)
    unknown = inside[names].isna().groupby(groups).any().reindex(units, fill_value=False)
    never_asked = sites[names].isna().all() & (len(sites) > 0)
    return counts.mask(unknown | np.broadcast_to(never_asked.to_numpy(), unknown.shape)).rename_axis(index="pcode")


def count_by_origin(sites: gpd.GeoDataFrame, pcodes: Iterable[str]) -> pd.DataFrame:
    """Exact households per subdistrict and place of origin: for `models.protection`, and never to be published.

    Parameters
    ----------
    sites : GeoDataFrame
        One round, placed.
    pcodes : iterable of str
        Every subdistrict.

    Returns
    -------
    DataFrame
        Index pcode as given, a column per origin as the list names it (float); an origin that is not known at a
        location counts nobody there.
    """
    names = [str(c) for c in sites if str(c).startswith("origin_")]
    inside = sites[sites["pcode"].notna()]
    counts = inside[names].groupby(inside["pcode"].astype(str)).sum()
    counts = counts.reindex(pd.Index(list(pcodes), name="pcode"), fill_value=0.0)
    return counts.rename(columns=lambda name: name.removeprefix("origin_"))


def account(sites: gpd.GeoDataFrame) -> dict[str, int]:
    """Households and locations of one placed round, accounted for: inside + outside + dropped = total.

    ``inside`` are in a subdistrict, whatever placed them; of the others ``dropped`` have coordinates that can be
    nowhere. Few locations can stand behind these two: they are exact figures and belong under ``--restricted``.

    Returns
    -------
    dict
        households_total, households_inside, households_outside, households_dropped and the
        same for locations.
    """
    inside = sites["pcode"].notna()
    dropped = ~inside & sites.geometry.isna()
    parts = {"total": inside | ~inside, "inside": inside, "outside": ~inside & ~dropped, "dropped": dropped}
    households = {f"households_{k}": int(sites["households"][chosen].sum()) for k, chosen in parts.items()}
    return households | {f"locations_{k}": int(sites["site_id"][chosen].nunique()) for k, chosen in parts.items()}
