"""People counted on earlier boundaries, moved to those of a run: what is moved was protected before.

Counts are protected on the units they were made on. A crosswalk, which is published, gives each new unit its share of
each protected cell; a suppressed one counts as its stand-in. Sums, statuses and the rounding anew are a function of
protected cells and of the crosswalk alone, so they tell no more of anybody than the protected table of the earlier
units does, and may stand beside it. `shared_out` keeps every total; `moved_cells` prints each sum to the nearest 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from geodata.boundaries import read_boundaries
from geodata.crosswalk import EarlierBoundaries, make_crosswalk, read_crosswalk
from geodata.options import SourceOptions
from geodata.rounds import WORDS
from geodata.schema import Findings, Status
from models.protection import BASE, stand_in, to_nearest

DECIMALS = 6
"""Decimals of a sum before it is rounded to 5: shares that add up to a half must not fall below it."""


@dataclass(frozen=True)
class Cutting:
    """The units people are counted on, and the way from these to the subdistricts of a run.

    Parameters
    ----------
    units, subdistricts : GeoDataFrame, index pcode
    crosswalk : DataFrame of `geodata.crosswalk`, or None where both are the same
    """

    units: gpd.GeoDataFrame
    subdistricts: gpd.GeoDataFrame
    crosswalk: pd.DataFrame | None = None

    def moved(self, protected: pd.DataFrame) -> pd.DataFrame:
        """Protected cells of the subdistricts: see `moved_cells`."""
        return protected if self.crosswalk is None else moved_cells(protected, self.crosswalk, self.subdistricts.index)

    def shared_out(self, values: pd.DataFrame) -> pd.DataFrame:
        """Amounts of the subdistricts: see `shared_out`."""
        return values if self.crosswalk is None else shared_out(values, self.crosswalk, self.subdistricts.index)

    def words(self, words: pd.Series) -> pd.Series:
        """What a difference of two rounds may be called: the most cautious word of the units that reach one."""
        if self.crosswalk is None:
            return words
        rank = words.map(WORDS.index).reindex(self.crosswalk["from_pcode"]).to_numpy()
        worst = pd.Series(rank).groupby(self.crosswalk["to_pcode"].to_numpy()).max()
        return worst.reindex(self.subdistricts.index, fill_value=len(WORDS) - 1).map(dict(enumerate(WORDS)))


def cutting_of(options: SourceOptions, subdistricts: gpd.GeoDataFrame, root: Path, log: Findings) -> Cutting:
    """What a block is counted on; a note tells of earlier boundaries.

    Raises
    ------
    InputError : the earlier boundaries or their crosswalk are wrong, or an earlier unit lies in none of the run
    """
    earlier = getattr(options, "earlier_boundaries", None)
    if not isinstance(earlier, EarlierBoundaries):
        return Cutting(subdistricts, subdistricts)
    units = read_boundaries(earlier, root, log)
    log.stop()
    if earlier.crosswalk:
        crosswalk = read_crosswalk(root, earlier.crosswalk, units.index, subdistricts.index, log)
    else:
        crosswalk = make_crosswalk(units, subdistricts, log, file=earlier.path)
    log.stop()
    found = f"counts on {len(units)} units of {earlier.vintage}"
    action = (
        "protected there and moved by tables/crosswalk.csv; each new count to the nearest 5, suppressed where it is "
        "below 5 or made of suppressed cells alone"
    )
    expected = f"the {len(subdistricts)} subdistricts of the run"
    log.add("note", file=earlier.path, field="earlier_boundaries", found=found, expected=expected, action=action)
    return Cutting(units, subdistricts, crosswalk)


def shared_out(values: pd.DataFrame, crosswalk: pd.DataFrame, units: pd.Index) -> pd.DataFrame:
    """Amounts of earlier units given to new ones by share; the total of each column is kept.

    Parameters
    ----------
    values : DataFrame, index pcode of every earlier unit
    crosswalk : DataFrame of `geodata.crosswalk`
    units : Index of new units

    Returns
    -------
    DataFrame, index ``units``
        NaN where any that gives to a unit is NaN, and where none gives.

    >>> crosswalk = pd.DataFrame({"from_pcode": ["A", "A"], "to_pcode": ["X", "Y"], "share": [0.25, 0.75]})
    >>> shared_out(pd.DataFrame({"households": [40.0]}, index=["A"]), crosswalk, pd.Index(["X", "Y"])).values.tolist()
    [[10.0], [30.0]]
    """
    parts = values.reindex(crosswalk["from_pcode"]).mul(crosswalk["share"].to_numpy(), axis=0)
    return parts.groupby(crosswalk["to_pcode"].to_numpy()).sum(skipna=False).reindex(units)


def moved_cells(protected: pd.DataFrame, crosswalk: pd.DataFrame, units: pd.Index) -> pd.DataFrame:
    """Cells of new units, made of the protected cells of earlier ones, and in the same form.

    Every cell is 0, suppressed, or a multiple of 5: suppressed where there is somebody and only suppressed cells reach
    it, or the sum is below 5; missing where any cell that reaches it is. All columns are moved by the same shares and
    one monotone rule, so what was among others stays among them.

    Parameters
    ----------
    protected : DataFrame of `models.protection.protect`
    crosswalk, units
        As of `shared_out`.

    >>> from models.protection import protect
    >>> crosswalk = pd.DataFrame({"from_pcode": ["A", "A", "B"], "to_pcode": ["X", "Y", "Y"], "share": [0.1, 0.9, 1]})
    >>> cells = protect(pd.DataFrame({"households": [40, 3]}, index=["A", "B"]))
    >>> moved_cells(cells, crosswalk, pd.Index(["X", "Y"])).values.tolist()
    [[nan, 'suppressed'], [40.0, 'ok']]
    """
    names = [str(c) for c in protected if f"{c}_status" in protected]
    amounts = pd.DataFrame({name: stand_in(protected, name) for name in names}, index=protected.index)
    hidden = pd.DataFrame({name: protected[f"{name}_status"] == Status.suppressed.name for name in names})
    sums = shared_out(amounts, crosswalk, units).round(DECIMALS)
    told = shared_out(amounts.mask(hidden, 0.0), crosswalk, units) > 0
    out = {}
    for name in names:
        value = sums[name]
        rules = [value.isna(), value == 0, ~told[name] | (value < BASE)]
        words = [Status.input_missing.name, Status.ok.name, Status.suppressed.name]
        status = np.select(rules, words, Status.ok.name)
        out[name], out[f"{name}_status"] = to_nearest(value).where(status == Status.ok.name), status
    return pd.DataFrame(out, index=units)
