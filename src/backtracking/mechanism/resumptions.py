"""Does the onset come a sentence later? Short continuations sampled from the onset step.

The intervention acts on one choice only: the token at the onset step is drawn from the changed model, and
the untouched model goes on from there. All scales share a continuation's noise, so they part only where the
choice does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from backtracking.config.onsets import StudiedOnsets
from backtracking.engine.executor.work import HERE, Executor
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows, none_failed
from backtracking.engine.sampling import choose, noise_key
from backtracking.interventions import BASELINE_ARM, Arm, Condition
from backtracking.measurements.comparison import CompletionNumber, average, flag
from backtracking.measurements.controls import Event
from backtracking.measurements.statistics import estimate_columns
from backtracking.mechanism.continuations import last_position_logits
from backtracking.model.loading import LoadedModel
from backtracking.text.onsets import Detector
from backtracking.text.tokenization import decode


@dataclass(frozen=True)
class ResumptionPlan:
    """How continuations are sampled."""

    count: int
    tokens: int
    sampling: SamplingParams
    seed: int
    budget: int
    onsets: StudiedOnsets = "strict"


def sample_resumptions(
    model: LoadedModel,
    events: Sequence[Event],
    arms: Sequence[Arm],
    detector: Detector,
    plan: ResumptionPlan,
    vectors: Mapping[str, Tensor] | None = None,
    executor: Executor = HERE,
) -> pd.DataFrame:
    """One row per event, arm and continuation: an onset at once, or one later within the continuation."""
    chosen = _first_tokens(model, events, arms, plan, vectors)
    names = [BASELINE_ARM.name, *(arm.name for arm in arms)]
    rows = [
        Row(
            Prompt(str(number), f"resumption after {token}", "", (*event.at.seen, token)),
            sample,
            Condition(name=names[place]),
        )
        for number, event in enumerate(events)
        for place, tokens in enumerate(chosen[number])
        for sample, token in enumerate(tokens)
        if token not in model.eos_token_ids
    ]
    sampling = replace(plan.sampling, max_new_tokens=max(1, plan.tokens - 1))
    written = {
        (record.example_id, record.condition, record.sample_id): record.completion_ids
        for record in none_failed(generate_rows(model, rows, sampling, seed=plan.seed, executor=executor))
    }
    lines = []
    for number, event in enumerate(events):
        for name, scale, tokens in zip(
            names, [1.0, *(arm.scale for arm in arms)], chosen[number], strict=True
        ):
            for sample, token in enumerate(tokens):
                ids = [token, *written.get((str(number), name, sample), [])]
                at_once, later = _onsets(model, event, ids, detector, plan.onsets)
                lines.append(
                    {
                        "example_id": event.at.example_id,
                        "sample_id": event.at.sample_id,
                        "pred_pos": event.at.pos,
                        "arm": name,
                        "scale": scale,
                        "continuation": sample,
                        "first_token": decode(model.tokenizer, [token], skip_special=False),
                        "onset_at_once": at_once,
                        "onset_later": later,
                    }
                )
    return pd.DataFrame(lines)


def _first_tokens(
    model: LoadedModel,
    events: Sequence[Event],
    arms: Sequence[Arm],
    plan: ResumptionPlan,
    vectors: Mapping[str, Tensor] | None,
) -> list[list[list[int]]]:
    """[event][arm][continuation]: the token drawn at the onset step, the untouched model first."""
    tokens_of: list[list[list[int]]] = [[] for _ in events]
    readings = [event.at for event in events]
    for number, logits in last_position_logits(model, readings, arms, plan.budget, vectors):
        keys = torch.tensor(
            [noise_key(plan.seed, f"onset step {number}", sample) for sample in range(plan.count)],
            device=logits.device,
        )
        steps = torch.zeros_like(keys)
        for row in logits:
            drawn = choose(row.expand(plan.count, -1), keys, steps, plan.sampling)
            tokens_of[number].append([int(token) for token in drawn.tokens])
    return tokens_of


def _onsets(
    model: LoadedModel, event: Event, ids: Sequence[int], detector: Detector, kind: StudiedOnsets
) -> tuple[bool, bool]:
    """Whether an onset begins with the first token, and whether one begins after it."""
    said = event.at.seen[event.at.prompt_tokens :]
    before = len(decode(model.tokenizer, said, skip_special=False))
    first = len(decode(model.tokenizer, [*said, ids[0]], skip_special=False))
    text = decode(model.tokenizer, [*said, *ids], skip_special=False)
    starts = [onset.start for onset in detector.of_kind(text, kind) if onset.start >= before]
    return any(start < first for start in starts), any(start >= first for start in starts)


def summarize_resumptions(table: pd.DataFrame) -> pd.DataFrame:
    """Per scale: the share of continuations that turn back at once, later, or at all."""
    outcomes: dict[str, CompletionNumber] = {name: flag(name) for name in ("onset_at_once", "onset_later")}
    outcomes["onset_at_all"] = CompletionNumber(
        lambda rows: (rows["onset_at_once"] | rows["onset_later"]).astype(float)
    )
    lines = []
    for scale, part in table.groupby("scale", sort=False):
        line: dict[str, object] = {"scale": scale, "n": len(part)}
        for name, outcome in outcomes.items():
            line |= estimate_columns(name, average(part, outcome))
        lines.append(line)
    return pd.DataFrame(lines).sort_values("scale", ascending=False, ignore_index=True)
