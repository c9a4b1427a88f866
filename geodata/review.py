"""Names an analyst has to decide on: written to a file with the nearest candidates, read back by the next run.

Schema of the file (CSV, UTF-8 with a byte-order mark, so that a spreadsheet opens it): one row per question, key
(source, row, name). `source`: block of the country file; `row`: the source's own id of the row; `name` and `within`:
as given; `why`; up to three candidates, each p-code, name and score (0 to 1); `decision`: empty while open, a p-code,
or "none" for a place in no unit. No coordinates, no counts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .name_ladder import Match
from .options import require_columns
from .schema import Findings
from .sheets import clean_text, listed, one_column, read_sheet, rows

CANDIDATES = 3
NOWHERE = "none"
COLUMNS = (
    *("source", "row", "name", "within", "why"),
    *(f"candidate_{n}{part}" for n in range(1, CANDIDATES + 1) for part in ("", "_name", "_score")),
    "decision",
)
_FORMULA = re.compile(r"^[=+\-@\t]")

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Question:
    """One name that no rule may decide.

    Parameters
    ----------
    source : str, block of the country file
    row : str, id of the row in the source
    name, within : str, the name and the units above, as given
    match : what the ladder found
    """

    source: str
    row: str
    name: str
    within: str
    match: Match

    @property
    def key(self) -> Key:
        """By which a decision finds its question: a name that was changed since is a new question."""
        return self.source, self.row, self.name


@dataclass(frozen=True)
class Review:
    """What one source has to ask, and what was decided before.

    Parameters
    ----------
    file : str, the review file that the next run reads, relative to the data folder
    questions : tuple of Question, those without a decision
    decisions : mapping of `read_review`
    declared : bool, the country file names the file
    """

    file: str
    questions: tuple[Question, ...]
    decisions: Mapping[Key, str]
    declared: bool = True

    @property
    def name(self) -> str:
        """Of the file, wherever it lies."""
        return PurePosixPath(self.file).name


def write_review(path: Path, questions: Iterable[Question], decided: Mapping[Key, str] | None = None) -> None:
    """Write every question once, sorted, and every decision that stands. The same questions give the same bytes.

    Decisions without a question are kept: the file is copied over the one that holds them.

    Parameters
    ----------
    path : Path
    questions : iterable of Question
    decided : mapping of `read_review`, or None
    """
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(COLUMNS)
    settled = {key: Question(*key, "", Match("", "", 0.0, "decided")) for key in decided or {}}
    for key, question in sorted((settled | {q.key: q for q in questions}).items()):
        nearest = [(c.code, c.name, f"{c.score:.2f}") for c in question.match.candidates[:CANDIDATES]]
        flat = [cell for candidate in nearest for cell in candidate] + [""] * 3 * (CANDIDATES - len(nearest))
        cells = [*key, question.within, question.match.why, *flat, (decided or {}).get(key, "")]
        out.writerow([inert(cell) for cell in cells])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode("utf-8-sig"))


def read_review(path: Path, file: str, codes: Iterable[str], log: Findings) -> dict[Key, str]:
    """Decisions of a review file: p-codes or `NOWHERE`; a row without decision is not among them.

    Parameters
    ----------
    path : Path
        Need not exist: then nothing was decided.
    file : str
        Its name in findings.
    codes : iterable of str
        P-codes there are.
    log : Findings
        Told of decisions that are no p-code, and of two decisions for one question.

    Returns
    -------
    dict, (source, row, name) -> decision
    """
    if not path.is_file():
        return {}
    frame = read_sheet(path, file, log)
    wanted = ("source", "row", "name", "decision")
    require_columns(frame.columns, wanted, file=file, log=log)
    if not set(wanted) <= set(frame.columns):
        return {}
    texts = {c: clean_text(one_column(frame, c), file=file, log=log).map(_as_given) for c in wanted}
    texts["decision"] = texts["decision"].map(lambda t: NOWHERE if t.casefold() == NOWHERE else t)
    made, known = texts["decision"] != "", {*codes, NOWHERE}
    wrong = made & ~texts["decision"].isin(known)
    if wrong.any():
        found = listed(repr(t[:40]) for t in texts["decision"][wrong].unique())
        where = f"column 'decision', {rows(frame.index[wrong])}"
        log.error(file=file, field=where, found=found, expected=f"a p-code of the boundary file, or {NOWHERE!r}")
    decisions: dict[Key, str] = {}
    for number, *key, decision in zip(frame.index, *(texts[c] for c in wanted), strict=True):
        if decision in known and decisions.setdefault((key[0], key[1], key[2]), decision) != decision:
            found = "another decision than for the same row above"
            log.error(file=file, field=f"row {number}", found=found, expected="one decision")
    return decisions


def ask(review: Review, log: Findings) -> None:
    """Keep what a source asks in its log, and say which names wait and what to do; the run counts them as gaps.

    Parameters
    ----------
    review : Review
    log : Findings
    """
    log.reviews.append(review)
    waiting = sorted({q.key: q for q in review.questions}.values(), key=lambda q: q.key)
    if not waiting:
        return
    found = f"none for {len(waiting)} names: {listed(f'{q.row} {q.name}'.strip() for q in waiting)}"
    action = f"left out until decided; a run writes review/{review.name}: copy it to {review.file} in the data folder"
    action += "" if review.declared else f', and put review = "{review.file}" into the country file'
    log.warning(file=review.file, field="column 'decision'", found=found, expected="a decision", action=action)


def inert(cell: str) -> str:
    """A cell no spreadsheet will evaluate: what begins like a formula gets a quote before it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _as_given(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell[1:]) else cell
