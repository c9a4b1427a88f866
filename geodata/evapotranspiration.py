"""Reader "evapotranspiration": reference evapotranspiration of each month from rasters of weather.

Daily weather is computed day by day and then summed, as neither formula is linear in it. The
terms of the formulas (extraterrestrial radiation, daylight, Penman-Monteith) come from pyet.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from .calendar import next_period, period_label
from .grids import Floats, describe_grid, grid_of, same_pixels
from .options import DataPath, RasterSource
from .quantities import QuantityName
from .rasters import RasterStack
from .schema import Findings, InputError
from .stacks import Bounds

_ROUNDING = 0.01  # degC, of temperatures that were packed as integers
_CELLS_AT_ONCE = 500_000  # Penman-Monteith has some thirty terms in hand for each
_STATIC = "elevation"
_INPUTS: Mapping[str, QuantityName] = {
    "tmax": "temperature",
    "tmin": "temperature",
    "wind": "wind_speed",
    "solar_radiation": "solar_radiation",
    "sunshine": "sunshine",
    "dew_point": "temperature",
    "vapour_pressure": "vapour_pressure",
    "relative_humidity": "relative_humidity",
    _STATIC: "elevation",
}
_HUMIDITY = ("dew_point", "vapour_pressure", "relative_humidity")
_SUN = ("solar_radiation", "sunshine")

Cadence = Literal["day", "month"]


class Evapotranspiration(RasterSource):
    """The reader. Each input is a block like that of a raster stack: path, units, variable, start, scale ...

    Parameters
    ----------
    method : "hargreaves" from tmax and tmin alone, "fao56" (Penman-Monteith) where wind, sun and humidity are had
    input_cadence : "day", or "month" for monthly means
    max_missing_share : float
        Share of the days of a month that may be missing, each then taken to be like the others.
    tmax, tmin : block, mean over the period of the daily extremes, degC or K
    wind : block, mean speed, m/s
    wind_height_m : float, m above ground at which the wind blows
    solar_radiation, sunshine : block, one of the two: MJ m-2 day-1, W m-2 or J m-2 a day; hours a day
    dew_point, vapour_pressure, relative_humidity : block, one of the three: degC or K; kPa, hPa or Pa; %
    elevation : block, m
    """

    reader: Literal["evapotranspiration"]
    path: DataPath  # made of those of the inputs
    units: Literal["mm/month"] = "mm/month"
    cadence: Literal["month"] = "month"
    method: Literal["hargreaves", "fao56"]
    input_cadence: Cadence = "day"
    max_missing_share: float = Field(default=0.1, ge=0, le=0.5)
    tmax: RasterStack
    tmin: RasterStack
    wind: RasterStack | None = None
    wind_height_m: float = Field(default=10.0, ge=0.5, le=100)
    solar_radiation: RasterStack | None = None
    sunshine: RasterStack | None = None
    dew_point: RasterStack | None = None
    vapour_pressure: RasterStack | None = None
    relative_humidity: RasterStack | None = None
    elevation: RasterStack | None = None

    @model_validator(mode="before")
    @classmethod
    def _inputs_are_stacks(cls, block: Any) -> Any:
        """What the block of an input need not say, as it follows from its name."""
        if not isinstance(block, Mapping):
            return block
        cadence = block.get("input_cadence", "day")
        given = [block[name] for name in _INPUTS if isinstance(block.get(name), Mapping)]
        path = ", ".join(str(one["path"]) for one in given if "path" in one)
        if block.get("path", path) != path:
            raise ValueError(f"path: found {block['path']!r}, expected none: each input has its own")
        whole = {**block, "path": path}
        for name, quantity in _INPUTS.items():
            if isinstance(block.get(name), Mapping):
                told = {
                    "quantity": quantity,
                    "cadence": cadence,
                    "label": {"en": name},
                    "licence": "",
                    "attribution": "",
                }
                # The ground has no date; a file without one needs a start.
                told |= {"cadence": "once", "start": "2000"} if name == _STATIC else {}
                whole[name] = {**told, **block[name]}
        return whole

    @model_validator(mode="after")
    def _inputs_fit_the_method(self) -> Evapotranspiration:
        for name, stack in self.stacks.items():
            cadence = "once" if name == _STATIC else self.input_cadence
            if (stack.quantity, stack.cadence) != (_INPUTS[name], cadence):
                found = f"{stack.quantity} with cadence {stack.cadence!r}"
                raise ValueError(f"{name}: found {found}, expected {_INPUTS[name]} with cadence {cadence!r}")
        extra = set(self.stacks) - {"tmax", "tmin"}
        if self.method == "hargreaves" and extra:
            raise ValueError(f"method: found hargreaves beside {sorted(extra)}, which it does not read, expected fao56")
        if self.method == "fao56":
            for choice in (("wind",), ("elevation",), _SUN, _HUMIDITY):
                if len(given := extra & set(choice)) != 1:
                    found = " and ".join(sorted(given)) or "none"
                    raise ValueError(f"method: found {found} for fao56, expected one of: {', '.join(choice)}")
        return self

    @property
    def stacks(self) -> dict[str, RasterStack]:
        """The inputs that were given, by name."""
        return {name: stack for name in _INPUTS if (stack := getattr(self, name)) is not None}

    def files(self, root: Path) -> list[Path]:
        """Files of all inputs, sorted."""
        return sorted({path for stack in self.stacks.values() for path in stack.files(root)})

    def read(self, root: Path, log: Findings, subdistricts: Any = None) -> xr.DataArray:
        """Evapotranspiration over the bounds of `subdistricts`, every value of every input checked once.

        Parameters
        ----------
        root : Path
            The data folder.
        log : Findings
            InputError with all that is wrong: values out of range, other grids or periods than
            those of tmax, tmax below tmin. Penman-Monteith on monthly means is a warning.
        subdistricts : GeoDataFrame or None
            The subdistricts table.

        Returns
        -------
        DataArray (time, lat, lon), mm/month, float32, lazy
            Time is the start of each month; NaN where an input is missing.
        """
        inputs = {}
        for name, stack in self.stacks.items():
            its_own = Findings(log.source)
            with suppress(InputError):  # all inputs are looked at before anything is raised
                inputs[name] = stack.read(root, its_own, subdistricts)
            log.items.extend(its_own.items)
        log.stop()
        for name, values in inputs.items():
            _check_alike(values, inputs["tmax"], self.stacks[name], self.stacks["tmax"], log)
        log.stop()
        inputs = _relabelled(inputs)
        _check_order(inputs["tmax"], inputs["tmin"], self.stacks["tmax"], log)
        log.stop()
        self._warn_of_means(log)
        return self._months(inputs)

    def raster(self, root: Path, log: Findings, bounds: Bounds | None = None) -> xr.DataArray:
        """As `read`, over `bounds`, its values not checked again."""
        return self._months(_relabelled({name: stack.raster(root, log, bounds) for name, stack in self.stacks.items()}))

    def _warn_of_means(self, log: Findings) -> None:
        if self.method == "fao56" and self.input_cadence == "month":
            log.warning(
                file=self.stacks["tmax"].path,
                field="input_cadence",
                found="monthly means for Penman-Monteith",
                expected="daily weather, as wind and dryness vary together within a month",
                action="computed from the means",
            )

    def _months(self, inputs: Mapping[str, xr.DataArray]) -> xr.DataArray:
        if self.method == "hargreaves":
            rate = hargreaves(inputs["tmax"], inputs["tmin"], inputs["tmax"]["lat"], cadence=self.input_cadence)
        else:
            rate = self._penman_monteith(inputs)
        depth = month_sums(rate, self.max_missing_share) if self.input_cadence == "day" else _of_whole_months(rate)
        label = self.label.get("en") or next(iter(self.label.values()), "reference evapotranspiration")
        attrs = {"units": self.units, "long_name": label, "crs": inputs["tmax"].attrs["crs"]}
        return depth.astype("float32").transpose("time", "lat", "lon").rename("evapotranspiration").assign_attrs(attrs)

    def _penman_monteith(self, inputs: Mapping[str, xr.DataArray]) -> xr.DataArray:
        step = max(_CELLS_AT_ONCE // inputs["tmax"][0].size, 1)
        inputs = {name: values.chunk(time=step) for name, values in inputs.items()}
        tmax, tmin = inputs["tmax"], inputs["tmin"]
        warmed = ground_heat_of_months((tmax + tmin) / 2.0) if self.input_cadence == "month" else 0.0
        return penman_monteith(
            tmax,
            tmin,
            tmax["lat"],
            wind=wind_at_2m(inputs["wind"], self.wind_height_m),
            vapour_pressure=_vapour_pressure(inputs),
            elevation=inputs[_STATIC].isel(time=0, drop=True),
            solar_radiation=inputs.get("solar_radiation"),
            sunshine=inputs.get("sunshine"),
            ground_heat=warmed,
            cadence=self.input_cadence,
        )


# ------------------------------------------------------------------ formulas


def hargreaves(
    tmax: xr.DataArray, tmin: xr.DataArray, lat: xr.DataArray | float, *, cadence: Cadence = "day"
) -> xr.DataArray:
    """Reference evapotranspiration from the range of temperature.

    What short grass gives off that has all the water it wants, each day.

    Parameters
    ----------
    tmax, tmin : DataArray (time, ...), degC
        Daily extremes, or their monthly means.
    lat : DataArray (lat,) or float, degree north
    cadence : "day" or "month"
        What a step of time is; the radiation of a month is the mean of its days.

    Returns
    -------
    DataArray (time, ...), mm/day
        Never below 0; NaN where tmax is below tmin. pyet's own `hargreaves` lets the latent heat vary
        with temperature, and takes the radiation of a month to be that of the day in its label; so only
        Ra is taken from it.

    Formula
    -------
    ET0 = 0.0023 x 0.408 Ra (T + 17.8) sqrt(Tmax - Tmin),  T = (Tmax + Tmin) / 2
    Ra radiation above the atmosphere, MJ m-2 day-1; that of a month is the mean of its days

    Limits
    ------
    * Neither wind nor humidity is in it: too low where the wind is above 3 m/s, too high in humid air (FAO-56).
    * FAO-56 asks for a comparison with Penman-Monteith in each new region before it is trusted there.
    * From monthly means of the extremes it is not quite the mean of the days, as it is not linear in them.
    * Evaporation of well watered short grass: what the ground does evaporate is less wherever water lacks.

    References
    ----------
    Hargreaves and Samani 1985; Allen et al. 1998 (FAO-56), equation 52 with 1/2.45 = 0.408.

    Examples
    --------
    Lyon in July (FAO-56, example 20):

    >>> july = {"time": pd.DatetimeIndex(["2015-07-01"])}
    >>> tmax, tmin = (xr.DataArray([t], dims="time", coords=july) for t in (26.6, 14.8))
    >>> hargreaves(tmax, tmin, 45.72, cadence="month").values.round(1)
    array([5.])
    """
    spread = tmax - tmin
    spread = spread.where(spread >= -_ROUNDING).clip(min=0.0)
    sun = extraterrestrial_radiation(tmax.indexes["time"], lat, cadence)
    rate = 0.0023 * 0.408 * sun * ((tmax + tmin) / 2.0 + 17.8) * np.sqrt(spread)
    return rate.clip(min=0.0).transpose(*tmax.dims).assign_attrs(units="mm/day")


def penman_monteith(
    tmax: xr.DataArray,
    tmin: xr.DataArray,
    lat: xr.DataArray | float,
    *,
    wind: xr.DataArray,
    vapour_pressure: xr.DataArray,
    elevation: xr.DataArray | float,
    solar_radiation: xr.DataArray | None = None,
    sunshine: xr.DataArray | None = None,
    ground_heat: xr.DataArray | float = 0.0,
    cadence: Cadence = "day",
) -> xr.DataArray:
    """Reference evapotranspiration of FAO-56, by pyet.

    What short grass gives off that has all the water it wants, from temperature, wind, sun and humidity.

    Parameters
    ----------
    tmax, tmin : DataArray (time, ...), degC
    lat : DataArray (lat,) or float, degree north
    wind : DataArray (time, ...), m/s at 2 m
    vapour_pressure : DataArray (time, ...), kPa, actual
    elevation : DataArray (...) or float, m
    solar_radiation : DataArray (time, ...) or None, MJ m-2 day-1, incoming
    sunshine : DataArray (time, ...) or None, hours a day; needed where there is no radiation
    ground_heat : DataArray (time, ...) or float, MJ m-2 day-1 into the ground: 0 for days, see `ground_heat_of_months`
    cadence : "day" or "month", what a step of time is

    Returns
    -------
    DataArray (time, ...), mm/day
        Never below 0; NaN where an input is, or where tmax is below tmin.

    Formula
    -------
    ET0 = [0.408 D (Rn - G) + g 900 / (T + 273) u2 (es - ea)] / [D + g (1 + 0.34 u2)]
    D slope of the vapour pressure curve and g psychrometric constant, kPa/degC; Rn net radiation and G heat
    into the ground, MJ m-2 day-1; u2 wind at 2 m, m/s; es - ea vapour pressure deficit, kPa
    Rs = (0.25 + 0.5 n / N) Ra from hours of sunshine n of N

    Limits
    ------
    * On monthly means wind and dryness no longer vary together: the reader warns of it. Daily weather is computed
      day by day, then summed.
    * Weather of a desert is not that over a well watered reference field: there the air would be cooler and
      moister, so that it is too high.
    * Radiation from sunshine uses the coefficients of FAO-56 (0.25 and 0.5), which differ from place to place.
    * Evaporation of well watered short grass: what the ground does evaporate is less wherever water lacks.

    References
    ----------
    Allen et al. 1998, FAO Irrigation and Drainage Paper 56, equation 6.
    """
    sky = _sky(pd.DatetimeIndex(tmax.indexes["time"]), lat, cadence)
    if solar_radiation is None:
        if sunshine is None:
            raise TypeError("penman_monteith: solar_radiation or sunshine is needed")
        solar_radiation = (0.25 + 0.5 * sunshine / sky["daylight"]) * sky["radiation"]
    clear = (0.75 + 2e-5 * elevation) * sky["radiation"]
    rate = xr.apply_ufunc(
        _fao56_of_arrays,
        tmax,
        tmin.where(tmax - tmin >= -_ROUNDING),
        wind,
        solar_radiation,
        clear,
        vapour_pressure,
        elevation,
        ground_heat,
        dask="parallelized",
        output_dtypes=["float64"],
    )
    return rate.transpose(*tmax.dims).assign_attrs(units="mm/day")


def _fao56_of_arrays(*weather: Floats) -> Floats:
    """Penman-Monteith of one block, mm/day, in the order of `penman_monteith`'s call."""
    import pyet

    arrays = np.broadcast_arrays(*(np.asarray(a, dtype="float64") for a in weather))
    known = np.isfinite(arrays).all(axis=0)
    out = np.full(known.shape, np.nan)
    if known.any():  # pyet takes a block without values for one with radiation in wrong units
        tmax, tmin, wind, solar, clear, humidity, height, ground = (xr.DataArray(a[known], dims="cell") for a in arrays)
        out[known] = pyet.pm_fao56(
            (tmax + tmin) / 2.0,
            wind,
            rs=solar,
            rso=clear,
            g=ground,
            tmax=tmax,
            tmin=tmin,
            ea=humidity,
            elevation=height,
        )
    return out


def extraterrestrial_radiation(times: pd.Index, lat: xr.DataArray | float, cadence: Cadence = "day") -> xr.DataArray:
    """Radiation above the atmosphere, by pyet (FAO-56, equation 21).

    Parameters
    ----------
    times : DatetimeIndex (time,), the days, or the starts of the months
    lat : DataArray (lat,) or float, degree north
    cadence : "day" or "month"; that of a month is the mean of its days

    Returns
    -------
    DataArray (time, lat), or (time,) for a single latitude, MJ m-2 day-1

    Examples
    --------
    20 degrees south on 3 September (FAO-56, example 8):

    >>> extraterrestrial_radiation(pd.DatetimeIndex(["2015-09-03"]), -20.0).values.round(1)
    array([32.2])
    """
    return _sky(pd.DatetimeIndex(times), lat, cadence)["radiation"]


def _sky(times: pd.DatetimeIndex, lat: xr.DataArray | float, cadence: Cadence) -> xr.Dataset:
    """Radiation above the atmosphere (MJ m-2 day-1) and hours of daylight, (time, lat)."""
    import pyet

    days = times if cadence == "day" else pd.date_range(times[0], next_period(times[-1], "month"), inclusive="left")
    degrees = np.atleast_1d(np.asarray(lat, dtype="float64"))
    radians = xr.DataArray(np.radians(degrees), dims="lat")
    sky = xr.Dataset(
        {
            "radiation": (("time", "lat"), np.asarray(pyet.extraterrestrial_r(days, radians))),
            "daylight": (("time", "lat"), np.asarray(pyet.daylight_hours(days, radians))),
        },
        coords={"time": days, "lat": degrees},
    )
    if cadence == "month":
        sky = sky.resample(time="MS").mean().sel(time=times)
    return sky if isinstance(lat, xr.DataArray) and lat.ndim else sky.isel(lat=0, drop=True)


def wind_at_2m(wind: xr.DataArray, height_m: float) -> xr.DataArray:
    """Wind speed at 2 m from that at another height over short grass (FAO-56, equation 47).

    >>> wind_at_2m(xr.DataArray(3.2), 10.0).item().__round__(1)
    2.4
    """
    return wind if height_m == 2.0 else wind * float(4.87 / np.log(67.8 * height_m - 5.42))


def ground_heat_of_months(tmean: xr.DataArray) -> xr.DataArray:
    """Heat into the ground in each month: 0.14 (T - T of the month before) (FAO-56, equation 44).

    Equation 43 would take the month after as well, and a month would change once the next is
    known. Where the month before is not known the ground is taken to keep its heat.

    Parameters
    ----------
    tmean : DataArray (time, ...), degC, one value per month

    Returns
    -------
    DataArray (time, ...), MJ m-2 day-1
    """
    return (0.14 * (tmean - tmean.shift(time=1))).fillna(0.0)


def _vapour_pressure(inputs: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Actual vapour pressure, kPa, from whichever measure of humidity was given (FAO-56, equations 14 and 19)."""
    import pyet

    if "vapour_pressure" in inputs:
        return inputs["vapour_pressure"]
    if "dew_point" in inputs:
        return pyet.calc_e0(inputs["dew_point"])
    saturated = pyet.calc_es(tmax=inputs["tmax"], tmin=inputs["tmin"])
    return inputs["relative_humidity"].clip(max=100.0) / 100.0 * saturated


# ------------------------------------------------------------------ months


def month_sums(rate: xr.DataArray, max_missing_share: float = 0.1) -> xr.DataArray:
    """Depth of each month from a daily rate.

    Parameters
    ----------
    rate : DataArray (time, ...), mm/day, one value per day
    max_missing_share : float
        A month of which a larger share of the days is missing is missing; in the others a missing
        day is taken to be the mean of those known. Days before and after the record are missing.

    Returns
    -------
    DataArray (time, ...), mm/month; time is the start of each month

    Examples
    --------
    February without its last 2 of 28 days, and without its last 3:

    >>> days = pd.date_range("2019-02-01", "2019-02-28")
    >>> rate = xr.DataArray(np.full(28, 2.0), dims="time", coords={"time": days})
    >>> month_sums(rate[:26]).values, month_sums(rate[:25]).values
    (array([56.]), array([nan]))
    """
    months = rate.resample(time="MS")
    mean, known = months.mean(), months.count()
    days = known["time"].dt.days_in_month
    return (mean * days).where(days - known <= max_missing_share * days + 1e-9).assign_attrs(units="mm/month")


def _of_whole_months(rate: xr.DataArray) -> xr.DataArray:
    return (rate * rate["time"].dt.days_in_month).assign_attrs(units="mm/month")


# ------------------------------------------------------------------ checks


def _relabelled(inputs: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Inputs with the cell centres of tmax: those of two files of one grid may differ in rounding."""
    cells = {dim: inputs["tmax"][dim] for dim in ("lat", "lon")}
    return {name: values.assign_coords(cells) for name, values in inputs.items()}


def _check_alike(
    values: xr.DataArray, tmax: xr.DataArray, options: RasterStack, reference: RasterStack, log: Findings
) -> None:
    """The cells of tmax, and its periods (a static input has none)."""
    if not same_pixels(grid_of(values), grid_of(tmax)):
        expected = f"that of {reference.path}: {describe_grid(grid_of(tmax))}"
        log.error(file=options.path, field="grid", found=describe_grid(grid_of(values)), expected=expected)
    if options.cadence == "once":
        if values.sizes["time"] != 1:
            log.error(file=options.path, field="images", found=values.sizes["time"], expected="one: it does not change")
        return
    own, wanted = (pd.DatetimeIndex(v.indexes["time"]) for v in (values, tmax))
    if not own.equals(wanted):
        log.error(
            file=options.path,
            field="time",
            found=_span(own, options.cadence),
            expected=f"the periods of {reference.path}: {_span(wanted, options.cadence)}",
        )


def _span(times: pd.DatetimeIndex, cadence: str) -> str:
    return f"{len(times)} from {period_label(times[0], cadence)} to {period_label(times[-1], cadence)}"


def _check_order(tmax: xr.DataArray, tmin: xr.DataArray, options: RasterStack, log: Findings) -> None:
    """A day cannot be hotter at night: the two are exchanged, or one of them is something else."""
    wrong = (tmax - tmin < -_ROUNDING).sum(("lat", "lon")).compute()
    if not (cells := int(wrong.sum())):
        return
    periods = wrong["time"].values[wrong.values > 0]
    first = pd.Timestamp(periods[0])
    log.error(
        file=options.file_of(first),
        field="tmax",
        found=f"below tmin in {cells} cells of {len(periods)} periods, first in {period_label(first, options.cadence)}",
        expected="tmax not below tmin: are the two exchanged?",
    )
