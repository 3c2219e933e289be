"""Every metric of completions, declared once: what is divided by what, in which unit, and its plain name.

Both phases compute, show and describe metrics from here. `top` and `bottom` name sums over completions, which
`tallies.py` takes from the events table; an interval is over problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backtracking.config.onsets import TOGETHER, TURN_KINDS, OnsetKind, TurnKind

Unit = Literal["share", "per 1,000 tokens", "per completion", "tokens"]
StudyPhase = Literal[1, 2]


@dataclass(frozen=True)
class Metric:
    """A quotient of two sums over completions; shares get the interval for shares, others that for ratios."""

    name: str
    """Its column; `_low` and `_high` follow it."""
    top: str
    bottom: str = "total"
    formula: str = ""
    """The quotient in words."""
    label: str = ""
    """What figures and reports call it."""
    unit: Unit = "share"
    shown: tuple[StudyPhase, ...] = (1,)
    """Whose tables it stands in, with its interval."""
    outcome: str = ""
    """What a difference of it is called (`…_diff`), where arms are compared on it."""
    compared: tuple[StudyPhase, ...] = ()
    """Whose tables compare arms on it."""
    within_problems: bool = False
    """Whether differences are taken inside each problem and then averaged: where an arm decides how often
    each problem is counted, the plain difference would mix in what other problems weigh under it."""
    to_be_held: bool = False
    """Whether arms are asked to leave it alone: its differences get bounds for few and for sparse losses."""
    less_is_loss: bool = False
    """Of what is to be held: whether a fall of it is the loss, and not a rise."""

    @property
    def is_share(self) -> bool:
        """Whether it is a part of a whole, between 0 and 1."""
        return self.unit == "share"

    @property
    def factor(self) -> float:
        """What the quotient is multiplied by to be in the metric's unit."""
        return 1000.0 if self.unit == "per 1,000 tokens" else 1.0


def _policy(kind: str, of: str) -> tuple[Metric, ...]:
    places = {"clause_start": "at the start of a clause", "anywhere": "wherever they stand"}
    return tuple(
        Metric(f"{kind}_{place}_rate", f"{kind}_{place}", formula=f"`{of}`, phrases counted {words}")
        for place, words in places.items()
    )


def _after(kind: str) -> Metric:
    return Metric(
        f"onset_after_{kind}",
        f"onsets_after_fresh_{kind}",
        f"fresh_{kind}",
        f"fresh {kind} steps that a strict onset follows before the next step ÷ fresh {kind} steps",
        f"P(onset | {kind} step)",
        shown=(1, 2),
        outcome=f"onset_after_{kind}",
        compared=(1, 2),
        within_problems=True,
    )


def _density(name: str, kind: OnsetKind, words: str, compared: tuple[StudyPhase, ...] = ()) -> Metric:
    column = f"{name}_per_1k_tokens"
    return Metric(
        column,
        f"onsets_{kind}",
        "tokens",
        f"1000 × {words} ÷ generated tokens",
        f"{words} per 1,000 tokens",
        "per 1,000 tokens",
        outcome=column,
        compared=compared,
    )


def _turn_rate(kind: TurnKind) -> Metric:
    formula = f"completions with a {kind} ÷ all"
    return Metric(
        f"{kind}_rate",
        f"has_{kind}",
        formula=formula,
        label=kind,
        shown=(1, 2),
        outcome=kind,
        compared=(1, 2),
    )


def _with_any(kinds: Sequence[TurnKind]) -> str:
    return f"completions with {' or '.join(f'a {kind}' for kind in kinds)}"


METRICS = (
    Metric(
        "backtracking_rate",
        "strict",
        formula="completions with a strict onset ÷ all",
        label="backtracking",
        shown=(1, 2),
        outcome="backtracking",
        compared=(1, 2),
    ),
    _after("wrong"),
    _after("right"),
    Metric(
        "wrong_steps_per_row",
        "fresh_wrong",
        formula="fresh wrong steps ÷ completions",
        label="wrong steps per completion",
        unit="per completion",
        shown=(1, 2),
        outcome="wrong_steps_per_row",
        compared=(1, 2),
    ),
    Metric("relaxed_rate", "relaxed", formula="completions with a strict or relaxed onset ÷ all"),
    *_policy("strict", "backtracking_rate"),
    *_policy("relaxed", "relaxed_rate"),
    *map(_turn_rate, TURN_KINDS),
    *(Metric(f"{name}_rate", name, formula=f"{_with_any(kinds)} ÷ all") for name, kinds in TOGETHER.items()),
    Metric(
        "accuracy",
        "correct",
        "with_gold",
        "correct ÷ all that have a gold answer (unanswered is wrong)",
        label="accuracy",
        shown=(1, 2),
        outcome="accuracy",
        compared=(1, 2),
        to_be_held=True,
        less_is_loss=True,
    ),
    Metric(
        "accuracy_graded",
        "correct",
        "graded",
        "correct ÷ completions with a gradable answer",
        "accuracy among graded",
    ),
    Metric(
        "accuracy_finished",
        "finished_correct",
        "finished_with_gold",
        "correct among those that ended by themselves ÷ those",
        "accuracy among finished",
        shown=(1, 2),
        outcome="accuracy_finished",
        compared=(1, 2),
    ),
    Metric("graded_rate", "graded", formula="completions with a gradable answer ÷ all"),
    Metric(
        "truncation_rate",
        "truncated",
        formula="completions that did not end by themselves ÷ all",
        label="cut",
        shown=(1, 2),
        outcome="truncation",
        compared=(1, 2),
        to_be_held=True,
    ),
    Metric(
        "loop_rate",
        "is_loop",
        formula="completions that end in a loop ÷ all",
        label="loops",
        shown=(),
        outcome="loop",
        compared=(2,),
        to_be_held=True,
    ),
    Metric(
        "empty_rate",
        "is_empty",
        formula="completions that say nothing ÷ all",
        label="empty",
        shown=(),
        outcome="empty",
        compared=(2,),
        to_be_held=True,
    ),
    _density("onsets", "strict", "strict onsets", compared=(2,)),
    *(_density(f"{kind}s", kind, f"{kind}s") for kind in TURN_KINDS),
    Metric(
        "tokens_to_answer",
        "answer_tokens",
        "answered",
        "mean tokens until the answer is complete, over completions with one",
        unit="tokens",
    ),
    Metric(
        "mean_tokens",
        "tokens",
        formula="mean length in tokens",
        label="tokens per completion",
        unit="tokens",
        outcome="tokens",
        compared=(2,),
    ),
    Metric(
        "no_answer_rate",
        "unanswered",
        formula="completions without an answer ÷ all",
        label="no answer",
        shown=(),
    ),
    Metric(
        "non_ascii_rate",
        "non_ascii_burst",
        formula="completions with a burst of foreign characters ÷ all",
        label="non-ASCII bursts",
        shown=(),
    ),
    Metric(
        "distinct_3",
        "distinct_3",
        "has_3_tokens",
        "mean share of different runs of three tokens, over completions with such a run",
        "distinct 3-grams",
        shown=(),
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
SIGNS = tuple(BY_NAME[name] for name in ("mean_tokens", "onsets_per_1k_tokens", "loop_rate", "empty_rate"))
LATER_SIGNS = tuple(BY_NAME[name] for name in ("no_answer_rate", "non_ascii_rate", "distinct_3"))
"""What Phase 2's tables hold as a number alone: before the counts of steps, and behind them."""
OUTCOMES = {metric.outcome: metric for metric in METRICS if metric.compared}
"""What arms are compared on; an unanswered completion counts as wrong."""


@dataclass(frozen=True)
class Count:
    """A numerator or denominator that stands beside the rates."""

    name: str
    sum: str
    meaning: str


COUNTS = (
    Count("backtracking_count", "strict", "completions with a strict onset"),
    Count("relaxed_count", "relaxed", "completions with a strict or relaxed onset"),
    Count("strict_clause_start_count", "strict_clause_start", "those with one at the start of a clause"),
    Count("strict_anywhere_count", "strict_anywhere", "those with one wherever it stands"),
    Count("relaxed_clause_start_count", "relaxed_clause_start", "those with either at the start of a clause"),
    Count("relaxed_anywhere_count", "relaxed_anywhere", "those with either wherever it stands"),
    *(Count(f"{kind}_count", f"has_{kind}", f"completions with a {kind}") for kind in TURN_KINDS),
    *(Count(f"{name}_count", name, _with_any(kinds)) for name, kinds in TOGETHER.items()),
    Count("correct_count", "correct", "correct answers"),
    Count("gold_count", "with_gold", "completions whose problem has a gold answer"),
    Count("graded_count", "graded", "completions with a gradable answer"),
    Count("finished_count", "finished", "completions that ended by themselves"),
    Count("finished_correct_count", "finished_correct", "correct ones among them"),
    Count("truncated_count", "truncated", "completions that did not end by themselves"),
    Count("answered_count", "answered", "completions with an answer"),
    Count("fresh_wrong_count", "fresh_wrong", "fresh wrong steps"),
    Count("fresh_right_count", "fresh_right", "fresh right steps"),
)


def called(name: str) -> str:
    """What figures and reports call the metric of a column."""
    return BY_NAME[name].label


def heading(name: str) -> str:
    """The same as the head of a report's column."""
    label = called(name)
    return label[:1].upper() + label[1:]


def shown_in(phase: StudyPhase) -> tuple[Metric, ...]:
    """The metrics that the tables of a phase show."""
    return tuple(metric for metric in METRICS if phase in metric.shown)


def compared_in(phase: StudyPhase) -> tuple[Metric, ...]:
    """The metrics that the tables of a phase compare arms on."""
    return tuple(metric for metric in METRICS if phase in metric.compared)


def meanings_in(phase: StudyPhase) -> dict[str, str]:
    """What the columns of the metrics that a phase shows mean."""
    return {metric.name: metric.formula for metric in shown_in(phase)}


def signs() -> dict[str, str]:
    """What the columns of metrics without an interval mean."""
    return {metric.name: metric.formula for metric in (*SIGNS, *LATER_SIGNS)}


def differences_in(phase: StudyPhase, to: str) -> dict[str, str]:
    """What the columns of the differences that a phase takes mean; `to` is what is subtracted."""
    return {
        f"{metric.outcome}_diff": f"difference in `{metric.name}` to {to}, paired by problem"
        for metric in compared_in(phase)
    }
