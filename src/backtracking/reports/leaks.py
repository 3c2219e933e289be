"""The part of Phase 2's report about what leaks."""

from pathlib import Path

from backtracking.artifacts import phase2 as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import number, percent, plain, quoted, rate, records
from backtracking.reports.document import Document
from backtracking.reports.phase1 import picture
from backtracking.run.records import BASELINE_NAME

SHOWN_CHANGES = 5


def write_leaks(document: Document, evidence: Evidence, path: Path) -> None:
    """The specificity ledger, first divergences, and the fate of corrections."""
    document.section("What leaks")
    table = evidence.table(files.SPECIFICITY)
    if table is None:
        document.say(evidence.absence(files.SPECIFICITY))
        return
    document.say(
        "Changes are per completion, paired with the baseline by problem. Other triggers are phrases "
        "outside the family of the commonest onset; an unmarked check computes again what the completion "
        "computed before, with no trigger between; new onsets are counted in rows whose baseline had none."
    )
    document.table(
        [
            "Arm",
            "Δ family onsets",
            "Δ other triggers",
            "Δ unmarked checks",
            "New onsets",
            "KL per token (nats)",
            "Δ tokens",
        ],
        [
            [
                quoted(row["arm"]),
                plain(row, "family_onsets_diff", "+.2f"),
                plain(row, "synonym_onsets_diff", "+.2f"),
                plain(row, "unmarked_checks_diff", "+.2f"),
                rate(row, "new_onset_rate", n="rows_without_onset"),
                plain(row, "kl_per_token", ".3f"),
                plain(row, "completion_tokens_diff", "+.1f"),
            ]
            for row in records(table[table["arm"] != BASELINE_NAME])
        ],
    )
    _divergence(document, evidence, path)
    _corrections(document, evidence, path)
    _forced_errors(document, evidence)


def _divergence(document: Document, evidence: Evidence, path: Path) -> None:
    table = evidence.table(files.SPECIFICITY)
    assert table is not None
    document.section("First divergences", level=3)
    document.say(
        "A completion shares its noise with the baseline's, so it is the same up to the first token that "
        "the intervention changed. The specificity index is how much likelier that token is a trigger than "
        "a token picked anywhere."
    )
    replaced = evidence.table(files.REPLACED)
    rows = []
    for row in records(table[table["arm"] != BASELINE_NAME]):
        commonest = ""
        if replaced is not None:
            changes = replaced[replaced["arm"] == row["arm"]].fillna("").head(SHOWN_CHANGES)
            commonest = ", ".join(
                f"{quoted(change['baseline_text'])} → {quoted(change['new_text'])} "
                f"({percent(number(change, 'share'), 0)})"
                for change in records(changes)
            )
        rows.append(
            [
                quoted(row["arm"]),
                rate(row, "divergence_rate"),
                plain(row, "median_step", ".0f"),
                percent(number(row, "at_onset"), 0),
                plain(row, "specificity_index", ".2f"),
                commonest or "—",
            ]
        )
    document.table(
        [
            "Arm",
            "Completions that part",
            "Median step",
            "Exactly at the onset",
            "Specificity index",
            "Commonest changes",
        ],
        rows,
    )
    picture(document, evidence, path, "phase2_first_divergence", "What the first change hits")


def _corrections(document: Document, evidence: Evidence, path: Path) -> None:
    flow = evidence.table(files.FLOW)
    if flow is None:
        return
    document.section("Does correction survive?", level=3)
    total = int(flow["total"].max())
    if total == 0:
        document.say("No baseline row made a checkable error and ended right, so nothing can be said.")
        return
    fates = list(dict.fromkeys(flow["fate"]))
    shares = flow.pivot_table(index="arm", columns="fate", values="share", aggfunc="sum", sort=False)
    document.say(
        f"Of the {total:,} baseline rows that made a checkable error and still ended right, each arm's "
        "completion of the same row (same noise up to the first change):"
    )
    document.table(
        ["Arm", *(fate.replace("_", " ") for fate in fates)],
        [[quoted(arm), *(percent(float(line[fate])) for fate in fates)] for arm, line in shares.iterrows()],
    )
    picture(document, evidence, path, "phase2_correction_flow", "The fate of corrections")


def _forced_errors(document: Document, evidence: Evidence) -> None:
    table = evidence.table(files.SPECIFICITY)
    if table is None or "caught_rate" not in table or table["caught_rate"].isna().all():
        return
    document.section("Forced errors", level=3)
    document.say(
        "Right baseline rows with one result made wrong; every arm writes on from there. An error counts "
        "as caught when the row still ends right."
    )
    document.table(
        ["Arm", "An onset follows", "Caught"],
        [
            [
                quoted(row["arm"]),
                rate(row, "marked_rate", n="forced_errors"),
                rate(row, "caught_rate", n="forced_errors"),
            ]
            for row in records(table)
        ],
    )
