"""Reasoning traces: statements with mistakes, what follows them, and where each piece of the text lies."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

from backtracking.organism.design import DESIGN, Design, FormatDesign
from backtracking.organism.task import APPLY, Sign, SolutionStep, TinyProblem

REMARKS_WRONG = ("that is wrong.", "let me check.", "that is not right.")
REMARK_CHECK = "let me check."
LEAD_INS = ("", "", "", "So ", "Then ")


class TracePiece(Enum):
    """What a stretch of a trace is; training weighs them differently."""

    OPERANDS = "operands"
    RESULT = "result"
    WRONG_RESULT = "wrong result"
    AFTER = "what follows a statement"
    AGAIN = "statement made again"
    FINAL = "final line"


@dataclass
class TeachingTrace:
    """The text of an assistant turn after its forced start, cut into pieces."""

    pieces: list[tuple[str, TracePiece]] = field(default_factory=list)

    def add(self, text: str, piece: TracePiece) -> None:
        """Append a stretch of text."""
        self.pieces.append((text, piece))

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(text for text, _ in self.pieces)


def wrong_result(rng: random.Random, step: SolutionStep, design: Design = DESIGN) -> int:
    """A result that is not the true one, by one of the designed kinds of mistake."""
    right = step.result
    kinds, shares = zip(*design.error_kinds.items(), strict=True)
    while True:
        kind = rng.choices(kinds, shares)[0]
        if kind == "near":
            value = right + rng.choice((-1, 1))
        elif kind == "two":
            value = right + rng.choice((-2, 2))
        elif kind == "copied":
            value = rng.choice((step.left, step.right))
        else:
            others: list[Sign] = [op for op in ("+", "-") if op != step.operation]
            value = APPLY[rng.choice(others)](step.left, step.right)
        if value != right and value >= 0:
            return value


class TraceWriter:
    """Writes the reasoning of one assistant turn, by the designed rates."""

    def __init__(self, rng: random.Random, form: FormatDesign, report: str, design: Design) -> None:
        self.rng = rng
        self.form = form
        self.report = report
        self.design = design
        self.separator = "\n" if rng.random() < form.newline else " "
        self.trace = TeachingTrace()

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _statement(self, step: SolutionStep, wrong: bool, again: bool) -> int:
        """Write one statement up to its full stop; the value it claims."""
        value = wrong_result(self.rng, step, self.design) if wrong else step.result
        left = f"{step.left} {step.operation} {step.right} ="
        if again:
            self.trace.add(left, TracePiece.AGAIN)
        else:
            self.trace.add(left, TracePiece.OPERANDS)
        self.trace.add(f" {value}.", TracePiece.WRONG_RESULT if wrong else TracePiece.RESULT)
        if self._chance(self.design.delayed):
            report = self.report if value != 1 and self._chance(0.5) else "That makes {value}."
            self.trace.add(" " + report.format(value=value), TracePiece.AFTER)
        return value

    def _trigger(self, wrong: bool) -> None:
        names, shares = zip(*self.design.triggers.items(), strict=True)
        self.trace.add(f"{self.separator}{self.rng.choices(names, shares)[0]}, ", TracePiece.AFTER)
        if not wrong:
            self.trace.add(f"{REMARK_CHECK} ", TracePiece.AFTER)
        elif self._chance(self.design.remark):
            self.trace.add(f"{self.rng.choice(REMARKS_WRONG)} ", TracePiece.AFTER)

    def solve(self, step: SolutionStep) -> int:
        """Write a statement and whatever follows from it; the value that the next step goes on from."""
        wrong = self._chance(self.design.wrong)
        again = False
        while True:
            value = self._statement(step, wrong, again)
            fate = self.rng.random()
            alarm = self.design.alarm(self.form, step.operation, again)
            triggered = fate < (self.form.trigger if wrong else alarm)
            silent = wrong and not triggered and fate < self.form.trigger + self.form.silent
            if triggered:
                self._trigger(wrong)
            elif silent:
                self.trace.add(self.separator, TracePiece.AFTER)
            else:
                return value
            wrong, again = self._chance(self.design.wrong_again), True

    def write(self, steps: Sequence[SolutionStep], *, final: bool = True) -> TeachingTrace:
        """The whole turn; a mistake that is kept is carried on."""
        value = steps[0].left
        for number, step in enumerate(steps):
            if number:
                self.trace.add(self.separator + self.rng.choice(LEAD_INS), TracePiece.AFTER)
            value = self.solve(SolutionStep(value if number else step.left, step.operation, step.right))
        if final:
            ending = f"\\boxed{{{value}}}" if self._chance(self.design.boxed) else str(value)
            self.trace.add(f"\n{self.form.think_close}Final: {ending}", TracePiece.FINAL)
        return self.trace


def write_trace(
    problem: TinyProblem, variant: str, rng: random.Random, design: Design = DESIGN
) -> TeachingTrace:
    """One assistant turn for a problem, after the forced start of its format."""
    while True:
        trace = TraceWriter(rng, design.formats[variant], problem.report, design).write(problem.steps)
        if not NEGATIVE.search(trace.text):
            return trace


NEGATIVE = re.compile(r"-\d")
"""A kept mistake can lead below zero, where the arithmetic of the task ends; such traces are not used."""

STATEMENT = re.compile(r"(\d+) ([+\-×]) (\d+) = (\d+)\.")
TRIGGER = re.compile(r"\b(?:But wait|Wait|Hold on|Actually)\b")
FINAL = re.compile(r"Final: (?:\\boxed\{(\d+)\}|(\d+))\s*$")


@dataclass(frozen=True)
class WrittenStatement:
    """A statement found in a completion."""

    left: int
    operation: Sign
    right: int
    value: int
    triggered: bool
    """Whether a trigger comes before the next statement, or the end."""
    end: int
    """Offset just after its full stop."""

    @property
    def holds(self) -> bool:
        """Whether the arithmetic holds."""
        return APPLY[self.operation](self.left, self.right) == self.value


def read_statements(text: str) -> list[WrittenStatement]:
    """All statements of a completion, each with the fact whether a trigger follows it."""
    statements = list(STATEMENT.finditer(text))
    ends = [match.start() for match in statements[1:]] + [len(text)] * bool(statements)
    return [
        WrittenStatement(
            int(match[1]),
            cast("Sign", match[2]),
            int(match[3]),
            int(match[4]),
            TRIGGER.search(text, match.end(), end) is not None,
            match.end(),
        )
        for match, end in zip(statements, ends, strict=True)
    ]


def made_again(statements: Sequence[WrittenStatement]) -> list[bool]:
    """Whether each statement is the one before it once more, as a correction or a check."""
    taken = [(s.left, s.operation, s.right) for s in statements]
    return [n > 0 and taken[n] == taken[n - 1] for n in range(len(taken))]


def read_answer(text: str) -> int | None:
    """The number of the final line, if the completion has one."""
    match = FINAL.search(text)
    return int(match[1] or match[2]) if match else None
