"""The part of Phase 1's report about how often: rates of formats and conditions, and accuracy beside them."""

from backtracking.artifacts import phase1 as files
from backtracking.artifacts.kinds import Table
from backtracking.claims.wording import TableLine, lines_of, number
from backtracking.config.onsets import THE_WRITER, TURN_KINDS
from backtracking.measurements.metrics import heading
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
    **{f"{kind}_rate": kind for kind in TURN_KINDS},
    "truncation_rate": "the share of cut completions",
    "accuracy_finished": "accuracy among finished completions",
}
_SEEN = ("backtracking_rate", "accuracy")
_WITH, _WITHOUT = "with_backtracking", "without_backtracking"
_COUNTS = {"accuracy": "total", "accuracy_finished": "finished_count"}
_COUNTS_OF_SOME = {"accuracy": "gold_count"}
"""Where some completions have no gold answer, accuracy is of the others alone."""


def write_rates(page: Page) -> None:
    """How often completions backtrack and are right, by prompt format."""
    table = page.section_of(files.FORMATS, "How often, baseline only")
    if table is None:
        return
    page.say("A completion backtracks when it holds at least one strict onset." + _what_rules_find(page))
    rate_table(page, files.FORMATS, "Rates of the baseline by prompt format", "variant")
    page.figure(files.RATE_BY_VARIANT)


def _what_rules_find(page: Page) -> str:
    """What the kinds of onset are whose rates stand beside that of the strict phrases."""
    held = [kind for kind in TURN_KINDS if page.evidence.holds(files.FORMATS, f"{kind}_rate")]
    if not held:
        return ""
    told = "; ".join(f"{kind} {THE_WRITER[kind]}" for kind in held)
    return f" {told[0].upper()}{told[1:]}. Rules of their own find these, beside the strict phrases."


def rate_table(page: Page, artifact: Table, name: str, *named: str) -> None:
    """Every rate of a table of groups, and what the table does not hold."""
    table = page.evidence.table(artifact)
    assert table is not None
    lines, behind = Lines(lines_of(table)), page.rows_by_condition()
    page.show(
        artifact,
        name,
        *(lines.names(column.capitalize(), column, behind()) for column in named),
        lines.counts("Completions", "total", behind()),
        *(lines.rates(heading(metric), metric, link=behind(metric)) for metric in RATES),
    )
    say_what_lacks(page, page.evidence, artifact, RATE_COLUMNS)


def _lacks_gold(row: TableLine) -> bool:
    """Whether some completions of a prompt format have no gold answer."""
    sides = (row[side] for side in (_WITH, _WITHOUT))
    return any(number(side, "gold_count") not in (None, number(side, "total")) for side in sides)


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
    if all(number(row[side], "accuracy") is None for row in lines for side in (_WITH, _WITHOUT)):
        page.say("No completion has a gold answer, so there is no accuracy with and without an onset.")
        return
    page.say(
        "Completions that backtrack are no random sample: hard problems make for more errors and for more"
        " doubt. The two accuracies are of all completions with and without a strict onset; the odds ratio"
        " compares completions of the same problem."
    )
    counts = _COUNTS_OF_SOME if any(map(_lacks_gold, lines)) else _COUNTS
    behind, all_lines = page.rows_by_condition(), Lines(lines)
    sides = [
        Lines([{"variant": row["variant"]} | row[side] for row in lines]).rates(
            f"{heading(metric)} {words}", metric, n=counts.get(metric), link=behind(metric, kind=kind)
        )
        for metric in ("accuracy", "truncation_rate", "accuracy_finished")
        for side, words, kind in ((_WITH, "with an onset", "strict"), (_WITHOUT, "without one", "no_strict"))
    ]
    page.show(
        files.SUMMARY,
        "Accuracy with and without an onset",
        all_lines.names("Variant", "variant", behind()),
        *sides[:2],
        all_lines.plain("Odds ratio within problems", "odds_ratio", link=behind()),
        all_lines.counts("Informative problems", "informative_problems", behind()),
        *sides[2:],
    )
    page.figure(files.RATE_VS_ACCURACY)
