"""A row, what it is made from, and the record it ends as."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backtracking.engine.sampling import NOT_READ, SamplingParams, TokenReading, noise_key
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition
from backtracking.model.gates import GateTable
from backtracking.model.loading import LoadedModel
from backtracking.run.records import FinishReason, GenerationRecord, RowId


@dataclass(frozen=True)
class Prompt:
    """One rendered prompt."""

    example_id: str
    variant: str
    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Begun:
    """What there is of a completion already: its first tokens, and what was read as each was chosen."""

    tokens: tuple[int, ...] = ()
    readings: tuple[TokenReading, ...] = ()


@dataclass(frozen=True)
class Row:
    """One completion to make."""

    prompt: Prompt
    sample_id: int
    condition: Condition = BASELINE
    given: tuple[int, ...] = ()
    """Tokens that the completion begins with, whatever the model would choose; interventions act as it reads
    them, which they would not if they stood in the prompt."""
    begun: Begun = Begun()
    """Where an earlier start stopped; the row goes on from there, and ends as it would have ended."""

    @property
    def id(self) -> RowId:
        """What identifies the row within its file."""
        return (self.prompt.example_id, self.sample_id)

    def is_of(self, record: GenerationRecord) -> bool:
        """Whether a record is a completion of this row."""
        made = (record.variant, record.condition, record.draw, tuple(record.prompt_ids))
        return made == (self.prompt.variant, self.condition.name, self.condition.draw, self.prompt.ids)

    @property
    def label(self) -> str:
        """How messages call the row."""
        return (
            f"example {self.prompt.example_id!r}, sample {self.sample_id}, condition {self.condition.name!r}"
        )


def checked_rows(rows: Iterable[Row], table: GateTable) -> Iterator[Row]:
    """Pass rows through, refusing by name those whose prompt or condition does not fit the model."""
    model = table.model
    vocabulary = model.vocab_size
    prompts: dict[tuple[str, str], dict[int, int]] = {}
    for row in rows:
        table.add(row.condition)
        ids = row.prompt.ids
        of_problem = prompts.setdefault((row.prompt.variant, row.prompt.example_id), {})
        if of_problem.setdefault(row.sample_id, hash(ids)) != hash(ids):
            raise UserError(
                f"{row.label}: another row of this example and sample has another prompt",
                "rows of one example, sample and variant share their noise and are compared as one problem",
                "give each prompt an example id of its own",
            )
        if not ids:
            raise UserError(f"{row.label}: the prompt is empty", "there is no position to continue from")
        if not all(0 <= token < vocabulary for token in (*ids, *row.given)):
            raise UserError(
                f"{row.label}: the prompt holds token ids outside the vocabulary ({vocabulary})",
                "tokenizer and model do not belong together",
            )
        if model.context_length is not None and len(ids) >= model.context_length:
            raise UserError(
                f"{row.label}: the prompt has {len(ids)} tokens, the model's context {model.context_length}",
                "no token could be generated after it",
                "shorten the prompt template or choose a model with a longer context",
            )
        yield row


def long_first(rows: Iterable[Row], lengths: Mapping[RowId, int]) -> list[Row]:
    """Rows by the mean of their problem's known completions, longest first; a problem's rows stay together.

    What is long starts early then, and few slots idle at the end. Problems of unknown length come last.
    """
    known: dict[str, list[int]] = {}
    for (example_id, _), length in lengths.items():
        known.setdefault(example_id, []).append(length)
    mean = {example_id: sum(these) / len(these) for example_id, these in known.items()}
    return sorted(rows, key=lambda row: -mean.get(row.prompt.example_id, 0.0))


def token_budget(row: Row, model: LoadedModel, params: SamplingParams) -> int:
    """How many tokens the row may have: the cap, or what its context leaves."""
    room = params.max_new_tokens
    if model.context_length is not None:
        room = min(room, model.context_length - len(row.prompt.ids))
    return room


class LoopWatch:
    """Tells when a row's last `window * repeats` tokens repeat with a period of at most `window`."""

    def __init__(self, window: int, repeats: int) -> None:
        self._recent = np.full(window, -1, dtype=np.int64)
        self._runs = np.zeros(window, dtype=np.int64)
        self._needed = window * repeats - np.arange(1, window + 1)

    def push(self, token: int) -> bool:
        """Add a token; true when the row is caught in a loop. `_runs[p - 1]` counts matches at distance p."""
        self._runs = np.where(self._recent == token, self._runs + 1, 0)
        self._recent = np.concatenate(([token], self._recent[:-1]))
        return bool((self._runs >= self._needed).any())


class Draft:
    """A row in the making: its tokens so far, and why it ended."""

    def __init__(self, row: Row, model: LoadedModel, params: SamplingParams, seed: int) -> None:
        self.row = row
        self.tokens: list[int] = []
        self.readings: list[TokenReading] = []
        self.finish_reason: FinishReason | None = None
        self.error: str | None = None
        self.passes: tuple[int, NDArray[np.int64]] | None = None
        """How many decoding passes the row has had, and in how many each schedule held."""
        self.seed = seed
        self.key = noise_key(seed, row.prompt.example_id, row.sample_id)
        self._budget = token_budget(row, model, params)
        self._eos = model.eos_token_ids
        self._loop = None if params.loop is None else LoopWatch(params.loop.window, params.loop.repeats)
        for token, reading in zip(row.begun.tokens, row.begun.readings, strict=True):
            self.push(token, reading)

    @property
    def most_own_positions(self) -> int:
        """How many positions behind its prompt the row can come to take."""
        return self._budget

    def push(self, token: int, reading: TokenReading = NOT_READ) -> None:
        """Add the chosen token, or the given one in its place, and see whether it ends the row."""
        if len(self.tokens) < len(self.row.given):
            token, reading = self.row.given[len(self.tokens)], _certain(reading)
        self.tokens.append(token)
        self.readings.append(reading)
        is_loop = self._loop is not None and self._loop.push(token)
        if token in self._eos:
            self.finish_reason = "stop"
        elif is_loop:
            self.finish_reason = "loop"
        elif len(self.tokens) >= self._budget:
            self.finish_reason = "length"

    @property
    def as_it_stands(self) -> Row:
        """The row, to be taken up again where it is now."""
        return replace(self.row, begun=Begun(tuple(self.tokens), tuple(self.readings)))

    def fail(self, why: str) -> None:
        """Ends the row as an error, and says at which step."""
        self.finish_reason = "error"
        self.error = f"{self.row.label}, step {len(self.tokens)}: {why}"

    def record(self, model: LoadedModel, params: SamplingParams) -> GenerationRecord:
        """The finished row; the end-of-text token is among the ids but not in the text."""
        assert self.finish_reason is not None
        prompt, condition = self.row.prompt, self.row.condition
        shown: Sequence[int] = self.tokens[:-1] if self.finish_reason == "stop" else self.tokens
        with_entropy = params.logprobs == "with_entropy"
        gen_params = asdict(params)
        if params.loop is not None:
            gen_params["loop"] = params.loop.model_dump()
        return GenerationRecord(
            example_id=prompt.example_id,
            sample_id=self.row.sample_id,
            variant=prompt.variant,
            condition=condition.name,
            draw=condition.draw,
            prompt=prompt.text,
            prompt_ids=list(prompt.ids),
            completion=model.tokenizer.decode(shown, skip_special_tokens=False),
            completion_ids=self.tokens,
            finish_reason=self.finish_reason,
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(self.tokens),
            gen_params=gen_params,
            seed_key=f"{self.seed}/{prompt.example_id}/{self.row.sample_id}",
            logprobs=_kept(logprob for logprob, _ in self.readings) if params.logprobs else None,
            entropies=_kept(entropy for _, entropy in self.readings) if with_entropy else None,
            error=self.error,
        )


def _certain(reading: TokenReading) -> TokenReading:
    """What is kept of a token that was given, not chosen."""
    logprob, entropy = reading
    return None if logprob is None else 0.0, None if entropy is None else 0.0


def _kept(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
