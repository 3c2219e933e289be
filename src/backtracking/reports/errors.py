"""The part of Phase 1's report about errors: what follows them, what injected ones do, what carries them."""

from backtracking.artifacts import readings as files
from backtracking.artifacts.phase1 import COUPLING
from backtracking.claims.wording import lines_of
from backtracking.measurements.injections import FEWEST_PAIRS
from backtracking.reports.columns import Lines
from backtracking.reports.mechanism import component_of
from backtracking.reports.page import Page


def write_errors(page: Page) -> None:
    """Whether onsets follow the model's own wrong steps."""
    table = page.section_of(COUPLING, "Errors and onsets")
    if table is None:
        return
    page.say(
        "All checkable steps of the completions, repeated ones included, and whether an onset follows before"
        " the next step. The odds ratio compares wrong and right steps of the same problem."
    )
    lines, behind = Lines(lines_of(table)), page.rows_by_condition()
    page.show(
        COUPLING,
        "Onsets after the model's own wrong and right steps",
        lines.names("Variant", "variant", behind()),
        lines.names("Condition", "condition", behind()),
        lines.rates("Onset after a wrong step", "p_onset_after_wrong", link=behind("onset_after_wrong")),
        lines.rates("Onset after a right step", "p_onset_after_right", link=behind("onset_after_right")),
        lines.plain("Odds ratio", "odds_ratio", link=behind("right_steps")),
        lines.counts("Wrong steps", "n_wrong", link=behind(steps="wrong")),
        lines.counts("Right steps", "n_right", link=behind("right_steps")),
    )


def write_injection(page: Page) -> None:
    """What a wrong result put into right completions does to the onset."""
    table = page.section_of(files.INJECTION_SUMMARY, "Errors put into right completions", level=3)
    if table is None:
        return
    page.say(
        "Steps of right completions are rewritten, some so that they become wrong and some so that they stay"
        " right. The change is that of the onset's log-mass where the next sentence begins, in nats."
    )
    lines = Lines(lines_of(table))
    page.show(
        files.INJECTION_SUMMARY,
        "Change of the onset's log-mass by kind of rewrite",
        lines.names("Rewrite", "kind"),
        lines.counts("Rewrites", "n"),
        lines.plain("Change (nats)", "change", "+"),
        lines.plain("Above harmless rewrites (nats)", "above_harmless", "+"),
        lines.p_values("p (Holm)", "p_holm"),
        lines.shares("Share raised", "share_raised"),
    )
    page.figure(files.INJECTION_FIGURE)


def write_patching(page: Page) -> None:
    """Which components carry the error's signal."""
    table = page.section_of(files.PATCHING, "What carries the error signal", level=3)
    if table is None:
        return
    page.say(
        "A component's output is swapped between a prefix with a wrong result and the same prefix with the"
        " right one. The share is how much of the gap in the onset's log-odds the swap moves. Denoising puts"
        " the right output into the wrong prefix, noising the wrong one into the right prefix."
    )
    pairs = int(table["n_pairs"].max()) if "n_pairs" in table and len(table) else 0
    if pairs < FEWEST_PAIRS:
        page.say(
            f"Swapping activations between right and wrong prefixes rests on n = {pairs} "
            f"pair{'' if pairs == 1 else 's'}; with fewer than {FEWEST_PAIRS} it is no finding."
        )
        return
    strongest = table.loc[table.groupby(["direction", "positions"], sort=False)["share"].idxmax()]
    lines = Lines(lines_of(strongest))
    page.show(
        files.PATCHING,
        "The component that moves most, by direction and positions",
        lines.column("Component", component_of, holds="names"),
        lines.text("Direction", lambda row: str(row["direction"])),
        lines.text("Positions", lambda row: str(row["positions"])),
        lines.rates("Share of the gap moved", "share"),
        lines.p_values("p (Holm)", "p_holm"),
        lines.counts("Pairs", "n_pairs"),
        lines.counts("Problems", "n_problems"),
    )
    page.figure(files.PATCHING_FIGURE)
