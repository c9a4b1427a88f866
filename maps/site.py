"""The map site: one file that opens with no network, in three languages, on an old phone.

Folium lays the ground (Leaflet, the map, the subdistricts); a script and a style sheet of our
own restyle it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import folium
import numpy as np
from branca.element import Element, Figure
from jinja2 import Template

from .onefile import (
    SiteError,
    check_budget,
    check_self_contained,
    inlined,
    sequential_ids,
    with_content_security_policy,
)
from .page import SitePage, payload
from .shell import after_map, before_map, with_head
from .words import asset, load_catalogue

__all__ = ["SiteError", "build_site", "check_budget", "features", "json_in_script"]


class _Verbatim(Element):
    """Text that stands as it is: names may hold the braces of a template."""

    _template = Template("{{ this.text }}")

    def __init__(self, text: str):
        super().__init__()
        self.text = text


class _Start(Element):
    """What follows the map, and the call that hands the map to our script once Folium has made it.

    Folium reads what a macro element renders as a template once more, so text from data must
    not pass through one.
    """

    def __init__(self, map_name: str, places_name: str, after: str):
        super().__init__()
        self.map_name, self.places_name, self.after = map_name, places_name, after

    def render(self, **kwargs: Any) -> str:
        """Put both into the page; called by Folium after it has put the map."""
        figure = _figure_of(self)
        figure.html.add_child(_Verbatim(self.after), name="after")
        figure.script.add_child(_Verbatim(f"wadi({self.map_name}, {self.places_name});"), name="start")
        return ""


def _figure_of(element: Element) -> Figure:
    figure = element.get_root()
    if not isinstance(figure, Figure):
        raise SiteError(f"site: the map stands in a {type(figure).__name__}, expected a Figure")
    return figure


def build_site(page: SitePage) -> str:
    """The whole map site as one HTML document; equal pages give equal bytes.

    Parameters
    ----------
    page : SitePage

    Raises
    ------
    ContractError
        if the tables do not belong together, a catalogue is incomplete, or the page breaks its promises (SiteError)
    """
    words = load_catalogue(page.languages[0])
    figure = _figure(page)
    html = sequential_ids(figure.render(), figure)
    html = with_head(inlined(html), page, words)
    html = with_content_security_policy(html)
    check_self_contained(html)
    check_budget(html)
    return html


def _figure(page: SitePage) -> Figure:
    words, data = load_catalogue(page.languages[0]), payload(page)
    site = _ground(page)
    # Simplified once, with shared edges kept; Leaflet would do it again per shape and tear them apart.
    places = folium.GeoJson(features(page.subdistricts), name="subdistricts", smooth_factor=0)
    places.add_to(site)
    block = f'<script type="application/json" id="wadi-data">{json_in_script(data)}</script>'
    site.add_child(_Start(site.get_name(), places.get_name(), after_map(page, words, data) + block))
    figure = _figure_of(site)
    figure.html.add_child(_Verbatim(before_map(page, words)), name="shell")
    figure.header.add_child(_Verbatim(f"<style>{asset('wadi.css')}</style>"), name="style")
    figure.header.add_child(_Verbatim(f"<script>{asset('wadi.js')}</script>"), name="script")
    return figure


def _ground(page: SitePage) -> folium.Map:
    """A map with no tiles: our own governorate lines are the basemap. Old phones stutter over animations."""
    west, south, east, north = page.subdistricts.total_bounds
    ground = folium.Map(
        location=[round((south + north) / 2, 3), round((west + east) / 2, 3)],
        tiles=None,
        zoom_start=6,
        max_zoom=12,
        zoom_control=False,
        attributionControl=False,
        zoomSnap=0.1,
        zoomDelta=0.7,
        zoomAnimation=False,
        fadeAnimation=False,
        markerZoomAnimation=False,
    )
    ground.default_js = [link for link in folium.Map.default_js if link[0] == "leaflet"]
    ground.default_css = [link for link in folium.Map.default_css if link[0] == "leaflet_css"]
    return ground


def features(subdistricts: Any) -> dict[str, Any]:
    """GeoJSON of the subdistricts: shape and row number, no text; three decimals (about 100 m).

    Parameters
    ----------
    subdistricts : GeoDataFrame, index pcode, EPSG:4326
    """
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": row, "properties": {}, "geometry": _rounded(shape.__geo_interface__)}
            for row, shape in enumerate(subdistricts.geometry)
        ],
    }


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def thin(part: Any) -> Any:
        if isinstance(part[0], int | float | np.floating):
            return [round(float(part[0]), 3), round(float(part[1]), 3)]
        return [thin(p) for p in part]

    return {"type": geometry["type"], "coordinates": thin(geometry["coordinates"])}


_SPELLED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def json_in_script(value: Any) -> str:
    """JSON that no HTML parser can leave: ``</script>``, ``<!--`` and line separators are spelled out.

    >>> json_in_script({"name": "</b>"})
    '{"name":"\\\\u003c/b\\\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029]", lambda m: _SPELLED[m.group()], text)
