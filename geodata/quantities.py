"""What must be true of each quantity that a raster may hold: its units, its range, and codes that are no value.

A quantity is a row of `QUANTITIES`. What no row can say (rain per period, evaporation with a
sign) is in `rain_units` and `stacks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

QuantityName = Literal[
    "precipitation",
    "evaporation",
    "temperature",
    "surface_temperature",
    "soil_moisture",
    "vegetation_index",
    "curve_number",
    "water_history",
    "water_occurrence",
    "water_change",
    "area_share",
    "wind_speed",
    "solar_radiation",
    "sunshine",
    "relative_humidity",
    "vapour_pressure",
    "elevation",
    "anomaly",
    "count",
    "other",
]

Range = tuple[float | None, float | None]
Conversion = tuple[float, float]

_CELSIUS: Mapping[str, Conversion] = dict.fromkeys(
    ("degC", "C", "°C", "celsius", "Celsius"), (1.0, 0.0)
) | dict.fromkeys(("K", "kelvin", "Kelvin"), (1.0, -273.15))
_PER_CENT: Mapping[str, Conversion] = {"%": (1.0, 0.0), "percent": (1.0, 0.0)}
_SHARE: Mapping[str, Conversion] = {"1": (1.0, 0.0), "%": (0.01, 0.0), "percent": (0.01, 0.0)}


@dataclass(frozen=True)
class Quantity:
    """One kind of value.

    Parameters
    ----------
    units : mapping, units a country file may declare -> (factor, offset) to `given_out`; empty: any, as declared
    given_out : str, units of the raster after reading; "" where any are
    limits : (low, high), in `given_out`; nothing lies outside, whatever the country file says
    plausible : (low, high), in `given_out`; valid_min and valid_max of the country file stand in their place
    reaches : float or None, in `given_out`; a whole stack that never exceeds it is in other units
    missing : values as stored that stand for "no value", whether the file declares them or not
    zero : float, value as stored that means 0
    codes : the only values there are, for classes that must not be averaged; their meaning in words
    too_low, too_high : str, what a value outside is most likely
    """

    units: Mapping[str, Conversion] = field(default_factory=dict)
    given_out: str = ""
    limits: Range = (None, None)
    plausible: Range = (None, None)
    reaches: float | None = None
    missing: frozenset[float] = frozenset()
    zero: float = 0.0
    codes: Mapping[int, str] = field(default_factory=dict)
    too_low: str = ""
    too_high: str = ""

    def conversion(self, units: str) -> Conversion:
        """(factor, offset) from declared units; ValueError if this quantity is never measured in them."""
        if not self.units:
            return 1.0, 0.0
        found = self.units.get(_spelling(units))
        if found is None:
            raise ValueError(f"units: found {units!r}, expected one of {', '.join(map(repr, self.units))}")
        return found


def _spelling(units: str) -> str:
    """Units in one spelling.

    >>> _spelling("m**3 m**-3"), _spelling(" W m^-2 "), _spelling("m³/m³")
    ('m3 m-3', 'W m-2', 'm3/m3')
    """
    plain = units.replace("**", "").replace("^", "").replace("²", "2").replace("³", "3")
    return re.sub(r"\s+", " ", plain.strip())


QUANTITIES: Mapping[QuantityName, Quantity] = MappingProxyType(
    {
        "precipitation": Quantity(),
        "evaporation": Quantity(),
        "anomaly": Quantity(),
        "other": Quantity(),
        "count": Quantity(plausible=(0.0, None)),
        "temperature": Quantity(
            units=_CELSIUS,
            given_out="degC",
            plausible=(-90.0, 60.0),  # the coldest and hottest air ever measured
            too_low='is it degC already? then units = "degC"',
            too_high='is it kelvin? then units = "K"; of the land? then quantity = "surface_temperature"',
        ),
        "surface_temperature": Quantity(
            units=_CELSIUS,
            given_out="degC",
            plausible=(-95.0, 85.0),  # of the ground, as satellites see it, in East Antarctica and the Lut desert
            too_low='is it degC already? then units = "degC"',
            too_high='is it kelvin? then units = "K"',
        ),
        "soil_moisture": Quantity(
            units=dict.fromkeys(("m3/m3", "m3 m-3", "1"), (1.0, 0.0)) | dict.fromkeys(("%", "percent"), (0.01, 0.0)),
            given_out="m3/m3",
            limits=(0.0, 1.0),
            too_high='is it percent? then units = "%"',
        ),
        "vegetation_index": Quantity(
            units={"1": (1.0, 0.0)},
            given_out="1",
            limits=(-1.0, 1.0),
            too_low="is a scale, or a nodata value, not declared?",
            too_high="is a scale not declared? MODIS stores the index times 10000: scale = 0.0001",
        ),
        "curve_number": Quantity(
            units={"1": (1.0, 0.0)},
            given_out="1",
            limits=(0.0, 100.0),
            too_high="is 255 its nodata? then nodata = 255",
        ),
        "water_history": Quantity(
            units={"1": (1.0, 0.0), "code": (1.0, 0.0)},
            given_out="1",
            missing=frozenset({255.0}),
            codes={0: "no_observation", 1: "land", 2: "water"},
            too_high="a 3 is permanent water of the yearly classification, 0 to 100 are the occurrence",
        ),
        "water_occurrence": Quantity(
            units=_PER_CENT,
            given_out="%",
            limits=(0.0, 100.0),
            missing=frozenset({255.0}),
            too_high='253 and 254 are codes of the change map: quantity = "water_change"',
        ),
        "water_change": Quantity(
            units=_PER_CENT,
            given_out="%",
            limits=(-100.0, 100.0),
            missing=frozenset({253.0, 254.0, 255.0}),  # not water, not computable, no data
            zero=100.0,
            too_low="the map stores 0 to 200, where 100 is no change",
            too_high="the map stores 0 to 200, where 100 is no change",
        ),
        "area_share": Quantity(
            units=_SHARE,
            given_out="1",
            limits=(0.0, 1.0),
            too_high='is it percent? then units = "%"; is 255 its nodata? then nodata = 255',
        ),
        "wind_speed": Quantity(
            units={"m/s": (1.0, 0.0), "m s-1": (1.0, 0.0), "km/h": (1 / 3.6, 0.0)},
            given_out="m/s",
            plausible=(0.0, 50.0),
            too_low="wind components have a sign, the speed has none: sqrt(u^2 + v^2)",
            too_high='is it km/h? then units = "km/h"',
        ),
        "solar_radiation": Quantity(
            units=dict.fromkeys(("MJ m-2 day-1", "MJ/m2/day", "MJ m-2"), (1.0, 0.0))
            | dict.fromkeys(("W m-2", "W/m2"), (0.0864, 0.0))
            | dict.fromkeys(("J m-2", "J m-2 day-1"), (1e-6, 0.0)),
            given_out="MJ m-2 day-1",
            plausible=(0.0, 45.0),
            reaches=3.0,
            too_high='is it a mean flux? then units = "W m-2"; the sum of a day? then units = "J m-2"',
        ),
        "sunshine": Quantity(
            units=dict.fromkeys(("hour", "hours", "h", "h/day"), (1.0, 0.0)) | {"s": (1 / 3600, 0.0)},
            given_out="hour",
            limits=(0.0, 24.0),
            too_high='is it seconds? then units = "s"; a month\'s sum must be divided by its days',
        ),
        "relative_humidity": Quantity(
            units={"%": (1.0, 0.0), "percent": (1.0, 0.0), "1": (100.0, 0.0)},
            given_out="%",
            limits=(0.0, 105.0),  # models let the air be slightly supersaturated
            reaches=1.0,
            too_high='is it percent? then units = "%"',
        ),
        "vapour_pressure": Quantity(
            units={"kPa": (1.0, 0.0), "hPa": (0.1, 0.0), "mbar": (0.1, 0.0), "Pa": (0.001, 0.0)},
            given_out="kPa",
            plausible=(0.0, 8.0),
            too_high='is it hPa? then units = "hPa"',
        ),
        "elevation": Quantity(
            units={"m": (1.0, 0.0)},
            given_out="m",
            plausible=(-500.0, 9000.0),
            too_low="is a nodata value not declared?",
            too_high="is it in feet or centimetres?",
        ),
    }
)
"""Name in a country file -> what must be true of it."""
