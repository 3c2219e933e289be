"""Arithmetic in running text: read whole, computed exactly, judged right or wrong."""

from backtracking.text.arithmetic.judge import Step, find_steps

__all__ = ["Step", "find_steps"]
