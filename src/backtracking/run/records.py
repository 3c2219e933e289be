"""The typed rows that stages pass to each other through files."""

import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

BASELINE_NAME = "baseline"
"""The condition, and the arm, in which nothing is changed."""
ALONE = "single_"
"""What the conditions begin with that remove one component alone."""

DIGEST_LENGTH = 16
"""Hexadecimal digits of a row's digests: enough to notice a change, short beside the row."""

ENDING_UNKNOWN = "ending_unknown"
"""Among the settings of an imported completion of which nobody says whether it ended by itself."""
FinishReason = Literal["stop", "length", "loop", "error"]
Ending = Literal[FinishReason, "unknown"]


_LONG = Field(repr=False)
"""What a person does not want to see when a row is shown."""

RowId = tuple[str, int]
"""Example and sample."""


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
    """What is known about the problem's steps, where the dataset knows it."""


class SealedRecord(Record):
    """A row that shows when it was changed after it was written.

    Rows written before there were digests have none, and are taken as they are.
    """

    made_with: str | None = None
    """Digest of the settings that decided what the row says."""
    digest: str | None = None
    """Digest of everything else in the row."""

    def sealed(self, made_with: str) -> Self:
        """The row as it is written."""
        made = self.model_copy(update={"made_with": made_with})
        return made.model_copy(update={"digest": made._content_digest()})

    @property
    def is_intact(self) -> bool:
        """Whether the contents fit the digest; rows without one pass."""
        return self.digest is None or self.digest == self._content_digest()

    def _content_digest(self) -> str:
        content = self.model_dump_json(exclude={"digest"}, exclude_none=True)
        return hashlib.sha256(content.encode()).hexdigest()[:DIGEST_LENGTH]


class GenerationRecord(SealedRecord):
    """One completion, with the exact token ids that the model read and wrote."""

    example_id: str
    sample_id: int
    variant: str
    condition: str
    draw: int | None = None
    prompt: str
    prompt_ids: Annotated[list[int], _LONG]
    completion: str
    completion_ids: Annotated[list[int], _LONG]
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    gen_params: dict[str, Any]
    seed_key: str
    logprobs: Annotated[list[float] | None, _LONG] = None
    entropies: Annotated[list[float] | None, _LONG] = None
    error: str | None = None

    @property
    def id(self) -> RowId:
        """What identifies the row within its file."""
        return (self.example_id, self.sample_id)

    @property
    def was_cut(self) -> bool | None:
        """Whether the completion did not end by itself; none where nobody says."""
        return None if self.ending == "unknown" else self.ending != "stop"

    @property
    def ending(self) -> Ending:
        """How the completion ended, as far as anybody says."""
        return "unknown" if ENDING_UNKNOWN in self.gen_params else self.finish_reason
