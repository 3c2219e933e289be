"""Config section of the completions: how they are sampled, and how many one file takes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from backtracking.config.base import Number, PositiveInt, Section


class LoopDetection(Section):
    """Stops rows that repeat themselves exactly."""

    window: PositiveInt = 64
    """Length in tokens of the stretch that is repeated."""
    repeats: Annotated[int, Field(ge=2)] = 4
    """How many times in a row it must stand before the row is stopped with finish_reason `loop`."""


class SamplingConfig(Section):
    """How completions are sampled."""

    num_samples_per_prompt: PositiveInt = 6
    """Completions per problem, variant and condition."""
    max_new_tokens: PositiveInt = 8192
    """The cap; rows that reach it are recorded as cut, and every accuracy says how many were."""
    temperature: Annotated[Number, Field(gt=0.0)] = 0.6
    """Softmax temperature."""
    top_p: Annotated[Number, Field(gt=0.0, le=1.0)] = 0.95
    """Nucleus share; 1 keeps the whole distribution."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Keep only this many most likely tokens; 0 keeps all."""
    do_sample: bool = True
    """False takes the most likely token each time."""
    batch_size: PositiveInt | Literal["auto"] = "auto"
    """Rows generated side by side; it never changes a row's text."""
    engine: Literal["batched", "reference"] = "batched"
    """`reference` runs transformers' own generate with hooks: slow, for models the engine refuses."""
    logprobs: bool | Literal["with_entropy"] = False
    """Keep the log-probability of every generated token; `with_entropy`: and the entropy of every choice."""
    loop_detection: LoopDetection | None = None
    """Stop exact repetition; null leaves rows alone."""

    @model_validator(mode="after")
    def _one_greedy_sample(self) -> Self:
        if not self.do_sample and self.num_samples_per_prompt > 1:
            raise ValueError("do_sample: false gives the same text each time; set num_samples_per_prompt: 1")
        return self


class GenerationConfig(SamplingConfig):
    """How completions are sampled and kept."""

    shard_rows: PositiveInt = 50_000
    """How many rows one file takes before they go on in numbered files beside it, with an index. A row of
    8,000 tokens takes some 53 kB, so that no file outgrows 3 GB: some disks and stores end at 4."""
