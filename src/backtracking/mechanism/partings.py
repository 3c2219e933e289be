"""How likely two tokens were where an arm's text parts from the baseline's: one pass of what both share."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backtracking.interventions import BASELINE, Arm, Condition
from backtracking.measurements.divergence import first_difference
from backtracking.mechanism.passes import batches, recording, residuals
from backtracking.model.bans import Bans
from backtracking.model.hooks import intervene
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.run.records import GenerationRecord, RowId
from backtracking.text.triggers import Phrase

TOKENS_AT_ONCE = 1 << 13
COLUMNS = ("old_prob", "old_prob_arm", "new_prob", "new_prob_arm")
"""The baseline's token under the baseline and under the arm, then the arm's token under both."""


@dataclass(frozen=True)
class Shared:
    """What two completions share: the prompt and the tokens up to the one at which they part."""

    prompt: tuple[int, ...]
    said: tuple[int, ...]
    condition: Condition

    @property
    def ids(self) -> tuple[int, ...]:
        """Everything that is read before the token is chosen."""
        return self.prompt + self.said


@torch.no_grad()
def parting_probabilities(
    model: LoadedModel,
    baseline: Mapping[RowId, GenerationRecord],
    arm: Arm,
    records: Iterable[GenerationRecord],
    *,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
    bar: Bar | None = None,
) -> dict[RowId, dict[str, float | None]]:
    """By row of an arm that parts from the baseline: `COLUMNS`, at temperature 1; None where a text ended.

    They are probabilities of the whole distribution, not of what top-p leaves of it.
    """
    members = {member.draw: member for member in arm.members}
    places: dict[RowId, tuple[Shared, Shared]] = {}
    tokens: dict[RowId, tuple[int | None, int | None]] = {}
    for record in records:
        before = baseline[record.id]
        step = first_difference(before.completion_ids, record.completion_ids)
        if step is not None:
            shared = tuple(before.prompt_ids), tuple(before.completion_ids[:step])
            places[record.id] = Shared(*shared, BASELINE), Shared(*shared, members[record.draw])
            tokens[record.id] = _at(before, step), _at(record, step)
    texts = [one for pair in places.values() for one in pair]
    wanted = [pair for pair in tokens.values() for _ in range(2)]
    read = _probabilities(model, texts, wanted, vectors, onset_phrases, bar)
    found = {}
    for number, row in enumerate(places):
        (old, new), (old_arm, new_arm) = read[2 * number], read[2 * number + 1]
        found[row] = dict(zip(COLUMNS, (old, old_arm, new, new_arm), strict=True))
    return found


def _at(record: GenerationRecord, step: int) -> int | None:
    return record.completion_ids[step] if step < len(record.completion_ids) else None


def _probabilities(
    model: LoadedModel,
    texts: Sequence[Shared],
    wanted: Sequence[tuple[int | None, int | None]],
    vectors: Mapping[str, Tensor] | None,
    onset_phrases: Collection[Phrase],
    bar: Bar | None,
) -> list[list[float | None]]:
    """Of every text the probabilities of two tokens that may come next."""
    found: list[list[float | None]] = [[] for _ in texts]
    for group in batches([len(text.ids) for text in texts], TOKENS_AT_ONCE):
        chances = _next_tokens(model, [texts[k] for k in group], vectors, onset_phrases)
        for row, k in enumerate(group):
            found[k] = [None if token is None else float(chances[row, token]) for token in wanted[k]]
        if bar is not None:
            bar.advance(len(group))
    return found


def _next_tokens(
    model: LoadedModel,
    texts: Sequence[Shared],
    vectors: Mapping[str, Tensor] | None,
    onset_phrases: Collection[Phrase],
) -> Tensor:
    """The distribution of what comes next, [text, vocabulary]; padding stands behind, where nobody looks."""
    width = max(len(text.ids) for text in texts)
    ids = torch.tensor([[*text.ids, *[0] * (width - len(text.ids))] for text in texts], device=model.device)
    ends = torch.tensor([len(text.ids) - 1 for text in texts], device=model.device)
    conditions = [text.condition for text in texts]
    lengths = [len(text.prompt) for text in texts]
    last = residuals(model)[model.n_layers - 1]
    acting = intervene(
        model, conditions, prompt_lengths=lengths, vectors=vectors, onset_phrases=onset_phrases
    )
    with acting, recording({"end": last}, lambda output: output[torch.arange(len(texts)), ends]) as kept:
        model.model(input_ids=ids, use_cache=False, logits_to_keep=1)
    logits = model.readout(kept["end"]).float()
    for row, text in enumerate(texts):
        if text.condition.suppresses:
            Bans(text.condition, model.tokenizer).apply(logits, {row: text.said})
    return logits.softmax(-1)
