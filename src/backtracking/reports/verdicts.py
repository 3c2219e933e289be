"""How reports show verdicts: the claims at a glance, then the rules."""

from collections.abc import Sequence

from backtracking.artifacts.phase1 import CLAIMS
from backtracking.claims.verdict import RULES_PAGE, Verdict
from backtracking.reports.document import Document


def write_verdicts(document: Document, verdicts: Sequence[Verdict]) -> None:
    """The claims at a glance, then the rules they were judged by."""
    document.table(
        ["Claim", "Verdict", "Because"],
        [[verdict.claim, f"**{verdict.outcome}**", verdict.because] for verdict in verdicts],
    )
    document.say(
        f"Four outcomes, numbers and checks are in `{CLAIMS.name}`; `{RULES_PAGE}` has the rules at length. "
        "In short, and fixed before the numbers were seen:"
    )
    document.bullets([f"**{verdict.claim}** {verdict.rule}" for verdict in verdicts])
