"""The report of Phase 1: how often, with what accuracy, and where in the network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import readings
from backtracking.claims.audit.check import Check
from backtracking.claims.evidence import Evidence
from backtracking.claims.verdict import Verdict
from backtracking.claims.wording import count, number, p_value, percent, plain, points, quoted, rate, records
from backtracking.config.onsets import TURN_KINDS
from backtracking.config.schema import NO_MODEL, ExperimentConfig
from backtracking.measurements.metrics import heading
from backtracking.measurements.statistics import LEVEL
from backtracking.reports.audit import write_audit
from backtracking.reports.document import Document
from backtracking.reports.lacking import how_graded, say_what_lacks
from backtracking.reports.mechanism import say_few_pairs, say_how_stable
from backtracking.reports.outcome import write_outcome
from backtracking.reports.prefixes import write_prefixes
from backtracking.reports.provenance import model_studied, write_out_of_date, write_provenance
from backtracking.reports.verdicts import write_verdicts
from backtracking.run.records import BASELINE_NAME

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
    "accuracy_finished": "accuracy among finished",
}
SEPARATION_SHARE = 0.1
"""Smaller differences than this share of the largest one do not count as separation."""


def phase1_report(
    evidence: Evidence,
    config: ExperimentConfig,
    path: Path,
    stale: Mapping[str, str],
    checks: Sequence[Check],
    judged: Sequence[Verdict],
) -> Document:
    """The whole report, computed from the run's tables; `stale`: which are out of date, and why."""
    document = Document("Backtracking as a state transition: Phase 1")
    document.say(
        f"Run {quoted(evidence.paths.run_id)}, {model_studied(evidence, config)}. Square "
        "brackets hold 95% intervals; the unit of resampling is the problem. "
        + how_graded(evidence, (files.FORMATS, files.COMPARISON))
    )
    if config.model.hf_id == NO_MODEL:
        document.say(
            "Lens, scan, ablation and error injection need a model, so there is nothing of theirs here; "
            "a claim that rests on one of them is not testable."
        )
    write_out_of_date(document, stale)
    write_audit(document, checks)
    document.section("Findings")
    write_verdicts(document, judged)
    _rates(document, evidence, path)
    _accuracy(document, evidence, path)
    if config.model.hf_id != NO_MODEL:
        say_how_stable(document, evidence)
        _lens(document, evidence, path)
        _scan(document, evidence, path)
        _conditions(document, evidence, path)
    _formatting(document, evidence, path)
    _errors(document, evidence)
    more_pictures(document, evidence, path)
    _limits(document, evidence)
    write_provenance(document, evidence)
    return document


def _rates(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("How often, baseline only")
    table = evidence.table(files.FORMATS)
    if table is None:
        document.say(evidence.absence(files.FORMATS))
        return
    document.table(
        ["Variant", *map(heading, RATES)],
        [_rate_line(row, quoted(row["variant"])) for row in records(table)],
    )
    if evidence.holds(files.FORMATS, "doubt_rate"):
        document.say(
            "Doubt questions what was written, redo drops it and goes another way; both are shares of "
            "completions, and found by rules of their own beside the strict phrases."
        )
    say_what_lacks(document, evidence, files.FORMATS, RATE_COLUMNS)
    picture(document, evidence, path, "backtracking_rate_by_variant", "Baseline rates by prompt variant")


def _rate_line(row: dict[Any, Any], *names: str) -> list[str]:
    counts = {
        "backtracking_rate": "total",
        "accuracy": "gold_count" if "gold_count" in row else "total",
        "accuracy_finished": "finished_count",
    }
    return [*names, *(rate(row, name, n=counts.get(name)) for name in RATES)]


def _accuracy(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Backtracking and accuracy")
    groups = evidence.data(files.SUMMARY).get("backtracking_vs_accuracy", {})
    groups = {
        variant: group
        for variant, group in (groups.items() if isinstance(groups, dict) else ())
        if isinstance(group, dict) and {"with_backtracking", "without_backtracking"} <= set(group)
    }
    if not groups:
        document.say("Accuracy with and without backtracking is not in " + files.SUMMARY.file + ".")
        return
    document.say(
        "Rows that backtrack are not a random sample: hard problems make for more errors and for more "
        "doubt. The table below is marginal; the verdict above compares within problems."
    )
    document.table(
        [
            "Variant",
            "Accuracy with",
            "Accuracy without",
            "Cut with",
            "Cut without",
            "Accuracy among finished with",
            "… without",
            "Odds ratio within problems",
            "Informative problems",
        ],
        [
            [
                quoted(variant),
                rate(group["with_backtracking"], "accuracy"),
                rate(group["without_backtracking"], "accuracy"),
                rate(group["with_backtracking"], "truncation_rate", n=None),
                rate(group["without_backtracking"], "truncation_rate", n=None),
                rate(group["with_backtracking"], "accuracy_finished", n="finished_count"),
                rate(group["without_backtracking"], "accuracy_finished", n="finished_count"),
                plain(group, "odds_ratio", ".2f"),
                str(group.get("informative_problems", "—")),
            ]
            for variant, group in groups.items()
        ],
    )
    picture(
        document,
        evidence,
        path,
        "backtracking_vs_accuracy",
        "Accuracy with and without backtracking, baseline",
    )


def _lens(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Logit lens")
    table = evidence.table(readings.LENS)
    if table is None:
        document.say(evidence.absence(readings.LENS))
        return
    for kind, part in table.groupby("control_matching", sort=False):
        last = records(part.sort_values("layer"))[-1]
        document.say(
            f"Controls {quoted(kind)}: {count(last, 'n_bt')} onsets, {count(last, 'n_control')} controls. "
            f"At the last layer the onset token's mean logit is {plain(last, 'mean_target_logit_bt')} at "
            f"onsets and {plain(last, 'mean_target_logit_control')} at controls. {_separation(part)}"
        )
    picture(document, evidence, path, "wait_logit_lens_bt_vs_control", "The onset token through the layers")


def _separation(part: pd.DataFrame) -> str:
    """From which layer on the family's log-mass separates, if the table says so."""
    if not {"family_diff", "family_diff_p_holm"} <= set(part):
        return "Where the family's log-mass separates is not in this table."
    if part["family_diff_p_holm"].isna().all():
        return "Too few matched pairs to test where the family's log-mass separates."
    apart = _first_apart(part)
    where = "at no layer" if apart is None else f"first at layer {apart}"
    return f"The family's log-mass separates {where} (Holm-corrected over layers)."


def _first_apart(part: pd.DataFrame) -> int | None:
    clear = part["family_diff"] >= SEPARATION_SHARE * max(0.0, part["family_diff"].max())
    apart = part[clear & (part["family_diff"] > 0) & (part["family_diff_p_holm"] < LEVEL)]
    return None if apart.empty else int(apart["layer"].min())


def _scan(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Ablation scan")
    table = evidence.table(readings.IMPORTANCE)
    if table is None:
        document.say(evidence.absence(readings.IMPORTANCE))
        return
    strongest = table.sort_values("delta_wait_logit_mean").head(8)
    rule = evidence.scan_rule
    document.say(
        f"Each component is removed alone at the deciding position of {int(table['n_events'].max()):,} "
        "onsets. The eight with the most negative mean change of the onset token's logit, beside what the "
        "same removal costs elsewhere. The log-odds of all triggers say whether an onset comes at all, the "
        "share of its word (in log) which of them it is:"
    )
    document.table(
        [
            "Component",
            "Δ onset logit",
            "Δ log-odds of the triggers",
            "Δ share of its word",
            "KL at controls (nats)",
            "Selectivity",
            f"p (Holm, by {rule})",
        ],
        [
            [
                f"{row['component']} {row['layer']}",
                plain(row, "delta_wait_logit_mean"),
                plain(row, "delta_trigger_log_odds"),
                plain(row, "delta_word"),
                plain(row, "kl_control"),
                plain(row, "selectivity"),
                p_value(number(row, f"{rule}_p_holm")),
            ]
            for row in records(strongest)
        ],
    )
    lacking = {
        "delta_trigger_log_odds": "log-odds of the triggers",
        "kl_control": "KL at controls",
        f"{rule}_p_holm": "tests",
    }
    say_what_lacks(document, evidence, readings.IMPORTANCE, lacking)
    chosen = evidence.data(readings.SELECTED)
    if any(chosen.values()):
        listed = ", ".join(f"{kind} {chosen.get(kind, [])}" for kind in ("attn", "mlp"))
        document.say(f"Selected for regeneration, strongest first: {listed}.")
    elif chosen:
        document.say("Nothing stands out, so nothing was selected for regeneration.")
    picture(document, evidence, path, "ablation_importance_by_layer", "Effect of removing each component")


def _conditions(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Regeneration under ablation")
    table = evidence.table(files.COMPARISON)
    if table is None:
        document.say(evidence.absence(files.COMPARISON))
        return
    document.table(
        ["Variant", "Condition", *map(heading, RATES)],
        [_rate_line(row, quoted(row["variant"]), quoted(row["condition"])) for row in records(table)],
    )
    say_what_lacks(document, evidence, files.COMPARISON, RATE_COLUMNS)
    write_outcome(document, evidence, files.COMPARISON, ["variant", "condition"])
    if table["condition"].eq(BASELINE_NAME).all():
        document.say("No completions under ablation, so there is nothing to compare the baseline with.")
    draws = evidence.table(files.DRAWS)
    if draws is not None and len(draws) > 1:
        lowest, highest = draws["backtracking_rate"].min(), draws["backtracking_rate"].max()
        document.say(
            f"`random_ablation` pools {len(draws)} draws; taken alone they backtrack in {percent(lowest)} to "
            f"{percent(highest)} of completions (`{files.DRAWS.file}`)."
        )
    picture(document, evidence, path, "backtracking_rate_by_condition", "Rates by condition")
    write_prefixes(document, evidence, files.PREFIXES)
    picture(document, evidence, path, "fixed_prefixes", "The same errors under every condition")


def _formatting(document: Document, evidence: Evidence, path: Path) -> None:
    document.section("Formatting")
    table = evidence.table(files.FORMATS)
    if table is None:
        document.say(evidence.absence(files.FORMATS))
    elif "backtracking_diff" not in table:
        document.say("Differences between formats, paired by problem, are not in " + files.FORMATS.file + ".")
    else:
        document.table(
            ["Variant", "Difference in backtracking (points)", "p (Holm)"],
            [
                [
                    quoted(row["variant"]),
                    points(row, "backtracking_diff"),
                    p_value(number(row, "backtracking_diff_p_holm")),
                ]
                for row in records(table)
            ],
        )
    write_outcome(document, evidence, files.FORMATS, ["variant"])
    picture(document, evidence, path, "formatting_effect_on_backtracking", "Formatting and backtracking")


def _errors(document: Document, evidence: Evidence) -> None:
    table = evidence.table(files.COUPLING)
    document.section("Errors and onsets")
    if table is None:
        document.say(evidence.absence(files.COUPLING))
        return
    document.say(
        "Checkable arithmetic in the completions, and whether an onset follows before the next such "
        "statement. The odds ratio compares wrong and right steps of the same problem."
    )
    document.table(
        ["Variant", "Condition", "Onset after a wrong step", "Onset after a right step", "Odds ratio"],
        [
            [
                quoted(row["variant"]),
                quoted(row["condition"]),
                rate(row, "p_onset_after_wrong", n="n_wrong"),
                rate(row, "p_onset_after_right", n="n_right"),
                plain(row, "odds_ratio", ".2f"),
            ]
            for row in records(table)
        ],
    )
    injected = evidence.table(readings.INJECTION_SUMMARY)
    if injected is None:
        document.say(evidence.absence(readings.INJECTION_SUMMARY))
    else:
        document.say(
            "Results of right completions replaced: change of the onset's log-mass afterwards, in nats."
        )
        document.table(
            ["Rewrite", "n", "Change", "Above harmless rewrites"],
            [
                [
                    quoted(row["kind"]),
                    plain(row, "n", ".0f"),
                    plain(row, "change"),
                    plain(row, "above_harmless"),
                ]
                for row in records(injected)
            ],
        )
    say_few_pairs(document, evidence)


def more_pictures(document: Document, evidence: Evidence, path: Path) -> None:
    """The run's other figures, so that no result is left out because this report does not discuss it."""
    names = evidence.figures_beside(document.shown)
    if names:
        document.section("More figures")
    for name in names:
        picture(document, evidence, path, name, name.replace("_", " ").capitalize())


def _limits(document: Document, evidence: Evidence) -> None:
    """Warnings that follow from the numbers themselves."""
    document.section("What to keep in mind")
    notes = list(_warnings(evidence.table(files.FORMATS), ["variant"]))
    notes += _warnings(evidence.table(files.COMPARISON), ["variant", "condition"])
    notes.append(
        "An onset is a phrase found in the text; what the model does between phrases is not seen by the "
        "detector."
    )
    notes.append(
        "Ablating a component at full strength can break more than it explains; see Phase 2 for doses."
    )
    document.bullets(list(dict.fromkeys(notes)))


def _warnings(table: pd.DataFrame | None, names: Sequence[str]) -> Sequence[str]:
    if table is None:
        return []
    if "truncation_rate" not in table:
        return [
            "The tables hold no truncation rates, so accuracy cannot be told from the effect of the token "
            "cap."
        ]
    cut = table[table["truncation_rate"] > 0.10]
    return [
        f"{' / '.join(quoted(row[name]) for name in names)}: {percent(number(row, 'truncation_rate'))} of "
        "the completions were cut at the cap; their accuracy measures the cap as much as the model."
        for row in records(cut)
    ]


def picture(document: Document, evidence: Evidence, path: Path, name: str, caption: str) -> None:
    """Show a figure, if it was drawn."""
    figure = evidence.figure(name, path)
    if figure is not None:
        document.picture(figure, caption)
