"""The map site: one file that opens with no network, in three languages, on an old phone.

Folium lays the ground (Leaflet, the map, the subdistricts); a script and a style sheet of our
own restyle it. What Folium would load from elsewhere is put inline, and a page that would
still load anything is not a page: it raises.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import folium
import numpy as np
from branca.element import Element, Figure, MacroElement
from folium.template import Template

from geodata.schema import AlertLevel, ContractError

from .page import SitePage, payload
from .palettes import pattern_defs
from .words import CLASSES, TABLE_HEADS, Catalogue, asset, load_catalogue

MAX_BYTES = 1_500_000
MAX_GZIP_BYTES = 450_000


class SiteError(ContractError):
    """The page breaks a promise: it would load something, or it is too heavy for the readers it is for."""


class _Start(MacroElement):
    """Hands the map and its subdistricts to our script once Folium has made them."""

    _template = Template(
        "{% macro html(this, kwargs) %}{{ this.after }}{% endmacro %}"
        "{% macro script(this, kwargs) %}wadi({{ this._parent.get_name() }}, {{ this.places }});{% endmacro %}"
    )

    def __init__(self, places: str, after: str):
        super().__init__()
        self._name = "Start"
        self.places = places
        self.after = after


def build_site(page: SitePage) -> str:
    """The whole map site as one HTML document; equal pages give equal bytes.

    Raises
    ------
    ContractError
        if the tables do not belong together, a catalogue is incomplete, or the page breaks its promises (SiteError)
    """
    words = load_catalogue(page.languages[0])
    data = payload(page)
    site = _map(page, words, data)
    figure: Figure = site.get_root()
    html = _sequential_ids(figure.render(), figure)
    html = _inlined(html)
    html = _head(html, page, words)
    html = _content_security_policy(html)
    check_self_contained(html)
    check_budget(html)
    return html


def _map(page: SitePage, words: Catalogue, data: dict[str, Any]) -> folium.Map:
    west, south, east, north = page.subdistricts.total_bounds
    site = folium.Map(
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
        prefer_canvas=False,
    )
    site.default_js = [link for link in folium.Map.default_js if link[0] == "leaflet"]
    site.default_css = [link for link in folium.Map.default_css if link[0] == "leaflet_css"]
    places = folium.GeoJson(features(page.subdistricts), name="subdistricts", smooth_factor=0.4)
    places.add_to(site)
    root = site.get_root()
    root.html.add_child(Element(_raw(_shell(page, words))), name="shell")
    after = _worded(asset("after.html"), words).replace("__TABLE__", _table(page, words, data))
    block = f'<script type="application/json" id="wadi-data">{json_in_script(data)}</script>'
    site.add_child(_Start(places.get_name(), after + block))
    root.header.add_child(Element(_raw(f"<style>{asset('wadi.css')}</style>")), name="style")
    root.header.add_child(Element(_raw(f"<script>{asset('wadi.js')}</script>")), name="script")
    return site


def _raw(text: str) -> str:
    """Text that Jinja leaves alone: names may hold braces too."""
    return "{% raw %}" + text.replace("{% endraw %}", "") + "{% endraw %}"


def features(subdistricts: Any) -> dict[str, Any]:
    """GeoJSON of the subdistricts: shape and p-code, nothing else, three decimals (about 100 m)."""
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": str(pcode), "properties": {}, "geometry": _rounded(shape.__geo_interface__)}
            for pcode, shape in zip(subdistricts.index, subdistricts.geometry, strict=True)
        ],
    }


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def thin(part: Any) -> Any:
        if isinstance(part[0], (int, float, np.floating)):
            return [round(float(part[0]), 3), round(float(part[1]), 3)]
        return [thin(p) for p in part]

    return {"type": geometry["type"], "coordinates": thin(geometry["coordinates"])}


_SPELLED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def json_in_script(value: Any) -> str:
    """JSON that no HTML parser can leave: ``</script>``, ``<!--`` and line separators are spelled out.

    >>> json_in_script({"name": "</script>"})
    '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029]", lambda m: _SPELLED[m.group()], text)


# ------------------------------------------------------------------ shell and table


def _worded(template: str, words: Catalogue) -> str:
    """The words of one language in the places that ask for them: what stands there before, or without, a script."""
    labelled = re.sub(
        r'data-t-label="([^"]+)"',
        lambda m: f'{m.group()} aria-label="{escape(words.words[m.group(1)])}"',
        template,
    )
    return re.sub(
        r'(<(?:\w+)\b[^>]*\bdata-t="([^"]+)"[^>]*>)', lambda m: m.group(1) + escape(words.words[m.group(2)]), labelled
    )


def _shell(page: SitePage, words: Catalogue) -> str:
    shell = _worded(asset("shell.html"), words)
    banners = _worded(_banners(page, words), words)
    return shell.replace("__PATTERNS__", pattern_defs()).replace("__BANNERS__", banners)


def _banners(page: SitePage, words: Catalogue) -> str:
    lines = []
    for flag, name in ((page.manifest.exercise, "exercise"), (page.manifest.synthetic, "synthetic")):
        if flag:
            said = f'<b data-t="banner.{name}"></b><span data-t="banner.{name}_text"></span>'
            lines.append(f'<div class="{name}" role="note">{said}</div>')
    if words.draft:
        lines.append('<div class="plain"><span class="draft" data-t="banner.draft"></span></div>')
    return "".join(lines)


def _table(page: SitePage, words: Catalogue, data: dict[str, Any]) -> str:
    """The results without the map, by alert level, tier and name; rows are retold by the script in other languages."""
    head = "".join(f'<th scope="col" data-head="{h}">{escape(words(f"table.{h}"))}</th>' for h in TABLE_HEADS)
    rows, level = [], None
    for i in data["units"]["order"]:
        if data["units"]["level"][i] != level:
            level = data["units"]["level"][i]
            name = AlertLevel(level).name
            said = escape(words(f"alert.{name}"))
            rows.append(f'<tr class="level" data-level="{name}"><th colspan="{len(TABLE_HEADS)}">{said}</th></tr>')
        cells = [escape(c) for c in _row(i, words, data)]
        first = f'<th scope="row"><bdi>{cells[0]}</bdi></th>'
        rest = "".join(
            f'<td><bdi dir="ltr">{c}</bdi></td>' if k == 2 else f"<td>{c}</td>" for k, c in enumerate(cells) if k
        )
        rows.append(f'<tr data-unit="{i}">{first}{rest}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(i: int, words: Catalogue, data: dict[str, Any]) -> Iterator[str]:
    units, risk = data["units"], next(layer for layer in data["layers"] if layer["key"] == "risk")
    yield units["name"][words.lang][i]
    parents = (data["parents"][level]["name"][words.lang][units[level][i]] for level in ("adm2", "adm1"))
    yield words.words["list"].join(parents)
    yield units["pcode"][i]
    yield words(f"alert_short.{AlertLevel(units['level'][i]).name}")
    k = risk["class"][i]
    if k is None:
        yield words(f"status_short.{data['statuses'][risk['status'][i]]}")
    else:
        yield f"{risk['value'][i] / 10:.1f} {words('class.' + CLASSES[k])}"
    low, high = units["low"][i], units["high"][i]
    yield "" if low is None or high is None else f"{low / 10:.1f}–{high / 10:.1f}"
    country = data["country"][words.lang]
    yield words(f"tier.{units['tier'][i]}", country=country) if units["tier"][i] else ""
    yield _households(i, words, data)
    yield data["reasons"]["text"][words.lang][data["reasons"]["of"][i]]


def _households(i: int, words: Catalogue, data: dict[str, Any]) -> str:
    """Households of one subdistrict in words: an unknown number is never a zero."""
    units = data["units"]
    count, people = units["households"][i], units["people"][i]
    if data["statuses"][units["householdsStatus"][i]] == "suppressed":
        return words("panel.few")
    if count is None:
        return words("panel.not_counted")
    if count == 0:
        return words("panel.none")
    if people is None:
        return words("panel.households_only", households=f"{count:,}")
    return words("panel.households", households=f"{count:,}", people=f"{people:,}")


# ------------------------------------------------------------------ one file


def _elements(element: Element) -> Iterator[Element]:
    yield element
    for child in element._children.values():
        yield from _elements(child)


def _sequential_ids(html: str, figure: Figure) -> str:
    """Folium names its elements at random; equal pages must have equal bytes."""
    parts = [figure, figure.header, figure.html, figure.script]
    for number, element in enumerate(dict.fromkeys(e for part in parts for e in _elements(part)), start=1):
        html = html.replace(element._id, str(number))
    return html


def _leaflet(name: str) -> bytes:
    return resources.files("xstatic.pkg.leaflet").joinpath("data", name).read_bytes()


def _leaflet_css() -> str:
    def inline(match: re.Match[str]) -> str:
        return f"url(data:image/png;base64,{base64.b64encode(_leaflet(match.group(1))).decode()})"

    return re.sub(r"url\((images/[\w.-]+)\)", inline, _leaflet("leaflet.css").decode())


_INLINE = {
    "leaflet.js": lambda: (
        f"<script>{_leaflet('leaflet.js').decode().split('//# sourceMappingURL')[0].strip()}</script>"
    ),
    "leaflet.css": lambda: f"<style>{_leaflet_css()}</style>",
}
_LOADS = re.compile(r'<script src="(https?://[^"]+)"></script>|<link rel="stylesheet" href="(https?://[^"]+)"\s*/>')


def _inlined(html: str) -> str:
    def put(match: re.Match[str]) -> str:
        address = match.group(1) or match.group(2)
        name = address.rsplit("/", 1)[-1]
        if "/leaflet@1.9.3/" not in address or name not in _INLINE:
            raise SiteError(f"site: {address} would be loaded, expected leaflet 1.9.3 alone")
        return _INLINE[name]()

    return _LOADS.sub(put, html)


def _head(html: str, page: SitePage, words: Catalogue) -> str:
    """Language, title and a viewport that a reader may enlarge."""
    manifest = page.manifest
    flags = [words(f"banner.{n}") for n in ("exercise", "synthetic") if getattr(manifest, n)]
    country = manifest.country_name.get(words.lang, manifest.country)
    risk = words("layer.risk") + "".join(words("list") + words(f"without.{d}") for d in manifest.dimensions_missing)
    draft = [words("banner.draft")] if words.draft else []
    title = " · ".join(
        [
            *flags,
            *draft,
            f"{words('brand')} · {risk}",
            country,
            words.month(manifest.as_of, short=words.direction == "ltr"),
        ]
    )
    html = html.replace("<html>", f'<html lang="{words.lang}" dir="{words.direction}">', 1)
    html = re.sub(
        r'<meta name="viewport"[^>]*>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        html,
        count=1,
    )
    return html.replace("<head>", f"<head>\n<title>{escape(title)}</title>", 1)


class _Reader(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self._script: list[str] | None = None
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data", "action", "formaction", "background") or (
                name == "href" and tag in ("link", "base", "use", "image")
            ):
                if not (value or "").startswith(("data:", "#")):
                    self.loads.append(f"<{tag} {name}={value}>")
            if name.startswith("on"):
                self.handlers.append(f"<{tag} {name}>")
        if tag == "script" and (held.get("type") or "text/javascript") == "text/javascript":
            self._script = []
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script.append(data)
        elif self._style:
            self.loads += [f"css {u}" for u in re.findall(r"@import[^;]*|url\(\s*['\"]?(?!data:|#)[^)]*", data)]

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._script is not None:
            self.scripts.append("".join(self._script))
            self._script = None
        self._style = False


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def check_self_contained(html: str) -> None:
    """Raise SiteError if a browser would load anything for this page, or run a script that stands in an attribute."""
    reader = _read(html)
    if reader.loads or reader.handlers:
        found = ", ".join([*reader.loads, *reader.handlers][:5])
        raise SiteError(f"site: found {found}, expected nothing loaded and no script in attributes")


def _content_security_policy(html: str) -> str:
    """Name every script of the page by its hash: no other one runs, and nothing is loaded, even if an escape failed."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in _read(html).scripts]
    scripts = " ".join(f"'sha256-{h}'" for h in hashes)
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return html.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1)


def check_budget(html: str) -> None:
    """Raise SiteError if the page is too heavy for a slow link: 1.5 MB as a file, 450 kB sent compressed."""
    raw = html.encode()
    packed = len(gzip.compress(raw, mtime=0))
    if len(raw) > MAX_BYTES or packed > MAX_GZIP_BYTES:
        raise SiteError(
            f"site: found {len(raw):,} bytes ({packed:,} compressed), expected at most {MAX_BYTES:,} ({MAX_GZIP_BYTES:,})"
        )
