"""The report of Phase 2: can onsets be turned down, at what price, and what leaks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.kinds import Table
from backtracking.artifacts.phase1 import SPLIT
from backtracking.claims.audit.check import Check
from backtracking.claims.evidence import Evidence
from backtracking.claims.reduction import why_untested
from backtracking.claims.verdict import Verdict
from backtracking.claims.wording import count, number, p_value, percent, plain, points, quoted, rate, records
from backtracking.config.schema import ExperimentConfig
from backtracking.measurements.metrics import called, heading
from backtracking.reports.audit import write_audit
from backtracking.reports.document import Document
from backtracking.reports.lacking import how_graded, say_what_lacks
from backtracking.reports.leaks import write_leaks
from backtracking.reports.mechanism import say_how_stable
from backtracking.reports.outcome import write_outcome
from backtracking.reports.phase1 import more_pictures, picture
from backtracking.reports.prefixes import write_prefixes
from backtracking.reports.provenance import model_studied, write_out_of_date, write_provenance
from backtracking.reports.verdicts import write_verdicts
from backtracking.run.records import BASELINE_NAME

RATES = ("backtracking_rate", "accuracy", "truncation_rate")
ARM_HEAD = (
    "Arm",
    "Components",
    *map(heading, RATES),
    f"Δ {called('backtracking_rate')} (points)",
    "p (Holm)",
    f"Δ {called('accuracy')} (points)",
    "Retention",
    "Verdict",
)
ARM_COLUMNS = {
    "backtracking_rate_low": "intervals",
    "truncation_rate": "the share cut at the cap",
    "backtracking_diff": "paired differences",
    "retention": "retention",
    "verdict": "verdicts",
}
SWEEPS = (files.SUBSETS, files.SCALES)


def phase2_report(
    evidence: Evidence,
    phase1: Evidence | None,
    config: ExperimentConfig,
    path: Path,
    stale: Mapping[str, str],
    checks: Sequence[Check],
    judged: Sequence[Verdict],
) -> Document:
    """The whole report, computed from both phases' tables; `stale`: which are out of date, and why."""
    document = Document("Turning backtracking down: Phase 2")
    built_on = f", built on Phase 1 run {quoted(phase1.paths.run_id)}" if phase1 else ""
    document.say(
        f"Run {quoted(evidence.paths.run_id)}{built_on}, {model_studied(evidence, config)}. Square "
        "brackets hold 95% intervals; the unit of resampling is the problem; differences to the baseline "
        "are paired. " + how_graded(evidence, SWEEPS)
    )
    write_out_of_date(document, stale)
    write_audit(document, checks)
    document.section("Findings")
    write_verdicts(document, judged)
    _baseline(document, evidence, path)
    for command, title, name, figure in (
        ("phase2-subset-sweep", "Subset sweep", SWEEPS[0], "phase2_subset_sweep"),
        ("phase2-scale-sweep", "Scale sweep", SWEEPS[1], "phase2_scale_tradeoff"),
    ):
        _sweep(document, evidence, path, command, title, name, figure)
    _choice(document, evidence, path)
    _onset_step(document, evidence, path)
    if phase1 is not None:
        say_how_stable(document, phase1)
    write_leaks(document, evidence, path)
    more_pictures(document, evidence, path)
    _hooks(document, evidence)
    _limits(document, evidence)
    write_provenance(document, evidence)
    if phase1 is not None:
        write_provenance(document, phase1)
    return document


def _baseline(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Baseline only")
    summary = evidence.data(files.METRICS).get("baseline_only_summary")
    if not isinstance(summary, dict) or not summary:
        document.say(evidence.absence(files.METRICS))
        return
    rows = [(name, row) for name, row in summary.items() if isinstance(row, dict)] or [
        ("all variants", summary)
    ]
    document.table(
        [
            "Variant",
            heading("backtracking_rate"),
            heading("accuracy"),
            heading("accuracy_graded"),
            heading("truncation_rate"),
        ],
        [
            [
                quoted(name),
                rate(row, "backtracking_rate"),
                rate(row, "accuracy_of_all"),
                rate(row, "accuracy", n="graded_count"),
                rate(row, "truncation_rate", n=None),
            ]
            for name, row in rows
        ],
    )
    picture(document, evidence, path, "phase2_baseline_summary", "Baseline rates, no intervention")


def _sweep(
    document: Document, evidence: Evidence, path: Path, command: str, title: str, swept: Table, figure: str
) -> None:
    document.section(title)
    table = evidence.table(swept)
    if table is None:
        document.say(evidence.absence(swept))
        return
    document.table(ARM_HEAD, [_arm_line(row) for row in records(table)])
    say_what_lacks(document, evidence, swept, ARM_COLUMNS)
    write_outcome(document, evidence, swept, ["arm"])
    _left_out(document, evidence, command)
    picture(document, evidence, path, figure, title)
    if "loop_rate" in table:
        _degeneration(document, table)


def _left_out(document: Document, evidence: Evidence, command: str) -> None:
    """Subsets that could not be built, and arms whose rows cannot be judged."""
    left_out = evidence.notes(command).get("left_out", {})
    if left_out:
        document.say("Left out, because Phase 1 has nothing to build them from:")
        document.bullets([f"{quoted(name)}: {quoted(reason, 300)}" for name, reason in left_out.items()])


def _degeneration(document: Document, table: pd.DataFrame) -> None:
    document.section("Signs of degeneration", level=3)
    columns = [
        ("loop_rate", "Loops"),
        ("empty_rate", "Empty"),
        ("no_answer_rate", "No answer"),
        ("non_ascii_rate", "Non-ASCII bursts"),
    ]
    document.table(
        [
            "Arm",
            *(label for _, label in columns),
            "Distinct 3-grams ÷ baseline",
            "Tokens per completion",
            "Onsets per 1k tokens",
        ],
        [
            [
                quoted(row["arm"]),
                *(percent(number(row, column)) for column, _ in columns),
                plain(row, "distinct_3_ratio", ".2f"),
                plain(row, "mean_tokens", ".0f"),
                plain(row, "onsets_per_1k_tokens", ".2f"),
            ]
            for row in records(table)
        ],
    )


def _arm_line(row: dict[Any, Any]) -> list[str]:
    return [
        quoted(row["arm"]),
        count(row, "num_components"),
        rate(row, "backtracking_rate"),
        rate(row, "accuracy"),
        rate(row, "truncation_rate", n=None),
        points(row, "backtracking_diff"),
        p_value(number(row, "backtracking_diff_p_holm")),
        points(row, "accuracy_diff"),
        percent(number(row, "retention"), 0),
        str(row["verdict"]) if isinstance(row.get("verdict"), str) else "",
    ]


def _choice(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Choice and confirmation")
    searched, confirmed = evidence.table(files.CHOICE), evidence.table(files.CONFIRMED)
    if searched is None or confirmed is None:
        document.say(evidence.absence(files.CONFIRMED))
        return
    halves = evidence.data(SPLIT)
    left_out = len(halves.get("left_out", []))
    document.say(
        f"Arms were picked on {len(halves.get('search', []))} problems and measured again on "
        f"{len(halves.get('confirm', []))} others; only the second numbers may be quoted. "
        + (f"Phase 1 had looked into {left_out} more, so they confirm nothing. " if left_out else "")
        + f"{len(searched) - 1} arms were tried, and the p-values are corrected for their number."
    )
    trials = evidence.table(files.TRIALS)
    if trials is not None:
        document.say(f"The search beyond the named subsets spent {len(trials):,} trials.")
    front = searched.sort_values("front_probability", ascending=False).head(10)
    document.table(
        [
            "Arm (search half)",
            "P(on the front)",
            *map(heading, ("backtracking_rate", "onset_after_wrong", "accuracy", "truncation_rate")),
            "Verdict",
        ],
        [
            [
                quoted(row["arm"]),
                percent(number(row, "front_probability"), 0),
                rate(row, "backtracking_rate"),
                rate(row, "onset_after_wrong", n="fresh_wrong_count"),
                rate(row, "accuracy"),
                rate(row, "truncation_rate", n=None),
                str(row["verdict"]) if isinstance(row["verdict"], str) else "",
            ]
            for row in records(front)
        ],
    )
    if confirmed["subset_name"].eq(BASELINE_NAME).all():
        untested = why_untested(searched[searched["kind"] == "intervention"])
        why = (
            f"could be judged on the search half ({untested})" if untested else "qualified on the search half"
        )
        document.say(f"No arm {why}, so there was nothing to confirm on the other.")
    document.table(
        ["Role (confirm half)", *ARM_HEAD],
        [[str(row["role"]), *_arm_line(row)] for row in records(confirmed)],
    )
    write_outcome(document, evidence, files.CONFIRMED, ["role", "arm"])
    picture(document, evidence, path, "phase2_choice", "Arms on the search half, and the confirmation")
    write_prefixes(document, evidence, files.CONFIRM_PREFIXES)
    picture(document, evidence, path, "phase2_fixed_prefixes", "The same errors under every arm")


def _onset_step(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("The onset step")
    summary = evidence.table(files.STEP_SUMMARY)
    if summary is None:
        document.say(evidence.absence(files.STEP_SUMMARY))
        return
    document.say(
        "Teacher-forced on the stored tokens: the prefix is untouched and the intervention acts on the one "
        "position that decides the onset, or on a matched position without one. Scale 1 is the untouched "
        "model."
    )
    head = [
        "Position",
        "Scale",
        "n",
        "P(onset token)",
        "P(its family)",
        "P(other families)",
        "Entropy (nats)",
        "KL (nats)",
    ]
    columns = ["onset_prob", "family_prob", "other_families_prob", "entropy", "kl"]
    document.table(
        head,
        [
            [
                str(row["position_kind"]),
                f"{row['scale']:g}",
                f"{int(row['n']):,}",
                *(plain(row, name) for name in columns),
            ]
            for row in records(summary)
        ],
    )
    _resumed(document, evidence)
    picture(document, evidence, path, "phase2_continuation_effect", "P(onset) before and after, per scale")


def _resumed(document: Document, evidence: Evidence) -> None:
    resumed = evidence.table(files.RESUMED_SUMMARY)
    if resumed is None:
        return
    document.say(
        "Continuations sampled from there (the intervention acts on that one choice; the untouched model "
        "goes on): does an onset come at once, or later?"
    )
    shares = ("onset_at_once", "onset_later", "onset_at_all")
    document.table(
        ["Scale", "Onset at once", "Onset later", "Onset at all"],
        [[f"{row['scale']:g}", *(rate(row, name, n="n") for name in shares)] for row in records(resumed)],
    )


def _hooks(document: Document, evidence: Evidence) -> None:
    debug = evidence.data(files.HOOK_DEBUG)
    if not debug:
        return
    document.section("What the hooks did")
    if "matches_schedule" in debug:
        agrees = "agree with" if debug["matches_schedule"] else "**differ from**"
        checked = f"the counts {agrees} what the schedule says for the rows generated"
    else:
        checked = f"whether the counts are what the schedule says is not in {files.HOOK_DEBUG.file}"
    document.say(
        f"{count(debug, 'total_calls')} calls of intervened modules, {count(debug, 'ablation_calls')} acted "
        f"on and {count(debug, 'skipped_calls')} left alone; {checked}."
    )
    document.bullets([quoted(line, 200) for line in debug.get("differences", [])])


def _limits(document: Document, evidence: Evidence) -> None:
    document.section("What to keep in mind")
    notes = []
    for sweep in SWEEPS:
        table = evidence.table(sweep)
        if table is not None and "truncation_rate" not in table:
            notes.append(f"{sweep.file} holds no truncation rates: its accuracies may measure the token cap.")
        elif table is not None:
            cut = table[table["truncation_rate"] > 0.10]
            notes += [
                f"{quoted(row['arm'])}: {percent(number(row, 'truncation_rate'))} cut at the cap; its "
                "accuracy measures the cap too."
                for row in records(cut)
            ]
    notes.append(
        "Fewer onset phrases need not mean less checking: a model may correct itself without saying so."
    )
    document.bullets(list(dict.fromkeys(notes)))
