"""How well onsets are found, where sentences are labelled: the detectors' shares, and what of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from backtracking.artifacts.kinds import Table
from backtracking.artifacts.labels import (
    LABEL_KEY,
    LABEL_SAMPLE,
    QUALITY,
    SENTENCE_LABELS,
    SENTENCE_QUALITY,
    labels_digest,
)
from backtracking.claims.wording import TableLine, counted, lines_of, number, rate_text
from backtracking.config.onsets import TOGETHER, TURN_KINDS
from backtracking.measurements.floors import FEWEST_PROBLEMS
from backtracking.measurements.quality import SHARES, rests_on_few
from backtracking.reports.columns import Lines
from backtracking.reports.page import Page
from backtracking.run.paths import RunPaths

QUALITY_OF_ONSETS = "How well onsets are found"
MARK = "*"
TOO_FEW = f"of fewer than {FEWEST_PROBLEMS} problems, too few for any claim"
TITLES: Mapping[Table, str] = {
    QUALITY: "Detectors against labels of drawn sentences",
    SENTENCE_QUALITY: "Detectors against labels from elsewhere",
}
"""The tables of shares; the first is about the whole run, and so is told first."""
_BEHIND: Mapping[Table, Sequence[tuple[Table, ...]]] = {
    QUALITY: ((LABEL_KEY, LABEL_SAMPLE), (LABEL_KEY,)),
    SENTENCE_QUALITY: ((SENTENCE_LABELS,),),
}
"""The labels that a table is made of; with a sheet that lies outside the run, its key alone."""
_NOTHING = {"precision": "the rules find nothing", "recall": "there is nothing to find"}
AS_LABELLED = (
    "These shares are of the labelled sentences alone, however they were chosen. Where these are mainly"
    " sentences with a phrase, or mainly hard ones, precision and recall in all of the text are others;"
    " `label-sample` draws sentences so that both can be told of all."
)
"""What shares rest on where labels came from elsewhere."""


def with_mark(line: TableLine, share: str) -> str:
    """A share with its interval, and the mark of one of too few problems."""
    is_marked = number(line, share) is not None and rests_on_few(line, share)
    return rate_text(line, share, n=None) + (MARK if is_marked else "")


def what_the_mark_says() -> str:
    """Why no claim rests on a share with the mark."""
    return (
        f"The mark `{MARK}`: a share of fewer than {FEWEST_PROBLEMS} problems (F1: in one of its parts), too"
        " few for any claim about the detector, whatever the number. Label sentences of more problems in"
        " which it finds something or should have."
    )


def how_drawn(line: TableLine) -> str:
    """How many labels stand behind the shares that `label-sample` leads to, and what they are shares of."""
    labels = counted(int(number(line, "labelled") or 0), "labelled sentence")
    turns, whole = (int(number(line, column) or 0) for column in ("labelled_yes", "drawn_from"))
    problems = counted(int(number(line, "labelled_problems") or 0), "problem")
    return (
        f"{labels} of {problems}, in {turns:,} of which the writer turns back. They were drawn by strata and"
        f" are weighted back, so the shares are of all {counted(whole, 'sentence')} that were drawn from."
        " Here square brackets say what the sentences without a label may hold, nothing of other problems."
        f" The sheet asks whether the writer turns back, not how: {' and '.join(TURN_KINDS)} are scored"
        " against turning back of either kind, so the recall of one alone is low."
    )


def digest_of_sheet(run: RunPaths, sheet: Path) -> str:
    """Of drawn labels; of a sheet outside the run only the draw can be looked at again."""
    own, key = _BEHIND[QUALITY]
    return labels_digest(run, own if sheet.resolve() == LABEL_SAMPLE.path(run).resolve() else key)


def scored_again(run: RunPaths, table: Table) -> str:
    """What to type for a table of shares; labels from elsewhere are read unless a sheet is named."""
    is_named = table is QUALITY and SENTENCE_LABELS.exists(run)
    return table.made_in(run) + (f" --labels {LABEL_SAMPLE.path(run)}" if is_named else "")


def quality_in_short(page: Page) -> str:
    """Precision and recall of the rules for either kind of onset; empty where no labels of now say them."""
    either, *_ = TOGETHER
    for table in TITLES:
        for row in _lines(page, table):
            is_wanted = row["detector"] == either and row.get("target", either) == either
            if is_wanted and _is_of_now(page, table, row):
                shares = " and ".join(_share_in_words(row, share) for share in ("precision", "recall"))
                return (
                    f"On {_labels_in_short(row)}, the rules find {' and '.join(TOGETHER[either])} with"
                    f" {shares}: see *{QUALITY_OF_ONSETS}*."
                )
    return ""


def _labels_in_short(row: TableLine) -> str:
    labels = counted(int(number(row, "labelled") or 0), "labelled sentence")
    whole = number(row, "drawn_from")
    return labels if whole is None else f"{labels}, weighted back to all {int(whole):,} drawn from"


def _share_in_words(row: TableLine, share: str) -> str:
    if number(row, share) is None:
        return f"{share} unknown ({_NOTHING[share]})"
    return f"{share} {rate_text(row, share, n=None)}" + (f" ({TOO_FEW})" if rests_on_few(row, share) else "")


def write_quality(page: Page) -> None:
    """The detectors against labels, drawn or from elsewhere, where the run has either; else nothing."""
    held = {table: rows for table in TITLES if (rows := _lines(page, table))}
    if not held:
        return
    page.section(QUALITY_OF_ONSETS)
    for table, rows in held.items():
        page.say(_what_of(rows[0]) if table is SENTENCE_QUALITY else how_drawn(rows[0]))
        if not _is_of_now(page, table, rows[0]):
            page.say(
                "The run's labels have changed since, so these shares are out of date; run:"
                f" `{scored_again(page.evidence.paths, table)}`."
            )
        _show(page, table, rows)


def _lines(page: Page, table: Table) -> Sequence[TableLine]:
    """The lines of a table that holds what is shown, while its labels are there; each kind as looked for."""
    run = page.evidence.paths
    has_labels = any(labels_digest(run, files) for files in _BEHIND[table])
    if not has_labels or not page.evidence.holds(
        table, "labelled_problems", *(f"{share}_problems" for share in SHARES)
    ):
        return []
    held = page.evidence.table(table)
    assert held is not None
    lines = lines_of(held)
    return [row for row in lines if "target" not in row or row["target"] in (*TOGETHER, row["detector"])]


def _is_of_now(page: Page, table: Table, row: TableLine) -> bool:
    now = {labels_digest(page.evidence.paths, files) for files in _BEHIND[table]}
    return row.get("labels_digest") in now - {""}


def _what_of(row: TableLine) -> str:
    labels = counted(int(number(row, "labelled") or 0), "labelled sentence")
    return f"{labels} of {counted(int(number(row, 'labelled_problems') or 0), 'problem')}. {AS_LABELLED}"


def _show(page: Page, table: Table, rows: Sequence[TableLine]) -> None:
    lines = Lines(rows)
    targets = [lines.names("To be found", "target")] if "target" in rows[0] else []
    page.show(
        table,
        TITLES[table],
        *targets,
        lines.names("Detector", "detector"),
        lines.column("Precision", lambda row: with_mark(row, "precision")),
        lines.column("Recall", lambda row: with_mark(row, "recall")),
        lines.column("F1", lambda row: with_mark(row, "f1")),
    )
    if any(with_mark(row, share).endswith(MARK) for row in rows for share in SHARES):
        page.say(what_the_mark_says())
