"""Demand for water by sector, m3/day, as a range: people and their shelter, irrigated crops, animals.

Every coefficient is data of the country file, with a low, a middle and a high value and its source.
The scenario "low" is the least thirsty reading of all of them together: fewest litres and lowest crop
coefficients, but highest efficiency. A sector without an input is ``input_missing`` and never 0, and
``sectors_known`` says which parts a total holds: it is a lower bound where one is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, model_validator

from geodata.schema import (
    KEEPS_VALUE,
    ContractError,
    Status,
    has_status,
    more_cautious,
    require_units,
    status_attrs,
    status_like,
)
from models.exposure import not_displaced

SCENARIOS = ("low", "mid", "high")
PARTS = ("residents", "displaced", "irrigation", "livestock")
"""Parts of the total; residents and displaced together are the domestic sector."""

SHELTERS = ("camp", "critical", "other")
M3D = "m3/day"
LITRES_PER_M3 = 1000.0
M3_PER_MM_HA = 10.0

Quantity = Annotated[float, Field(ge=0, allow_inf_nan=False)]
OfTheYear = Annotated[tuple[Quantity, ...], Field(min_length=12, max_length=12)]
Returning = Literal["domestic", "livestock", "industry", "irrigation"]


# ------------------------------------------------------------------ coefficients


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Coefficient(_Frozen):
    """One coefficient: low <= mid <= high, of 0 or more, and where the three come from.

    >>> Coefficient(low=15, mid=20, high=30, source="Sphere").along().values
    array([15., 20., 30.])
    """

    low: Quantity
    mid: Quantity
    high: Quantity
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Coefficient:
        if not self.low <= self.mid <= self.high:
            raise ValueError(f"found low={self.low}, mid={self.mid}, high={self.high}, expected low <= mid <= high")
        return self

    def along(self, *, thirsty: Literal["high", "low"] = "high") -> xr.DataArray:
        """Values (scenario,); ``thirsty`` says which end makes the demand large."""
        ends = (self.low, self.mid, self.high)
        return xr.DataArray(
            list(ends if thirsty == "high" else ends[::-1]), dims="scenario", coords={"scenario": list(SCENARIOS)}
        )


class Losses(Coefficient):
    """Share lost between the source and the user: below 1."""

    high: Annotated[float, Field(ge=0, lt=1)]


class Efficiency(Coefficient):
    """Share of the water taken that the crop gets: above 0, at most 1."""

    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(le=1)]


class Share(Coefficient):
    """A share of 0 to 1."""

    high: Annotated[float, Field(ge=0, le=1)]


class CropCoefficient(_Frozen):
    """Kc for each month, January to December; 0 where nothing grows. In every month low <= mid <= high."""

    low: OfTheYear
    mid: OfTheYear
    high: OfTheYear
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> CropCoefficient:
        for month, (low, mid, high) in enumerate(zip(self.low, self.mid, self.high, strict=True), start=1):
            if not low <= mid <= high:
                raise ValueError(f"month {month}: found {low}, {mid}, {high}, expected low <= mid <= high")
        return self

    def along(self) -> xr.DataArray:
        """Values (month 1..12, scenario)."""
        table = np.array([self.low, self.mid, self.high]).T
        coords = {"month": np.arange(1, 13), "scenario": list(SCENARIOS)}
        return xr.DataArray(table, dims=("month", "scenario"), coords=coords)


class DomesticOptions(_Frozen):
    """Litres per person and day by group, at the tap, and what is lost on the way to it.

    Displaced households whose shelter nobody asked about count as ``other``.
    """

    residents_litres: Coefficient
    camp_litres: Coefficient
    critical_litres: Coefficient
    other_litres: Coefficient
    losses: Losses


class CropOptions(_Frozen):
    """A crop: its coefficients, and the salinity of soil water extract it bears (ECe, dS/m)."""

    kc: CropCoefficient
    soil_salinity_ds_m: Coefficient | None = None


class IrrigationOptions(_Frozen):
    """Crops of the irrigated area, efficiency of irrigation, and salinity of its water (ECw, dS/m).

    Without ``water_salinity_ds_m`` no water is added for leaching.
    """

    efficiency: Efficiency
    water_salinity_ds_m: Coefficient | None = None
    crops: dict[str, CropOptions] = Field(min_length=1)

    @model_validator(mode="after")
    def _salt_can_be_leached(self) -> IrrigationOptions:
        if self.water_salinity_ds_m is None:
            return self
        for name, crop in self.crops.items():
            if crop.soil_salinity_ds_m is None:
                raise ValueError(f"crops.{name}.soil_salinity_ds_m: found nothing, expected a value (leaching)")
            worst, least = self.water_salinity_ds_m.high, crop.soil_salinity_ds_m.low
            if not 2 * worst < 5 * least:
                found = f"water of {worst:g} dS/m for a crop that bears {least:g}"
                raise ValueError(f"crops.{name}: found {found}, expected ECw < 2.5 ECe (a leaching share below 1)")
        return self


class DemandOptions(_Frozen):
    """Block [water_demand] of a country file: every coefficient of the demand for water.

    Parameters
    ----------
    domestic : DomesticOptions
    irrigation : IrrigationOptions or None
    livestock : animal -> litres per head and day, or None
    returns : sector -> share of what it is given that flows back to the river; 0 where not named
    """

    domestic: DomesticOptions
    irrigation: IrrigationOptions | None = None
    livestock: dict[str, Coefficient] | None = None
    returns: dict[Returning, Share] = Field(default_factory=dict)


# ------------------------------------------------------------------ people


def displaced_by_shelter(
    households: xr.DataArray,
    people_per_household: float,
    *,
    critical: xr.DataArray | None = None,
    camp: xr.DataArray | None = None,
) -> dict[str, xr.DataArray]:
    """People by class of shelter, from published counts of households.

    Parts are cut to the whole, because each was rounded for itself. Households whose class is
    not known are ``other``.

    Parameters
    ----------
    households, critical, camp : DataArray (time, pcode), households
        With a stand-in where suppressed; NaN where not counted. A household is in one class.
    people_per_household : float > 0

    Returns
    -------
    dict "camp", "critical", "other" -> DataArray, people; NaN where households are
    """
    require_units(households, "households")
    rest, groups = households, {}
    for name, part in (("camp", camp), ("critical", critical)):
        counted = xr.zeros_like(households) if part is None else part.fillna(0.0)
        among = counted.where(counted < rest, rest)  # NaN where the whole is
        rest = rest - among
        groups[name] = among
    groups["other"] = rest
    return {name: (part * people_per_household).assign_attrs(units="people") for name, part in groups.items()}


def domestic_demand(
    residents: xr.DataArray,
    displaced: Mapping[str, xr.DataArray] | None,
    options: DomesticOptions,
    *,
    residents_status: xr.DataArray | None = None,
    displaced_status: xr.DataArray | None = None,
    residents_include_displaced: bool = False,
) -> xr.Dataset:
    """Water for people: litres per person and day of each group, over what arrives of a litre.

    Displaced people are counted once, as in exposure: added to the residents, or taken from among
    them. Where nobody counted them the domestic demand is not known, since unknown is not nobody: it has
    their status, the residents stand alone in the total of `with_total`, a lower bound, and
    ``sectors_known`` says so. A unit in which a round found none has none. Where residents are
    unknown there is no domestic demand.

    Parameters
    ----------
    residents : DataArray (time, pcode), people
    displaced : class of shelter -> DataArray (time, pcode), people; None where no list is read
    options : DomesticOptions
    residents_status, displaced_status : Status flags, optional
    residents_include_displaced : bool
        The residents are all who are there: displaced people are subtracted before they get litres of their
        own, and who was not counted apart gets those of residents.

    Returns
    -------
    Dataset (time, pcode, scenario)
        ``demand_residents``, ``demand_displaced`` and ``demand_domestic``, m3/day, each with its status.

    Formula
    -------
    demand = sum over groups of people x litres per person and day / 1000 / (1 - losses)
    groups: residents; displaced people in camps, in critical shelter, elsewhere

    Limits
    ------
    * Litres are what is reckoned with, not what was measured: low, mid and high with the source of each in the
      country file. The range is wide, and it is the answer.
    * Residents are those of a census, carried on; displaced people are counted in households and published
      rounded, with a stand-in where hidden.
    * Nothing of schools, hospitals, trade, or of the quality of the water.
    * No residents, no demand, and no count of displaced people, no demand (``input_missing``); of the total the
      residents alone are then a lower bound. Where the residents include them, who was not counted apart gets theirs.
    * A census carried on knows nothing of who fled since: they are added where they are, and are not taken away
      where they came from.

    References
    ----------
    The project's own bookkeeping; the sources of the litres and losses stand in the country file.
    """
    require_units(residents, "people")
    arriving = 1.0 - options.losses.along()
    if residents_include_displaced:
        residents, displaced, displaced_status = _apart(residents, residents_status, displaced, displaced_status)
    of_residents = _demand(
        _of_group(residents, options.residents_litres, arriving), residents_status, residents, "residents"
    )
    if displaced is None:
        of_displaced = unknown_demand("displaced", residents)
    else:
        litres = {
            "camp": options.camp_litres,
            "critical": options.critical_litres,
            "other": options.other_litres,
        }
        if strange := sorted(set(displaced) - set(litres)):
            raise ContractError(f"displaced: found {strange}, expected classes among {SHELTERS}")
        parts = [_of_group(people, litres[name], arriving) for name, people in displaced.items()]
        of_displaced = _demand(reduce(add, parts), displaced_status, next(iter(displaced.values())), "displaced")
    return _with_domestic(xr.merge([of_residents, of_displaced], join="exact"))


def _of_group(people: xr.DataArray, litres: Coefficient, arriving: xr.DataArray) -> xr.DataArray:
    require_units(people, "people")
    return people * (litres.along() / LITRES_PER_M3 / arriving)


def _apart(
    residents: xr.DataArray,
    residents_status: xr.DataArray | None,
    displaced: Mapping[str, xr.DataArray] | None,
    displaced_status: xr.DataArray | None,
) -> tuple[xr.DataArray, dict[str, xr.DataArray], xr.DataArray]:
    """Residents less the displaced people among them; who was not counted apart stays with the residents."""
    groups = {"other": residents * np.nan} if displaced is None else dict(displaced)
    whole = reduce(add, groups.values())
    flags = status_like(whole, Status.input_missing) if displaced_status is None else displaced_status
    whole = whole.where(has_status(flags, KEEPS_VALUE))
    as_residents = status_like(residents, Status.input_missing) if residents_status is None else residents_status
    among = {name: part.where(whole.notnull(), 0.0).assign_attrs(units="people") for name, part in groups.items()}
    status = xr.where(whole.notnull(), flags, as_residents).astype("int8").assign_attrs(status_attrs())
    return not_displaced(residents, whole), among, status


def _with_domestic(parts: xr.Dataset) -> xr.Dataset:
    """A sum of which a part is not known is not known: the residents alone would look like nobody displaced."""
    status = more_cautious(parts["demand_residents_status"], parts["demand_displaced_status"])
    water = (parts["demand_residents"] + parts["demand_displaced"]).where(has_status(status, KEEPS_VALUE))
    return parts.assign(demand_domestic=_attributed(water, "domestic"), demand_domestic_status=status)


# ------------------------------------------------------------------ crops


def effective_rain(rain: xr.DataArray) -> xr.DataArray:
    """Rain of a month that crops can use.

    Parameters
    ----------
    rain : DataArray (...), mm/month

    Returns
    -------
    DataArray (...), mm/month

    References
    ----------
    USDA Soil Conservation Service, as in FAO CROPWAT: P (125 - 0.2 P) / 125 up to 250 mm, 125 + 0.1 P above.

    >>> effective_rain(xr.DataArray([0.0, 100.0, 250.0, 300.0], dims="time", attrs={"units": "mm/month"})).values
    array([  0.,  84., 150., 155.])
    """
    require_units(rain, "mm/month")
    usable = xr.where(rain <= 250.0, rain * (125.0 - 0.2 * rain) / 125.0, 125.0 + 0.1 * rain)
    return usable.where(rain.notnull()).assign_attrs(units="mm/month", long_name="effective rain")


def leaching_share(water_salinity: Any, soil_salinity: Any) -> Any:
    """Share of the irrigation water that must pass the roots to carry its salt away: ECw / (5 ECe - ECw).

    Parameters
    ----------
    water_salinity : float or array, dS/m, of the irrigation water
    soil_salinity : float or array, dS/m, that the crop bears in the saturation extract

    References
    ----------
    Ayers and Westcot 1985, FAO Irrigation and Drainage Paper 29, equation 9 (Rhoades 1974).

    >>> leaching_share(1.2, 4.0).__round__(4)
    0.0638
    """
    return water_salinity / (5.0 * soil_salinity - water_salinity)


def irrigation_demand(
    area: xr.DataArray,
    evapotranspiration: xr.DataArray,
    rain: xr.DataArray,
    options: IrrigationOptions,
    *,
    area_status: xr.DataArray | None = None,
    evapotranspiration_status: xr.DataArray | None = None,
    rain_status: xr.DataArray | None = None,
) -> xr.Dataset:
    """Water for crops: max(0, Kc ET0 - effective rain) / (efficiency (1 - leaching share)) over the area.

    Parameters
    ----------
    area : DataArray (time, pcode, crop) or (pcode, crop), ha
    evapotranspiration : DataArray (time, pcode), mm/month, of the reference crop
    rain : DataArray (time, pcode), mm/month
    options : IrrigationOptions
    area_status, evapotranspiration_status, rain_status : Status flags, optional

    Returns
    -------
    Dataset (time, pcode, scenario)
        ``demand_irrigation``, m3/day of the month, with its status. Where nothing is irrigated it
        is 0 whatever the weather; where an input is unknown it has that input's status.

    Formula
    -------
    demand = sum over crops of area x 10 x max(0, Kc ET0 - Pe) / (Ea (1 - LR)) / days of the month
    Pe = P (125 - 0.2 P) / 125 up to 250 mm, 125 + 0.1 P above
    LR = ECw / (5 ECe - ECw), 0 where no salinity of the water is given;  area in ha, Ea efficiency

    Limits
    ------
    * It is what crops on the declared area would need, not what farmers take: that area is of one year, and a
      farmer without water sows less.
    * Effective rain by month ignores on which days it fell and what the soil held before.
    * Ground water that rises to the roots, double cropping not in the list, and rice basins are left out.
    * Kc, efficiency and salinity are ranges from tables: low, mid and high, all at once at their own end.

    References
    ----------
    FAO-56 (crop coefficients), FAO-29 (leaching), USDA (effective rain).
    """
    require_units(area, "ha")
    require_units(evapotranspiration, "mm/month")
    _require_coefficients(area["crop"], options.crops, "crop")
    arriving = options.efficiency.along(thirsty="low")
    falling = effective_rain(rain)
    month = evapotranspiration["time"].dt.month
    parts = []
    for crop in area["crop"].values:
        chosen = options.crops[str(crop)]
        kc = chosen.kc.along().sel(month=month).drop_vars("month")
        net = (kc * evapotranspiration - falling).clip(min=0.0)
        hectares = area.sel(crop=crop, drop=True)
        parts.append(xr.where(hectares == 0, 0.0, net / (arriving * (1.0 - _leached(options, chosen))) * hectares))
    water = reduce(add, parts) * M3_PER_MM_HA / evapotranspiration["time"].dt.days_in_month
    whole = area.sum("crop", skipna=False)
    flags = status_like(whole, Status.input_missing) if area_status is None else _over(area_status, "crop")
    weather = [
        status_like(values, Status.input_missing) if given is None else given
        for values, given in ((evapotranspiration, evapotranspiration_status), (rain, rain_status))
    ]
    flags = xr.where(whole == 0, flags, reduce(more_cautious, weather, flags))
    return _demand(water, flags.astype("int8"), evapotranspiration, "irrigation")


def _leached(options: IrrigationOptions, crop: CropOptions) -> xr.DataArray | float:
    if options.water_salinity_ds_m is None or crop.soil_salinity_ds_m is None:
        return 0.0
    return leaching_share(options.water_salinity_ds_m.along(), crop.soil_salinity_ds_m.along(thirsty="low"))


# ------------------------------------------------------------------ animals


def livestock_demand(
    heads: xr.DataArray, litres: Mapping[str, Coefficient], *, heads_status: xr.DataArray | None = None
) -> xr.Dataset:
    """Water for animals to drink.

    Parameters
    ----------
    heads : DataArray (time, pcode, animal) or (pcode, animal), head
    litres : animal -> litres per head and day
    heads_status : Status flags, optional

    Returns
    -------
    Dataset (..., scenario)
        ``demand_livestock``, m3/day, with its status.

    Formula
    -------
    demand = sum over animals of heads x litres per head and day / 1000

    Limits
    ------
    * Drinking water alone: fodder is irrigation, if it is anything here.
    * The same in every month, though animals drink more in summer: the range has to hold that.
    * Heads are of one count; herds move, and are sold in a drought.

    References
    ----------
    The project's own bookkeeping; the sources of the litres stand in the country file.
    """
    require_units(heads, "head")
    _require_coefficients(heads["animal"], litres, "animal")
    parts = [
        heads.sel(animal=animal, drop=True) * (litres[str(animal)].along() / LITRES_PER_M3)
        for animal in heads["animal"].values
    ]
    flags = None if heads_status is None else _over(heads_status, "animal")
    return _demand(reduce(add, parts), flags, heads.isel(animal=0, drop=True), "livestock")


# ------------------------------------------------------------------ the total


def unknown_demand(part: str, like: xr.DataArray) -> xr.Dataset:
    """A part of the demand that no input tells of: NaN and input_missing, never 0.

    Parameters
    ----------
    part : str, "displaced", "irrigation" or "livestock"
    like : DataArray (time, pcode), whose axes it gets

    Returns
    -------
    Dataset (time, pcode, scenario): ``demand_<part>``, m3/day, with its status.
    """
    nothing = xr.full_like(like, np.nan, dtype="float64") * xr.DataArray(
        np.ones(len(SCENARIOS)), dims="scenario", coords={"scenario": list(SCENARIOS)}
    )
    return _demand(nothing, None, like, part)


def with_total(parts: xr.Dataset) -> xr.Dataset:
    """Parts of the demand with their total, and which of them it holds.

    Parameters
    ----------
    parts : Dataset (time, pcode, scenario)
        ``demand_<part>`` and its status for each of `PARTS`.

    Returns
    -------
    Dataset (time, pcode, scenario)
        ``parts`` with ``demand_total`` (m3/day, sum of the parts that are known; input_missing where
        none is) and its status, and ``sectors_known`` (time, pcode), CF flag masks: where a
        part is absent from it the total is a lower bound.
    """
    flags = [parts[f"demand_{part}_status"] for part in PARTS]
    known = [has_status(flag, KEEPS_VALUE) for flag in flags]
    total = reduce(add, [parts[f"demand_{part}"].fillna(0.0) for part in PARTS])
    some = reduce(xr.ufuncs.logical_or, known)
    cautions = [xr.where(k, f, np.int8(Status.ok)) for k, f in zip(known, flags, strict=True)]
    status = xr.where(some, reduce(more_cautious, cautions), np.int8(Status.input_missing)).astype("int8")
    masks = np.array([1 << n for n in range(len(PARTS))], dtype="int8")
    held = reduce(add, [k * mask for k, mask in zip(known, masks, strict=True)]).astype("int8")
    whole = _attributed(total.where(some), "total").assign_attrs(comment="a lower bound where sectors_known lacks one")
    return parts.assign(
        demand_total=whole,
        demand_total_status=status.assign_attrs(status_attrs()),
        sectors_known=held.assign_attrs(
            long_name="parts of the demand that the total holds", flag_masks=masks, flag_meanings=" ".join(PARTS)
        ),
    )


def words_of_sectors(held: int) -> str:
    """Parts that a value of ``sectors_known`` names.

    >>> words_of_sectors(5)
    'residents irrigation'
    """
    return " ".join(part for n, part in enumerate(PARTS) if held >> n & 1)


# ------------------------------------------------------------------ pieces


def _demand(water: xr.DataArray, flags: xr.DataArray | None, like: xr.DataArray, part: str) -> xr.Dataset:
    """A demand with its status: NaN where the flag keeps no value, and the flag of ``like`` where none is given."""
    status = status_like(like, Status.input_missing) if flags is None else flags
    known = has_status(status, KEEPS_VALUE) & water.isel(scenario=0, drop=True).notnull()
    status = xr.where(known | ~has_status(status, KEEPS_VALUE), status, np.int8(Status.input_missing)).astype("int8")
    dims = [d for d in (*like.dims, *water.dims) if d != "scenario"]
    order = (*dict.fromkeys(dims), "scenario")
    return xr.Dataset(
        {
            f"demand_{part}": _attributed(water.where(known), part).transpose(*order),
            f"demand_{part}_status": status.transpose(*order[:-1]).assign_attrs(status_attrs()),
        }
    )


def _attributed(water: xr.DataArray, part: str) -> xr.DataArray:
    return water.drop_attrs().assign_attrs(units=M3D, long_name=f"demand for water: {part}")


def _over(flags: xr.DataArray, dim: str) -> xr.DataArray:
    """The most cautious flag along a dimension."""
    return reduce(more_cautious, [flags.isel({dim: n}, drop=True) for n in range(flags.sizes[dim])])


def _require_coefficients(asked: xr.DataArray, known: Mapping[str, object], what: str) -> None:
    if strange := sorted({str(name) for name in asked.values} - set(known)):
        raise ContractError(f"{what}: no coefficient for {strange}, expected one for each of {sorted(known)}")
