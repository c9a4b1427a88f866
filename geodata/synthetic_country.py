"""What the synthetic country is made of: the options it is drawn from, what was planted, and all it holds."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import pandas as pd
import xarray as xr

from geodata.synthetic_climate import Climate, Cloudburst, MarshLoss, Spell
from geodata.synthetic_farms import Farms
from geodata.synthetic_ground import Ground
from geodata.synthetic_heat import HeatWave, Temperature
from geodata.synthetic_land import Land
from geodata.synthetic_rivers import InflowGap, LowInflow, Network


@dataclass(frozen=True)
class CountryOptions:
    """What country to draw.

    Parameters
    ----------
    seed : int, the same seed gives the same bytes
    first : str, "YYYY-MM", first month of rain, at least 15 years before the last
    as_of : str, "YYYY-MM", last month of rain: the month a demo speaks about
    subdistricts : int
    daily_years : int, length of daily temperature
    daily_rain_years : int, length of daily rain: over 30 hydrological years, as return levels need
    vegetation_years : int, length of this record
    recent_years : int, length of NDVI, surface temperature, monthly surface water and border inflow
    long_years : int, length of soil moisture and dust days
    """

    seed: int = 1
    first: str = "1984-01"
    as_of: str = "2024-03"
    subdistricts: int = 60
    daily_years: int = 12
    daily_rain_years: int = 33
    vegetation_years: int = 10
    recent_years: int = 20
    long_years: int = 30

    def __post_init__(self) -> None:
        if len(self.months()) < 180:
            raise ValueError(f"{self.first} to {self.as_of} is shorter than the 15 years a country needs")

    def months(self) -> pd.DatetimeIndex:
        """Month starts of the rain record."""
        return pd.date_range(self.first, self.as_of, freq="MS")

    def season_start(self, seasons_ago: int = 0) -> pd.Timestamp:
        """October in which the rain season of ``as_of`` began, or an earlier one."""
        end = pd.Timestamp(self.as_of)
        return pd.Timestamp(end.year - (end.month < 10) - seasons_ago, 10, 1)

    def rounds(self) -> tuple[str, ...]:
        """As-of dates of the displacement rounds: a year, half a year and a month before the end."""
        end = pd.Timestamp(self.as_of)
        return tuple(str((end - pd.DateOffset(months=n) + pd.offsets.MonthEnd(0)).date()) for n in (12, 6, 1))

    def water_years(self) -> range:
        """Calendar years of surface water, the last one complete at ``as_of``."""
        end = pd.Timestamp(self.as_of)
        return range(pd.Timestamp(self.first).year, end.year + (end.month == 12))

    def since(self, years: int) -> pd.DatetimeIndex:
        """Month starts of the last ``years`` complete calendar years and what followed, as far as the record goes."""
        months = self.months()
        return months[months.year > self.water_years()[-1] - years]

    def last_complete(self, month: int) -> pd.Timestamp:
        """The latest start of a calendar month after which, at ``as_of``, three months have begun."""
        end = pd.Timestamp(self.as_of)
        return pd.Timestamp(end.year - (end.month < month + 3), month, 1)


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Parameters
    ----------
    drought : the drought of the day, three rain seasons up to ``as_of``
    earlier_drought, wet_spell : spells of the record
    cloudburst : in a dry valley, in the as-of month
    marsh_loss : from when, and towards which side
    lost_marsh_pcodes : subdistricts that lost more than half of their water to it
    years_without_imagery : years in which the water raster reads almost nothing
    small_counts : per round, the subdistricts with 1 to 4 displaced households
    closed_camp, stray_site : location ids
    closed_camp_pcode : str
    newly_assessed : district (ADM2) whose locations only the last round looked at
    residents_unknown : subdistricts without a row in the table of residents
    heat_wave : in the last summer
    dusty_spring : the last spring; its factor multiplies dust days
    dust_unknown : the district (ADM2) of which no dust days are reported
    months_without_imagery : "YYYY-MM", months in which the monthly water raster saw nothing
    low_inflow : months of the drought of the day in which little came over the border
    inflow_gap : months of which no inflow was reported
    fields_unknown, herds_unknown : subdistricts without a row of irrigated area, of livestock
    """

    drought: Spell
    earlier_drought: Spell
    wet_spell: Spell
    cloudburst: Cloudburst
    marsh_loss: MarshLoss
    lost_marsh_pcodes: tuple[str, ...]
    years_without_imagery: tuple[int, ...]
    small_counts: dict[str, tuple[str, ...]]
    closed_camp: str
    closed_camp_pcode: str
    newly_assessed: str
    stray_site: str
    residents_unknown: tuple[str, ...]
    heat_wave: HeatWave
    dusty_spring: Spell
    dust_unknown: str
    months_without_imagery: tuple[str, ...]
    low_inflow: LowInflow
    inflow_gap: InflowGap
    fields_unknown: tuple[str, ...]
    herds_unknown: tuple[str, ...]


@dataclass(frozen=True)
class Waterways:
    """Water month by month.

    Parameters
    ----------
    water_history : DataArray (time, lat, lon), codes 0 not seen, 1 land, 2 water
    water_occurrence : DataArray (time, lat, lon), %, one map of its whole years; 255 where nothing was seen
    reservoir_area : DataFrame [Year, one column per reservoir], km2
    network : Network, rivers and canals
    border_inflow : DataFrame [month, node, inflow_m3s]
    """

    water_history: xr.DataArray
    water_occurrence: xr.DataArray
    reservoir_area: pd.DataFrame
    network: Network
    border_inflow: pd.DataFrame


@dataclass(frozen=True)
class SyntheticCountry:
    """The country in memory, before any file is written.

    Parameters
    ----------
    subdistricts : GeoDataFrame [pcode], as the waist promises them, and ``landscape``
    climate : Climate, rain mm/month, daily rain mm/day, vegetation 1, water 1; each (time, lat, lon)
    temperature : Temperature, degC, daily and monthly; each (time, lat, lon)
    ground : Ground, soil moisture, NDVI, surface temperature, curve numbers and dust days
    waterways : Waterways, monthly surface water, reservoir area, network and border inflow
    farms : Farms, irrigated area and livestock
    residents : Series [pcode], people; a few units are absent
    rounds : per date "YYYY-MM-DD", a displacement list in the DTM layout, totals row last
    returnees : the same of households that returned, as of the last of these dates
    unit_of_site : Series [location id], p-code
    """

    options: CountryOptions
    land: Land
    climate: Climate
    temperature: Temperature
    ground: Ground
    waterways: Waterways
    farms: Farms
    residents: pd.Series
    rounds: dict[str, pd.DataFrame]
    returnees: pd.DataFrame
    unit_of_site: pd.Series
    truth: Truth

    @property
    def subdistricts(self) -> gpd.GeoDataFrame:
        """Index pcode, columns of the waist, geometry in EPSG:4326."""
        return self.land.subdistricts

    @property
    def rain(self) -> xr.DataArray:
        """Monthly rain, mm/month, (time, lat, lon)."""
        return self.climate.rain

    @property
    def daily_rain(self) -> xr.DataArray:
        """Daily rain, mm/day, (time, lat, lon), on a grid twice as coarse as the monthly one."""
        return self.climate.daily_rain
