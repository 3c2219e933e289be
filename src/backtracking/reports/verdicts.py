"""How reports show verdicts: each claim with its outcome and the reason, then the rule it was judged by."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from backtracking.artifacts.phase1 import CLAIMS
from backtracking.claims.verdict import RULES_PAGE, Verdict, VerdictOutcome
from backtracking.reports.document import Document

FINDINGS = "Findings"


def write_verdicts(document: Document, verdicts: Sequence[Verdict]) -> None:
    """The claims as they were judged, by rules fixed before the numbers were seen."""
    document.section(FINDINGS)
    document.say(how_judged(verdicts))
    document.judge(verdicts)


def how_judged(verdicts: Sequence[Verdict]) -> str:
    """How many claims came out which way, and where all about them is."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    said = ", ".join(
        f"{counts[outcome]} {outcome}" for outcome in get_args(VerdictOutcome) if counts[outcome]
    )
    return (
        f"{len(verdicts)} claims were judged by rules fixed before the numbers were seen: {said}. The numbers"
        f" and checks behind each are in `{CLAIMS.name}`; `{RULES_PAGE}` explains the rules at length."
    )
