"""Does a wrong result bring the onset on? The same prefix, right and wrong, and the onset's log-mass."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backtracking.measurements.injections import KINDS, STEPS, WRONG, Pair
from backtracking.measurements.jackknife import Estimates, jackknife, means
from backtracking.measurements.statistics import Array, holm
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import Padded, batches, read_padded, recording, residuals
from backtracking.mechanism.phrases import PhraseReader
from backtracking.mechanism.readouts import Openings, log_mass
from backtracking.model.loading import LoadedModel
from backtracking.text.onsets.triggers import Phrase


@torch.no_grad()
def read_pairs(
    loaded: LoadedModel, pairs: Sequence[Pair], phrases: Sequence[Phrase], budget: int
) -> Iterator[tuple[int, Values]]:
    """Per pair the log-mass of the phrases, clean and corrupted, at the positions from the result on."""
    last = residuals(loaded)[loaded.n_layers - 1]
    openings = Openings.of(phrases)
    weights = _weights(loaded, pairs, phrases, budget)
    for group in batches([2 * len(pair.clean) for pair in pairs], budget):
        sequences = [ids for k in group for ids in (pairs[k].clean, pairs[k].corrupted)]
        with recording({"end": last}, lambda output: output) as kept:
            read_padded(loaded, Padded.of(sequences, loaded.device))
        width = kept["end"].shape[1]
        for row, index in enumerate(group):
            pair = pairs[index]
            start = width - len(pair.clean)
            places = [*range(pair.result_end, len(pair.clean))]
            states = kept["end"][2 * row : 2 * row + 2, [start + place for place in places]]
            log_probs = loaded.readout(states).float().log_softmax(-1)
            masses = log_mass(log_probs, openings.tokens, weights[index].to(log_probs.device))
            yield index, {"clean": masses[0].tolist(), "corrupted": masses[1].tolist()}


def _weights(
    loaded: LoadedModel, pairs: Sequence[Pair], phrases: Sequence[Phrase], budget: int
) -> list[Tensor]:
    """Per pair what first pieces weigh, clean and corrupted, at the positions read: [2, place, token]."""
    reader = PhraseReader(loaded, phrases, budget)
    texts = [ids for pair in pairs for ids in (pair.clean, pair.corrupted)]
    places = [range(pair.result_end, len(pair.clean)) for pair in pairs for _ in range(2)]
    weights: dict[int, Tensor] = {}
    for index, chances in reader(texts, places):
        known = (dict(zip(reader.phrases, place.tolist(), strict=True)) for place in chances)
        weights[index] = torch.tensor([list(Openings.of(phrases, one).weights.values()) for one in known])
    return [torch.stack([weights[2 * k], weights[2 * k + 1]]) for k in range(len(pairs))]


def injection_table(pairs: Sequence[Pair], values: Sequence[Values]) -> pd.DataFrame:
    """One row per pair: the change at the decision and at each position after the result."""
    rows = []
    for pair, logmass in zip(pairs, values, strict=True):
        changes = np.subtract(logmass["corrupted"], logmass["clean"])
        decision = pair.decision - pair.result_end
        row: dict[str, Any] = {
            "example_id": pair.example_id,
            "sample_id": pair.sample_id,
            "kind": pair.kind,
            "is_wrong": pair.is_wrong,
            "step": pair.original,
            "changed": pair.changed,
            "decision_pos": pair.decision,
            "clean_logmass": logmass["clean"][decision],
            "corrupted_logmass": logmass["corrupted"][decision],
            "change": changes[decision],
        }
        row |= {f"change_{k}": changes[k] if k < len(changes) else np.nan for k in range(STEPS)}
        rows.append(row)
    return pd.DataFrame(rows)


def summary_table(table: pd.DataFrame) -> pd.DataFrame:
    """Per kind the mean change at the decision, with intervals, and against the harmless rewrites."""
    problems = list(table["example_id"])
    harmless = ~table["is_wrong"].to_numpy(bool)
    changes = table["change"].to_numpy(float)
    rows = []
    for kind in [*KINDS, "any wrong", "any harmless"]:
        chosen = _members(table, kind)
        if not chosen.any():
            continue
        own = means(np.array(problems)[chosen].tolist(), changes[chosen, None])
        against = _difference(problems, changes, chosen, harmless & ~chosen)
        rows.append(
            {
                "kind": kind,
                "n": int(chosen.sum()),
                "problems": int(table.loc[chosen, "example_id"].nunique()),
                **_columns("change", own),
                **_columns("above_harmless", against),
                "p": float(against.p[0]),
                "share_raised": float((changes[chosen] > 0).mean()),
            }
        )
    summary = pd.DataFrame(rows)
    single = summary["kind"].isin(WRONG)
    summary["p_holm"] = np.nan
    summary.loc[single, "p_holm"] = holm(summary.loc[single, "p"].to_numpy(float))
    return summary


def _members(table: pd.DataFrame, kind: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    if kind.startswith("any"):
        wanted = table["is_wrong"] if kind == "any wrong" else ~table["is_wrong"]
        return wanted.to_numpy(bool)
    return table["kind"].eq(kind).to_numpy(bool)


def _columns(name: str, estimate: Estimates) -> dict[str, float]:
    return {
        name: float(estimate.value[0]),
        f"{name}_low": float(estimate.low[0]),
        f"{name}_high": float(estimate.high[0]),
    }


def _difference(problems: Sequence[str], values: Array, one: Any, other: Any) -> Estimates:
    """Mean of one set of rows minus the mean of another, problems as the unit."""
    columns = np.stack([values * one, one.astype(float), values * other, other.astype(float)], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return jackknife(
            problems, columns[:, :, None], lambda total: total[0] / total[1] - total[2] / total[3]
        )


def curve_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean change by position after the result: wrong against harmless."""
    rows = []
    for name, wrong in (("wrong", True), ("harmless", False)):
        part = table[table["is_wrong"] == wrong]
        if part.empty:
            continue
        changes = part[[f"change_{k}" for k in range(STEPS)]].to_numpy(float)
        estimate = means(list(part["example_id"]), changes)
        rows += [
            {
                "rewrite": name,
                "offset": k,
                "change": estimate.value[k],
                "change_low": estimate.low[k],
                "change_high": estimate.high[k],
                "n": int(np.isfinite(changes[:, k]).sum()),
            }
            for k in range(STEPS)
        ]
    return pd.DataFrame(rows)
