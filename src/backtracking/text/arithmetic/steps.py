"""Checkable statements of a completion, with what each computes as a key for finding repeats."""

from dataclasses import dataclass

from backtracking.text.arithmetic.judge import Step, find_steps


@dataclass(frozen=True)
class CheckedStep:
    """One statement: where it begins, what it computes, and whether its result is right."""

    start: int
    expression: str
    is_right: bool


def read_steps(text: str) -> list[CheckedStep]:
    """All checkable statements in order."""
    return [CheckedStep(step.start, expression(text, step), step.correct) for step in find_steps(text)]


def expression(text: str, step: Step) -> str:
    """What a step computes, as written without spaces: the same again is a repeat, also turned round."""
    if step.result[0] > step.operands[0][0]:
        return "".join(text[step.start : step.result[0]].split())
    return "".join(text[step.result[1] : step.end].split()).lstrip("=≈") + "="
