"""The country file: typed, frozen, every key known. Inner packages receive plain values from it.

Each reader and each hazard declares its own options beside its code; this module only
assembles them, so that a new one touches its own module and the country file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError, ValidationInfo, field_validator, model_validator

from geodata.boundaries import BoundaryOptions
from geodata.options import Options, SourceOptions, describe_missing, nearest
from geodata.schema import Finding, InputError
from geodata.sources import READERS
from models.composite import Mean, Means, weight_faults
from models.demand import DemandOptions
from models.hazards import HAZARDS, HazardOptions
from models.risk import DIMENSIONS
from models.water_balance import BalanceOptions

from .cadences import lacks_days, unfit_cadences
from .indicator_sheet import SheetOptions

MISSION_HAZARDS = ("drought", "water", "heavy_rain", "salinity", "dust", "river_flood", "heat")
"""Hazards that must stand in every product, as `input_missing` where a country has no source."""

BALANCE_READERS = {"network": "water_network", "irrigated_area": "category_table", "livestock": "category_table"}
"""Readers of the sources of a water balance; the others are sources by subdistrict and month."""

WEIGHTED = ("risk", "hazard_and_exposure", "hazard")
"""Levels whose weights the country file may declare."""

RESIDENTS, DISPLACEMENT, RETURNEES = "residents", "displacement", "returnees"
DISPLACEMENT_REASONS = "displacement_reasons"
"""Names of the source blocks that are not hazards."""

_TABLES_OF_PEOPLE = ("displacement_table", "dtm_api", "hdx_hapi_idps")
READERS_OF_PEOPLE = {
    DISPLACEMENT: ("dtm_idp_list", *_TABLES_OF_PEOPLE),
    RETURNEES: ("dtm_returnee_list",),
    DISPLACEMENT_REASONS: _TABLES_OF_PEOPLE,
}
"""Block that counts people -> readers it may have; no other block may have these."""

PEOPLE = (RESIDENTS, *READERS_OF_PEOPLE)


class CountrySettings(Options):
    """Who and where. `as_of` is the month a run speaks about unless the command line says otherwise."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    name: dict[str, str]
    languages: tuple[str, ...] = ("en", "ar", "ckb")
    synthetic: bool = False
    publish: Literal["auto", "staged"] = "staged"
    as_of: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    people_per_household: float = Field(gt=0)
    people_per_household_source: str


class CalibrationSettings(Options):
    """Years that define "normal" for every index; parameters never move when a month is added."""

    start_year: int
    end_year: int
    min_years: int = Field(default=30, ge=10)
    why: str

    @model_validator(mode="after")
    def _long_enough(self) -> CalibrationSettings:
        years = self.end_year - self.start_year + 1
        if years < self.min_years:
            raise ValueError(f"found {years} years, expected at least {self.min_years} (min_years)")
        return self

    @property
    def years(self) -> tuple[int, int]:
        """(first, last) year, both included."""
        return self.start_year, self.end_year


class MissingHazard(Options):
    """A hazard the mission names and this country has no source for: shown as such everywhere."""

    method: Literal["none"]
    label: dict[str, str] = Field(default_factory=dict)
    why: dict[str, str] = Field(default_factory=dict)


class ExposureSettings(Options):
    """Fixed bounds of the exposure score (absolute part log10, share part linear)."""

    people_low: float = Field(gt=0)
    people_high: float = Field(gt=0)
    country_share_high: float = Field(gt=0, le=1)
    bounds_source: str


class RiskSettings(Options):
    """How dimensions become a score and a class.

    Parameters
    ----------
    means : dict
        Level (hazards, hazard_and_exposure, indicators, risk) -> its mean; INFORM's where it is not named.
    weights : dict
        Level (risk, hazard_and_exposure, hazard) -> part -> weight, sum 1; equal weights where it is not named. Those
        of indicators stand in the indicator sheet.
    """

    class_cut_points: tuple[float, float, float, float]
    class_origin: str
    reference_score: float = Field(ge=0, le=10)
    reference_origin: str
    means: dict[str, Mean] = Field(default_factory=dict)
    weights: dict[str, dict[str, float]] = Field(default_factory=dict)

    @field_validator("means")
    @classmethod
    def _known_means(cls, means: dict[str, Mean]) -> dict[str, Mean]:
        if unknown := sorted(set(means) - {f.name for f in fields(Means)}):
            raise ValueError(f"found {unknown[0]!r}, expected one of {[f.name for f in fields(Means)]}")
        return means

    @field_validator("weights")
    @classmethod
    def _whole_weights(cls, weights: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        if unknown := sorted(set(weights) - set(WEIGHTED)):
            raise ValueError(f"found {unknown[0]!r}, expected one of {list(WEIGHTED)}")
        for level, given in weights.items():
            if fault := weight_faults(list(given.values())):
                raise ValueError(f"{level}: found {fault}")
        return weights

    @field_validator("class_cut_points")
    @classmethod
    def _rising(cls, cuts: tuple[float, ...]) -> tuple[float, ...]:
        if not all(a < b for a, b in zip((0.0, *cuts), (*cuts, 10.0), strict=True)):
            raise ValueError(f"found {list(cuts)}, expected four rising numbers between 0 and 10")
        return cuts


class UncertaintySettings(Options):
    """Draws behind the printed range and the tiers."""

    draws: int = Field(default=2000, ge=100)
    seed: int = 20240601
    weight_concentration: float = Field(default=10.0, gt=0)
    spi_sd: float = Field(ge=0)
    spi_sd_source: str
    hazard_score_sd: float = Field(ge=0)  # of hazards that are not made from an SPI, in score points
    hazard_score_sd_source: str


class WarningSettings(Options):
    """Scores at which the alert level rises, and for how many observed months they must be met."""

    watch_score: float
    warning_score: float
    emergency_score: float
    threshold_source: str
    persistence_months: int = Field(default=2, ge=1)
    persistence_months_of: dict[str, int] = Field(default_factory=dict)  # hazards that need another: a flood is one day

    def persistence_of(self, hazard: str) -> int:
        """Observed months in a row that a hazard must reach a threshold."""
        return self.persistence_months_of.get(hazard, self.persistence_months)

    @model_validator(mode="after")
    def _rising(self) -> WarningSettings:
        if not 0 < self.watch_score < self.warning_score < self.emergency_score <= 10:
            raise ValueError("found thresholds that do not rise, expected 0 < watch < warning < emergency <= 10")
        return self

    @property
    def thresholds(self) -> tuple[float, float, float]:
        """(watch, warning, emergency)."""
        return self.watch_score, self.warning_score, self.emergency_score


class ReliabilitySettings(Options):
    """Above this, "how sure we are" is said to be poor."""

    poor_above: float = Field(default=5.0, ge=0, le=10)


class Settings(Options):
    """One country file."""

    country: CountrySettings
    calibration: CalibrationSettings
    boundaries: BoundaryOptions
    sources: dict[str, SerializeAsAny[SourceOptions]]
    hazards: dict[str, SerializeAsAny[HazardOptions] | MissingHazard]
    indicators: dict[str, SerializeAsAny[HazardOptions]] = Field(default_factory=dict)
    water_demand: DemandOptions | None = None
    water_balance: BalanceOptions | None = None
    exposure: ExposureSettings
    indicator_sheet: SheetOptions | None = None
    risk: RiskSettings
    uncertainty: UncertaintySettings
    warning: WarningSettings
    reliability: ReliabilitySettings = ReliabilitySettings()

    @field_validator("sources", mode="before")
    @classmethod
    def _sources_by_reader(cls, blocks: Any) -> Any:
        return {name: _by_key(block, "reader", READERS, f"sources.{name}") for name, block in _tables(blocks)}

    @field_validator("hazards", mode="before")
    @classmethod
    def _hazards_by_method(cls, blocks: Any) -> Any:
        known: dict[str, type[BaseModel]] = {"none": MissingHazard} | _options_by_method()
        return {name: _by_key(block, "method", known, f"hazards.{name}") for name, block in _tables(blocks)}

    @field_validator("indicators", mode="before")
    @classmethod
    def _indicators_by_method(cls, blocks: Any) -> Any:
        known = _options_by_method()
        return {name: _by_key(block, "method", known, f"indicators.{name}") for name, block in _tables(blocks)}

    @field_validator("sources")
    @classmethod
    def _people_have_their_blocks(cls, sources: dict[str, SourceOptions]) -> dict[str, SourceOptions]:
        every = {reader for readers in READERS_OF_PEOPLE.values() for reader in readers}
        findings = []
        for name, block in sources.items():
            fit = READERS_OF_PEOPLE.get(name)
            if fit is not None and block.reader not in fit:
                findings.append(_finding(f"sources.{name}.reader", repr(block.reader), " or ".join(map(repr, fit))))
            elif fit is None and block.reader in every:
                blocks = [f"sources.{b}" for b, readers in READERS_OF_PEOPLE.items() if block.reader in readers]
                findings.append(_finding(f"sources.{name}", f"reader {block.reader!r}", f"block {' or '.join(blocks)}"))
        divided = sources.get(DISPLACEMENT)
        if DISPLACEMENT_REASONS in sources and getattr(divided, "level", 3) != 3:
            found = "a further table beside one of governorates or districts"
            findings.append(
                _finding(f"sources.{DISPLACEMENT_REASONS}", found, "reasons in sources.displacement itself")
            )
        if findings:
            raise InputError(findings)
        return sources

    @field_validator("hazards")
    @classmethod
    def _hazards_are_complete(cls, hazards: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        findings = [
            _finding(f"hazards.{name}", "no block", 'a block; method = "none" where there is no source')
            for name in MISSION_HAZARDS
            if name not in hazards
        ]
        findings += _unknown_sources("hazards", hazards, info)
        if findings:
            raise InputError(findings)
        return hazards

    @field_validator("indicators")
    @classmethod
    def _indicators_have_sources(cls, indicators: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        findings = _unknown_sources("indicators", indicators, info)
        if clash := sorted(set(indicators) & set(info.data.get("hazards", {}))):
            findings.append(_finding(f"indicators.{clash[0]}", "the name of a hazard", "a name of its own"))
        if findings:
            raise InputError(findings)
        return indicators

    @field_validator("water_balance")
    @classmethod
    def _balance_has_sources(cls, block: BalanceOptions | None, info: ValidationInfo) -> BalanceOptions | None:
        sources = info.data.get("sources", {})
        asked = block.sources if block is not None and sources else {}
        findings = [
            _finding(f"water_balance.{option}", describe_missing(source, sources), "the name of a source block")
            for option, source in asked.items()
            if source not in sources
        ]
        findings += [
            _finding(f"water_balance.{option}", f"a source of reader {sources[source].reader!r}", f"one of {reader!r}")
            for option, source in asked.items()
            if (reader := BALANCE_READERS.get(option)) and source in sources and sources[source].reader != reader
        ]
        coefficients = info.data.get("water_demand")
        for option, part in (("irrigated_area", "irrigation"), ("livestock", "livestock")):
            if option in asked and getattr(coefficients, part, None) is None:
                findings.append(_finding(f"water_demand.{part}", "nothing", f"coefficients, as there is {option}"))
        if "irrigated_area" in asked:
            findings += [
                _finding(f"water_balance.{option}", "nothing", "the name of a source block: what crops get and lose")
                for option in ("rain", "evapotranspiration")
                if option not in asked
            ]
        if findings:
            raise InputError(findings)
        return block

    @model_validator(mode="after")
    def _blocks_fit_their_sources(self) -> Settings:
        hazards = {name: block for name, block in self.hazards.items() if isinstance(block, HazardOptions)}
        findings = unfit_cadences("hazards", hazards, self.sources)
        findings += unfit_cadences("indicators", self.indicators, self.sources)
        findings += [
            _finding("water_demand", "no block", f"coefficients of demand, as {section}.{name} needs them")
            for section, blocks in (("hazards", hazards), ("indicators", self.indicators))
            for name, block in blocks.items()
            if HAZARDS[block.method].made_by and self.water_demand is None
        ]
        findings += self._unfit_weights()
        if findings:
            raise InputError(findings)
        return self

    def _unfit_weights(self) -> list[Finding]:
        """Weights of hazards that are not the assessed ones; of dimensions and of exposure, unknown names."""
        assessed = {f"hazard_{name}" for name in self.assessed_hazards}
        parts = {"hazard": assessed, "hazard_and_exposure": {"hazard", "exposure"}, "risk": set(DIMENSIONS)}
        return [
            _finding(f"risk.weights.{level}", f"weights of {sorted(given)}", f"of {sorted(parts[level])}")
            for level, given in self.risk.weights.items()
            if (set(given) != parts[level] if level != "risk" else not set(given) <= parts[level])
        ]

    @property
    def assessed_hazards(self) -> dict[str, HazardOptions]:
        """Hazard blocks that have a method and a source that it can use."""
        return {
            name: block
            for name, block in self.hazards.items()
            if isinstance(block, HazardOptions) and not lacks_days(block, self.sources)
        }

    @property
    def sections(self) -> dict[str, dict[str, HazardOptions]]:
        """All that is computed, as the country file has it: the assessed hazards, then the indicators."""
        return {"hazards": self.assessed_hazards, "indicators": self.indicators}

    @property
    def blocks(self) -> dict[str, HazardOptions]:
        """The same by name alone; no indicator has the name of a hazard."""
        return {name: block for blocks in self.sections.values() for name, block in blocks.items()}

    @property
    def missing_hazards(self) -> tuple[str, ...]:
        """Hazards declared without a source, or with one by month where the method needs days."""
        assessed = self.assessed_hazards
        return tuple(name for name in self.hazards if name not in assessed)

    def as_json(self) -> str:
        """Canonical text of all settings, defaults included: what the config hash is taken of."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """Hash of every setting; comments and order of the file do not count."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()


def includes_displaced(settings: Settings) -> bool:
    """True if the residents are all who are there, displaced people among them."""
    return bool(getattr(settings.sources.get(RESIDENTS), "includes_displaced", False))


def bundled() -> list[str]:
    """Names of the country files that come with Wadi."""
    folder = resources.files("flows") / "config"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_settings(config: str) -> Settings:
    """Read a country file, or a bundled one by its name.

    Raises
    ------
    InputError : no such file, not TOML, an unknown key (the nearest known one is named), a wrong value.
    """
    name, text = _read_text(config)
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(Finding("error", "config", name, "syntax", str(error), "valid TOML")) from None
    except InputError as error:
        raise InputError(_renamed(error.findings, name)) from None
    except ValidationError as error:
        raise InputError(_renamed(_findings_of(error, Settings, ()), name)) from None


def _read_text(config: str) -> tuple[str, str]:
    path = Path(config)
    if not path.suffix and not path.is_file():
        if config not in bundled():
            found = describe_missing(config, bundled())
            raise InputError(Finding("error", "config", "--config", "country", found, "a bundled country or a file"))
        return f"{config}.toml", (resources.files("flows") / "config" / f"{config}.toml").read_text("utf-8")
    try:
        return path.name, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Finding("error", "config", str(path), "file", str(error), "a readable TOML file")) from None


def _tables(blocks: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(blocks, Mapping):
        raise ValueError(f"found {type(blocks).__name__}, expected a table of tables")
    yield from blocks.items()


def _by_key(block: Any, key: str, known: Mapping[str, type[BaseModel]], where: str) -> BaseModel:
    if not isinstance(block, Mapping) or key not in block:
        raise InputError(_finding(f"{where}.{key}", "nothing", f"one of {', '.join(sorted(known))}"))
    if block[key] not in known:
        raise InputError(_finding(f"{where}.{key}", describe_missing(str(block[key]), known), "a known one"))
    model = known[block[key]]
    try:
        return model.model_validate(dict(block))
    except ValidationError as error:
        raise InputError(_findings_of(error, model, tuple(where.split(".")))) from None


def _options_by_method() -> dict[str, type[BaseModel]]:
    """Method -> option model."""
    return {name: method.options for name, method in HAZARDS.items()}


def _unknown_sources(section: str, blocks: Mapping[str, Any], info: ValidationInfo) -> list[Finding]:
    """Blocks that read a source which no block declares."""
    sources = info.data.get("sources", {})
    return [
        _finding(f"{section}.{name}.{option}", describe_missing(source, sources), "the name of a source block")
        for name, block in blocks.items()
        if isinstance(block, HazardOptions) and sources
        for option, source in block.sources.items()
        if source not in sources
    ]


def _finding(field: str, found: str, expected: str) -> Finding:
    return Finding("error", "config", "", field, found, expected)


def _renamed(findings: tuple[Finding, ...] | list[Finding], file: str) -> list[Finding]:
    return [Finding(f.severity, f.source, file, f.field, f.found, f.expected, f.action) for f in findings]


def _findings_of(error: ValidationError, model: type[BaseModel], prefix: tuple[str, ...]) -> list[Finding]:
    """Pydantic's complaints as findings; an unknown key names its nearest known neighbour."""
    findings = []
    for item in error.errors():
        where = ".".join(map(str, (*prefix, *item["loc"])))
        if item["type"] == "extra_forbidden":
            key, known = str(item["loc"][-1]), _known_keys(model, item["loc"][:-1])
            hint = nearest(key, known, likeness=0.0)
            expected = f"one of: {', '.join(known)}" + (f"; nearest known key: {hint!r}" if hint else "")
            findings.append(_finding(where, f"unknown key {key!r}", expected))
        elif item["type"] == "missing":
            findings.append(_finding(where, "nothing", "a value"))
        else:
            inner = item.get("ctx", {}).get("error")
            if isinstance(inner, InputError):
                findings += inner.findings
            else:
                findings.append(_finding(where, repr(item["input"])[:80], item["msg"].removeprefix("Value error, ")))
    return findings


def _known_keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Keys allowed in the table at `loc` below `model`."""
    for step in loc:
        annotation = model.model_fields[step].annotation if step in model.model_fields else None
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return sorted(model.model_fields)
