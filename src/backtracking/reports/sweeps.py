"""The part of Phase 2's report about the sweeps: a line per arm, what came of it, signs of degeneration."""

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import Figure, Table
from backtracking.claims.wording import counted, lines_of, number, percent, quoted
from backtracking.measurements.metrics import called, heading
from backtracking.reports.columns import Column, Lines, highest
from backtracking.reports.lacking import say_what_lacks
from backtracking.reports.outcome import write_outcome
from backtracking.reports.page import Page
from backtracking.reports.rows_behind import RowsBehind
from backtracking.run.records import BASELINE_NAME

ARM_COLUMNS = {
    "backtracking_rate_low": "intervals",
    "truncation_rate": "the share of cut completions",
    "backtracking_diff": "paired differences",
    "retention": "retention",
    "verdict": "verdicts",
}
_WAVES = {files.SUBSETS.name: files.SUBSET_WAVES_FIGURE, files.SCALES.name: files.SCALE_WAVES_FIGURE}
_SIGNS = ("loop_rate", "empty_rate", "no_answer_rate", "non_ascii_rate")


def write_subsets(page: Page, behind: RowsBehind) -> None:
    """Every named subset of components as an arm."""
    said = "Each arm is a set of components, or of banned tokens, at one strength."
    table = _sweep(page, files.SUBSETS, "subset sweep", said, files.SUBSETS_FIGURE, behind)
    if table is not None:
        _left_out(page)
        _degeneration(page, files.SUBSETS, table, behind)


def write_scales(page: Page, behind: RowsBehind) -> None:
    """One subset at several strengths."""
    said = "The same components at several strengths: scale 1 changes nothing, scale 0 removes their output."
    table = _sweep(page, files.SCALES, "scale sweep", said, files.SCALES_FIGURE, behind)
    if table is not None:
        _degeneration(page, files.SCALES, table, behind)


def _sweep(
    page: Page, artifact: Table, name: str, said: str, figure: Figure, behind: RowsBehind
) -> pd.DataFrame | None:
    """The section of a sweep up to what came of each arm, and its table where there is one."""
    table = page.section_of(artifact, name.capitalize())
    if table is not None:
        page.say(" ".join(filter(None, (said, _stopped(table)))))
        page.show(artifact, f"Arms of the {name}", *arm_columns(Lines(lines_of(table)), behind))
        say_what_lacks(page, page.evidence, artifact, ARM_COLUMNS)
        page.figure(figure, behind)
        if _stopped(table):
            page.figure(_WAVES[artifact.name], behind)
        write_outcome(page, artifact, behind, "arm")
    return table


def _stopped(table: pd.DataFrame) -> str:
    """On what the verdicts rest where settled arms stopped; empty where every arm got every problem."""
    if "problems_in_full" not in table or table["problems_in_full"].isna().all():
        return ""
    arms, in_full = table[table["subset_name"] != BASELINE_NAME], int(table["problems_in_full"].max())
    stopped = arms[arms["problems"] < in_full]
    kept = f"Settled arms got no more problems (`phase2.stop_early`): of {counted(len(arms), 'arm')}"
    if stopped.empty:
        return f"{kept} none stopped, so every verdict rests on all {in_full:,} problems."
    first, last = (int(stopped["problems"].agg(end)) for end in ("min", "max"))
    span = f"{first:,}" if first == last else f"{first:,} to {last:,}"
    return (
        f"{kept} {len(stopped)} stopped after {span} of {in_full:,} problems. Each verdict rests on the"
        " completions in its line, and its intervals hold at every look at them together."
    )


def arm_columns(lines: Lines, behind: RowsBehind) -> list[Column]:
    """What every table of arms shows of each."""
    rates = ("backtracking_rate", "accuracy", "truncation_rate")
    return [
        lines.names("Arm", "arm", behind()),
        lines.text("Verdict", lambda row: row["verdict"] if isinstance(row.get("verdict"), str) else "—"),
        lines.rates("Onsets removed", "onsets_removed", link=behind.against("backtracking_rate")),
        *(lines.rates(heading(metric), metric, link=behind(metric)) for metric in rates),
        lines.points(
            f"Δ {called('backtracking_rate')} (points)",
            "backtracking_diff",
            behind.against("backtracking_rate"),
        ),
        lines.p_values("p (Holm)", "backtracking_diff_p_holm"),
        lines.points(f"Δ {called('accuracy')} (points)", "accuracy_diff", behind.against("accuracy")),
        lines.text(
            "What falls", lambda row: row["what_fell"] if isinstance(row.get("what_fell"), str) else "—"
        ),
        lines.shares("Accuracy kept", "retention", link=behind.against("accuracy")),
        lines.counts("Completions", "total", behind()),
        lines.counts("Components", "num_components"),
    ]


def _left_out(page: Page) -> None:
    """Subsets that could not be built."""
    left_out = page.evidence.notes("phase2-subset-sweep").get("left_out", {})
    if left_out:
        page.say("Left out, because Phase 1 has nothing to build them from:")
        page.bullets([f"{quoted(name)}: {quoted(reason, 300)}" for name, reason in left_out.items()])


def _degeneration(page: Page, artifact: Table, table: pd.DataFrame, behind: RowsBehind) -> None:
    if "loop_rate" not in table:
        return
    page.section("Signs of degeneration", level=3)
    page.say(_degenerated(table))
    lines = Lines(lines_of(table))
    page.show(
        artifact,
        "Signs that completions fall apart",
        lines.names("Arm", "arm", behind()),
        *(lines.shares(heading(sign), sign, 1, behind(sign)) for sign in _SIGNS),
        lines.plain("Distinct 3-grams ÷ baseline", "distinct_3_ratio", spec=".2f", link=behind.against()),
        *(
            lines.plain(heading(column), column, spec=spec, link=behind(column))
            for column, spec in (("mean_tokens", ".0f"), ("onsets_per_1k_tokens", ".1f"))
        ),
    )


def _degenerated(table: pd.DataFrame) -> str:
    """The worst of each sign, where there is any."""
    worst_of = []
    for sign in _SIGNS:
        if sign in table and table[sign].max() > 0:
            worst = highest(table, sign)
            worst_of.append(f"{called(sign)} {percent(number(worst, sign))} ({quoted(worst['arm'])})")
    if not worst_of:
        return (
            "No arm has a completion that loops, ends empty, gives no answer or bursts into foreign"
            " characters."
        )
    return f"At most, as a share of an arm's completions: {', '.join(worst_of)}."
