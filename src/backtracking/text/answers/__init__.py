"""What a completion answers, and whether that is right."""

from backtracking.text.answers.extract import (
    Answer,
    AnswerRule,
    GradedAnswer,
    extract_answer,
    judge_answer,
)
from backtracking.text.answers.grading import grade

__all__ = ["Answer", "AnswerRule", "GradedAnswer", "extract_answer", "grade", "judge_answer"]
