"""The report of Phase 2: can onsets be turned down, at what price, and what leaks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from backtracking.artifacts import phase2 as files
from backtracking.artifacts.readings import STABILITY_SUMMARY
from backtracking.claims.audit.check import Check
from backtracking.claims.evidence import Evidence
from backtracking.claims.verdict import Verdict
from backtracking.claims.wording import lines_of, number, percent, quoted, whole
from backtracking.config.phase2 import Phase2Config
from backtracking.config.schema import ExperimentConfig
from backtracking.measurements.metrics import heading
from backtracking.reports.audit import write_audit
from backtracking.reports.choice import write_choice
from backtracking.reports.columns import Lines
from backtracking.reports.lacking import how_graded
from backtracking.reports.leaks import write_leaks
from backtracking.reports.mechanism import how_stable
from backtracking.reports.onset_step import write_onset_step
from backtracking.reports.page import Page
from backtracking.reports.provenance import model_studied, write_out_of_date, write_provenance
from backtracking.reports.rows_behind import ArmsByName, RowsBehind
from backtracking.reports.sweeps import write_scales, write_subsets
from backtracking.reports.verdicts import write_verdicts
from backtracking.run.records import BASELINE_NAME

SWEEPS = (files.SUBSETS, files.SCALES)


def phase2_report(
    evidence: Evidence,
    phase1: Evidence | None,
    config: ExperimentConfig,
    path: Path,
    stale: Mapping[str, str],
    checks: Sequence[Check],
    judged: Sequence[Verdict],
) -> Page:
    """The whole report, computed from both phases' tables; `stale`: which are out of date, and why."""
    asked = config.phase2 or Phase2Config()
    page = Page(
        "Turning backtracking down: Phase 2",
        evidence=evidence,
        path=path,
        rows_named=ArmsByName(evidence.paths, asked.subset_sweep.variant, phase1.paths if phase1 else None),
    )
    built_on = f", built on Phase 1 run {quoted(phase1.paths.run_id)}" if phase1 else ""
    page.say(
        f"Run {quoted(evidence.paths.run_id)}{built_on}, {model_studied(evidence, config)}. Square brackets"
        " hold 95% intervals; the unit of resampling is the problem; differences to the baseline are"
        " paired. " + how_graded(evidence, SWEEPS)
    )
    write_out_of_date(page, stale)
    page.say_where_rows_are()
    write_verdicts(page, judged)
    write_audit(page, checks)
    _baseline(page, phase1)
    write_subsets(page, page.rows_by_arm(asked.subset_sweep.variant))
    write_scales(page, page.rows_by_arm(asked.scale_sweep.variant))
    write_choice(page, page.rows_by_arm(asked.subset_sweep.variant))
    write_onset_step(page)
    if phase1 is not None and phase1.table(STABILITY_SUMMARY) is not None:
        page.say(how_stable(phase1))
    write_leaks(page, page.rows_by_arm(asked.subset_sweep.variant))
    page.name_other_figures()
    _hooks(page)
    _limits(page)
    page.section("Provenance")
    for run in filter(None, (evidence, phase1)):
        write_provenance(page, run)
    return page


def _baseline(page: Page, phase1: Evidence | None) -> None:
    page.section("Baseline only")
    summary = page.evidence.data(files.METRICS).get("baseline_only_summary")
    if not isinstance(summary, dict) or not summary:
        page.absent(files.METRICS)
        return
    page.say("The completions of Phase 1 that no intervention touched.")
    by_variant = {name: row for name, row in summary.items() if isinstance(row, dict)}
    rows = [{"variant": name} | row for name, row in by_variant.items()] or [
        {"variant": "all variants"} | summary
    ]
    lines = Lines(rows)
    behind = RowsBehind((phase1 or page.evidence).paths, lambda row: (str(row["variant"]), BASELINE_NAME))
    page.show(
        files.METRICS,
        "Rates of the baseline by prompt format",
        lines.names("Variant", "variant", behind()),
        lines.counts("Completions", "total", behind()),
        lines.rates(heading("backtracking_rate"), "backtracking_rate", link=behind("backtracking_rate")),
        lines.rates(heading("accuracy"), "accuracy_of_all", link=behind("accuracy")),
        lines.rates(heading("accuracy_graded"), "accuracy", link=behind("accuracy")),
        lines.rates(heading("truncation_rate"), "truncation_rate", link=behind("truncation_rate")),
        lines.counts("Graded", "graded_count", behind("graded")),
    )
    page.figure(files.METRICS_FIGURE)


def _hooks(page: Page) -> None:
    debug = page.evidence.data(files.HOOK_DEBUG)
    if not debug:
        return
    page.section("What the hooks did")
    if "matches_schedule" in debug:
        agrees = "agree with" if debug["matches_schedule"] else "**differ from**"
        checked = f"The counts {agrees} what the schedule says for these completions."
    else:
        checked = f"Whether the counts are what the schedule says is not in {files.HOOK_DEBUG.file}."
    page.say(
        f"Intervened modules were called {whole(debug, 'total_calls')} times:"
        f" {whole(debug, 'ablation_calls')} calls were acted on, {whole(debug, 'skipped_calls')} left alone."
        f" {checked}"
    )
    page.bullets([quoted(line, 200) for line in debug.get("differences", [])])


def _limits(page: Page) -> None:
    page.section("What to keep in mind")
    notes = []
    for sweep in SWEEPS:
        table = page.evidence.table(sweep)
        if table is not None and "truncation_rate" not in table:
            notes.append(f"{sweep.file} holds no truncation rates: its accuracies may measure the token cap.")
        elif table is not None:
            cut = table[table["truncation_rate"] > 0.10]
            notes += [
                f"{quoted(row['arm'])}: {percent(number(row, 'truncation_rate'))} of the completions were cut"
                " at the cap; its accuracy measures the cap too."
                for row in lines_of(cut)
            ]
    notes.append(
        "Fewer onset phrases need not mean less checking: a model may correct itself without saying so."
    )
    page.bullets(list(dict.fromkeys(notes)))
