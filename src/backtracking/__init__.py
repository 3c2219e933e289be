"""Where in a reasoning language model does "Wait" come from, and can it be turned down?

    import backtracking as bt

    lm = bt.load("bundled")
    rows = lm.generate(bt.problems(20), arms=[bt.baseline, bt.scale("attn", 5, 0.5)])
    rows.compare("attn5x0.5")

The names below load what they need when they are first used; docs/api.md describes them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtracking.api.answers import judge_answer
    from backtracking.api.arms import (
        baseline,
        mean,
        project,
        random_like,
        scale,
        steer,
        suppress_triggers,
        zero,
    )
    from backtracking.api.model import LanguageModel, load
    from backtracking.api.problems import problems
    from backtracking.api.rows import Rows
    from backtracking.api.runs import Run, open_run

__version__ = "0.1.0"

_HOME = {
    "load": "model",
    "LanguageModel": "model",
    "problems": "problems",
    "baseline": "arms",
    "scale": "arms",
    "zero": "arms",
    "mean": "arms",
    "steer": "arms",
    "project": "arms",
    "suppress_triggers": "arms",
    "judge_answer": "answers",
    "random_like": "arms",
    "Rows": "rows",
    "open_run": "runs",
    "Run": "runs",
}
"""The file of `api/` that each public name lives in."""

__all__ = [
    "LanguageModel",
    "Rows",
    "Run",
    "baseline",
    "judge_answer",
    "load",
    "mean",
    "open_run",
    "problems",
    "project",
    "random_like",
    "scale",
    "steer",
    "suppress_triggers",
    "zero",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'backtracking' has no attribute {name!r}")
    value = getattr(import_module(f"backtracking.api.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
