"""How reports show verdicts: the claims at a glance, then the rules."""

from collections.abc import Sequence

from backtracking.claims.verdict import Verdict
from backtracking.reports.document import Document


def write_verdicts(document: Document, verdicts: Sequence[Verdict]) -> None:
    """The claims at a glance, then the rules they were judged by."""
    document.table(
        ["Claim", "Verdict", "Because"],
        [[verdict.claim, f"**{verdict.outcome}**", verdict.because] for verdict in verdicts],
    )
    document.say("The rules, fixed before the numbers were seen:")
    document.bullets([f"**{verdict.claim}** {verdict.rule}" for verdict in verdicts])
