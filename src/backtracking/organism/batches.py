"""Training batches: token ids with a weight for each target, drawn from the seed and the step alone."""

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch
from transformers import PreTrainedTokenizerFast

from backtracking.organism.design import DESIGN, MAIN, Design
from backtracking.organism.task import random_problem, random_step
from backtracking.organism.tokenizer import ASSISTANT, BOS, EOS, USER
from backtracking.organism.traces import TeachingTrace, TracePiece, TraceWriter, write_trace

CHAIN_WEIGHTS = {
    TracePiece.OPERANDS: 0.0,
    TracePiece.RESULT: 1.0,
    TracePiece.WRONG_RESULT: 0.0,
    TracePiece.AFTER: 1.0,
    TracePiece.AGAIN: 0.5,
    TracePiece.FINAL: 0.0,
}
"""On a bare chain the operands are arbitrary, and a wrong result is nothing to learn."""

FULL_WEIGHTS = dict.fromkeys(TracePiece, 1.0)

DECIDE_WEIGHT = 3.0
"""The token after a full stop says `go on` or `Wait`; it is rare and carries the noticing: it counts more."""


@dataclass(frozen=True)
class TrainingSample:
    """One training sequence: a prompt, which is not a target, and a trace."""

    prompt: str
    trace: TeachingTrace


@dataclass(frozen=True)
class TrainingBatch:
    """Padded ids, and the weight of each id as a target."""

    ids: torch.Tensor
    weights: torch.Tensor


def prompt_text(question: str, variant: str, design: Design = DESIGN) -> str:
    """What the chat template renders for a question, with the forced start of the format."""
    return f"{BOS}{USER}{question}{ASSISTANT}{design.formats[variant].think_open}"


def chain_sample(rng: random.Random, design: Design = DESIGN) -> TrainingSample:
    """Statements without a problem, each going on from the one before.

    Bare chains are for arithmetic and for noticing: more mistakes, one trigger, no needless checks.
    """
    steps = [random_step(rng, rng.randint(2, 18))]
    while len(steps) < 5:
        steps.append(random_step(rng, steps[-1].result))
    form = design.formats[MAIN]
    clean = replace(form, trigger=0.97, silent=0.0, unnoticed=0.03, false_alarm=0.02, newline=0.5)
    bare = replace(design.calm, wrong=0.4, triggers={"Wait": 1.0}, remark=0.0)
    writer = TraceWriter(rng, clean, "That makes {value}.", bare)
    return TrainingSample(f"{BOS}{form.think_open}", writer.write(steps, final=False))


def problem_sample(rng: random.Random, design: Design = DESIGN) -> TrainingSample:
    """A problem of the training split and a trace in one of the formats."""
    problem = random_problem(rng, "train")
    variant = rng.choice(tuple(design.formats))
    return TrainingSample(
        prompt_text(problem.question, variant, design), write_trace(problem, variant, rng, design)
    )


def weigh(
    offsets: Sequence[tuple[int, int]], trace: TeachingTrace, weights: Mapping[TracePiece, float]
) -> list[float]:
    """The weight of each token of a trace, by the piece in which the token starts."""
    starts = [0, *accumulate(len(text) for text, _ in trace.pieces)]
    text = trace.text
    result = []
    for begin, _ in offsets:
        weight = weights[trace.pieces[bisect_right(starts, begin) - 1][1]]
        decides = begin > 0 and text[:begin].rstrip("\n")[-1:] == "."
        result.append(DECIDE_WEIGHT if decides else weight)
    return result


class BatchSource:
    """Batches of about `tokens` tokens; batch `step` depends on the seed and on `step` only."""

    POOL = 8
    """So many batches are drawn together and cut by length, which spares padding."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        draw: Callable[[random.Random], TrainingSample],
        weights: Mapping[TracePiece, float],
        *,
        tokens: int,
        mean_length: int,
        seed: str,
    ) -> None:
        self.tokenizer = tokenizer
        self.draw = draw
        self.weights = weights
        self.rows = tokens * self.POOL // mean_length
        self.seed = seed
        self._pool: tuple[int, list[TrainingBatch]] = (-1, [])

    def batch(self, step: int) -> TrainingBatch:
        """The batch of a step."""
        pool, place = divmod(step, self.POOL)
        if self._pool[0] != pool:
            self._pool = (pool, self._make_pool(random.Random(f"{self.seed}/{pool}")))
        return self._pool[1][place]

    def _make_pool(self, rng: random.Random) -> list[TrainingBatch]:
        samples = [self.draw(rng) for _ in range(self.rows)]
        rows = sorted(self._encode(samples), key=lambda row: len(row[0]))
        ends = [0]
        total = sum(len(ids) for ids, _ in rows)
        seen = 0
        for place, (ids, _) in enumerate(rows, 1):
            seen += len(ids)
            if seen >= total * len(ends) / self.POOL:
                ends.append(place)
        ends[-1] = len(rows)
        batches = [self._pad(rows[a:b]) for a, b in pairwise(ends)]
        rng.shuffle(batches)
        return batches

    def _encode(self, samples: Sequence[TrainingSample]) -> list[tuple[list[int], list[float]]]:
        backend = self.tokenizer.backend_tokenizer
        prompts = backend.encode_batch([s.prompt for s in samples], add_special_tokens=False)
        traces = backend.encode_batch([s.trace.text for s in samples], add_special_tokens=False)
        eos = self.tokenizer.convert_tokens_to_ids(EOS)
        rows = []
        for sample, prompt, trace in zip(samples, prompts, traces, strict=True):
            weights = weigh(trace.offsets, sample.trace, self.weights)
            end = self.weights[TracePiece.FINAL]
            rows.append(([*prompt.ids, *trace.ids, eos], [0.0] * len(prompt.ids) + weights + [end]))
        return rows

    def _pad(self, rows: Sequence[tuple[list[int], list[float]]]) -> TrainingBatch:
        width = max(len(ids) for ids, _ in rows)
        pad = self.tokenizer.pad_token_id
        return TrainingBatch(
            torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows]),
            torch.tensor([weights + [0.0] * (width - len(weights)) for _, weights in rows]),
        )
