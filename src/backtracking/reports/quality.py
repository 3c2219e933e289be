"""How well onsets are found, where somebody labelled sentences: the detectors' shares, and what of."""

from collections.abc import Sequence

from backtracking.artifacts.kinds import Table
from backtracking.artifacts.labels import QUALITY, SENTENCE_LABELS, SENTENCE_QUALITY
from backtracking.claims.wording import TableLine, counted, lines_of, number, rate_text
from backtracking.config.onsets import TOGETHER
from backtracking.measurements.floors import FEWEST_PROBLEMS
from backtracking.measurements.quality import SHARES, rests_on_few
from backtracking.reports.columns import Lines
from backtracking.reports.page import Page

QUALITY_OF_ONSETS = "How well onsets are found"
MARK = "*"
TOO_FEW = f"of fewer than {FEWEST_PROBLEMS} problems and so too few for any claim"
AS_LABELLED = (
    "These shares are of the labelled sentences, as somebody chose them. Where these are mainly sentences"
    " with a phrase, or mainly hard ones, precision and recall in all of the text are others; `label-sample`"
    " draws sentences so that both can be told of all."
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
    )


def quality_in_short(page: Page) -> str:
    """Precision and recall of the rules for either kind of onset; empty where nothing was labelled."""
    either, *_ = TOGETHER
    for table in (SENTENCE_QUALITY, QUALITY):
        for row in _lines(page, table):
            if row["detector"] == either and row.get("target", either) == either:
                labels = counted(int(number(row, "labelled") or 0), "labelled sentence")
                few = any(rests_on_few(row, share) for share in ("precision", "recall"))
                return (
                    f"Held against {labels}, the rules find {' and '.join(TOGETHER[either])} with"
                    f" precision {rate_text(row, 'precision', n=None)} and recall"
                    f" {rate_text(row, 'recall', n=None)}{f', {TOO_FEW}' if few else ''}: see"
                    f" *{QUALITY_OF_ONSETS}*."
                )
    return ""


def write_quality(page: Page) -> None:
    """The detectors against labels, by hand or drawn, where the run has either; else nothing."""
    held = [table for table in (SENTENCE_QUALITY, QUALITY) if _lines(page, table)]
    if not held:
        return
    page.section(QUALITY_OF_ONSETS)
    for table in held:
        rows = _lines(page, table)
        page.say(_what_of(page, rows) if table is SENTENCE_QUALITY else how_drawn(rows[0]))
        if table is SENTENCE_QUALITY:
            page.say(AS_LABELLED)
        _show(page, table, rows)


def _lines(page: Page, table: Table) -> Sequence[TableLine]:
    """The lines of a table that holds what is shown; of sentence labels, each kind as it is looked for."""
    if not page.evidence.holds(table, "labelled_problems", *(f"{share}_problems" for share in SHARES)):
        return []
    held = page.evidence.table(table)
    assert held is not None
    lines = lines_of(held)
    return [row for row in lines if "target" not in row or row["target"] in (*TOGETHER, row["detector"])]


def _what_of(page: Page, rows: Sequence[TableLine]) -> str:
    labelled = int(number(rows[0], "labelled") or 0)
    problems = counted(int(number(rows[0], "labelled_problems") or 0), "problem")
    said = f"Somebody labelled {counted(labelled, 'sentence')} of {problems}."
    labels = page.evidence.table(SENTENCE_LABELS)
    if labels is not None and len(labels) != labelled:
        said += (
            f" The run holds {len(labels):,} labels by now, so these shares are out of date; run:"
            f" `{SENTENCE_QUALITY.made_in(page.evidence.paths)}`."
        )
    return said


def _show(page: Page, table: Table, rows: Sequence[TableLine]) -> None:
    lines = Lines(rows)
    targets = [lines.names("To be found", "target")] if "target" in rows[0] else []
    page.show(
        table,
        "Detectors against labels",
        *targets,
        lines.names("Detector", "detector"),
        lines.column("Precision", lambda row: with_mark(row, "precision")),
        lines.column("Recall", lambda row: with_mark(row, "recall")),
        lines.column("F1", lambda row: with_mark(row, "f1")),
    )
    if any(with_mark(row, share).endswith(MARK) for row in rows for share in SHARES):
        page.say(what_the_mark_says())
