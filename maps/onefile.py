"""One file that loads nothing: what a library would fetch is put inline, and what remains is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from importlib import resources

from branca.element import Element, Figure

from geodata.schema import ContractError

MAX_BYTES = 1_500_000
MAX_GZIP_BYTES = 450_000


class SiteError(ContractError):
    """The page breaks a promise: it would load something, or it is too heavy for the readers it is for."""


# ------------------------------------------------------------------ equal pages, equal bytes


def _elements(element: Element) -> Iterator[Element]:
    yield element
    for child in element._children.values():
        yield from _elements(child)


def sequential_ids(html: str, figure: Figure) -> str:
    """Number the elements that Folium named at random, in the order of its tree."""
    parts = [figure, figure.header, figure.html, figure.script]
    for number, element in enumerate(dict.fromkeys(e for part in parts for e in _elements(part)), start=1):
        html = html.replace(element._id, str(number))
    return html


# ------------------------------------------------------------------ nothing loaded


def _leaflet(name: str) -> bytes:
    return resources.files("xstatic.pkg.leaflet").joinpath("data", name).read_bytes()


def _leaflet_script() -> str:
    return f"<script>{_leaflet('leaflet.js').decode().split('//# sourceMappingURL')[0].strip()}</script>"


def _leaflet_style() -> str:
    def image(match: re.Match[str]) -> str:
        return f"url(data:image/png;base64,{base64.b64encode(_leaflet(match.group(1))).decode()})"

    style = re.sub(r"url\((images/[^)]+)\)", image, _leaflet("leaflet.css").decode())
    return f"<style>{style}</style>"


ASSETS: Mapping[str, Callable[[], str]] = {
    "https://cdn.jsdelivr.net/npm/leaflet@1.9.3/dist/leaflet.js": _leaflet_script,
    "https://cdn.jsdelivr.net/npm/leaflet@1.9.3/dist/leaflet.css": _leaflet_style,
}
"""Addresses Folium asks for -> the same file from an installed package."""

_LINKS = re.compile(r'<script src="([^"]+)"></script>|<link rel="stylesheet" href="([^"]+)"\s*/>')


def inlined(html: str) -> str:
    """Put the known assets inline; an address that is not known raises SiteError."""

    def put(match: re.Match[str]) -> str:
        address = match.group(1) or match.group(2)
        if address not in ASSETS:
            raise SiteError(f"site: {address} would be loaded, expected one of {', '.join(ASSETS)}")
        return ASSETS[address]()

    return _LINKS.sub(put, html)


_LOADING = ("src", "srcset", "poster", "data", "action", "formaction", "background")
_LOADING_HREF = ("link", "base", "use", "image")
_CSS_LOADS = re.compile(r"@import[^;]*|url\(\s*['\"]?(?!data:|#)[^)]*")


class _Reader(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loading = name in _LOADING or (name in ("href", "xlink:href") and tag in _LOADING_HREF)
            if loading and not (value or "").startswith(("data:", "#")):
                self.loads.append(f"<{tag} {name}={value}>")
            if name.startswith("on"):
                self.handlers.append(f"<{tag} {name}>")
        runs = (dict(attrs).get("type") or "text/javascript") == "text/javascript"
        self._inside = tag if tag == "style" or (tag == "script" and runs) else ""
        if self._inside == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.loads += [f"css {found}" for found in _CSS_LOADS.findall(data)]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


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


def with_content_security_policy(html: str) -> str:
    """Name each script of the page by its hash: no other one runs and nothing is loaded, even if an escape failed."""
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in _read(html).scripts]
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return html.replace("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1)


# ------------------------------------------------------------------ weight


def check_budget(html: str) -> None:
    """Raise SiteError if the page is too heavy for a slow link: 1.5 MB as a file, 450 kB sent compressed."""
    raw = html.encode()
    packed = len(gzip.compress(raw, mtime=0))
    if len(raw) > MAX_BYTES or packed > MAX_GZIP_BYTES:
        limit = f"{MAX_BYTES:,} and {MAX_GZIP_BYTES:,}"
        raise SiteError(f"site: found {len(raw):,} bytes, {packed:,} compressed, expected at most {limit}")
