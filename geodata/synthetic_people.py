"""People of the synthetic country: residents, and displacement rounds as DTM lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.synthetic_land import PREFIX, FloatArray, Land, to_km
from geodata.synthetic_names import settlement_name

IntArray = NDArray[np.int64]

PEOPLE = 6_400_000
PEOPLE_PER_HOUSEHOLD = 6
SITES = 330
SMALL_UNITS = 6
EMPTY_UNITS = 4
CLIMATE_GROWTH = (0.35, 0.65, 1.0)  # share of the climate displaced present at each round
CONFLICT_RETURN = (1.0, 0.95, 0.90)  # those who fled earlier slowly go home

SHELTERS = {
    "Camp": 0.0,
    "Hostfamilies": 0.27,
    "Informalsettlements": 0.12,
    "Religiousbuilding": 0.02,
    "Rented Habitable": 0.40,
    "Rented Uninhabitable": 0.06,
    "Schoolbuilding": 0.02,
    "Unfinishedbuilding": 0.09,
    "Unknownsheltertype": 0.02,
}
REASONS = ("Reason climate", "Reason conflict", "Reason other")


def period_columns(year: int) -> tuple[str, ...]:
    """Columns of the time of displacement in a list of ``year``; the first two are protracted.

    The last three begin where the rounds are: after the one before, they are new arrivals.
    """
    spans = (
        f"Pre {year - 9}",
        f"{year - 9} to {year - 6}",
        f"{year - 5} to {year - 3}",
        f"{year - 2}",
        f"January to March {year - 1}",
        f"April to September {year - 1}",
        f"Since October {year - 1}",
    )
    return tuple(f"{span} Period of displacement" for span in spans)


@dataclass(frozen=True)
class Displacement:
    """The rounds, and what was planted in them.

    Parameters
    ----------
    rounds : per as-of date "YYYY-MM-DD", the list as DTM publishes it, totals row last
    small : per round, the subdistricts with 1 to 4 households in all
    closed_camp : location id of the camp that is gone in the last round
    newly_assessed : district (ADM2) that the last round is the first to look at
    returnees : list of households that returned, as of the last round, totals row last
    stray : location id of the site recorded a little outside the country
    unit_of_site : p-code of each location id
    """

    rounds: dict[str, pd.DataFrame]
    small: dict[str, tuple[str, ...]]
    closed_camp: str
    newly_assessed: str
    returnees: pd.DataFrame
    stray: str
    unit_of_site: pd.Series


# ------------------------------------------------------------------ residents


def settle_residents(rng: np.random.Generator, land: Land, normal_mm: FloatArray) -> pd.Series:
    """Residents per subdistrict: farmland fills with rain and river, and a dozen towns stand out."""
    units = land.subdistricts
    kind = units["landscape"]
    watered = kind.map({"river": 9.0, "marsh": 4.0, "mountain": 3.0, "plain": 3.0, "desert": 0.4}).to_numpy(float)
    rural = units["area_km2"].to_numpy(float) * (watered + normal_mm / 45) * rng.lognormal(0, 0.3, len(units))
    towns = np.zeros(len(units))
    chance = np.where(kind == "desert", 0.03, np.where(kind == "river", 1.0, 0.35))
    places = rng.choice(len(units), 12, replace=False, p=chance / chance.sum())
    towns[places] = 900_000 / np.arange(1, 13) ** 0.8
    people = rural / rural.sum() * (PEOPLE - towns.sum()) + towns
    return pd.Series(np.round(people / 10).astype("int64") * 10, index=units.index, name="residents")


# ------------------------------------------------------------------ displacement


def displace(
    rng: np.random.Generator, land: Land, residents: pd.Series, drought: FloatArray, rounds: Sequence[str]
) -> Displacement:
    """Three rounds of displacement, in part out of the drought.

    Parameters
    ----------
    rng : Generator
        Source of chance.
    land : Land
        Subdistricts and outline.
    residents : Series [pcode]
        People.
    drought : array (unit,)
        Strength of the drought of the day in each subdistrict, 0 to 1.
    rounds : sequence of str
        As-of dates "YYYY-MM-DD".
    """
    sites = _Sites(rng, land, residents, drought)
    year = int(rounds[-1][:4])
    lists = {as_of: sites.list_at(n, year) for n, as_of in enumerate(rounds)}
    small = {}
    for as_of, listed in lists.items():
        per_unit = (
            listed.iloc[:-1]
            .groupby(sites.unit_of_site.loc[listed["Location ID"].iloc[:-1]].to_numpy())["Families"]
            .sum()
        )
        small[as_of] = tuple(per_unit.index[per_unit <= 4])
    return Displacement(
        lists,
        small,
        sites.ids[sites.closing],
        sites.newly_assessed,
        sites.returned(),
        sites.ids[sites.stray],
        sites.unit_of_site,
    )


class _Sites:
    """All sites of the country, and how many households each holds, by reason, at any round."""

    def __init__(self, rng: np.random.Generator, land: Land, residents: pd.Series, drought: FloatArray):
        self.rng, self.land, self.units = rng, land, land.subdistricts
        self.unit, self.tiny = self._choose_units(residents)
        count = len(self.unit)
        self.lonlat = self._places()
        self.names = [settlement_name(rng) for _ in range(count)]
        self.ids = self._location_ids()
        self.unit_of_site = pd.Series(self.units.index.to_numpy()[self.unit], index=self.ids, name="pcode")
        town = (residents.to_numpy(float) / residents.median())[self.unit] ** 0.25
        self.conflict = np.round(rng.lognormal(3.0, 0.9, count) * town).astype("int64")
        self.other = rng.binomial(self.conflict, 0.06)
        self.climate = np.round(rng.lognormal(2.6, 0.8, count) * town * self._pull(drought)).astype("int64")
        self.camps = self._open_camps()
        self.closing, self.stray = int(self.camps[-1]), self._lead_astray()
        self._settle_tiny()
        self.newly_assessed = self._overlooked()
        self.origins = self._origins(drought)
        weights = np.array(list(SHELTERS.values()))[1:]
        self.shelter = rng.dirichlet(weights / weights.sum() * 9, count)

    def _choose_units(self, residents: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Unit of each site, sorted, and which sites are the tiny ones of otherwise empty units."""
        people = residents.to_numpy(float)
        emptiest = np.argsort(people, kind="stable")[: SMALL_UNITS + EMPTY_UNITS]
        lonely = np.sort(self.rng.permutation(emptiest)[:SMALL_UNITS])
        pull = people**0.6 * self.rng.lognormal(0, 0.5, len(people))
        pull[emptiest] = 0
        unit = np.concatenate([self.rng.choice(len(people), SITES, p=pull / pull.sum()), lonely])
        order = np.argsort(unit, kind="stable")
        return unit[order], np.flatnonzero(order >= SITES)

    def _places(self) -> FloatArray:
        """A point well inside the unit of each site, (site, 2) degrees."""
        shapes = shapely.buffer(self.units.geometry.to_numpy(), -0.03)
        found = np.empty((len(self.unit), 2))
        for i, unit in enumerate(self.unit):
            west, south, east, north = shapes[unit].bounds
            cloud = self.rng.uniform((west, south), (east, north), (200, 2))
            found[i] = cloud[shapely.contains_xy(shapes[unit], cloud)][0]
        return np.round(found, 6)

    def _location_ids(self) -> list[str]:
        """Seven digits, governorate and district first, as DTM numbers its locations."""
        codes = self.units.index.to_numpy()[self.unit]
        district = [f"{int(c[len(PREFIX) + 1 : len(PREFIX) + 3])}{c[len(PREFIX) + 4 : len(PREFIX) + 6]}" for c in codes]
        within = pd.Series(district).groupby(district).cumcount()
        return [f"{d}{n + 1:04d}" for d, n in zip(district, within, strict=True)]

    def _pull(self, drought: FloatArray) -> FloatArray:
        """How strongly each site draws people out of the drought: near it, but not in its heart."""
        here = to_km(self.lonlat)
        heart = np.average(self.land.centres_km(), axis=0, weights=drought**2)
        distance = np.hypot(*(here - heart).T)
        return 1.6 * np.exp(-distance / 140) + 0.05

    def _open_camps(self) -> NDArray[np.intp]:
        """Three camps: two stand by the drought and the third, full of older cases, closes."""
        by_drought = np.argsort(-self.climate, kind="stable")
        old = np.argsort(-self.conflict, kind="stable")
        near, far = by_drought[:40], old[:40]
        first = int(near[0])
        second = int(next(i for i in near if self.unit[i] != self.unit[first]))
        third = int(next(i for i in far if self.unit[i] not in self.unit[[first, second]]))
        camps = np.array([first, second, third], dtype=np.intp)
        self.climate[camps] = [640, 410, 15]
        self.conflict[camps] = [160, 240, 520]
        for i in camps:
            english, arabic = self.names[i]
            self.names[i] = (f"{english} Camp", f"مخيم {arabic}")
        return camps

    def _lead_astray(self) -> int:
        """Move one site of a border unit a kilometre and a half over the border."""
        edge = self.land.outline.exterior
        close = shapely.distance(edge, shapely.points(self.lonlat))
        close[self.camps] = np.inf
        close[self.tiny] = np.inf
        site = int(np.argmin(close))
        on_border = np.array(edge.interpolate(edge.project(shapely.Point(self.lonlat[site]))).coords[0])
        outward = on_border - self.lonlat[site]
        self.lonlat[site] = np.round(on_border + 0.015 * outward / np.hypot(*outward), 6)
        return site

    def _settle_tiny(self) -> None:
        self.conflict[self.tiny] = 1 + np.arange(len(self.tiny)) % 3
        self.climate[self.tiny] = 1 - np.arange(len(self.tiny)) % 2
        self.other[self.tiny] = 0

    def _overlooked(self) -> str:
        """A district that the first rounds did not reach: one with few who fled drought, and no special site."""
        district = self.units["adm2_pcode"].to_numpy()[self.unit]
        special = {district[i] for i in (*self.camps, *self.tiny, self.stray)}
        quiet = pd.DataFrame({"district": district, "climate": self.climate})
        sums = quiet[~quiet["district"].isin(special)].groupby("district")["climate"].agg(["size", "sum"])
        return str(sums[sums["size"] >= 3]["sum"].idxmin())

    def returned(self) -> pd.DataFrame:
        """Households back home, counted where they live: those of the oldest cases who left their shelter since."""
        gone = np.round(self.conflict * (CONFLICT_RETURN[0] - CONFLICT_RETURN[-1])).astype("int64")
        gone[[*self.camps, self.stray]] = 0
        place = self.units.iloc[self.unit]
        table = pd.DataFrame(
            {
                "Location ID": [f"R{number}" for number in self.ids],
                "Governorate": place["adm1_name"].to_numpy(),
                "District": place["adm2_name"].to_numpy(),
                "Location Name": [english for english, _ in self.names],
                "Arabic Name": [arabic for _, arabic in self.names],
                "Latitude": self.lonlat[:, 1],
                "Longitude": self.lonlat[:, 0],
                "Returnee Families": gone,
                "Returnee Individuals": gone * PEOPLE_PER_HOUSEHOLD,
            }
        )
        return _with_totals(table[gone > 0].reset_index(drop=True), first="Returnee Families")

    def _origins(self, drought: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shares of the six governorates among those who fled (drought, all else), (2 x site, 6)."""
        adm1, area = self.units["adm1_name"], self.units["area_km2"]
        names = list(dict.fromkeys(adm1))
        dry = np.array([(drought * area)[(adm1 == name).to_numpy()].sum() for name in names]) ** 1.5
        fought = np.full(len(names), 0.05)
        fought[self.rng.permutation(len(names))[:2]] = (0.55, 0.25)
        home = (adm1.to_numpy()[self.unit][:, None] == np.array(names)).astype(float)
        self.governorates = names
        shares = []
        for weight, nearby in ((dry / dry.sum(), 0.25), (fought / fought.sum(), 0.15)):
            drawn = self.rng.dirichlet(weight * 8 + 0.02, len(self.unit))
            shares.append((1 - nearby) * drawn + nearby * home)
        return shares[0], shares[1]

    # -------------------------------------------------------------- one round

    def _households(self, n: int) -> tuple[IntArray, IntArray, IntArray]:
        """Households per site fled from (climate, conflict, other) at round ``n``."""
        climate = np.round(self.climate * CLIMATE_GROWTH[n]).astype("int64")
        conflict = np.round(self.conflict * CONFLICT_RETURN[n]).astype("int64")
        other = self.other.copy()
        if n == len(CLIMATE_GROWTH) - 1:
            heirs = self._heirs()
            for group in (climate, conflict, other):
                group[heirs] += apportion(np.array([round(0.7 * group[self.closing])]), np.full((1, len(heirs)), 1.0))[
                    0
                ]
                group[self.closing] = 0
        return climate, conflict, other

    def _heirs(self) -> NDArray[np.intp]:
        """The four sites nearest to the closed camp, where most of its people moved."""
        apart = np.hypot(*(to_km(self.lonlat) - to_km(self.lonlat[self.closing])).T)
        apart[[self.closing, *self.tiny, *self.camps]] = np.inf
        return np.argsort(apart, kind="stable")[:4]

    def list_at(self, n: int, year: int) -> pd.DataFrame:
        """The list of round ``n``: one row per site with anybody in it, and the totals row."""
        climate, conflict, other = self._households(n)
        families = climate + conflict + other
        place = self.units.iloc[self.unit]
        table = pd.DataFrame(
            {
                "Location ID": self.ids,
                "Place ID": 20_000 + 7 * np.arange(len(self.ids)),
                "Governorate": place["adm1_name"].to_numpy(),
                "District": place["adm2_name"].to_numpy(),
                "Location Name": [english for english, _ in self.names],
                "Arabic Name": [arabic for _, arabic in self.names],
                "Latitude": self.lonlat[:, 1],
                "Longitude": self.lonlat[:, 0],
                "Families": families,
                "Individuals": families * PEOPLE_PER_HOUSEHOLD,
            }
        )
        origins = apportion(climate, self.origins[0]) + apportion(conflict + other, self.origins[1])
        recent = 0.25 + 0.2 * n
        late = np.array([(1, 0, 0), (0.4, 0.6, 0), (0.2, 0.3, 0.5)][n])
        since = (
            np.array([[0, 0, 0.1, 0.9 - recent, *(recent * late)]]),
            np.array([[0.34, 0.38, 0.2, 0.06, *(0.02 * late)]]),
        )
        periods = apportion(climate, since[0]) + apportion(conflict + other, since[1])
        blocks = (
            (self.governorates, origins),
            (list(SHELTERS), self._sheltered(families)),
            (period_columns(year), periods),
            (REASONS, np.column_stack([climate, conflict, other])),
        )
        counts = pd.concat([pd.DataFrame(values, columns=list(names)) for names, values in blocks], axis=1)
        overlooked = (place["adm2_pcode"] == self.newly_assessed).to_numpy() & (n < len(CLIMATE_GROWTH) - 1)
        listed = pd.concat([table, counts], axis=1)[(families > 0) & ~overlooked].reset_index(drop=True)
        return _with_totals(listed)

    def _sheltered(self, families: IntArray) -> IntArray:
        """Households per kind of shelter; in a camp everybody is in the camp."""
        inside = np.zeros_like(families)
        inside[self.camps] = families[self.camps]
        return np.column_stack([inside, apportion(families - inside, self.shelter)])


def _with_totals(listed: pd.DataFrame, first: str = "Families") -> pd.DataFrame:
    """The list with the row that real lists end with, and that doubles every naive sum; counts are ``first`` and on."""
    counts = listed.columns[listed.columns.get_loc(first) :]
    totals = pd.DataFrame([listed[counts].sum()])
    totals["Location ID"] = f"Totals: Locations:{len(listed):,}"
    return pd.concat([listed, totals.reindex(columns=listed.columns)], ignore_index=True)


def apportion(totals: IntArray, shares: FloatArray) -> IntArray:
    """Split whole ``totals`` (n,) by ``shares`` (n or 1, k) so that rows add up: largest remainders.

    Examples
    --------
    >>> apportion(np.array([10]), np.array([[0.5, 0.26, 0.24]])).tolist()
    [[5, 3, 2]]
    """
    quota = totals[:, None] * shares / shares.sum(axis=1, keepdims=True)
    whole = np.floor(quota + 1e-9).astype("int64")
    order = np.argsort(whole - quota, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return whole + (rank < (totals - whole.sum(axis=1))[:, None])
