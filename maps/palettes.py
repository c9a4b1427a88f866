"""Colours and textures of every map. One lightness ladder serves all ramps, so one grey key serves every print.

Darker means worse, green is never used, and a texture is never a tone: no null has a class colour.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

INK = "#1B2530"
PAPER = "#F7F3EC"

_NEUTRAL = ("#F5F3F0", "#CCC2B5", "#9D8E7E", "#6E5E4F", "#3A2E24")


@dataclass(frozen=True)
class Palette:
    """An ordered ramp, calmest first.

    Parameters
    ----------
    colours : tuple of str, hex, one per class
    inks : str, one letter per class: ``i`` dark ink, ``w`` white text (contrast at least 4.7)
    """

    colours: tuple[str, ...]
    inks: str

    def __post_init__(self) -> None:
        if len(self.colours) != len(self.inks):
            raise ValueError(f"found {len(self.colours)} colours and {len(self.inks)} inks, expected as many")


PALETTES: Mapping[str, Palette] = MappingProxyType(
    {
        "risk": Palette(("#F7F3EC", "#E9BC82", "#D5793F", "#AC3833", "#5E1227"), "iiiww"),
        "drought": Palette(("#F8F3E7", "#DAC18C", "#B6893B", "#845718", "#462A07"), "iiiww"),
        "water": Palette(("#F6F2F6", "#D3BDD4", "#AD82B2", "#804E8B", "#4A1E54"), "iiiww"),
        "heavy_rain": Palette(("#F1F4F7", "#B0C7D8", "#6496BD", "#246593", "#053254"), "iiiww"),
        "hazard": Palette(("#F8F2F4", "#E5B8C8", "#C9789A", "#9D4069", "#551B39"), "iiiww"),
        "exposure": Palette(_NEUTRAL, "iiiww"),
        "vulnerability": Palette(_NEUTRAL, "iiiww"),
        "lack_of_coping": Palette(_NEUTRAL, "iiiww"),
        "alert": Palette(("#F6F3EC", "#ECC232", "#D87311", "#920122"), "iiiw"),
        "reliability": Palette(("#F2F4F6", "#BDC4CD", "#8994A4", "#424C5B"), "iiiw"),
        "displaced": Palette((PAPER,), "i"),
    }
)
"""Ramps by name; the hexes are those of the visual design and were measured for colour-blind eyes and for grey."""


def palette_for(name: str) -> Palette:
    """The palette called ``name``; a hazard without one of its own takes that of hazards combined."""
    return PALETTES.get(name, PALETTES["hazard"])


def colour_table(name: str, cuts: Sequence[float]) -> dict[int, tuple[int, int, int]]:
    """Colour of every score in tenths, 0 to 100, for rasters: red, green and blue of its class.

    Parameters
    ----------
    name : str, of the palette
    cuts : rising class limits; a score on a limit belongs to the upper class

    >>> colour_table("drought", (2.0, 4.0, 6.0, 8.0))[80]
    (70, 42, 7)
    """
    colours = [tuple(bytes.fromhex(_tag(colour))) for colour in palette_for(name).colours]
    return {tenths: colours[bisect_right(cuts, tenths / 10)] for tenths in range(101)}  # type: ignore[misc]


PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "na": (
            'width="7" height="7" patternTransform="rotate(45)"><path fill="#EEF1F3" d="M0 0h7v7H0z"/>'
            '<path fill="#66717D" d="M0 0h2v7H0z"/>'
        ),
        "ns": (
            'width="7" height="7"><path fill="#D5DAE3" d="M0 0h7v7H0z"/>'
            '<circle cx="1.75" cy="1.75" r="1.25" fill="#3F4A58"/><circle cx="5.25" cy="5.25" r="1.25" fill="#3F4A58"/>'
        ),
        "dry": (
            'width="8" height="6"><path fill="#EFEDE8" d="M0 0h8v6H0z"/><path fill="#8A8478" d="M1.5 2.5h5v1.2h-5z"/>'
        ),
    }
)
"""Grounds that stand where no class stands: attributes and content of an SVG pattern in screen pixels."""

OVERLAYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "old": (
            'width="9" height="9" patternTransform="rotate(-45)"',
            '<path fill="#1B2530" fill-opacity=".55" d="M0 0h1.4v9H0z"/>',
        ),
        "nso": (
            'width="7" height="7"',
            '<g fill="#3F4A58"><circle cx="1.75" cy="1.75" r="1.25"/><circle cx="5.25" cy="5.25" r="1.25"/></g>',
        ),
    }
)
"""Textures laid over a class colour that still stands: data too old; a measured level without a reliable outlook."""


def _tag(colour: str) -> str:
    return colour.removeprefix("#").lower()


def pattern_defs(prefix: str = "") -> str:
    """SVG ``<pattern>`` elements for every texture, and for every overlay on every colour it can meet.

    An overlay is drawn as one pattern with the class colour as its ground, so that a subdistrict
    stays one shape: nothing to keep in step, nothing to click through.

    Parameters
    ----------
    prefix : str, put before each id, since a legend repeats the patterns under ids of its own
    """
    head = '<pattern id="{}" patternUnits="userSpaceOnUse" {}'
    grounds = [head.format(prefix + name, body) + "</pattern>" for name, body in PATTERNS.items()]
    colours = sorted({c for p in PALETTES.values() for c in p.colours})
    laid = [
        head.format(f"{prefix}{name}-{_tag(colour)}", size)
        + f'><path fill="{colour}" d="M0 0h9v9H0z"/>{marks}</pattern>'
        for name, (size, marks) in OVERLAYS.items()
        for colour in colours
    ]
    return "".join(grounds + laid)
