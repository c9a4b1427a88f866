"""Names of units in further languages, joined to the boundaries by the names both have; each with its score.

Schema of a gazetteer: JSON of governorates that hold districts that hold subdistricts. Keys of names are named in
`Gazetteer`; a name may be absent ("").
Schema of what is written (CSV, UTF-8): PCODE (key), NAME_CKB, SCORE (0 to 1), NAME_AS_GIVEN. It is what
`[boundaries.names_table]` of a country file reads.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import Field

from .name_ladder import MIN_LEAD, MIN_SCORE, NO_NAME, SCORES, Candidate, Match, NameLadder
from .options import DataPath, Options, require_file
from .place_names import is_arabic_script, kurdish_form
from .placing import Ladders, Placing
from .review import NOWHERE, Key, Question, Review, ask, read_review
from .schema import Findings
from .sheets import clean_text, listed

_CODES = {1: "adm1_pcode", 2: "adm2_pcode", 3: "pcode"}
_DISTRICT_CENTRE = ("Markaz ", "مركز ")
_KINDS = re.compile(
    r"^(پارێزگای|قەزای|ناحیەی|شارۆچکەی|محافظة|قضاء|ناحية)\s+|\s+((sub-?)?district|governorate|province)$", re.IGNORECASE
)
_SORANI_ALONE = "ەێۆڕڵپچژگڤ"
_ARABIC_ALONE = "ةىثذصضطظأإآؤ"


class Gazetteer(Options):
    """A table of names that knows no p-codes.

    Parameters
    ----------
    path : str, JSON
    names : dict, language -> key of its names, of units of all levels
    levels : keys that hold governorates, districts and subdistricts, each inside the one before
    aliases : dict, their name -> a name or p-code of ours
    review : str or None, the file with an analyst's decisions
    min_score, min_lead : float, as in `Placing`
    """

    path: DataPath
    names: dict[str, str]
    levels: tuple[str, str, str] = ("provinces", "districts", "subdistricts")
    aliases: dict[str, str] = Field(default_factory=dict)
    review: DataPath | None = None
    min_score: float = Field(default=MIN_SCORE, gt=0, le=1)
    min_lead: float = Field(default=MIN_LEAD, gt=0, le=1)


class JoinedNames(NamedTuple):
    """Names found for units, and the names of the gazetteer that an analyst has to decide on.

    Parameters
    ----------
    table : DataFrame, index ``code`` of units of all levels
        ``level`` (1 to 3), ``name`` (in the language asked for), ``score``, ``as_given``.
    questions : list of Question
    """

    table: pd.DataFrame
    questions: list[Question]


def read_gazetteer(options: Gazetteer, root: Path, log: Findings) -> pd.DataFrame:
    """Units of a gazetteer.

    Parameters
    ----------
    options : Gazetteer
    root : Path, the data folder
    log : Findings, InputError if the file is not JSON of the declared shape

    Returns
    -------
    DataFrame
        ``row`` (its place in the file, as "3.1.2"), ``parent`` (row above, "" for a governorate), ``level`` (1 to 3),
        and a column of names per language.
    """
    path = require_file(root, options.path, log)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        top = content[options.levels[0]]
        found = list(_units(top, options, 0, ""))
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError):
        expected = f"JSON with {', '.join(map(repr, options.levels))}, one inside the other"
        raise log.fail(file=options.path, field="file", found="something else", expected=expected) from None
    frame = pd.DataFrame(found, columns=["row", "parent", "level", *options.names])
    for language in options.names:
        frame[language] = clean_text(frame[language], file=options.path, log=log)
    return frame


def join_names(
    gazetteer: pd.DataFrame,
    subdistricts: pd.DataFrame,
    options: Gazetteer,
    log: Findings,
    *,
    language: str = "ckb",
    decisions: Mapping[Key, str] | None = None,
) -> JoinedNames:
    """Names of the gazetteer in one language, for the units that its other names mean.

    A unit of the gazetteer is recognised by all its names together: two scripts that agree weigh more than one
    (1 - product of the doubts), two that disagree are a question. Of several units of the gazetteer that mean one of
    ours the best wins; two equally good ones with two names are a question too.

    Parameters
    ----------
    gazetteer : DataFrame of `read_gazetteer`
    subdistricts : DataFrame, the subdistricts table
    options : Gazetteer
    log : Findings
        Told of units of ours left without a name.
    language : str
    decisions : mapping of `review.read_review`
    """
    placing = Placing(aliases=options.aliases, min_score=options.min_score, min_lead=options.min_lead)
    ladders = Ladders.of(subdistricts, placing, log)
    climbed = (ladders.adm1, ladders.adm2, ladders.adm3)
    units = {unit["row"]: unit for unit in gazetteer.to_dict("records")}
    codes: dict[str, tuple[str, ...]] = {"": ()}
    found, questions = [], []
    others = [n for n in options.names if n != language]
    for unit in sorted(units.values(), key=lambda u: u["level"]):
        asked = [unit[n] for n in (*others, language) if unit[n]]
        match, level = _recognise(asked, unit["level"], codes[unit["parent"]], climbed)
        shown = next(iter(asked), "")
        question = Question(log.source, unit["row"], shown, _within(units, unit), match)
        decision = (decisions or {}).get(question.key, "")
        code = match.code or ("" if decision == NOWHERE else decision)
        codes[unit["row"]] = (*codes[unit["parent"]], code) if code else codes[unit["parent"]]
        if not code and decision != NOWHERE:
            questions.append(question)
        elif code and (unit[language] if language != "ckb" else is_sorani(unit[language])):
            score = match.score if match.code else 1.0
            found.append((code, level, _tidy(unit[language], language), round(score, 3), shown, unit["row"]))
    table = pd.DataFrame(found, columns=["code", "level", "name", "score", "as_given", "row"])
    table, tied = _best_of_each(table, log.source)
    _tell_of_the_nameless(table, subdistricts, options, log)
    return JoinedNames(table, questions + tied)


def fill_names(
    subdistricts: pd.DataFrame, options: Gazetteer, root: Path, log: Findings, language: str = "ckb"
) -> None:
    """Fill in, in place, the names of one language that the subdistricts table lacks; none it has is changed.

    Parameters
    ----------
    subdistricts : DataFrame, the subdistricts table
    options : Gazetteer
    root : Path, the data folder
    log : Findings, told which names of the gazetteer no rule could place
    language : str
    """
    levels = {"": subdistricts.index.to_series(), **{f"adm{n}_": subdistricts[f"adm{n}_pcode"] for n in (1, 2)}}
    file = options.review or f"review/names_{language}.csv"
    every = set().union(*(codes for codes in levels.values()))
    decisions = read_review(root / file, file, every, log) if options.review else {}
    names = read_gazetteer(options, root, log)
    found = join_names(names, subdistricts, options, log, language=language, decisions=decisions)
    for level, codes in levels.items():
        column = f"{level}name_{language}"
        own = subdistricts[column]
        subdistricts[column] = own.where(own != "", codes.map(found.table["name"]).fillna("")).astype("object")
    ask(Review(file, tuple(found.questions), decisions, bool(options.review)), log)


def write_names(path: Path, table: pd.DataFrame, language: str = "ckb") -> None:
    """Write joined names as a table for `[boundaries.names_table]`. The same names give the same bytes.

    Parameters
    ----------
    path : Path
    table : DataFrame of `JoinedNames`
    language : str
    """
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["PCODE", f"NAME_{language.upper()}", "SCORE", "NAME_AS_GIVEN"])
    for code, row in table.sort_index().iterrows():
        out.writerow([code, row["name"], f"{row['score']:.2f}", row["as_given"]])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _units(
    units: Iterable[Mapping[str, Any]], options: Gazetteer, depth: int, parent: str
) -> Iterable[tuple[Any, ...]]:
    for number, unit in enumerate(units, start=1):
        row = f"{parent}.{number}" if parent else str(number)
        yield row, parent, depth + 1, *(str(unit.get(key) or "") for key in options.names.values())
        if depth < 2:
            yield from _units(unit.get(options.levels[depth + 1]) or (), options, depth + 1, row)


def is_sorani(name: str) -> bool:
    """True for a name in Sorani letters: with one that Arabic lacks, or without any that Sorani lacks.

    >>> is_sorani("هەولێر"), is_sorani("کفری"), is_sorani("القاسم"), is_sorani("كبيسة")
    (True, True, False, False)
    """
    if any(letter in name for letter in _SORANI_ALONE):
        return True
    return is_arabic_script(name) and not name.startswith("ال") and not any(letter in name for letter in _ARABIC_ALONE)


def _tidy(name: str, language: str) -> str:
    """The name without the word for its kind, kaf and ya with the characters of the language."""
    name = _KINDS.sub("", name)
    return name.replace("ك", "ک").replace("ي", "ی").replace("ى", "ی") if language == "ckb" else name


def _recognise(
    names: list[str], level: int, above: tuple[str, ...], ladders: tuple[NameLadder, ...]
) -> tuple[Match, int]:
    """Match of a unit, and the level of what it means: a district younger than the boundaries was a subdistrict.

    Beyond the unit above that it was given, and at another level, only names that are equal in some form count.
    """
    bare = [_tidy(name, "") for name in names]
    within = above[-1:]
    first = _together([_climb(ladders[level - 1], name, within, level) for name in bare])
    if first.code:
        return first, level
    wider = [(level, above[:1])] if level == 3 and len(above) > 1 else []
    wider += [(3, above[:1])] if level == 2 else []
    for n, units in wider:
        again = _together([ladders[n - 1].equal(name, units) for name in bare])
        if again.code:
            return again, n
    return first, level


def _climb(ladder: NameLadder, name: str, within: tuple[str, ...], level: int) -> Match:
    """Match of a name; a subdistrict may also be the centre (Markaz) of the district whose name it bears."""
    if not within and level > 1:
        return ladder.equal(name)
    found = ladder.equal(name, within)
    if level == 3 and not found.code:
        centres = (ladder.equal(f"{centre}{name}", within) for centre in _DISTRICT_CENTRE)
        found = next((m for m in centres if m.code and m.step != "kurdish"), found)
    return found if found.code else ladder.climb(name, within)


def _together(matches: list[Match]) -> Match:
    """One match of all names of a unit."""
    placed = [m for m in matches if m.code]
    if not placed:
        return max(matches, key=lambda m: m.score, default=NO_NAME)
    if any(m.score > SCORES["kurdish"] for m in placed):
        placed = [m for m in placed if m.step not in ("kurdish", "fuzzy")]
    if len({m.code for m in placed}) > 1:
        candidates = {c.code: c for m in placed for c in m.candidates if c.code == m.code}
        return Match("", "", max(m.score for m in placed), "its names mean different units", tuple(candidates.values()))
    doubt = 1.0
    for match in placed:
        doubt *= 1 - min(match.score, SCORES["transliteration"]) if match.step != "exact" else 0.0
    best = max(placed, key=lambda m: m.score)
    return Match(best.code, best.step, 1 - doubt, "", best.candidates)


def _within(units: Mapping[str, Mapping[str, Any]], unit: Mapping[str, Any]) -> str:
    shown, parent = [], unit["parent"]
    while parent:
        shown.append(next(filter(None, list(units[parent].values())[3:]), ""))
        parent = units[parent]["parent"]
    return ", ".join(shown)


def _best_of_each(table: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Question]]:
    """A row per unit of ours; two equally good names for one unit are left out and asked about."""
    ranked = table.sort_values(["code", "score", "row"], ascending=[True, False, True], kind="stable")
    tied = []
    for code, rows in ranked.groupby("code", sort=True):
        best = rows[rows["score"] == rows["score"].iloc[0]]
        if best["name"].map(kurdish_form).nunique() > 1:
            candidates = (Candidate(str(code), str(best["as_given"].iloc[0]), float(best["score"].iloc[0])),)
            match = Match("", "", float(best["score"].iloc[0]), "two names for one unit", candidates)
            tied += [Question(source, r, n, "", match) for r, n in zip(best["row"], best["name"], strict=True)]
    named = ranked.drop_duplicates("code").set_index("code").drop(columns="row")
    return named[~named.index.isin({q.match.candidates[0].code for q in tied})], tied


def _tell_of_the_nameless(table: pd.DataFrame, subdistricts: pd.DataFrame, options: Gazetteer, log: Findings) -> None:
    flat = subdistricts.reset_index()
    for level, code in _CODES.items():
        without = sorted(set(flat[code]) - set(table.index[table["level"] == level]))
        if without:
            found = f"no name for {len(without)} of {flat[code].nunique()} units of ADM{level} ({listed(without)})"
            log.add("note", file=options.path, field="names", found=found, expected="a name", action="left empty")
