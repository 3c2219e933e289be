"""The intervention at the onset step alone: teacher-forced on stored ids, the prefix untouched."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backtracking.engine.executor.work import HERE, Executor
from backtracking.interventions import Arm, Condition, Intervention, When, scale_factor
from backtracking.measurements.controls import Event, Reading
from backtracking.measurements.statistics import (
    Array,
    at_most,
    estimate_columns,
    of_shares,
    paired_difference,
    ratio,
    sums_by,
)
from backtracking.mechanism.grouped import read_groups
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import Edit, Site, TailScan, batches, takes_arms
from backtracking.mechanism.phrases import Chances, PhraseReader
from backtracking.mechanism.readouts import Openings, opening_mass, token_rank
from backtracking.model.hooks import intervene
from backtracking.model.loading import LoadedModel
from backtracking.run.progress import Bar
from backtracking.text.onsets.triggers import Triggers, shortest
from backtracking.text.tokenization import decode

ONSET = "onset"
TOP_TOKENS = 5
MEASURES = ("onset_prob", "family_prob", "other_families_prob", "entropy", "kl")


@dataclass(frozen=True)
class StepPlace:
    """A position that is intervened on, and the onset whose token is scored there."""

    kind: str
    at: Reading
    event: Event


def get_onset_token_prob(
    model: LoadedModel,
    ids: Sequence[int],
    token_id: int,
    interventions: Sequence[Intervention] = (),
    vectors: Mapping[str, Tensor] | None = None,
) -> tuple[float, float]:
    """Probability and logit of `token_id` after `ids`, the interventions acting on the last position only."""
    condition = Condition(name="onset-step", interventions=tuple(interventions))
    logits = _step_by_step(model, ids, [condition], vectors)[0].float()
    return float(logits.softmax(-1)[token_id]), float(logits[token_id])


def run_continuation_ablation(
    model: LoadedModel,
    events: Sequence[Event],
    arms: Sequence[Arm],
    triggers: Triggers,
    *,
    variant: str,
    budget: int,
    vectors: Mapping[str, Tensor] | None = None,
    bar: Bar | None = None,
    executor: Executor = HERE,
) -> pd.DataFrame:
    """One row per position and arm: what happens to the onset token, its family and its synonyms."""
    places = [place for event in events for place in _places(event)]
    groups = list(batches([len(place.at.seen) for place in places], budget))
    reads = partial(_read_steps, arms=arms, triggers=triggers, budget=budget, vectors=vectors)
    rows: list[dict[str, object]] = []
    for index, measured in read_groups(model, reads, places, groups, executor):
        identity = _identity(places[index], variant)
        by_arm = zip(arms, measured["arms"], strict=True)
        rows += [identity | _arm_columns(arm) | values for arm, values in by_arm]
        if bar is not None:
            bar.advance()
    return _ordered(pd.DataFrame(rows), arms)


def _read_steps(
    model: LoadedModel,
    places: Sequence[StepPlace],
    arms: Sequence[Arm],
    triggers: Triggers,
    budget: int,
    vectors: Mapping[str, Tensor] | None,
) -> Iterator[tuple[int, Values]]:
    """Per position the readings under each arm, in the arms' order."""
    reader = PhraseReader(model, triggers.phrases, budget)
    texts = [place.at.seen for place in places]
    chances = {
        index: dict(zip(reader.phrases, at_step[0].tolist(), strict=True))
        for index, at_step in reader(texts, [[len(text) - 1] for text in texts])
    }
    for index, logits in last_position_logits(model, [place.at for place in places], arms, budget, vectors):
        yield (
            index,
            {"arms": _measure(logits.float(), places[index], triggers, chances.get(index, {}), model)},
        )


def summarize_continuation_results(table: pd.DataFrame, vocabulary: int | None = None) -> pd.DataFrame:
    """Per kind of position and scale: mean probabilities before and after, the untouched model at scale 1.

    With the size of the vocabulary, no interval of an entropy passes the most that there can be.
    """
    table = table.assign(
        position_kind=table["position_kind"].where(table["position_kind"] == ONSET, "control")
    )
    lines = []
    for (kind, scale), part in table.groupby(["position_kind", "scale"], sort=False):
        named = {"position_kind": kind, "scale": scale, **_counts(part)}
        lines.append(named | _means(part, "", vocabulary) | _change(part))
    for kind, part in table[table["scale"] == table["scale"].iloc[0]].groupby("position_kind", sort=False):
        named = {"position_kind": kind, "scale": 1.0, **_counts(part)}
        lines.append(named | _means(part, "_before", vocabulary))
    summary = pd.DataFrame(lines)
    return summary.sort_values(["position_kind", "scale"], ascending=False, ignore_index=True)


def _counts(part: pd.DataFrame) -> dict[str, int]:
    return {"n": len(part), "problems": part["example_id"].nunique()}


def _change(part: pd.DataFrame) -> dict[str, float]:
    """How much probability the onset's family loses, with the interval over problems."""
    after, before = (average_sums(part, name) for name in ("family_prob", "family_prob_before"))
    return estimate_columns("family_change", of_shares(paired_difference(after, before)))


def _means(part: pd.DataFrame, suffix: str, vocabulary: int | None) -> dict[str, float]:
    """Means with intervals over problems of the measures that the table has."""
    most = {"entropy": math.log(vocabulary) if vocabulary else math.inf, "kl": math.inf}
    line: dict[str, float] = {}
    for name in MEASURES:
        if name + suffix in part:
            found = ratio(*average_sums(part, name + suffix))
            line |= estimate_columns(name, at_most(found, 0.0, most.get(name, 1.0)))
    return line


def average_sums(part: pd.DataFrame, column: str) -> tuple[Array, Array]:
    """A column's sum and count per problem."""
    values = part[column].to_numpy(dtype=float)
    sums = sums_by(part["example_id"].to_numpy(dtype=str), np.stack([values, np.ones_like(values)], axis=1))
    return sums[:, 0], sums[:, 1]


def _places(event: Event) -> Iterator[StepPlace]:
    yield StepPlace(ONSET, event.at, event)
    for kind, control in event.controls.items():
        yield StepPlace(kind, control, event)


def _at_last_position(arm: Arm) -> Condition:
    """The arm's first member, acting wherever it is run: the caller runs it on one position only."""
    everywhere = tuple(
        intervention.model_copy(update={"when": When(phase="all")})
        for intervention in arm.members[0].interventions
    )
    return Condition(name=arm.name, interventions=everywhere)


def last_position_logits(
    model: LoadedModel,
    readings: Sequence[Reading],
    arms: Sequence[Arm],
    budget: int,
    vectors: Mapping[str, Tensor] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Per reading: its index and next-token logits [1 + arms, vocabulary], the untouched model first.

    Arms that only scale outputs ride in one pass over the prefix; others are run one reading at a time.
    """
    conditions = [_at_last_position(arm) for arm in arms]
    scaled = [edits(condition) for condition in conditions]
    if any(arm is None for arm in scaled):
        for index, reading in enumerate(readings):
            yield index, _step_by_step(model, reading.seen, [Condition(name="before"), *conditions], vectors)
        return
    scan = TailScan(model, [(), *(arm for arm in scaled if arm is not None)])
    for group in batches([len(reading.seen) for reading in readings], budget):
        for index, hidden in zip(group, scan([readings[k].seen for k in group]), strict=True):
            yield index, model.readout(hidden)


def edits(condition: Condition) -> tuple[Edit, ...] | None:
    """The condition in the scan's terms; none when it does more than scale outputs."""
    scaled = []
    for intervention in condition.interventions:
        factor = scale_factor(intervention.mode, intervention.strength)
        if intervention.component == "resid" or factor is None:
            return None
        scaled.append(Edit(Site(intervention.component, intervention.layer, intervention.head), factor))
    return tuple(scaled)


@torch.no_grad()
def _step_by_step(
    model: LoadedModel,
    ids: Sequence[int],
    conditions: Sequence[Condition],
    vectors: Mapping[str, Tensor] | None,
) -> Tensor:
    """Logits after the last id under each condition; the prefix is read untouched."""
    from transformers import DynamicCache

    tokens = torch.tensor([list(ids)], device=model.device)
    kept: dict[str, Any] = {"use_cache": False}
    if len(ids) > 1 and takes_arms(model):
        kept = {"past_key_values": DynamicCache(), "use_cache": True}
        model.model(input_ids=tokens[:, :-1], **kept)
        kept["past_key_values"].batch_repeat_interleave(len(conditions))
        tokens = tokens[:, -1:]
    own = tokens.repeat(len(conditions), 1)
    with intervene(model, conditions, prompt_lengths=[len(ids) - 1] * len(conditions), vectors=vectors):
        logits: Tensor = model.model(input_ids=own, **kept).logits
    return logits[:, -1]


def _measure(
    logits: Tensor, place: StepPlace, triggers: Triggers, chances: Chances, model: LoadedModel
) -> list[dict[str, object]]:
    """Readings of every arm beside those of the untouched model, which is row 0 of `logits`."""
    log_probs = logits.log_softmax(-1)
    token = place.event.onset_id
    spelled = triggers.spelled.get(place.event.phrase, ())
    own = shortest([*spelled, *([] if token in {ids[0] for ids in spelled} else [(token,)])])
    others = set(shortest([*own, *triggers.phrases])) - set(own)
    readings = {
        "onset_prob": log_probs[:, token].exp(),
        "onset_logit": logits[:, token],
        "onset_rank": token_rank(logits, token),
        "family_prob": opening_mass(log_probs, Openings.of(own, chances)).exp(),
        "other_families_prob": opening_mass(log_probs, Openings.of(others, chances)).exp().nan_to_num(0.0),
        "entropy": -(log_probs.exp() * log_probs).nan_to_num(0.0).sum(-1),
    }
    before = {f"{name}_before": values[0].item() for name, values in readings.items()}
    divergence = (log_probs[0].exp() * (log_probs[0] - log_probs)).nan_to_num(0.0).sum(-1).clamp(min=0.0)
    return [
        {name: values[k].item() for name, values in readings.items()}
        | before
        | {"kl": divergence[k].item(), "top_tokens": _top(log_probs[k], model)}
        for k in range(1, len(logits))
    ]


def _top(log_probs: Tensor, model: LoadedModel) -> str:
    """The likeliest tokens with their probabilities, as JSON."""
    best = log_probs.topk(min(TOP_TOKENS, log_probs.shape[-1]))
    pairs = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    return json.dumps(
        [[decode(model.tokenizer, [token], skip_special=False), round(prob, 6)] for token, prob in pairs],
        ensure_ascii=False,
    )


def _identity(place: StepPlace, variant: str) -> dict[str, object]:
    event = place.event
    return {
        "example_id": event.at.example_id,
        "sample_id": event.at.sample_id,
        "variant": variant,
        "pred_pos": place.at.pos,
        "onset_token_id": event.onset_id,
        "onset_token_text": event.token_text,
        "position_kind": place.kind,
        "position_example_id": place.at.example_id,
        "position_sample_id": place.at.sample_id,
        "onset_phrase": event.phrase,
    }


def _arm_columns(arm: Arm) -> dict[str, object]:
    return {"subset_name": arm.subset_name, "scale": arm.scale, "num_components": arm.num_components}


def _ordered(table: pd.DataFrame, arms: Iterable[Arm]) -> pd.DataFrame:
    """Contract columns first; rows by event, kind of position and scale, however they were batched."""
    first = [
        "example_id", "sample_id", "variant", "pred_pos", "onset_token_id", "onset_token_text",
        "subset_name", "scale", "num_components", "onset_prob", "onset_logit",
    ]  # fmt: skip
    table = table[[*first, *(name for name in table if name not in first)]]
    return table.sort_values(["example_id", "sample_id", "position_kind", "scale"], ignore_index=True)
