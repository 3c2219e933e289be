"""The part of Phase 2's report about what leaks."""

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.claims.wording import TableLine, counted, lines_of, number, percent, quoted
from backtracking.measurements.specificity import CORRECTED, FATES
from backtracking.reports.columns import Column, Lines
from backtracking.reports.page import Page
from backtracking.reports.rows_behind import RowsBehind
from backtracking.run.records import BASELINE_NAME

SHOWN_CHANGES = 3
_PARTED = ("before", "at", "after", "no_onset")
"""Where a completion can part from the baseline, as the explorer's filters call it."""
_FATES = {fate.name: fate.text for fate in FATES}
_LOST = ("wrong", "unanswered")


def write_leaks(page: Page, behind: RowsBehind) -> None:
    """The specificity ledger, first divergences, and the fate of corrections."""
    table = page.section_of(files.SPECIFICITY, "What leaks")
    if table is None:
        return
    page.say(
        f"Changes are per completion, paired with the baseline by problem. {_families(table)} An unmarked"
        " check computes again what the completion computed before, with no trigger between the two. New"
        " onsets are counted among completions whose baseline had none."
    )
    arms = table[table["arm"] != BASELINE_NAME]
    lines = Lines(lines_of(arms))
    page.show(
        files.SPECIFICITY,
        "What each arm changes besides its target",
        lines.names("Arm", "arm", behind()),
        lines.plain("Δ family onsets", "family_onsets_diff", "+", ".2f", behind.against("backtracking_rate")),
        lines.plain("Δ other triggers", "synonym_onsets_diff", "+", ".2f", behind.against()),
        lines.plain("Δ unmarked checks", "unmarked_checks_diff", "+", ".2f", behind.against()),
        lines.rates("New onsets", "new_onset_rate", link=behind("new_onset_rate")),
        lines.plain("KL per token (nats)", "kl_per_token", spec=".3f"),
        lines.plain("Δ tokens", "completion_tokens_diff", "+", ".1f", behind.against("mean_tokens")),
        lines.counts("Completions", "total", behind()),
        lines.counts("Baseline without onset", "rows_without_onset", behind.of_baseline(kind="no_strict")),
    )
    _divergence(page, arms, behind)
    _corrections(page, behind)
    _forced_errors(page, table, behind)


def _families(table: pd.DataFrame) -> str:
    """What onsets are split into; without an onset in the baseline there is no commonest one."""
    if "rows_with_onset" in table and not table["rows_with_onset"].any():
        return "No baseline completion has an onset, so no trigger is the commonest one's: all are others."
    return "Family onsets are those of the commonest onset's phrases, other triggers all the rest."


def _divergence(page: Page, arms: pd.DataFrame, behind: RowsBehind) -> None:
    page.section("First divergences", level=3)
    page.say(
        "A completion shares its noise with the baseline's, so both are the same up to the first token that"
        " the intervention changed. The share at the first onset is that of completions which part exactly"
        " where the baseline's first onset begins, among those that part and whose baseline has one. The"
        " specificity index says how much likelier that token is a trigger than a token picked anywhere."
    )
    lines = Lines(lines_of(arms))
    page.show(
        files.SPECIFICITY,
        "Where completions part from the baseline",
        lines.names("Arm", "arm", behind()),
        lines.rates("Completions that part", "divergence_rate", link=behind(parts=_PARTED)),
        lines.plain("Median token", "median_step", spec=".0f", link=behind(parts=_PARTED, sort="parted")),
        lines.shares("At the first onset", "at_onset", link=behind(parts="at")),
        lines.plain("Specificity index", "specificity_index", spec=".1f", link=behind(parts=_PARTED)),
        lines.text("Commonest changes", lambda row: _changes(page, row)),
        lines.counts("Completions", "total", behind()),
    )
    page.figure(files.DIVERGENCE_FIGURE, behind)


def _changes(page: Page, row: TableLine) -> str:
    replaced = page.evidence.table(files.REPLACED)
    if replaced is None:
        return "—"
    changes = lines_of(replaced[replaced["arm"] == row["arm"]].fillna("").head(SHOWN_CHANGES))
    return ", ".join(map(_change, changes)) or "—"


def _change(change: TableLine) -> str:
    share = percent(number(change, "share"), 0)
    return f"{quoted(change['baseline_text'])} → {quoted(change['new_text'])} ({share})"


def _corrections(page: Page, behind: RowsBehind) -> None:
    flow = page.evidence.table(files.FLOW)
    if flow is None:
        return
    page.section("Does correction survive?", level=3)
    total = int(flow["total"].max())
    if total == 0:
        page.say(
            "No baseline completion made a checkable error and still ended right, so nothing can be said."
        )
        return
    page.say(
        f"{counted(total, 'baseline completion')} made a checkable error and still ended right. The same"
        " completion under each arm, on the same noise up to the first change, ends in one of five ways."
    )
    shares = flow.pivot_table(index="arm", columns="fate", values="share", aggfunc="sum", sort=False)
    rows = [{"arm": arm, **line} for arm, line in shares.to_dict("index").items()]
    page.figure(files.FLOW_FIGURE, behind)
    lines = Lines(rows)
    with page.folded("The same as a table"):
        page.show(
            files.FLOW,
            "The fate of corrections by arm",
            lines.names("Arm", "arm", behind()),
            *(_fate(lines, behind, fate) for fate in shares.columns),
        )


def _fate(lines: Lines, behind: RowsBehind, fate: str) -> Column:
    """The share with one fate, and the rows that had another under the baseline."""

    def rows(row: TableLine) -> str:
        if row["arm"] != BASELINE_NAME:
            return behind.of(row, {"was": CORRECTED, "fate": fate})
        return behind.of(row, {"fate": fate}) if fate in CORRECTED else ""

    return lines.shares(_FATES.get(fate, fate.replace("_", " ")).capitalize(), fate, 1, rows)


def _forced_errors(page: Page, table: pd.DataFrame, behind: RowsBehind) -> None:
    if "caught_rate" not in table or table["caught_rate"].isna().all():
        return
    page.section("Forced errors", level=3)
    page.say(
        "One result in a right baseline completion is made wrong, and every arm writes on from there. An"
        " onset may follow, and the completion may end right, with an onset or without."
    )
    lines = Lines(lines_of(table))
    page.show(
        files.SPECIFICITY,
        "What follows a forced error",
        lines.names("Arm", "arm", behind.prefixes("forced")),
        lines.rates("An onset follows", "marked_rate", link=behind.prefixes("forced", follows="yes")),
        lines.rates("Ends right", "caught_rate", link=behind.prefixes("forced", ends="right")),
        lines.counts("Forced errors", "forced_errors", behind.prefixes("forced")),
    )
