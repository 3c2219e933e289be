"""The part of Phase 1's report about how often: rates of formats and conditions, and accuracy beside them."""

from collections.abc import Sequence

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.kinds import Table
from backtracking.claims.wording import Row, counted, number, percent, quoted, records
from backtracking.config.onsets import TURN_KINDS
from backtracking.measurements.metrics import called, heading
from backtracking.reports.columns import Lines
from backtracking.reports.lacking import say_what_lacks
from backtracking.reports.page import Page

RATES = (
    "backtracking_rate",
    *(f"{kind}_rate" for kind in TURN_KINDS),
    "accuracy",
    "truncation_rate",
    "accuracy_finished",
)
RATE_COLUMNS = {
    "backtracking_rate_low": "intervals",
    "doubt_rate": "doubt and redo",
    "truncation_rate": "the share cut at the cap",
    "accuracy_finished": "accuracy among finished completions",
}
_SEEN = ("backtracking_rate", "accuracy")
_WITH, _WITHOUT = "with_backtracking", "without_backtracking"
_COUNTS = {"accuracy": "total", "accuracy_finished": "finished_count"}


def write_rates(page: Page) -> None:
    """How often completions backtrack and are right, by prompt format."""
    page.section("How often, baseline only")
    table = page.evidence.table(files.FORMATS)
    if table is None:
        page.absent(files.FORMATS)
        return
    page.say(
        "A completion backtracks when it holds at least one strict onset."
        + (
            " Doubt questions what was written; redo drops it and goes another way. Rules of their own find "
            "these two, beside the strict phrases."
            if page.evidence.holds(files.FORMATS, "doubt_rate")
            else ""
        )
    )
    rate_table(page, files.FORMATS, "Rates of the baseline by prompt format", "variant")
    page.figure(
        files.RATE_BY_VARIANT,
        "Backtracking and accuracy of the baseline by prompt format",
        f"{ranging(records(table), 'variant')} {sizes(records(table))}",
    )


def rate_table(page: Page, artifact: Table, name: str, *named: str) -> None:
    """Every rate of a table of groups, and what the table does not hold."""
    table = page.evidence.table(artifact)
    assert table is not None
    lines, behind = Lines(records(table)), page.rows_by_condition()
    page.show(
        artifact,
        name,
        *(lines.names(column.capitalize(), column, behind()) for column in named),
        lines.counts("Completions", "total", behind()),
        *(lines.rates(heading(metric), metric, link=behind(metric)) for metric in RATES),
    )
    say_what_lacks(page, page.evidence, artifact, RATE_COLUMNS)


def ranging(rows: Sequence[Row], named: str) -> str:
    """Between which rates backtracking and accuracy lie, and how much is cut."""
    if len(rows) == 1:
        row = rows[0]
        said = [
            f"{called(metric)} {percent(number(row, metric))}"
            for metric in _SEEN
            if number(row, metric) is not None
        ]
        return f"Under {quoted(row[named])}: {', '.join(said)}."
    ordered = sorted(
        (row for row in rows if number(row, _SEEN[0]) is not None), key=lambda row: row[_SEEN[0]]
    )
    if not ordered:
        return ""
    least, most = ordered[0], ordered[-1]
    accuracies = [value for row in rows if (value := number(row, "accuracy")) is not None]
    ranges = (
        f"Backtracking goes from {percent(number(least, _SEEN[0]))} under {quoted(least[named])} to "
        f"{percent(number(most, _SEEN[0]))} under {quoted(most[named])}"
    )
    if accuracies:
        ranges += f"; accuracy lies between {percent(min(accuracies))} and {percent(max(accuracies))}"
    return f"{ranges}."


def sizes(rows: Sequence[Row]) -> str:
    """How many completions stand behind each line, and how many of them were cut."""
    totals = sorted({int(value) for row in rows if (value := number(row, "total")) is not None})
    if not totals:
        return ""
    each = f"{totals[0]:,}" if len(totals) == 1 else f"{totals[0]:,} to {totals[-1]:,}"
    said = f"n = {each} completions{' each' if len(rows) > 1 else ''}"
    problems = {int(value) for row in rows if (value := number(row, "problems")) is not None}
    if len(problems) == 1:
        said += f" of {counted(problems.pop(), 'problem')}"
    cut = [value for row in rows if (value := number(row, "truncation_rate")) is not None]
    if cut:
        said += f", at most {percent(max(cut))} cut" if max(cut) else ", none cut"
    return f"{said}."


def write_accuracy(page: Page) -> None:
    """Accuracy of completions with and without an onset."""
    page.section("Backtracking and accuracy")
    groups = page.evidence.data(files.SUMMARY).get("backtracking_vs_accuracy", {})
    lines = [
        {"variant": variant} | group
        for variant, group in (groups.items() if isinstance(groups, dict) else ())
        if isinstance(group, dict) and {_WITH, _WITHOUT} <= set(group)
    ]
    if not lines:
        page.say(f"Accuracy with and without backtracking is not in {files.SUMMARY.file}.")
        return
    page.say(
        "Completions that backtrack are no random sample: hard problems make for more errors and for more"
        " doubt. The two accuracies are of all completions with and without a strict onset; the odds ratio"
        " compares completions of the same problem."
    )
    behind, all_lines = page.rows_by_condition(), Lines(lines)
    sides = [
        Lines([{"variant": row["variant"]} | row[side] for row in lines]).rates(
            f"{heading(metric)}, {words}", metric, n=_COUNTS.get(metric), link=behind(metric, kind=kind)
        )
        for metric in ("accuracy", "truncation_rate", "accuracy_finished")
        for side, words, kind in ((_WITH, "with", "strict"), (_WITHOUT, "without", "no_strict"))
    ]
    page.show(
        files.SUMMARY,
        "Accuracy with and without an onset",
        all_lines.names("Variant", "variant", behind()),
        *sides[:2],
        all_lines.plain("Odds ratio within problems", "odds_ratio"),
        all_lines.counts("Informative problems", "informative_problems"),
        *sides[2:],
    )
    page.figure(files.RATE_VS_ACCURACY, "Accuracy with and without an onset, baseline", _compared(lines))


def _compared(lines: Sequence[Row]) -> str:
    apart = [row for row in lines if _is_apart(row)]
    first = lines[0]
    with_onset, without = (number(first[side], "accuracy") for side in (_WITH, _WITHOUT))
    if with_onset is None or without is None:
        return ""
    said = (
        f"Under {quoted(first['variant'])}, {percent(with_onset)} of the completions with an onset are right,"
        f" and {percent(without)} of those without"
    )
    if all(number(row, "odds_ratio") is None for row in lines):
        return f"{said}."
    if not apart:
        return f"{said}; within problems, no format's odds ratio is surely above or below 1."
    named = ", ".join(quoted(row["variant"]) for row in apart)
    return f"{said}; within problems, the odds ratio surely differs from 1 under {named}."


def _is_apart(row: Row) -> bool:
    """Whether the interval of the odds ratio lies wholly on one side of 1."""
    low, high = number(row, "odds_ratio_low"), number(row, "odds_ratio_high")
    return low is not None and high is not None and not low <= 1 <= high
