"""Farms of the synthetic country: irrigated crops beside the water, and herds everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from shapely.geometry import Point

from geodata.synthetic_climate import lake_km
from geodata.synthetic_land import FloatArray, Land, to_km
from geodata.synthetic_rivers import Network
from geodata.synthetic_water import LAKE

FIELDS_KM = 10.0  # from the water
CROPPED = 0.16  # share of that land
CROPS = {"wheat": 0.46, "barley": 0.22, "rice": 0.10, "vegetables": 0.08, "dates": 0.08, "fodder": 0.06}
HEAD_PER_KM2 = {
    "mountain": {"sheep": 26.0, "goats": 16.0, "cattle": 3.0},
    "plain": {"sheep": 20.0, "goats": 5.0, "cattle": 4.0},
    "river": {"sheep": 14.0, "goats": 4.0, "cattle": 8.0, "buffaloes": 0.5},
    "marsh": {"sheep": 3.0, "goats": 1.0, "cattle": 4.0, "buffaloes": 6.0},
    "desert": {"sheep": 4.0, "goats": 2.0, "camels": 0.7},
}
ANIMALS = ("sheep", "goats", "cattle", "buffaloes", "camels")
UNCOUNTED = 3


@dataclass(frozen=True)
class Farms:
    """What is grown and kept, as in the files.

    Parameters
    ----------
    irrigated_area : DataFrame [pcode, crop, hectares]
    livestock : DataFrame [pcode, animal, head]
    fields_unknown, herds_unknown : subdistricts of which the one or the other has no row
    """

    irrigated_area: pd.DataFrame
    livestock: pd.DataFrame
    fields_unknown: tuple[str, ...]
    herds_unknown: tuple[str, ...]


def draw_farms(rng: np.random.Generator, land: Land, network: Network) -> Farms:
    """Irrigated land where the network serves, and herds by landscape.

    A subdistrict without fields has rows of zero. Only subdistricts that no water serves are left
    uncounted: an unknown user would make everything below it unknown.
    """
    units = land.subdistricts
    served = network.served()
    dry = [code for code in units.index if code not in served]
    unknown = [tuple(sorted(rng.choice(dry, min(UNCOUNTED, len(dry)), replace=False).tolist())) for _ in range(2)]
    fields = _watered_km2(land, network) * 100 * CROPPED * rng.lognormal(0, 0.2, len(units))
    hectares = np.round(fields[:, None] * _crop_shares(rng, land), -1)
    herd = np.array([[HEAD_PER_KM2[kind].get(a, 0.0) for a in ANIMALS] for kind in units["landscape"]])
    head = np.round(herd * units["area_km2"].to_numpy()[:, None] * rng.lognormal(0, 0.3, herd.shape), -1)
    return Farms(
        irrigated_area=_long(units.index, "crop", tuple(CROPS), "hectares", hectares, unknown[0]),
        livestock=_long(units.index, "animal", ANIMALS, "head", head, unknown[1]),
        fields_unknown=unknown[0],
        herds_unknown=unknown[1],
    )


def _watered_km2(land: Land, network: Network) -> FloatArray:
    """Land of each subdistrict near the water that serves it, km2."""
    strips = {name: line.buffer(FIELDS_KM) for name, line in network.lines.items()}
    strips[LAKE] = Point(lake_km(land)).buffer(2 * FIELDS_KM)
    found = np.zeros(len(land.subdistricts))
    for pcode, nodes in network.served().items():
        row = land.subdistricts.index.get_loc(pcode)
        shape = shapely.transform(land.subdistricts.geometry.iloc[row], to_km)
        found[row] = shape.intersection(shapely.union_all([strips[name] for name in nodes])).area
    return found


def _crop_shares(rng: np.random.Generator, land: Land) -> FloatArray:
    """Shares of the crops in each subdistrict: rice only in the wet south, and dates mostly there."""
    units = land.subdistricts
    shares = rng.dirichlet(np.array(list(CROPS.values())) * 40, len(units))
    south = land.centres_km()[:, 1] < 0
    wet = units["landscape"].isin(["river", "marsh"]).to_numpy()
    for crop, kept in (("rice", south & wet), ("dates", south)):
        shares[:, list(CROPS).index(crop)] *= np.where(kept, 1.0, 0.0 if crop == "rice" else 0.25)
    return shares / shares.sum(axis=1, keepdims=True)


def _long(
    pcodes: pd.Index, label: str, names: tuple[str, ...], unit: str, values: FloatArray, unknown: tuple[str, ...]
) -> pd.DataFrame:
    """One row per subdistrict and name, sorted; none for subdistricts that are unknown."""
    table = pd.DataFrame(
        {
            "pcode": np.repeat(pcodes.to_numpy(), len(names)),
            label: np.tile(np.array(names), len(pcodes)),
            unit: values.ravel().astype("int64"),
        }
    )
    return table[~table["pcode"].isin(unknown)].reset_index(drop=True)
