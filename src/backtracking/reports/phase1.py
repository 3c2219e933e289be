"""The report of Phase 1: how often, with what accuracy, and where in the network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.claims.audit.check import Check
from backtracking.claims.evidence import Evidence
from backtracking.claims.verdict import Verdict
from backtracking.claims.wording import lines_of, number, percent, quoted
from backtracking.config.schema import NO_MODEL, ExperimentConfig
from backtracking.reports import circuit, errors, mechanism, rates
from backtracking.reports.audit import write_audit
from backtracking.reports.columns import Lines
from backtracking.reports.imported import write_findings_of_traces, write_what_traces_show
from backtracking.reports.lacking import how_graded, is_graded
from backtracking.reports.outcome import write_outcome
from backtracking.reports.page import Page
from backtracking.reports.prefixes import write_prefixes
from backtracking.reports.provenance import model_studied, write_out_of_date, write_provenance
from backtracking.reports.quality import write_quality
from backtracking.reports.rows_behind import ArmsByName
from backtracking.reports.verdicts import write_verdicts
from backtracking.run.records import ALONE, BASELINE_NAME

_SCALES = "scale "
"""Begins a way of removal that leaves a part."""


def phase1_report(
    evidence: Evidence,
    config: ExperimentConfig,
    path: Path,
    stale: Mapping[str, str],
    checks: Sequence[Check],
    judged: Sequence[Verdict],
) -> Page:
    """The whole report, computed from the run's tables; `stale`: which are out of date, and why."""
    main, *_ = config.prompting.variant_names
    page = Page(
        "Backtracking as a state transition: Phase 1",
        evidence=evidence,
        path=path,
        main_variant=main,
        rows_named=ArmsByName(evidence.paths, main),
    )
    page.say(
        f"Run {quoted(evidence.paths.run_id)}, {model_studied(evidence, config)}. Square brackets hold 95%"
        " intervals over problems, except where another unit is named. "
        + how_graded(evidence, (files.FORMATS, files.COMPARISON))
    )
    write_out_of_date(page, stale)
    page.say_where_rows_are()
    if config.is_imported:
        write_what_traces_show(page)
        write_findings_of_traces(page, judged)
    else:
        write_verdicts(page, judged)
    write_audit(page, checks)
    rates.write_rates(page)
    write_quality(page)
    rates.write_accuracy(page)
    _formatting(page)
    errors.write_errors(page)
    if config.model.hf_id != NO_MODEL:
        _inside(page)
    page.name_other_figures()
    _limits(page, has_model=config.model.hf_id != NO_MODEL)
    page.section("Provenance")
    write_provenance(page, evidence)
    return page


def _inside(page: Page) -> None:
    """Everything that takes a model."""
    errors.write_injection(page)
    errors.write_patching(page)
    mechanism.write_stability(page)
    mechanism.write_lens(page)
    mechanism.write_scan(page)
    circuit.write_direct(page)
    circuit.write_pairs(page)
    circuit.write_heads(page)
    circuit.write_positions(page)
    circuit.write_direction(page)
    _conditions(page)


def _conditions(page: Page) -> None:
    table = page.section_of(files.COMPARISON, "Regeneration under ablation")
    if table is None:
        return
    if table["condition"].eq(BASELINE_NAME).all():
        page.say("There are no completions under ablation, so nothing can be compared with the baseline.")
        return
    if page.evidence.is_own(files.COMPARISON):
        page.say(
            f"The targeted ablation {_acts(_how_removed(page, table))} what stands out in the scan; the"
            " random ablation, sets of other components of the same shape. Both write on the same problems,"
            " with the same noise."
        )
    rates.rate_table(page, files.COMPARISON, "Rates by condition", "variant", "condition")
    behind = page.rows_by_arm(str(table["variant"].iloc[0]))
    page.figure(files.COMPARISON_FIGURE, behind)
    write_outcome(page, files.COMPARISON, page.rows_by_condition(), "variant", "condition")
    _say_how_removed(page, table)
    draws = page.evidence.table(files.DRAWS)
    if draws is not None and len(draws) > 1:
        lowest, highest = draws["backtracking_rate"].min(), draws["backtracking_rate"].max()
        page.say(
            f"`random_ablation` pools {len(draws)} sets; taken alone, they backtrack in {percent(lowest)} to "
            f"{percent(highest)} of completions (`{files.DRAWS.file}`)."
        )
    write_prefixes(page, files.PREFIXES, files.PREFIXES_FIGURE, behind, "conditions")


def _acts(removed: str) -> str:
    """What is done to a component."""
    return "scales" if removed.startswith(_SCALES) else "removes"


def _how_removed(page: Page, table: pd.DataFrame) -> str:
    """The way of removal that the run's record names; empty where it names none."""
    stage = f"generate[{table['variant'].iloc[0]}/targeted_ablation]"
    return str(page.evidence.notes(stage).get("removed_by") or "")


def _say_how_removed(page: Page, table: pd.DataFrame) -> None:
    """By which mode, beside the one that selected; and which lines are single components."""
    if removed := _how_removed(page, table):
        by = page.evidence.data(readings.SELECTION).get("mode", "zero")
        how = (
            f"scaled by {removed.removeprefix(_SCALES)}"
            if removed.startswith(_SCALES)
            else f"removed by {quoted(removed)}"
        )
        page.say(f"Components are {how}; the scan selected them by {quoted(by)}.")
    if table["condition"].astype(str).str.startswith(ALONE).any():
        page.say(
            f"`targeted_ablation` {_acts(removed)} what stands out together, a line `single_…` one of"
            " these components alone; the completions are shared out among them."
        )


def _formatting(page: Page) -> None:
    table = page.section_of(files.FORMATS, "Formatting")
    if table is None:
        return
    first = str(lines_of(table)[0]["variant"])
    formats = replace(page.rows_by_condition(), reference=(first, BASELINE_NAME))
    if len(table) == 1:
        page.say(f"One prompt format only, {quoted(first)}: nothing to compare.")
    elif "backtracking_diff" not in table:
        page.say(f"Differences between formats, paired by problem, are not in {files.FORMATS.file}.")
    else:
        lines = Lines(lines_of(table[table["backtracking_diff"].notna()]))
        page.say(f"Each format is compared with {quoted(first)}, problem by problem.")
        page.show(
            files.FORMATS,
            "Change of backtracking by format",
            lines.names("Variant", "variant", formats()),
            lines.points(
                "Δ backtracking (points)", "backtracking_diff", formats.against("backtracking_rate")
            ),
            lines.p_values("p (Holm)", "backtracking_diff_p_holm"),
            lines.points("Δ accuracy (points)", "accuracy_diff", formats.against("accuracy")),
        )
        page.figure(files.FORMATS_FIGURE)
    write_outcome(page, files.FORMATS, formats, "variant")


def _limits(page: Page, *, has_model: bool) -> None:
    """Warnings that follow from the numbers themselves."""
    page.section("What to keep in mind")
    notes = list(_warnings(page.evidence.table(files.FORMATS), ["variant"]))
    notes += _warnings(page.evidence.table(files.COMPARISON), ["variant", "condition"])
    notes.append(
        "An onset is a phrase found in the text; the detector does not see what the model does between"
        " phrases."
    )
    if has_model:
        notes.append(
            "Removing a component altogether can break more than it explains; Phase 2 tries smaller doses."
        )
    page.bullets(list(dict.fromkeys(notes)))


def _warnings(table: pd.DataFrame | None, names: Sequence[str]) -> Sequence[str]:
    if table is None or not is_graded(table):
        return []
    if "truncation_rate" not in table:
        return [
            "The tables hold no truncation rates, so accuracy cannot be told from the effect of the token"
            " cap."
        ]
    cut = table[table["truncation_rate"] > 0.10]
    return [
        f"{' / '.join(quoted(row[name]) for name in names)}: {percent(number(row, 'truncation_rate'))} of "
        "the completions were cut; accuracy then measures where they were cut as much as what they say."
        for row in lines_of(cut)
    ]
