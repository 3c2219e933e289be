"""Conclusions as computations: a claim, the rule it is judged by, and what the tables say."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from backtracking.claims.audit.check import Check
from backtracking.claims.parts import STATE_NAMES, WORST_FIRST, Part, with_floor
from backtracking.claims.wording import roughly
from backtracking.measurements.floors import NOT_TESTABLE

VerdictOutcome = Literal["supported", "contradicted", "inconclusive", "not testable"]
MODE_DEPENDENT = "mode-dependent: "
RULES_PAGE = "docs/claims.md"
MOST_PROBLEMS = 1_000_000
"""More problems than this are not a number that anybody can plan with."""


_REASON = re.compile(r"(?:only|no|baseline|nothing|fewer than)\b|\d")
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

    def judge(self, *found: Part, about: str = "") -> Verdict:
        """One part that fails contradicts; else one without data or an open one keeps it unsettled.

        `about` names what the parts are about, where that is one of several.
        """
        parts = [with_floor(part) for part in found]
        outcome = _outcome(parts)
        is_open = outcome == "inconclusive"
        decides, deciding = _deciding(parts) if is_open else ("", None)
        verdict = Verdict(
            self.key,
            self.claim,
            self.rule,
            outcome,
            ". ".join(filter(None, [about, _because(parts, named=bool(about), decides=decides)])),
            {name: value for part in parts for name, value in part.numbers.items()},
            deciding,
            depends_on=self.depends_on,
        )
        if outcome != NOT_TESTABLE:
            return verdict
        lacking = "; ".join(dict.fromkeys(part.lacks for part in parts if part.state == "missing"))
        said = lacking if _REASON.match(lacking) else f"missing: {lacking}"
        said += f". So far: {verdict.because}" if verdict.because else ""
        return replace(verdict, missing=lacking, because=said)

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


def _because(parts: Sequence[Part], named: bool = False, decides: str = "") -> str:
    """What each part said; where states differ, each under the name of its own, the weightiest first.

    What would decide stands with what is open.
    """
    telling = [part for part in parts if part.says]
    states = [state for state in WORST_FIRST if any(part.state == state for part in telling)]
    by_state = {state: "; ".join(part.says for part in telling if part.state == state) for state in states}
    if decides and "open" in by_state:
        by_state["open"] += f"; {decides}"
    if len(states) == 1 and not named:
        return by_state[states[0]]
    return ". ".join(f"{STATE_NAMES[state]}: {said}" for state, said in by_state.items())


def _deciding(parts: Sequence[Part]) -> tuple[str, int | None]:
    """How many problems would decide what is open, in words and as a number where one can be planned with."""
    known = [part for part in parts if part.state == "open" and not math.isnan(part.deciding)]
    if not known:
        return "", None
    needed, studied = max(part.deciding for part in known), max(part.problems for part in known)
    if needed > MOST_PROBLEMS:
        return f"more than {MOST_PROBLEMS:,} problems would be needed to decide", None
    problems = math.ceil(needed)
    if problems <= studied:
        return "more problems would be needed to decide", None
    return f"about {roughly(problems)} problems would decide", problems


def upheld(verdicts: Iterable[Verdict], checks: Mapping[str, Check]) -> list[Verdict]:
    """Verdicts after the audit: what rests on a check that failed is not testable."""
    return [_audited(verdict, checks) for verdict in verdicts]


def _audited(verdict: Verdict, checks: Mapping[str, Check]) -> Verdict:
    failed = [checks[name] for name in verdict.depends_on if name in checks and checks[name].failed]
    if not failed:
        return verdict
    missing = "; ".join(f"the audit's check {check.name} fails: {check.found}" for check in failed)
    otherwise = "" if verdict.outcome == NOT_TESTABLE else f"were it to pass: {verdict.outcome}, "
    because = f"{missing}; {otherwise}{verdict.because}"
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
