"""How far an arm moves the model on ordinary text: KL per token, teacher-forced on baseline completions."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backtracking.interventions import BASELINE, Arm, Condition
from backtracking.measurements.statistics import estimate_columns, ratio, sums_by, unless_few
from backtracking.model.bans import Bans
from backtracking.model.hooks import intervene
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.run.records import GenerationRecord
from backtracking.text.onsets.triggers import Phrase

MAX_TOKENS = 512
LOGITS_AT_ONCE = 1 << 27


@torch.no_grad()
def text_damage(
    model: LoadedModel,
    records: Sequence[GenerationRecord],
    arms: Sequence[Arm],
    *,
    vectors: Mapping[str, Tensor] | None = None,
    onset_phrases: Collection[Phrase] = (),
    bar: Bar | None = None,
) -> pd.DataFrame:
    """Per row and arm: mean KL(arm ‖ untouched) over the completion's tokens, up to a fixed number of them.

    In this direction it is finite for every arm, also for one that forbids tokens.
    """
    lines: list[dict[str, object]] = []
    for number, record in enumerate(records):
        ids = [*record.prompt_ids, *record.completion_ids[:MAX_TOKENS]]
        start = record.prompt_tokens - 1
        for chosen in _chunks(arms, len(ids) * model.vocab_size):
            conditions = [BASELINE, *(arm.members[number % len(arm.members)] for arm in chosen)]
            log_probs = _log_probs(model, ids, record.prompt_tokens, conditions, vectors, onset_phrases)
            kept = log_probs[0, start:-1]
            for arm, changed in zip(chosen, log_probs[1:, start:-1], strict=True):
                kl = (changed.exp() * (changed - kept)).nan_to_num(0.0).sum(-1).clamp(min=0.0)
                lines.append(
                    {
                        "example_id": record.example_id,
                        "sample_id": record.sample_id,
                        "arm": arm.name,
                        "kl_per_token": float(kl.mean()),
                        "tokens": len(kl),
                    }
                )
        if bar is not None:
            bar.advance()
    return pd.DataFrame(lines)


def _chunks(arms: Sequence[Arm], logits_per_row: int) -> Iterator[Sequence[Arm]]:
    """Arms that fit into one pass beside the untouched row."""
    size = max(1, LOGITS_AT_ONCE // logits_per_row - 1)
    for start in range(0, len(arms), size):
        yield arms[start : start + size]


def _log_probs(
    model: LoadedModel,
    ids: Sequence[int],
    prompt_tokens: int,
    conditions: Sequence[Condition],
    vectors: Mapping[str, Tensor] | None,
    onset_phrases: Collection[Phrase],
) -> Tensor:
    """Log-probabilities of one text under several conditions; what is suppressed has none."""
    tokens = torch.tensor([list(ids)] * len(conditions), device=model.device)
    lengths = [prompt_tokens] * len(conditions)
    with intervene(model, conditions, prompt_lengths=lengths, vectors=vectors, onset_phrases=onset_phrases):
        logits = model.model(input_ids=tokens, use_cache=False).logits.float()
    for row, condition in enumerate(conditions):
        if condition.suppresses:
            said = {at: ids[prompt_tokens : at + 1] for at in range(prompt_tokens - 1, len(ids))}
            Bans(condition, model.tokenizer).apply(logits[row], said)
    result: Tensor = logits.log_softmax(-1)
    return result


def damage_by_arm(lines: pd.DataFrame) -> pd.DataFrame:
    """Mean KL per token of every arm, with its interval where there are enough problems."""
    rows: list[dict[str, object]] = []
    for arm, part in lines.groupby("arm", sort=False):
        values = part["kl_per_token"].to_numpy(dtype=float)
        problems = part["example_id"].to_numpy(dtype=str)
        sums = sums_by(problems, np.stack([values, np.ones_like(values)], axis=1))
        mean = unless_few(ratio(sums[:, 0], sums[:, 1]), len(sums))
        rows.append({"arm": str(arm), **estimate_columns("kl_per_token", mean)})
    return pd.DataFrame(rows)
