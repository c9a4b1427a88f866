"""Colours keep the promises of the visual design."""

import itertools

import pytest

from maps.palettes import INK, OVERLAYS, PALETTES, PATTERNS, palette_for, pattern_defs


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", PALETTES)
def test_darker_means_worse(name):
    """Read in grey, a ramp still rises."""
    lights = [luminance(c) for c in PALETTES[name].colours]
    assert all(a > b for a, b in itertools.pairwise(lights))


@pytest.mark.parametrize("name", PALETTES)
def test_text_on_a_class_can_be_read(name):
    palette = PALETTES[name]
    for colour, ink in zip(palette.colours, palette.inks, strict=True):
        assert contrast(colour, INK if ink == "i" else "#FFFFFF") >= 4.5


@pytest.mark.parametrize("name", PALETTES)
def test_no_class_is_green(name):
    """Green would read as safe: no colour has green as its clear maximum."""
    for colour in PALETTES[name].colours:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert green <= max(red, blue) + 3


def test_each_pattern_has_one_meaning():
    assert sorted(PATTERNS) == ["dry", "na", "ns"]
    assert sorted(OVERLAYS) == ["nso", "old"]
    assert len(set(PATTERNS.values())) == len(PATTERNS)


def test_every_overlay_meets_every_colour():
    defs = pattern_defs()
    assert 'id="old-5e1227"' in defs
    assert 'id="nso-ecc232"' in defs
    assert defs.count('id="na"') == 1


def test_a_hazard_without_a_palette_takes_that_of_hazards_combined():
    assert palette_for("salinity") == PALETTES["hazard"]
