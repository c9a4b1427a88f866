"""Make docs/indices.md and docs/new_hazard.md from docstrings, option models and the country file themselves.

Run by ``make docs``; tests/test_docs.py holds that the pages are what this makes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import re
import textwrap
import tokenize
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from pydantic.fields import FieldInfo

from flows.settings import MISSION_HAZARDS
from geodata.options import SourceOptions
from geodata.schema import KEEPS_VALUE, RAISES_ALERTS, Status
from geodata.stacks import StackOptions
from maps.words import load_catalogue
from models.hazards import HAZARDS, HazardOptions

ROOT = Path(__file__).resolve().parents[1]
DEMO = "flows/config/demo.toml"


@dataclass(frozen=True)
class Index:
    """One index of the page.

    Parameters
    ----------
    title : str
    where : "module:function", whose docstring tells of it
    methods : methods of a country file that compute it
    used : str, where else a run computes it
    """

    title: str
    where: str
    methods: tuple[str, ...] = ()
    used: str = ""

    @property
    def module(self) -> str:
        """Dotted name of its module."""
        return self.where.partition(":")[0]

    @property
    def name(self) -> str:
        """Name of the function, and anchor of the index."""
        return self.where.partition(":")[2]

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        return found

    @property
    def told(self) -> dict[str, str]:
        """Its docstring by sections."""
        return sections(self.function)


_READER = 'a source with `reader = "evapotranspiration"` and `method = "{}"`'
_DEMAND = "`[water_demand]`"
_BALANCE = "`[water_balance]`"
_CHANGES = "`changes/<before>--<after>/change.csv` and `wadi compare`"
_RELOCATE = "`wadi relocate`"
_BESIDE = (_CHANGES, _RELOCATE)
_OCCURRENCE = 'a source with `quantity = "water_occurrence"`, as the table `<source>.csv`'

CHAPTERS: dict[str, tuple[Index, ...]] = {
    "Drought from rain": (
        Index("SPI: Standardised Precipitation Index", "models.spi:spi", ("spi", "drought_runs", "cdi")),
        Index("Sampling error of the SPI", "models.spi_doubt:spi_sampling_sd", ("spi",)),
        Index("Spread of the SPI between estimators", "models.spi_doubt:estimator_spread", ("spi",)),
        Index("Probability of each drought class", "models.spi_doubt:class_probabilities", ("spi", "spei")),
        Index("Which accumulation speaks", "models.headline:headline", ("spi", "spei")),
        Index("SPEI: with evapotranspiration", "models.spei:spei", ("spei",)),
        Index("Sampling error of the SPEI", "models.spei_doubt:spei_sampling_sd", ("spei",)),
        Index("Spread of the SPEI between distributions", "models.spei_doubt:distribution_spread", ("spei",)),
        Index("What the SPEI follows, rain or heat", "models.spei:spei_drivers", ("spei",)),
        Index("Percentile of the season to date", "models.percentile:season_to_date", ("season_to_date",)),
        Index(
            "Percentile of a month among its like",
            "models.percentile:percentile_of_month",
            ("dust_days", "water_percentile", "storage_percentile"),
        ),
        Index("Runs of drought: the table", "models.runs:drought_runs", ("drought_runs",)),
        Index("Months in drought: the run under way", "models.runs:months_in_drought", ("drought_runs",)),
    ),
    "Plants and soil": (
        Index("VCI: Vegetation Condition Index", "models.vegetation:vegetation_condition", ("vegetation_health",)),
        Index("TCI: Temperature Condition Index", "models.vegetation:temperature_condition", ("vegetation_health",)),
        Index("VHI: Vegetation Health Index", "models.vegetation:vegetation_health", ("vegetation_health",)),
        Index("Standardised anomaly", "models.anomaly:standardised_anomaly", ("standardised_anomaly", "cdi")),
        Index("Empirical anomaly", "models.anomaly:empirical_anomaly"),
        Index("Anomaly standardised by its provider", "models.anomaly:anomaly_index", ("anomaly", "cdi")),
        Index("CDI: Combined Drought Indicator, version 1", "models.cdi:combined_drought_indicator", ("cdi",)),
        Index("CDI: Combined Drought Indicator, version 4", "models.cdi4:combined_drought_indicator_v4"),
    ),
    "Heavy rain": (
        Index("Rx1day, Rx5day, R95pTOT, CDD and CWD by month", "models.heavy_rain:daily_rain_indices", ("heavy_rain",)),
        Index("Rx1day, Rx5day, R95pTOT, CDD and CWD by year", "models.heavy_rain:yearly_rain_indices"),
        Index("Antecedent precipitation index", "models.heavy_rain:antecedent_precipitation", ("heavy_rain",)),
        Index("Rank of heavy rain", "models.heavy_rain:heavy_rain_percentile", ("heavy_rain",)),
        Index("SCS-CN: runoff of a storm", "models.runoff:storm_runoff", ("heavy_rain",)),
        Index("SCS-CN: runoff of the month", "models.runoff:monthly_runoff", ("heavy_rain",)),
        Index("Return levels: regional GEV", "models.return_levels:return_levels", ("heavy_rain",)),
    ),
    "Heat and dust": (
        Index("Hot days", "models.heat:hot_days", ("hot_days",)),
        Index("Hot nights", "models.heat:hot_nights", ("hot_days",)),
        Index("Days of heat waves", "models.heat:heat_wave_days", ("hot_days",)),
        Index("Frequency of dust", "models.hazard_dust_days:dust_frequency", ("dust_days",)),
    ),
    "Open water and reservoirs": (
        Index("Percentile of surface water", "models.surface_water:water_percentile", ("water_percentile",)),
        Index("Trend of surface water", "models.surface_water:water_trend", ("water_percentile",)),
        Index("Percentile of storage", "models.surface_water:storage_percentile", ("storage_percentile",)),
        Index("SWSI: Surface Water Supply Index", "models.surface_water:surface_water_supply_index"),
        Index("Month-weighted occurrence of water", "geodata.water_codes:month_weighted_occurrence"),
        Index("Usual, permanent and changing water", "geodata.water_codes:occurrence_by_subdistrict", (), _OCCURRENCE),
    ),
    "Evapotranspiration": (
        Index("Hargreaves and Samani", "geodata.evapotranspiration:hargreaves", (), _READER.format("hargreaves")),
        Index("Penman-Monteith of FAO-56", "geodata.evapotranspiration:penman_monteith", (), _READER.format("fao56")),
    ),
    "Demand for water and its supply": (
        Index("Demand: people", "models.demand:domestic_demand", (), _DEMAND),
        Index("Demand: irrigation", "models.demand:irrigation_demand", (), _DEMAND),
        Index("Demand: livestock", "models.demand:livestock_demand", (), _DEMAND),
        Index("Allocation along rivers and canals", "models.allocation:allocate", (), _BALANCE),
        Index("Unmet share of the demand", "models.water_balance:to_units", ("unmet_demand",), _BALANCE),
        Index("Reliability, resilience and vulnerability", "models.allocation:performance", (), _BALANCE),
    ),
    "From index to hazard score": (
        Index("Score by breakpoints", "models.scoring:score_by_breakpoints", (), "`breakpoints` of every block"),
        Index(
            "Scaled geometric mean of hazards",
            "models.scoring:scaled_geometric_mean",
            (),
            "all blocks `[hazards.<name>]` together",
        ),
    ),
    "From scores to a risk that explains itself": (
        Index("Range where a dimension is lacking", "models.weak_risk:risk_span"),
        Index(
            "Shares of the displaced households",
            "models.vulnerability:displaced_shares",
            (),
            "`[indicator_sheet]`, rows with values of `displaced:<part>`",
        ),
        Index("Range, tiers and confidence", "models.confidence:risk_confidence", (), "`[uncertainty]`"),
        Index("Contributions to a risk", "models.explain:tree_contributions", (), "`[risk]`"),
        Index("Change since an earlier run", "models.change:split_change", (), _CHANGES),
        Index("Households that move", "models.relocation:relocate", (), _RELOCATE),
    ),
    "Early warning, and whether it has skill": (
        Index("Outlook from rain so far", "models.outlook:resampled_years_outlook"),
        Index("Shared months of two accumulations", "models.baselines:overlap_correlation"),
        Index("Persistence", "models.baselines:persistence_probability"),
        Index("Skill that shared months alone buy", "models.baselines:overlap_brier_skill"),
        Index("Fitted odds of an event", "models.early_warning_model:fit_warning_model"),
        Index("Parts of the Brier score", "models.scores:brier_parts"),
        Index("Reliability curve", "models.scores:reliability_curve"),
        Index("CRPS of an ensemble", "models.scores:crps_ensemble"),
        Index("Relative economic value", "models.scores:relative_economic_value"),
        Index("Gate of the outlook", "models.gates:outlook_gate"),
        Index("Gate of a model", "models.gates:model_gate"),
    ),
}
INDICES = tuple(index for chapter in CHAPTERS.values() for index in chapter)


# ------------------------------------------------------------------ docstrings


def sections(holder: Any) -> dict[str, str]:
    """Docstring by the names of its sections, what stands before them under "Summary"; without its examples."""
    lines = (inspect.getdoc(holder) or "").splitlines()
    found: dict[str, list[str]] = {}
    name, example = "Summary", False
    for line, below in pairwise([*lines, ""]):
        if line and set(below) == {"-"}:
            name, example = line, False
        elif set(line) != {"-"}:
            example |= line.startswith(">>>")
            found.setdefault(name, []).extend([] if example else [line])
    return {name: text for name, part in found.items() if (text := "\n".join(part).strip("\n"))}


def parameters(holder: Any) -> dict[str, str]:
    """What a docstring says of each parameter, below its type or after it; "as of" another is followed there."""
    found: dict[str, list[str]] = {}
    after: dict[str, str] = {}
    names: list[str] = []
    for line in sections(holder).get("Parameters", "").splitlines():
        if line.startswith(" "):
            for name in names:
                found[name].append(line.strip())
        elif line:
            listed, _, kind = line.partition(" : ")
            names = [name.split()[0] for name in listed.split(", ")]
            found |= {name: [] for name in names}
            after |= dict.fromkeys(names, re.sub(rf"^({_KIND})(, |$)", "", kind))
    # what follows the type is prose, or a unit that the lines below do without
    told = {
        name: " ".join([after[name]] * (not lines or len(after[name].split()) > 3) + lines)
        for name, lines in found.items()
    }
    elsewhere = _ALL_AS_OF.search(sections(holder).get("Summary", ""))
    inherited = parameters(_resolved(holder, elsewhere[1])) if elsewhere else {}
    return inherited | {name: _followed(holder, name, text) for name, text in told.items() if text}


_KIND = r"(float|int|bool|str|dict)( or None)?|DataArray.*|Dataset.*|\(first year, last year\), both included"
_AS_OF = re.compile(r"^as (?:of|in) `([\w.]+)`", re.IGNORECASE)
_ALL_AS_OF = re.compile(r"\bParameters(?: and \w+)?\s+as\s+(?:of|in)\s+`([\w.]+)`")


def _followed(holder: Any, name: str, text: str) -> str:
    other = _AS_OF.match(text)
    return parameters(_resolved(holder, other[1])).get(name, text) if other else text


def _resolved(holder: Any, name: str) -> Any:
    """The function that a docstring names."""
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module) if module else inspect.getmodule(holder), function)


_WORD = re.compile(r"``(.+?)``|`([\w.]+)`|(?<![\w.])([A-Za-z]\w*_\w+)")


def as_markdown(text: str) -> str:
    """Prose of a docstring: literals and names as code, the names of other indices as links."""
    return _WORD.sub(lambda m: _linked(m[2]) if m[2] else f"`{m[1] or m[3]}`", text)


def _linked(name: str) -> str:
    last = name.rpartition(".")[2]
    return f"[`{last}`](#{last})" if last in {index.name for index in INDICES} else f"`{name}`"


def paragraphs(text: str) -> str:
    """Prose with its lines joined, paragraph by paragraph; without pointers to the rest of a docstring."""
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return "\n\n".join(as_markdown(part) for part in parts if not part.startswith("Parameters "))


def bullets(text: str) -> str:
    """A list of limits, one item a line."""
    items = [" ".join(item.split()) for item in re.split(r"^\* ", text, flags=re.MULTILINE) if item.strip()]
    return "\n".join(f"- {as_markdown(item)}" for item in items)


def returned(text: str) -> str:
    """The kind of result as code, and what is in it: a list where it is much."""
    first, _, rest = text.partition("\n")
    kind, _, words = first.partition(": ")
    rest = as_markdown(" ".join((words + " " + textwrap.dedent(rest)).split()))
    parts = re.split(r"; (?=`)", rest)
    if len(parts) > 2:
        return f"`{kind}`:\n\n" + "\n".join(f"- {part}" for part in parts)
    return f"`{kind}`" + (f": {rest}" if rest else "")


# ------------------------------------------------------------------ options of the methods

Row = tuple[str, ...]

_TOLD = {
    "method": "which method, one of those below",
    "label": "language code -> the name on the map",
    "breakpoints": "pairs of index and score, 0 to 10, all rising or all falling",
    "breakpoints_source": "whose choice the breakpoints are",
    "scales_months": "the first of them that is informative this month speaks",
    "further_scales_months": "computed beside them, for those who read the indices",
    "trend": "Theil-Sen slope and Mann-Kendall test of the whole record beside the percentile",
}
"""Options whose line has no comment, and which are no parameter of an index."""


def meaning(method: str, name: str, field: FieldInfo) -> str:
    """What an option is: the comment on its line, or what the docstring of the function it is given to says."""
    text = _meaning(method, name, field).removesuffix(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _meaning(method: str, name: str, field: FieldInfo) -> str:
    model = HAZARDS[method].options if method else HazardOptions
    if comment := comments(model).get(name):
        return comment
    if name in _TOLD:
        return _TOLD[name]
    for holder, parameter in _given_to(method, name) if method else ():
        if text := parameters(holder).get(parameter):
            return as_markdown(text)
    for index in (index for index in INDICES if method in index.methods):
        if text := parameters(index.function).get(name):
            return as_markdown(text)
    if any("source block" in str(part) for part in (*field.metadata, field.annotation)):
        return "a block under `[sources]`"
    choices = typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()
    return " or ".join(f"`{choice}`" for choice in choices)


def comments(model: type) -> dict[str, str]:
    """Field -> the comment at the end of its line."""
    source = textwrap.dedent(inspect.getsource(model))
    by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    fields = {ast.unparse(node.target): node.end_lineno for node in body.body if isinstance(node, ast.AnnAssign)}
    return {name: by_line[line] for name, line in fields.items() if line in by_line}


def _given_to(method: str, name: str) -> Iterator[tuple[Any, str]]:
    """(function or class, parameter) that the module of a method hands an option to."""
    module = inspect.getmodule(HAZARDS[method].options)
    assert module is not None
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for keyword in node.keywords:
                if keyword.arg and ast.unparse(keyword.value) in (f"options.{name}", f"self.{name}"):
                    yield getattr(module, node.func.id), keyword.arg
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and ast.unparse(value) == f"options.{name}":
                    yield from ((f, str(key.value)) for f in _indices_named_in(module))


def _indices_named_in(module: Any) -> list[Any]:
    """Functions of other modules of the science that a module names."""
    functions = (f for _, f in inspect.getmembers(module, inspect.isfunction))
    return [f for f in functions if f.__module__ not in (module.__name__, "models.hazards")]


def _row(method: str, name: str, field: FieldInfo) -> Row:
    default = "needed" if field.is_required() else _value(field.get_default(call_default_factory=True))
    return f"`{name}`", default, meaning(method, name, field)


def _value(value: Any) -> str:
    """A default as it is written in a country file."""
    if value is None or value in ({}, ()):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`" + repr([list(v) if isinstance(v, tuple) else v for v in value]) + "`"
    return str(value) if " " in str(value) else f"`{value}`"


def own_options(method: str) -> dict[str, FieldInfo]:
    """Options of a method that not every block has, or that have a default here."""
    fields, shared = HAZARDS[method].options.model_fields, HazardOptions.model_fields
    return {
        name: field
        for name, field in fields.items()
        if name != "method" and (name not in shared or repr(shared[name].default) != repr(field.default))
    }


def table(heads: Row, rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    cells = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


# ------------------------------------------------------------------ the page of indices


def indices_page() -> str:
    """docs/indices.md."""
    parts = [
        "# The indices",
        "What Wadi computes from rain, heat, plants and water: the formula of each index, its unit, where it comes"
        " from, and what it cannot say. The page is made from the docstrings of the code (`make docs`), and a test"
        " holds the two together.",
        "Each value travels with a status. Where an index says nothing it is not 0: it has no number, and a word that"
        " says why, such as `masked_dry_season`, `insufficient_data` or `input_missing`"
        " ([all of them](new_hazard.md#statuses)). In the formulas P is rain and Phi the standard normal distribution;"
        " a calendar month is compared with the same month of other years, never with the month before.",
        "## Contents",
        _contents(),
        *(part for title, indices in CHAPTERS.items() for part in (f"## {title}", *map(_entry, indices))),
        "## Options of a country file",
        _common_options(),
        *map(_method, sorted(HAZARDS)),
    ]
    return "\n\n".join(parts) + "\n"


def _contents() -> str:
    chapters = [
        f"- **{title}**: " + " · ".join(f"[{index.title}](#{index.name})" for index in indices)
        for title, indices in CHAPTERS.items()
    ]
    methods = " · ".join(f"[`{name}`](#method-{name})" for name in sorted(HAZARDS))
    return "\n".join([*chapters, f"- **Options of a country file**: {methods}"])


def _entry(index: Index) -> str:
    told = index.told
    file = index.module.replace(".", "/") + ".py"
    places = [f"[`{name}`](#method-{name})" for name in index.methods] + [index.used] * bool(index.used)
    where = "Beside the runs" if index.used in _BESIDE else "In a country file"
    place = f"{where}: {', '.join(places)}." if places else "No run computes it: it is there to be called."
    return "\n\n".join(
        [
            f'<a id="{index.name}"></a>\n\n### {index.title}',
            paragraphs(told["Summary"]),
            f"```text\n{told['Formula']}\n```",
            f"**Result and unit.** {returned(told['Returns'])}",
            f"**Limits**\n\n{bullets(told['Limits'])}",
            f"**Source.** {paragraphs(told['References'])}",
            f"{place} Code: [`{file}`](../{file}), `{index.name}`.",
        ]
    )


def _common_options() -> str:
    rows = [_row("", name, field) for name, field in HazardOptions.model_fields.items()]
    return (
        "A block `[hazards.<name>]` is scored; a block `[indicators.<name>]` uses the same methods, and its indices"
        " are published without a score. Every block may have these options; where the table of a method names one"
        f" of them again, that is its default there.\n\n{table(_HEADS, rows)}"
    )


_HEADS = ("option", "default", "what it is")


def _method(name: str) -> str:
    options = HAZARDS[name].options
    words = (inspect.getdoc(inspect.getmodule(options)) or "").splitlines()[0].partition(": ")[2]
    indices = [f"[{i.title}](#{i.name})" for i in INDICES if name in i.methods]
    computes = f" Indices: {', '.join(indices)}." if indices else ""
    return "\n\n".join(
        [
            f'<a id="method-{name}"></a>\n\n### Method `{name}`',
            f"{words[0].upper()}{words[1:]} {paragraphs(sections(options)['Summary'])}",
            table(_HEADS, [_row(name, option, field) for option, field in own_options(name).items()]),
            f"What is scored, under `[hazards]`: `{HAZARDS[name].scored}`.{computes}"
            f" Code: [`models/hazard_{name}.py`](../models/hazard_{name}.py).",
        ]
    )


# ------------------------------------------------------------------ the page of the new hazard

EXAMPLE = "docs/hazard_percent_of_normal.py"
"""A hazard that is not among the methods, as a reader would write it."""

EXAMPLE_BLOCK = """\
[hazards.rain_shortfall]
method = "percent_of_normal"
source = "rain"
months = 6
label = { en = "Rain against normal", ar = "الأمطار مقارنة بالمعتاد", ckb = "باران بە بەراورد لەگەڵ ئاسایی" }
"""

RASTER = "sources.soil_moisture"
"""Block of the demo that shows a raster source."""


@dataclass(frozen=True)
class Added:
    """A hazard that was added by a module and a block.

    Parameters
    ----------
    name : str, of the block under [hazards]
    method : str
    science : files of pure science that came with it
    """

    name: str
    method: str
    science: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """File of the method."""
        return f"models/hazard_{self.method}.py"

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of code that came with it."""
        return (*self.science, self.module)


ADDED = (Added("heat", "hot_days", ("models/heat.py",)), Added("dust", "dust_days"))

STATUSES = {
    Status.ok: "the index says something, and nothing speaks against it",
    Status.stale: "never yourself: of a value carried beyond the `max_age_days` of its source",
    Status.resolution_limited: "never yourself: of a mean over cells too coarse for the subdistrict",
    Status.out_of_support: "the value lies beyond anything in the calibration; give the end of the range",
    Status.masked_dry_season: "the season leaves the index nothing to say, though the data are there",
    Status.insufficient_data: "a gap, too few years, or too little of the month or the place was seen",
    Status.input_missing: "no source, or nothing for this month; `with_input_status` passes it on",
    Status.exposure_unknown: "never yourself: of scores that need people",
    Status.external_unknown: "what decides comes from abroad and is not known, as the inflow of a river",
    Status.no_skill: "never yourself: of forecasts",
    Status.suppressed: "never yourself: of counts of few households",
}
"""When a method says it."""

NEW_HAZARD = Template("""\
# A new hazard is one function and one config block

A hazard is a module `models/hazard_<method>.py`, which is found by its name, and a block of the country file that names
the method. Nothing is registered; no flow, table or map is changed. Heat and dust were added that way. This page shows
how, from the files as they stand (`make docs` makes it, and a test holds it), and then how you add yours.

[Heat](#heat) · [Dust](#dust) · [Nothing else](#nothing-else) · [Your own in five steps](#your-own) ·
[A raster source](#a-raster-source) · [Statuses](#statuses) · [Words on the map](#words)

<a id="heat"></a>

## Heat

The highest and lowest temperature of each day become hot days, hot nights and days of heat waves of each month, cell by
cell; hot days and hot nights, averaged over a subdistrict, are scored. The science is a module that knows nothing of
hazards, so that it can be held against a count by hand: [`models/heat.py`](../models/heat.py)
([formulas and limits](indices.md#hot_days)).

$heat_science

The method:

$heat_module

The block, which had said that there was no source ([`$demo`](../$demo)), and what it reads:

$heat_block

<a id="dust"></a>

## Dust

A table of dust days by district, ranked among the same months of past years. Science and method are one module
([formulas and limits](indices.md#dust_frequency)):

$dust_module

$dust_block

<a id="nothing-else"></a>

## Nothing else was touched

The code is
$files.
No other module of `flows/`, `geodata/`, `maps/` or `models/` names these methods or what they compute;
`tests/test_docs.py` looks. (The invented country was given the files that the sources name, by
`geodata/synthetic*.py`: a real country has them already.) The options and the answer to a wrong key, the score and its
carrying to later months, the columns `hazard_<name>` and the variables `<name>_<index>`, the layer of the map and, of
sources that are rasters, the raster all follow from the module and the block.

<a id="your-own"></a>

## Your own in five steps

1. **Copy** [`$example`](../$example), or the method nearest to yours, to
   `models/hazard_<method>.py`.
2. **Write the function.** `(inputs, options, calibration)` in, a dataset out: each index with its `<index>_status`, on
   the time axis of the inputs, with its units. It may use numpy, xarray, scipy, `geodata.schema` and other `models`,
   and knows no path and no clock. What must be computed cell by cell before the mean over a subdistrict, such as days
   above a limit, is a second function, `cells`; what is learnt from the calibration years and kept, a third, `fit`.
   Of a method that reads another time step than months `cadences` says so. A long daily record is worked on month by
   month, so that a new month costs little, once the method says in `window` how many days around a month its cells
   need; what they must have learnt before is `fit_cells`. A month must come out of its window as out of the whole
   record, bit by bit (`tests/models/test_windows.py`). `HazardMethod` in [`models/hazards.py`](../models/hazards.py)
   says what each function gets.
3. **Declare the options**: what differs between countries, with the unit in the name, and a comment at the end of the
   line, which [the page of options](indices.md#options-of-a-country-file) prints. The breakpoints turn the index into 0
   to 10; `breakpoints_source` says whose choice they are.
4. **Add the block** to your country file: method, source, label. `[hazards.<name>]` is scored, `[indicators.<name>]` is
   published without a score.
5. **`wadi check --config yours.toml --data DATA`** names every key and file that is wrong. Then `wadi run`.

The whole of one, rain of the last months against normal:

$example_module

$example_block

A test takes this module and this block as they stand here, runs the demo with them, and finds the hazard in
`tables/subdistricts.csv`, in `cube.nc` and under its label on the map. Give yours a test with a number that does not
come from your own code; `tests/models/test_hazard_dust_days.py` is one to copy.

<a id="a-raster-source"></a>

## A raster source in ten lines

GeoTIFF per period, multi-band GeoTIFF, NetCDF and Zarr need no code:

$raster_block

$raster_keys

A hazard names the block, here with `source = "$raster_name"`. Another format is a reader: one module, and one line in
`geodata/sources.py`.

<a id="statuses"></a>

## Statuses

Every index has one for each month and place. A status without a value goes with NaN, and one with a value never does;
nothing missing becomes 0 or "no hazard". `kept_input` gives the values of a source that its status keeps, and
`with_input_status` lets that status speak where it says more than yours.

$statuses

<a id="words"></a>

## How words get to the map

The name of a hazard is the `label` of its block, by language: on the layer, in the panel of a place, and in the
sentence behind a warning. A language that is left out borrows from another. The hazards that the mission names have
words already, which a label replaces:
$mission.
Any other without a label is called by the name of its block. A hazard without a source says `method = "none"`, and why:
`why = { en = "No daily temperatures at hand." }`.

A source has its own `label`, `licence`, `attribution` and `note` (a caveat that every product repeats). Statuses,
classes and levels are words of `maps/locales/`, and need nothing from you.
""")


def new_hazard_page() -> str:
    """docs/new_hazard.md."""
    heat, dust = ADDED
    return NEW_HAZARD.substitute(
        demo=DEMO,
        heat_science=_public_functions("models.heat"),
        heat_module=_added(heat.module, (ROOT / heat.module).read_text("utf-8")),
        heat_block=_block_diff(heat),
        dust_module=_added(dust.module, (ROOT / dust.module).read_text("utf-8")),
        dust_block=_block_diff(dust),
        files=", ".join(f"`{file}`" for added in ADDED for file in added.files),
        example=EXAMPLE,
        example_module=_fenced("python", (ROOT / EXAMPLE).read_text("utf-8")),
        example_block=_fenced("toml", EXAMPLE_BLOCK),
        raster_name=RASTER.partition(".")[2],
        raster_block=_fenced("toml", block_of(RASTER)),
        raster_keys=_raster_keys(),
        statuses=_statuses(),
        mission=", ".join(f"`{name}`" for name in MISSION_HAZARDS),
    )


def _public_functions(module: str) -> str:
    loaded = importlib.import_module(module)
    functions = [f for _, f in inspect.getmembers(loaded, inspect.isfunction) if f.__module__ == module]
    public = sorted((f for f in functions if not f.__name__.startswith("_")), key=lambda f: f.__code__.co_firstlineno)
    return "\n".join(f"- `{f.__name__}`: {sections(f)['Summary'].splitlines()[0]}" for f in public)


def _added(file: str, text: str) -> str:
    lines = [f"+{line}" for line in text.rstrip().splitlines()]
    return _fenced("diff", "\n".join(["--- /dev/null", f"+++ b/{file}", *lines]))


def _block_diff(hazard: Added) -> str:
    """The block of a hazard in place of none, and the sources that it reads."""
    block = block_of(f"hazards.{hazard.name}")
    named = [s for s in dict.fromkeys(re.findall(r'^\w+ = "(\w+)"', block, re.MULTILINE)) if f"[sources.{s}]" in demo()]
    new = [line for source in named for line in (*block_of(f"sources.{source}").splitlines(), "")]
    head, *lines = block.splitlines()
    rows = [*(f"+{line}" for line in new), f" {head}", '-method = "none"', *(f"+{line}" for line in lines)]
    return _fenced("diff", "\n".join([f"--- a/{DEMO}", f"+++ b/{DEMO}", *rows]))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def demo() -> str:
    """Text of the demo's country file."""
    return (ROOT / DEMO).read_text("utf-8")


def block_of(name: str) -> str:
    """One table of the demo's country file, as it is written there."""
    found = re.search(rf"^\[{re.escape(name)}\]\n(?:[^\[#\n].*\n)+", demo(), re.MULTILINE)
    assert found, f"no [{name}] in {DEMO}"
    return found[0].rstrip()


def _raster_keys() -> str:
    told = parameters(SourceOptions) | parameters(StackOptions)
    keys = re.findall(r"^(\w+) = ", block_of(RASTER), re.MULTILINE)
    return table(("key", "what it is"), [(f"`{key}`", as_markdown(told[key])) for key in keys])


def _statuses() -> str:
    words = load_catalogue("en")
    heads = ("status", "has a value", "may raise an alert", "say it of", "what the map tells its reader")
    answer = {True: "yes", False: "no"}
    rows = [
        (f"`{s.name}`", answer[s in KEEPS_VALUE], answer[s in RAISES_ALERTS], said, words(f"status.{s.name}"))
        for s, said in ((s, STATUSES[s]) for s in Status)
    ]
    return table(heads, rows)


# ------------------------------------------------------------------ both

PAGES: dict[str, Callable[[], str]] = {"docs/indices.md": indices_page, "docs/new_hazard.md": new_hazard_page}


def main() -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
