"""How likely two tokens were where an arm's text parts from the baseline's: one pass of what both share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from backtracking.interventions import BASELINE, Condition
from backtracking.mechanism.passes import batches, recording, residuals
from backtracking.model.bans import Bans
from backtracking.model.hooks import intervene
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.run.records import GenerationRecord, RowId
from backtracking.text.onsets.triggers import Phrase

TOKENS_AT_ONCE = 1 << 12
COLUMNS = ("old_prob", "old_prob_arm", "new_prob", "new_prob_arm")
"""The baseline's token under the baseline and under the arm, then the arm's token under both."""


@dataclass(frozen=True)
class Parting:
    """Where a row under a condition leaves the baseline's, and the two tokens; none where a text ended."""

    row: RowId
    condition: Condition
    step: int
    old: int | None
    new: int | None


_Text = tuple[RowId, Condition]
"""A baseline row, read under a condition."""
_Wanted = Mapping[int, Collection[int]]
"""By completion step the tokens whose probability is asked for."""
_Chances = dict[tuple[_Text, int, int], float]


@torch.no_grad()
def parting_probabilities(
    model: LoadedModel,
    baseline: Mapping[RowId, GenerationRecord],
    partings: Sequence[Parting],
    *,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
    bar: Bar | None = None,
) -> list[dict[str, float | None]]:
    """`COLUMNS` of each parting: of the whole distribution at temperature 1, as stored log-probabilities."""
    wanted: dict[_Text, dict[int, set[int]]] = {}
    for one in partings:
        for condition in (BASELINE, one.condition):
            tokens = wanted.setdefault((one.row, condition), {}).setdefault(one.step, set())
            tokens.update(token for token in (one.old, one.new) if token is not None)
    texts, found = list(wanted), _Chances()
    lengths = [baseline[row].prompt_tokens + max(wanted[row, condition]) for row, condition in texts]
    for group in batches(lengths, TOKENS_AT_ONCE):
        chosen = {texts[k]: wanted[texts[k]] for k in group}
        found |= _read(model, baseline, chosen, vectors, onset_phrases)
        if bar is not None:
            bar.advance(len(group))
    return [_of_parting(one, found) for one in partings]


def _of_parting(one: Parting, found: _Chances) -> dict[str, float | None]:
    chances = [
        None if token is None else found[(one.row, condition), one.step, token]
        for token in (one.old, one.new)
        for condition in (BASELINE, one.condition)
    ]
    return dict(zip(COLUMNS, chances, strict=True))


def partings_of(table: pd.DataFrame, conditions: Sequence[Condition]) -> list[Parting]:
    """The lines of first divergences that part, each made under one of `conditions`."""
    if table["step"].isna().all():
        return []
    columns = ["example_id", "sample_id", "step", "baseline_token", "new_token"]
    lines = zip(conditions, table[columns].itertuples(index=False), strict=True)
    return [
        Parting(
            (str(example), int(sample)),
            condition,
            int(step),
            None if pd.isna(old) else int(old),
            None if pd.isna(new) else int(new),
        )
        for condition, (example, sample, step, old, new) in lines
        if not pd.isna(step)
    ]


def texts_read(partings: Sequence[Parting]) -> int:
    """How many texts are read: each row once under every condition, the baseline's among them."""
    return len({(one.row, condition) for one in partings for condition in (BASELINE, one.condition)})


def _read(
    model: LoadedModel,
    baseline: Mapping[RowId, GenerationRecord],
    wanted: Mapping[_Text, _Wanted],
    vectors: Mapping[str, Tensor] | None,
    onset_phrases: Collection[Phrase],
) -> _Chances:
    """One pass of some texts, each to the last step wanted; padding stands behind, where nobody looks."""
    records = [baseline[row] for row, _ in wanted]
    texts = [
        [*record.prompt_ids, *record.completion_ids[: max(steps)]]
        for record, steps in zip(records, wanted.values(), strict=True)
    ]
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts], device=model.device)
    reads = [(row, text, step) for row, text in enumerate(wanted) for step in wanted[text]]
    rows = torch.tensor([row for row, _, _ in reads])
    places = torch.tensor([records[row].prompt_tokens + step - 1 for row, _, step in reads])
    last = residuals(model)[model.n_layers - 1]
    acting = intervene(
        model,
        [condition for _, condition in wanted],
        prompt_lengths=[record.prompt_tokens for record in records],
        vectors=vectors,
        onset_phrases=onset_phrases,
    )
    with acting, recording({"end": last}, lambda output: output[rows, places]) as kept:
        model.model(input_ids=ids, use_cache=False, logits_to_keep=1)
    logits = model.readout(kept["end"]).float()
    for number, (row, (_, condition), step) in enumerate(reads):
        if condition.suppresses:
            said = records[row].completion_ids[:step]
            Bans(condition, model.tokenizer).apply(logits, {number: said})
    chances = logits.softmax(-1)
    return {
        (text, step, token): float(chances[number, token])
        for number, (_, text, step) in enumerate(reads)
        for token in wanted[text][step]
    }
