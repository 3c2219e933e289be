"""Conclusions as computations: a claim, the rule it is judged by, and what the tables say."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from backtracking.claims.audit.check import Check
from backtracking.claims.parts import STATE_NAMES, WORST_FIRST, Part, with_floor
from backtracking.measurements.floors import NOT_TESTABLE

VerdictOutcome = Literal["supported", "contradicted", "inconclusive", "not testable"]
MODE_DEPENDENT = "mode-dependent: "
RULES_PAGE = "docs/claims.md"
MOST_PROBLEMS = 1_000_000
"""More problems than this are not a number that anybody can plan with."""


_REASONS = ("only ", "no ", "baseline ")
"""What begins so is a reason in full, not the name of something that is missing."""


@dataclass(frozen=True)
class Verdict:
    """A claim and what these tables make of it."""

    key: str
    claim: str
    rule: str
    outcome: VerdictOutcome
    because: str
    numbers: Mapping[str, float | str] = field(default_factory=dict)
    """What the rule looked at."""
    deciding_problems: int | None = None
    """Inconclusive: about how many problems would decide, were the truth what was seen."""
    missing: str = ""
    """Not testable: what it takes."""
    depends_on: tuple[str, ...] = ()
    """Names of the audit's checks without which the numbers mean nothing."""


@dataclass(frozen=True)
class Claim:
    """A claim with its rule, waiting for numbers."""

    key: str
    claim: str
    rule: str
    depends_on: tuple[str, ...]
    disputable: str
    """What a sceptic may argue about."""

    def judge(self, *found: Part) -> Verdict:
        """One part that fails contradicts; else one without data or an open one keeps it unsettled."""
        parts = [with_floor(part) for part in found]
        numbers = {name: value for part in parts for name, value in part.numbers.items()}
        verdict = Verdict(
            self.key,
            self.claim,
            self.rule,
            _outcome(parts),
            _because(parts),
            numbers,
            depends_on=self.depends_on,
        )
        if verdict.outcome == NOT_TESTABLE:
            lacking = "; ".join(dict.fromkeys(part.lacks for part in parts if part.state == "missing"))
            said = lacking if lacking.startswith(_REASONS) else f"missing: {lacking}"
            said += f". So far: {verdict.because}" if verdict.because else ""
            return replace(verdict, missing=lacking, because=said)
        if verdict.outcome == "inconclusive":
            return _with_problems(verdict, [part for part in parts if part.state == "open"])
        return verdict

    def missing(self, what: str) -> Verdict:
        """The verdict where a table or a column is lacking: not testable."""
        return self.judge(Part("missing", lacks=what))

    def mode_dependent(self, split: Part, *others: Part) -> Verdict:
        """Inconclusive: what is found hinges on how a component is removed, as the first part says."""
        verdict = self.judge(split, *others)
        others_say = _because(others, named=True)
        return replace(
            verdict,
            outcome="inconclusive",
            because=MODE_DEPENDENT + ". ".join(said for said in (split.says, others_say) if said),
            missing="",
            deciding_problems=None,
        )


def _outcome(parts: Sequence[Part]) -> VerdictOutcome:
    states = {part.state for part in parts}
    if "fails" in states:
        return "contradicted"
    if "missing" in states:
        return "not testable"
    return "inconclusive" if "open" in states else "supported"


def _because(parts: Sequence[Part], named: bool = False) -> str:
    """What each part said; where states differ, each under the name of its own, the weightiest first."""
    telling = [part for part in parts if part.says]
    states = [state for state in WORST_FIRST if any(part.state == state for part in telling)]
    by_state = {state: "; ".join(part.says for part in telling if part.state == state) for state in states}
    if len(states) == 1 and not named:
        return by_state[states[0]]
    return ". ".join(f"{STATE_NAMES[state]}: {said}" for state, said in by_state.items())


def _with_problems(verdict: Verdict, still_open: Sequence[Part]) -> Verdict:
    known = [part for part in still_open if not math.isnan(part.deciding)]
    needed = max((part.deciding for part in known), default=math.nan)
    studied = max((part.problems for part in known), default=0)
    if math.isnan(needed):
        return verdict
    if needed > MOST_PROBLEMS:
        said = f"more than {MOST_PROBLEMS:,} problems would be needed to decide"
        return replace(verdict, because=f"{verdict.because}; {said}")
    problems = math.ceil(needed)
    if problems <= studied:
        return replace(verdict, because=f"{verdict.because}; more problems would be needed to decide")
    return replace(
        verdict,
        because=f"{verdict.because}; about {problems:,} problems would decide",
        deciding_problems=problems,
    )


def upheld(verdicts: Iterable[Verdict], checks: Mapping[str, Check]) -> list[Verdict]:
    """Verdicts after the audit: what rests on a check that failed is not testable."""
    return [_audited(verdict, checks) for verdict in verdicts]


def _audited(verdict: Verdict, checks: Mapping[str, Check]) -> Verdict:
    failed = [checks[name] for name in verdict.depends_on if name in checks and checks[name].failed]
    if not failed:
        return verdict
    missing = "; ".join(f"the audit's check {check.name} fails: {check.found}" for check in failed)
    because = f"{missing} (without it: {verdict.outcome}, {verdict.because})"
    return replace(verdict, outcome=NOT_TESTABLE, because=because, missing=missing, deciding_problems=None)


def as_data(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `claims.json` holds; a number that is not defined is null."""
    return {"verdicts": [_plain(asdict(verdict)) for verdict in verdicts], "rules_page": RULES_PAGE}


def _plain(verdict: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in verdict["numbers"].items()
    }
    return verdict | {"numbers": numbers, "depends_on": list(verdict["depends_on"])}
