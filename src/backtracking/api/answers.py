"""The grader for a text of your own: what a completion is read to answer, and whether that is right."""

from backtracking.text.answers import GradedAnswer, judge_answer

__all__ = ["GradedAnswer", "judge_answer"]
