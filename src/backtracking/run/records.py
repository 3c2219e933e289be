"""The typed rows that stages pass to each other through files."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

BASELINE_NAME = "baseline"
"""The condition, and the arm, in which nothing is changed."""

FinishReason = Literal["stop", "length", "loop", "error"]


class Record(BaseModel):
    """Base of all rows; a row written by a newer schema is refused rather than misread."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION


class Problem(Record):
    """One word problem with its gold answer."""

    id: str
    question: str
    answer: str
    answer_value: str
    """The number after `####`, without thousands separators."""
    truth: dict[str, Any] | None = None
    """What is known about the problem's steps, where the data set knows it."""


class GenerationRecord(Record):
    """One completion, with the exact token ids that the model read and wrote."""

    example_id: str
    sample_id: int
    variant: str
    condition: str
    draw: int | None = None
    prompt: str
    prompt_ids: list[int]
    completion: str
    completion_ids: list[int]
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    gen_params: dict[str, Any]
    seed_key: str
    logprobs: list[float] | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, int, str, str, int | None]:
        """What identifies the row within a run."""
        return (self.example_id, self.sample_id, self.variant, self.condition, self.draw)
