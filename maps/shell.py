"""The page around the map, in the first language: what stands there before, or without, a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from geodata.schema import AlertLevel, Manifest, Status

from .page import SitePage, age_at_issue
from .palettes import pattern_defs
from .words import CLASSES, TABLE_HEADS, Catalogue, asset, in_language

_WORD = re.compile(r'(<\w+\b[^>]*\bdata-t="([^"]+)"[^>]*>)')
_LABEL = re.compile(r'data-t-label="([^"]+)"')


def worded(template: str, words: Catalogue) -> str:
    """The words of one language in the places that ask for them by key."""
    labelled = _LABEL.sub(lambda m: f'{m.group()} aria-label="{escape(words.words[m.group(1)])}"', template)
    return _WORD.sub(lambda m: m.group(1) + escape(words.words[m.group(2)]), labelled)


def before_map(page: SitePage, words: Catalogue) -> str:
    """Bar, banners, rail and legend."""
    country = in_language(page.manifest.country_name, words.lang)[0]
    shell = worded(asset("shell.html"), words)
    parts = {
        "__PATTERNS__": pattern_defs(),
        "__BANNERS__": worded(_banners(page.manifest, words), words),
        "__PURPOSE__": escape(words("purpose", country=country)),
        "__DATES__": escape(_dates(page.manifest, words)),
    }
    return re.sub("|".join(parts), lambda m: parts[m.group()], shell)


def after_map(page: SitePage, words: Catalogue, data: dict[str, Any]) -> str:
    """Panel, sources and the table twin."""
    return worded(asset("after.html"), words).replace("__TABLE__", _table(page, words, data))


def _banners(manifest: Manifest, words: Catalogue) -> str:
    lines = []
    for flag, name in ((manifest.exercise, "exercise"), (manifest.synthetic, "synthetic")):
        if flag:
            said = f'<b data-t="banner.{name}"></b><span data-t="banner.{name}_text"></span>'
            lines.append(f'<div class="{name}" role="note">{said}</div>')
    if words.draft:
        lines.append('<div class="plain"><span class="draft" data-t="banner.draft"></span></div>')
    return "".join(lines)


def _dates(manifest: Manifest, words: Catalogue) -> str:
    issued = manifest.issued
    month = words.words[f"month{'_short' if words.direction == 'ltr' else ''}.{issued.month}"]
    age = words("bar.age", days=words.plural("days", age_at_issue(manifest)))
    day = words("date.day", day=issued.day, month=month, year=issued.year)
    data_month = words.month(manifest.as_of, short=words.direction == "ltr")
    old = [words("bar.old")] if any(s.status == Status.stale.name for s in manifest.sources) else []
    return " · ".join([f"{words('bar.data')} {data_month}", f"{words('bar.issued')} {day}", age, *old])


def risk_title(page: SitePage, words: Catalogue) -> str:
    """Name of the score; a dimension that no unit has is named as left out."""
    without = [words(f"without.{d}") for d in page.manifest.dimensions_missing]
    return words.words["list"].join([words("layer.risk"), *without])


def with_head(html: str, page: SitePage, words: Catalogue) -> str:
    """Language, title, and a viewport that a reader may enlarge."""
    manifest = page.manifest
    flags = [words(f"banner.{n}") for n in ("exercise", "synthetic") if getattr(manifest, n)]
    flags += [words("banner.draft")] if words.draft else []
    country = in_language(manifest.country_name, words.lang)[0]
    month = words.month(manifest.as_of, short=words.direction == "ltr")
    title = " · ".join([*flags, words("brand"), risk_title(page, words), country, month])
    html = html.replace("<html>", f'<html lang="{words.lang}" dir="{words.direction}">', 1)
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    html = re.sub(r'<meta name="viewport"[^>]*>', viewport, html, count=1)
    return html.replace("<head>", f"<head>\n<title>{escape(title)}</title>", 1)


# ------------------------------------------------------------------ the table twin


def _table(page: SitePage, words: Catalogue, data: dict[str, Any]) -> str:
    """The results without the map, by alert level, tier and name; the script retells the rows in other languages."""
    heads = {h: risk_title(page, words) if h == "score" else words(f"table.{h}") for h in TABLE_HEADS}
    head = "".join(f'<th scope="col" data-head="{h}">{escape(text)}</th>' for h, text in heads.items())
    rows, level = [], None
    for i in data["units"]["order"]:
        if data["units"]["level"][i] != level:
            level = data["units"]["level"][i]
            name = AlertLevel(level).name
            said = escape(words(f"alert.{name}"))
            rows.append(f'<tr class="level" data-level="{name}"><th colspan="{len(TABLE_HEADS)}">{said}</th></tr>')
        rows.append(_row(i, words, data))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(i: int, words: Catalogue, data: dict[str, Any]) -> str:
    name, parents, pcode, *rest = (escape(cell) for cell in _cells(i, words, data))
    cells = "".join(f"<td>{cell}</td>" for cell in rest)
    return (
        f'<tr data-unit="{i}"><th scope="row"><bdi>{name}</bdi></th><td>{parents}</td>'
        f'<td><bdi dir="ltr">{pcode}</bdi></td>{cells}</tr>'
    )


def _cells(i: int, words: Catalogue, data: dict[str, Any]) -> Iterator[str]:
    units, risk = data["units"], next(layer for layer in data["layers"] if layer["key"] == "risk")
    yield units["name"][words.lang][i]
    yield words.words["list"].join(data["parents"][p]["name"][words.lang][units[p][i]] for p in ("adm2", "adm1"))
    yield units["pcode"][i]
    yield words(f"alert_short.{AlertLevel(units['level'][i]).name}")
    k = risk["class"][i]
    if k is None:
        yield words(f"status_short.{data['statuses'][risk['status'][i]]}")
    else:
        yield f"{risk['value'][i] / 10:.1f} {words('class.' + CLASSES[k])}"
    low, high = units["low"][i], units["high"][i]
    yield "" if low is None or high is None else f"{low / 10:.1f}–{high / 10:.1f}"
    yield words(f"tier_short.{units['tier'][i]}") if units["tier"][i] else ""
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
