"""Where paired completions part: the first token that an intervention changed, and what it hit.

With noise that belongs to the row, an arm's completion repeats the baseline's token by token until the
intervention changes a choice. That first divergence is a direct readout of what the intervention did;
everything after it is another story.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtracking.measurements.statistics import (
    Array,
    Interval,
    cluster_bootstrap,
    estimate_columns,
    rate,
    sums_by,
    unless_few,
)
from backtracking.run.records import GenerationRecord, RowId
from backtracking.text.onsets import reasoning_end
from backtracking.text.onsets.triggers import Triggers
from backtracking.text.tokenization import Tokenizer, decode

BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class BaselineRows:
    """Baseline completions by row, and the completion token where each one's first onset begins."""

    records: Mapping[RowId, GenerationRecord]
    first_onsets: Mapping[RowId, int]


def first_divergences(
    baseline: BaselineRows,
    arm: Iterable[GenerationRecord],
    triggers: Triggers,
    tokenizer: Tokenizer,
    think_close: str = "",
) -> pd.DataFrame:
    """One row per completion of the arm: where it leaves the baseline, and between which tokens."""
    lines = []
    for record in arm:
        key = (record.example_id, record.sample_id)
        before = baseline.records[key]
        step = first_difference(before.completion_ids, record.completion_ids)
        line: dict[str, object] = {
            "example_id": key[0],
            "sample_id": key[1],
            "arm": record.condition,
            "step": step,
        }
        hit = triggers.places(before.completion_ids)
        line |= {"baseline_tokens": len(before.completion_ids), "baseline_trigger_tokens": len(hit)}
        if step is not None:
            old, new = _token(before.completion_ids, step), _token(record.completion_ids, step)
            said = triggers.places(record.completion_ids)
            onset = baseline.first_onsets.get(key)
            line |= {
                "baseline_token": old,
                "new_token": new,
                "baseline_text": _text(tokenizer, old),
                "new_text": _text(tokenizer, new),
                "region": _region(before, step, tokenizer, think_close),
                "steps_from_onset": None if onset is None else step - onset,
                "removes_trigger": step in hit - said,
                "adds_trigger": step in said - hit,
            }
        lines.append(line)
    table = pd.DataFrame(lines)
    wanted = ["step", "baseline_token", "new_token", "steps_from_onset"]
    return table.astype({name: "Int64" for name in wanted if name in table})


def first_difference(one: Sequence[object], other: Sequence[object]) -> int | None:
    """The first completion step at which two completions differ; none when they are the same."""
    for step, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return step
    return None if len(one) == len(other) else min(len(one), len(other))


def _token(ids: list[int], step: int) -> int | None:
    return ids[step] if step < len(ids) else None


def _text(tokenizer: Tokenizer, token: int | None) -> str:
    return "" if token is None else decode(tokenizer, [token], skip_special=False)


def _region(record: GenerationRecord, step: int, tokenizer: Tokenizer, think_close: str) -> str:
    said = decode(tokenizer, record.completion_ids[:step], skip_special=False)
    return "think" if reasoning_end(said, think_close) is None else "answer"


def divergence_summary(divergences: pd.DataFrame) -> pd.DataFrame:
    """Per arm: how many rows part, where, and the specificity index with its interval.

    The index is the share of first divergences that replace a trigger token over the share of trigger tokens
    in the baseline text. 1 means that the intervention hits triggers no more than any other token.
    """
    return pd.DataFrame(
        [{"arm": arm} | _summary(part) for arm, part in divergences.groupby("arm", sort=False)]
    )


def _summary(part: pd.DataFrame) -> dict[str, object]:
    parted = part[part["step"].notna()]
    hits = part.get("removes_trigger", pd.Series(False, index=part.index)).eq(True)
    columns = np.stack(
        [hits, part["step"].notna(), part["baseline_trigger_tokens"], part["baseline_tokens"]], axis=1
    ).astype(np.float64)
    by_problem = sums_by(part["example_id"].to_numpy(dtype=str), columns)
    index = _specificity_index(by_problem)
    before = parted.get("steps_from_onset", pd.Series(dtype="Int64"))
    return {
        "total": len(part),
        "diverged": len(parted),
        "divergence_rate": len(parted) / len(part),
        "median_step": parted["step"].median() if len(parted) else None,
        "in_reasoning": parted["region"].eq("think").mean() if len(parted) else None,
        "at_onset": before.eq(0).mean() if before.notna().any() else None,
        "before_onset": (before < 0).mean() if before.notna().any() else None,
        "trigger_hits": int(hits.sum()),
        "trigger_hit_rate": hits.sum() / len(parted) if len(parted) else None,
        "trigger_base_rate": columns[:, 2].sum() / columns[:, 3].sum(),
    } | estimate_columns("specificity_index", index)


def _specificity_index(by_problem: Array) -> Interval:
    """A bootstrap over problems; without a single hit, which no draw can change, the hit rate's interval.

    Problems without a divergence say nothing of what divergences hit.
    """
    index = cluster_bootstrap(by_problem, _specificity, seed=BOOTSTRAP_SEED)
    if index.value == 0:
        hits = rate(by_problem[:, 0], by_problem[:, 1])
        base = by_problem[:, 2].sum() / by_problem[:, 3].sum()
        index = Interval(0.0, hits.low / base, hits.high / base)
    return unless_few(index, int((by_problem[:, 1] > 0).sum()))


def _specificity(total: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        index: Array = (total[:, 0] / total[:, 1]) / (total[:, 2] / total[:, 3])
    return index


def replaced_tokens(divergences: pd.DataFrame, top: int = 10) -> pd.DataFrame:
    """Per arm the commonest first changes: baseline token → new token."""
    parted = divergences[divergences["step"].notna()]
    if parted.empty:
        return pd.DataFrame(columns=["arm", "baseline_text", "new_text", "count", "share"])
    counts = (
        parted.groupby(["arm", "baseline_text", "new_text"], sort=False).size().rename("count").reset_index()
    )
    counts["share"] = counts["count"] / counts.groupby("arm")["count"].transform("sum")
    counts = counts.sort_values(["arm", "count"], ascending=[True, False], kind="stable")
    return counts.groupby("arm", sort=False).head(top).reset_index(drop=True)
