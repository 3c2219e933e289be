"""The part of Phase 1's report about where in the network: stability, lens, scan and direction."""

import pandas as pd

from backtracking.artifacts import readings as files
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import (
    TableLine,
    counted,
    lines_of,
    plainly,
    quoted,
    rate_text,
    whole,
)
from backtracking.measurements.floors import FEWEST_PROBLEMS
from backtracking.measurements.separation import where_separated
from backtracking.reports.columns import Lines
from backtracking.reports.lacking import say_what_lacks
from backtracking.reports.page import Page
from backtracking.reports.rows_behind import say_what_was_looked_into

SHOWN_COMPONENTS = 8
_ODDS = "delta_trigger_log_odds"
_COLUMNS = (
    " The log-odds of all triggers say whether an onset comes at all; the share of its word, in log, says"
    " which word it is; the KL divergence at controls is what the same removal costs elsewhere."
)


def write_stability(page: Page) -> None:
    """How often onsets come again when the same prefix is sampled again."""
    page.section("Do the same onsets come again?")
    page.say(how_stable(page.evidence))
    page.figure(files.STABILITY_FIGURE)


def how_stable(evidence: Evidence) -> str:
    """How often onsets come again, beside matched positions without one."""
    if evidence.table(files.STABILITY_SUMMARY) is None:
        return evidence.absence(files.STABILITY_SUMMARY)
    onsets, controls = _resampled(evidence)
    if onsets is None:
        return "No onset was sampled again."
    said = (
        f"From just before each of {counted(int(onsets['positions']), 'onset')},"
        f" {whole(onsets, 'continuations')} continuations were sampled in all (`{files.STABILITY.file}`): an"
        f" onset comes again in {rate_text(onsets, 'share', n=None)} of them, and"
        f" {rate_text(onsets, 'stable_share', n=None)} of the onsets are stable."
    )
    if controls is None:
        return said
    return (
        f"{said} At matched positions without an onset, one comes in {rate_text(controls, 'share', n=None)}."
    )


def _resampled(evidence: Evidence) -> tuple[TableLine | None, TableLine | None]:
    """The lines of onsets and of matched positions."""
    table = evidence.table(files.STABILITY_SUMMARY)
    by_kind = {} if table is None else {str(row["position_kind"]): row for row in lines_of(table)}
    return by_kind.get("onset"), by_kind.get("matched_row")


def write_lens(page: Page) -> None:
    """The onset token through the layers, and through positions."""
    table = page.section_of(files.LENS, "Logit lens")
    if table is None:
        return
    page.say(
        "Each layer's residual stream is read as if it were the last."
        + (
            " Controls are positions without an onset, each kind matched in one thing only."
            if page.evidence.is_own(files.LENS)
            else ""
        )
        + say_what_was_looked_into(page.evidence.paths)
    )
    for kind, part in table.groupby("control_matching", sort=False):
        last = lines_of(part.sort_values("layer"))[-1]
        page.say(
            f"Controls {quoted(kind)}: {whole(last, 'n_bt')} onsets, {whole(last, 'n_control')} "
            f"controls. At the last layer the onset token's mean logit is "
            f"{plainly(last, 'mean_target_logit_bt')} at onsets and "
            f"{plainly(last, 'mean_target_logit_control')} at controls. {_separation(part)}"
        )
    page.figure(files.LENS_FIGURE)
    page.figure(files.LENS_WINDOW_FIGURE)


def _separation(part: pd.DataFrame) -> str:
    """From which layer on the family's log-mass separates, if the table says so."""
    if not {"family_diff", "family_diff_p_holm"} <= set(part):
        return "Where the family's log-mass separates is not in this table."
    if part["family_diff_p_holm"].isna().all() or part["n_control"].max() < FEWEST_PROBLEMS:
        return "Too few matched pairs to test where the family's log-mass separates."
    return f"The family's log-mass separates {where_separated(part)} (Holm-corrected over layers)."


def write_scan(page: Page) -> None:
    """What removing each component alone does, and what the other ways of looking say of it."""
    table = page.section_of(files.IMPORTANCE, "Ablation scan")
    if table is None:
        return
    rule = page.evidence.scan_rule
    order = "delta_wait_logit_mean"
    lines = Lines(lines_of(table.sort_values(order).head(SHOWN_COMPONENTS)))
    page.say(
        "Each component is removed alone at the deciding position of"
        f" {counted(int(table['n_events'].max()), 'onset')}. The table lists the"
        f" {len(lines.rows)} with the lowest change of the onset token's mean logit."
        + (_COLUMNS if page.evidence.holds(files.IMPORTANCE, _ODDS, "delta_word", "kl_control") else "")
    )
    page.show(
        files.IMPORTANCE,
        "What removing each component does",
        lines.column("Component", component_of, holds="names"),
        lines.plain("Δ onset logit", order, "+"),
        lines.plain("Δ log-odds of the triggers", _ODDS, "+"),
        lines.plain("Δ share of its word (log)", "delta_word", "+"),
        lines.plain("KL at controls (nats)", "kl_control"),
        lines.plain("Selectivity", "selectivity"),
        lines.p_values(f"p (Holm, by {rule})", f"{rule}_p_holm"),
    )
    _scan_lacks(page, rule)
    _other_modes(page, rule)
    _selected(page)
    page.figure(files.IMPORTANCE_FIGURE)


def component_of(row: TableLine) -> str:
    """A component as the report names it: `attn 5`."""
    return f"{row['component']} {int(row['layer'])}"


def _scan_lacks(page: Page, rule: str) -> None:
    lacking = {_ODDS: "log-odds of the triggers", "kl_control": "KL at controls", f"{rule}_p_holm": "tests"}
    say_what_lacks(page, page.evidence, files.IMPORTANCE, lacking)


def _other_modes(page: Page, rule: str) -> None:
    """What stands out by each way of removal, where there are several."""
    modes = page.evidence.data(files.SELECTION).get("localisation", {})
    by_mode = {
        mode: by_rule[rule].get("components", [])
        for mode, by_rule in modes.items()
        if isinstance(by_rule, dict) and isinstance(by_rule.get(rule), dict)
    }
    if len(by_mode) > 1:
        listed = "; ".join(f"{quoted(mode)}: {', '.join(names) or 'none'}" for mode, names in by_mode.items())
        page.say(f"What stands out by each way of removal: {listed}.")


def _selected(page: Page) -> None:
    chosen = page.evidence.data(files.SELECTED)
    named = [f"{kind} {layer}" for kind in ("attn", "mlp") for layer in chosen.get(kind) or ()]
    if named:
        page.say(f"Selected for regeneration, the strongest of each kind first: {', '.join(named)}.")
    elif chosen:
        mode = page.evidence.data(files.SELECTION).get("mode")
        under = f" under {quoted(mode)}, which selects" if mode else ""
        page.say(f"Nothing stands out{under}, so nothing was selected for regeneration.")
