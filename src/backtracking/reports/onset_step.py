"""The part of Phase 2's report about the onset step: what an intervention does at one position."""

from backtracking.artifacts import phase2 as files
from backtracking.claims.wording import lines_of
from backtracking.reports.columns import Lines
from backtracking.reports.page import Page


def write_onset_step(page: Page) -> None:
    """Probabilities at the deciding position by scale, and what continuations from there hold."""
    summary = page.section_of(files.STEP_SUMMARY, "The onset step")
    if summary is None:
        return
    page.say(
        "The stored tokens are given up to one position, untouched, and the intervention acts there alone: at"
        " the position that decides an onset, or at a matched control without one. Scale 1 is the untouched"
        " model."
    )
    lines = Lines(lines_of(summary))
    page.show(
        files.STEP_SUMMARY,
        "Next-token probabilities at onsets and controls, by scale",
        lines.column("Position", lambda row: str(row["position_kind"]), holds="names"),
        lines.column("Scale", lambda row: f"{row['scale']:g}"),
        lines.counts("Positions", "n"),
        lines.plain("P(onset token)", "onset_prob"),
        lines.plain("P(its family)", "family_prob"),
        lines.plain("P(other families)", "other_families_prob"),
        lines.plain("Entropy (nats)", "entropy"),
        lines.plain("KL (nats)", "kl"),
    )
    page.figure(files.STEP_FIGURE)
    _resumed(page)


def _resumed(page: Page) -> None:
    resumed = page.evidence.table(files.RESUMED_SUMMARY)
    if resumed is None:
        return
    page.say(
        "Continuations are sampled from there; the intervention acts on that one choice, and the untouched"
        " model continues. Does an onset come at once, or later?"
    )
    lines = Lines(lines_of(resumed))
    page.show(
        files.RESUMED_SUMMARY,
        "Onsets in continuations, by scale",
        lines.column("Scale", lambda row: f"{row['scale']:g}"),
        lines.counts("Continuations", "n"),
        lines.rates("Onset at once", "onset_at_once"),
        lines.rates("Onset later", "onset_later"),
        lines.rates("Onset at all", "onset_at_all"),
    )
