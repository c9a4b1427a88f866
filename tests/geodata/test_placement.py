"""Where a location may lie whose coordinates have an error: the normal law at a straight border, and what sums to 1."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from geodata.placement import KM_PER_DEGREE, unit_probabilities
from geodata.schema import ContractError

SQUARES = gpd.GeoDataFrame(
    geometry=[shapely.box(42, 30, 44, 36), shapely.box(44, 30, 46, 36)], index=["West", "East"], crs="EPSG:4326"
).rename_axis("pcode")


def at(*places):
    """Points at (km east of the border 44E, latitude)."""
    xy = [(44 + km / (KM_PER_DEGREE * np.cos(np.radians(lat))), lat) for km, lat in places]
    return gpd.GeoSeries(shapely.points(xy), crs="EPSG:4326")


def chance(points, sigma, pcode, **options):
    found = unit_probabilities(points, SQUARES, sigma, **options)
    return found[found["pcode"] == pcode].set_index("point")["probability"].reindex(points.index, fill_value=0.0)


@pytest.mark.parametrize(("km", "sigma"), [(1, 1), (0.5, 1), (2, 1), (1, 3), (3, 3), (5, 2)])
def test_the_wrong_side_of_a_straight_border_has_the_chance_of_the_normal_law(km, sigma):
    """Phi(-d / sigma): 0.1587 at one standard deviation."""
    assert chance(at((km, 33)), sigma, "West").item() == pytest.approx(norm.cdf(-km / sigma), abs=0.005)


@settings(max_examples=25, deadline=None)
@given(st.floats(-8, 8), st.floats(31, 35), st.floats(0.1, 3))
def test_the_chances_of_a_location_sum_to_one_and_follow_its_side(km, lat, sigma):
    points = at((km, lat))
    found = unit_probabilities(points, SQUARES, sigma)
    assert found["probability"].sum() == pytest.approx(1, abs=1e-12)
    if abs(km) > 0.05 * sigma:
        assert found.sort_values("probability")["pcode"].iloc[-1] == ("East" if km > 0 else "West")


def test_a_location_far_from_every_border_is_certain_and_an_exact_one_too():
    found = unit_probabilities(at((50, 33), (0.01, 33)), SQUARES, 0.0)
    assert found["probability"].tolist() == [1, 1]
    assert unit_probabilities(at((50, 33)), SQUARES, 1.0).values.tolist() == [[0, "East", 1.0]]


def test_beyond_the_country_there_is_no_subdistrict():
    """A place at the outer border is outside with a half, and never lost."""
    edge = gpd.GeoSeries(shapely.points([(46.0, 33.0)]), crs="EPSG:4326")
    assert chance(edge, 1.0, "").item() == pytest.approx(0.5, abs=0.005)


def test_two_places_alike_are_treated_alike_and_the_seed_hardly_matters():
    pair = at((0.7, 33), (0.7, 33))
    first = chance(pair, 1.0, "West")
    assert first[0] == first[1]
    assert chance(pair, 1.0, "West", seed=5)[0] == pytest.approx(first[0], abs=0.003)


def test_coordinates_in_metres_are_refused():
    with pytest.raises(ContractError, match="expected 0 or more in EPSG:4326"):
        unit_probabilities(at((1, 33)).to_crs("EPSG:6933"), SQUARES, 1.0)
