"""Conclusions as computations: a claim, the rule it is judged by, and what the tables say."""

from dataclasses import dataclass
from typing import Literal

from backtracking.measurements.floors import NOT_TESTABLE

Outcome = Literal["supported", "not supported", "mode-dependent", "not testable"]


@dataclass(frozen=True)
class Verdict:
    """A claim and whether these tables bear it out."""

    claim: str
    rule: str
    outcome: Outcome
    because: str


@dataclass(frozen=True)
class Claim:
    """A claim with its rule, waiting for numbers."""

    claim: str
    rule: str

    def supported(self, because: str) -> Verdict:
        return Verdict(self.claim, self.rule, "supported", because)

    def not_supported(self, because: str) -> Verdict:
        return Verdict(self.claim, self.rule, "not supported", because)

    def missing(self, what: str) -> Verdict:
        return Verdict(self.claim, self.rule, NOT_TESTABLE, f"missing: {what}")

    def not_testable(self, because: str) -> Verdict:
        return Verdict(self.claim, self.rule, NOT_TESTABLE, because)

    def mode_dependent(self, because: str) -> Verdict:
        return Verdict(self.claim, self.rule, "mode-dependent", because)

    def judge(self, holds: bool, because: str) -> Verdict:
        return self.supported(because) if holds else self.not_supported(because)
