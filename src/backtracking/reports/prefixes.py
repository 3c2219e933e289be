"""The part of both reports about fixed prefixes."""

from functools import partial

from backtracking.artifacts.kinds import Figure, Table
from backtracking.claims.wording import counted, lines_of, percent, quoted, rate_text
from backtracking.measurements.fixed_prefixes import KINDS
from backtracking.reports.columns import Lines
from backtracking.reports.page import Page
from backtracking.reports.rows_behind import RowsBehind
from backtracking.run.records import BASELINE_NAME

_EXPLANATION = (
    "Right baseline completions are taken up to the end of a sentence that states a step, once as they were"
    " and once with a wrong result put in; every arm writes on from both. No arm decides here which errors"
    " there are. An onset counts if it comes before the next step. A completion may end right without"
    " one. The share removed is what an arm takes away from the baseline's gap"
    " between the two; it also grows when onsets come after right steps."
)


def write_prefixes(page: Page, artifact: Table, drawn: Figure, behind: RowsBehind, of: str) -> None:
    """What arms do behind the same prefixes, and how the sets of a random arm spread."""
    table = page.section_of(artifact, "The same errors under every arm", level=3)
    if table is None:
        return
    pooled = table[table["draw"].isna()]
    first = lines_of(pooled)[0]
    if pooled["arm"].eq(BASELINE_NAME).all():
        page.say(
            "Only the baseline wrote on from"
            f" {counted(int(first['prefixes']), 'fixed prefix', 'fixed prefixes')}: an onset follows"
            f" {rate_text(first, 'onset_after_injected', n=None)} of the injected errors and"
            f" {rate_text(first, 'onset_after_right', n=None)} of the right steps. There is no arm to set"
            " beside it."
        )
        return
    page.say(_EXPLANATION)
    lines = Lines(lines_of(pooled))
    injected, right = (partial(behind.prefixes, of, put=kind) for kind in KINDS)
    page.show(
        artifact,
        "The same prefixes under every arm",
        lines.names("Arm", "arm", behind.prefixes(of)),
        lines.counts("Prefixes", "prefixes", injected()),
        lines.rates("P(onset | injected error)", "onset_after_injected", link=injected(follows="yes")),
        lines.rates("P(onset | right step)", "onset_after_right", link=right(follows="yes")),
        lines.rates(
            "Share of the gap removed", "share_removed", link=behind.prefixes(of, against=True, follows="yes")
        ),
        lines.p_values("p (Holm)", "gap_diff_p_holm"),
        lines.rates("Ends right after the error", "caught_rate", link=injected(ends="right")),
        lines.rates("Ends right after the right step", "accuracy_right", link=right(ends="right")),
        lines.points(
            "Δ ends right after the right step (points)",
            "accuracy_right_diff",
            right(against=True, ends="right"),
        ),
        lines.rates("Cut", "truncation_rate", link=behind.prefixes(of, cut="yes")),
        lines.counts("Completions", "total", injected()),
    )
    for arm, sets in table[table["draw"].notna()].groupby("arm", sort=False):
        least, most = (percent(float(end)) for end in sets["share_removed"].agg(["min", "max"]))
        page.say(f"The {len(sets)} sets of {quoted(arm)}, each alone, remove {least} to {most} of the gap.")
    page.figure(drawn, behind)
