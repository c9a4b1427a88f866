"""From one vintage of boundaries to another: people move by geometry, and every total is kept.

Schema of a crosswalk (DataFrame or CSV): key (from_pcode, to_pcode), both p-codes, none empty; `share`, above 0, of
the old unit's people; the shares of each old unit sum to 1. CRS of both boundary files: EPSG:4326; areas are those of
an equal-area projection (EPSG:6933).
"""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from .boundaries import BoundaryOptions
from .options import DataPath, require_columns, require_file
from .placing import whole_shares
from .schema import Findings
from .sheets import clean_text, listed, parse_numbers, read_sheet

SLIVER = 0.001
"""Share of an old unit below which a common area is a difference in drawing, not a change of border."""

SUM_WITHIN = 1e-6
"""How far from 1 the shares of an old unit may sum in a file: they are written with some decimals."""

_EQUAL_AREA = "EPSG:6933"


class EarlierBoundaries(BoundaryOptions):
    """Boundaries older than the country's own, which people are counted on and moved from.

    Parameters
    ----------
    crosswalk : str or None
        CSV with the schema at the top; None makes one by area.
    """

    crosswalk: DataPath | None = None

    def files(self, root: Path) -> list[Path]:
        """Files of the boundaries, and the crosswalk."""
        aside = [root / self.crosswalk] if self.crosswalk else []
        return sorted([*super().files(root), *(path for path in aside if path.is_file())])


def make_crosswalk(
    old: gpd.GeoDataFrame,
    new: gpd.GeoDataFrame,
    log: Findings,
    *,
    residents: pd.Series | None = None,
    file: str = "boundaries",
    max_lost_share: float = 0.05,
) -> pd.DataFrame:
    """Which share of each old unit's people lies in each new unit.

    Without residents people are spread evenly over the old unit. With the residents of the new units they are spread
    as these are: the weight of a common area is residents / area of its new unit.

    Parameters
    ----------
    old, new : GeoDataFrame, index pcode, EPSG:4326
    log : Findings
        An error for each old unit that no new one covers by more than slivers; a warning where more than
        ``max_lost_share`` of its ground is outside the new boundaries (its people go to the part inside).
    residents : Series or None
        Index p-code of the new units, people; missing counts as evenly spread within the old unit.
    file : str
        Name of the new boundaries in findings.
    max_lost_share : float

    Returns
    -------
    DataFrame, columns from_pcode, to_pcode, share; sorted
    """
    before, after = (g.geometry.to_crs(_EQUAL_AREA).to_numpy() for g in (old, new))
    a, b = shapely.STRtree(after).query(before, predicate="intersects")
    common = shapely.area(shapely.intersection(before[a], after[b]))
    area = shapely.area(before)
    real = common > SLIVER * np.minimum(area[a], shapely.area(after)[b])
    a, b, common = a[real], b[real], common[real]
    covered = np.bincount(a, common, minlength=len(old)) / area
    _tell_of_lost_ground(old, covered, max_lost_share, file, log)
    weight = common
    if residents is not None:
        density = residents.reindex(new.index).to_numpy(dtype="float64") / shapely.area(after)
        weight = common * density[b]
        # One unknown or an old unit without residents leaves the area to speak.
        unknown = ~(np.bincount(a, weight, minlength=len(old)) > 0)
        weight = np.where(unknown[a], common, weight)
    share = weight / np.bincount(a, weight, minlength=len(old))[a]
    codes = {"from_pcode": old.index.to_numpy()[a], "to_pcode": new.index.to_numpy()[b], "share": share}
    crosswalk = pd.DataFrame(codes)[share > 0]
    return crosswalk.sort_values(["from_pcode", "to_pcode"], ignore_index=True)


def move_counts(counts: pd.DataFrame, crosswalk: pd.DataFrame, units: pd.Index) -> pd.DataFrame:
    """Whole counts of old units, given to new ones; the total of each column is kept exactly.

    Each old unit is split by largest remainder, so its households are moved and none is made or lost. The first
    column is the whole and the others parts of it: a part is split as the whole was, so it stays a part.

    Parameters
    ----------
    counts : DataFrame, index pcode of old units
        Whole numbers or NaN; the first column is the whole.
    crosswalk : DataFrame of `make_crosswalk`
    units : Index
        P-codes of the new units.

    Returns
    -------
    DataFrame, index ``units``
        NaN where any old unit that gives to it is not known.

    Raises
    ------
    KeyError : an old unit with a count has no row in the crosswalk
    """
    if absent := sorted(set(counts.index) - set(crosswalk["from_pcode"])):
        raise KeyError(f"crosswalk without {listed(absent)}")
    group, old = pd.factorize(crosswalk["from_pcode"])
    whole, moved = crosswalk["share"].to_numpy(), {}
    for n, column in enumerate(counts):
        totals = counts[column].reindex(old).to_numpy(dtype="float64")[group]
        moved[column] = whole_shares(totals, whole, group)
        if n == 0:
            whole = np.where(np.isnan(moved[column]), whole, moved[column])
    table = pd.DataFrame(moved).groupby(crosswalk["to_pcode"].to_numpy()).sum(min_count=1, skipna=False)
    return table.reindex(units).where(_reached(table, units), 0.0)


def read_crosswalk(root: Path, file: str, old: pd.Index, new: pd.Index, log: Findings) -> pd.DataFrame:
    """A crosswalk from its CSV, whole and of these units.

    Parameters
    ----------
    root : Path
        The data folder.
    file : str
    old, new : Index
        Every p-code of both vintages.
    log : Findings
        InputError: a p-code of neither, a pair twice, a share of 0 or less, an old unit whose shares do not sum to 1.

    Returns
    -------
    DataFrame, as of `make_crosswalk`
    """
    frame = read_sheet(require_file(root, file, log), file, log)
    require_columns(frame.columns, ["from_pcode", "to_pcode", "share"], file=file, log=log)
    log.stop()
    codes = {c: clean_text(frame[c], file=file, log=log) for c in ("from_pcode", "to_pcode")}
    table = pd.DataFrame({**codes, "share": parse_numbers(frame["share"], file=file, log=log)})
    log.stop()
    for column, units in (("from_pcode", old), ("to_pcode", new)):
        if unknown := sorted(set(table[column]) - set(units)):
            log.error(file=file, field=column, found=listed(unknown), expected="p-codes of the boundaries")
    if twice := sorted(set(table["from_pcode"][table.duplicated(["from_pcode", "to_pcode"])])):
        log.error(file=file, field="to_pcode", found=f"one twice of {listed(twice)}", expected="one row for each pair")
    if not (table["share"] > 0).all():
        log.error(file=file, field="share", found="0, less or nothing", expected="above 0")
    log.stop()
    sums = table.groupby("from_pcode")["share"].sum().reindex(old, fill_value=0.0)
    if off := sorted(old[(sums - 1).abs() > SUM_WITHIN]):
        log.error(file=file, field="share", found=f"another sum of {listed(off)}", expected="1 for each old unit")
    log.stop()
    table["share"] /= table["from_pcode"].map(sums)
    return table.sort_values(["from_pcode", "to_pcode"], ignore_index=True)


def write_crosswalk(path: Path, crosswalk: pd.DataFrame) -> None:
    """Write a crosswalk as CSV, so that it can be published beside what was moved with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    crosswalk.to_csv(path, index=False, float_format="%.9f", lineterminator="\n")


def _reached(table: pd.DataFrame, units: pd.Index) -> np.ndarray:
    """True for new units that some old one gives to: the others have nobody, which is known."""
    return np.broadcast_to(units.isin(table.index)[:, np.newaxis], (len(units), table.shape[1]))


def _tell_of_lost_ground(
    old: gpd.GeoDataFrame, covered: np.ndarray, max_lost_share: float, file: str, log: Findings
) -> None:
    lost = old.index[covered == 0]
    if len(lost):
        found = f"no unit where {listed(lost)} lay"
        log.error(file=file, field="geometry", found=found, expected="ground for every unit of the older boundaries")
    part = old.index[(covered > 0) & (covered < 1 - max_lost_share)]
    if len(part):
        found = f"more than {max_lost_share:.0%} of {listed(part)} outside"
        action = "their people go to the part inside"
        log.warning(file=file, field="geometry", found=found, expected="the same country", action=action)
