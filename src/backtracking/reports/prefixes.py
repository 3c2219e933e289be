"""The part of both reports about fixed prefixes."""

from backtracking.artifacts.kinds import Table
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import count, number, p_value, percent, points, quoted, rate, records
from backtracking.reports.document import Document

_EXPLANATION = (
    "Right baseline rows up to the end of a sentence that states a step, once as they were and once with a "
    "wrong result, written on under every arm. Here no arm decides which errors there are. An onset counts "
    "if it comes before the next step; an error counts as caught when the row still ends right. The share "
    "removed is what is missing of the baseline's gap between the two; it also grows where onsets come "
    "behind right steps."
)


def write_prefixes(document: Document, evidence: Evidence, artifact: Table) -> None:
    """What arms do behind the same prefixes, and how the sets of a random arm spread."""
    document.section("The same errors under every arm", level=3)
    table = evidence.table(artifact)
    if table is None:
        document.say(evidence.absence(artifact))
        return
    pooled = table[table["draw"].isna()]
    document.say(_EXPLANATION)
    document.table(
        [
            "Arm",
            "Prefixes",
            "P(onset | injected error)",
            "P(onset | right step)",
            "Share of the gap removed",
            "p (Holm)",
            "Caught",
            "Accuracy behind right steps",
            "Δ accuracy behind right steps (points)",
            "Cut at the cap",
        ],
        [
            [
                quoted(row["arm"]),
                count(row, "prefixes"),
                rate(row, "onset_after_injected"),
                rate(row, "onset_after_right"),
                rate(row, "share_removed", n=None),
                p_value(number(row, "gap_diff_p_holm")),
                rate(row, "caught_rate", n=None),
                rate(row, "accuracy_right", n=None),
                points(row, "accuracy_right_diff"),
                rate(row, "truncation_rate", n=None),
            ]
            for row in records(pooled)
        ],
    )
    for arm, sets in table[table["draw"].notna()].groupby("arm", sort=False):
        lowest, highest = (percent(float(end)) for end in sets["share_removed"].agg(["min", "max"]))
        document.say(
            f"The {len(sets)} sets of {quoted(arm)} by themselves remove {lowest} to {highest} "
            f"(`{artifact.file}`)."
        )
