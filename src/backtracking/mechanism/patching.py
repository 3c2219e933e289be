"""Which components carry the error signal: activations swapped between right and wrong prefixes."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch

from backtracking.measurements.injections import FEWEST_PAIRS, Pair
from backtracking.measurements.jackknife import jackknife
from backtracking.measurements.statistics import holm
from backtracking.mechanism.partial import Values
from backtracking.mechanism.passes import (
    UNCHANGED,
    Edit,
    Edits,
    Site,
    TailScan,
    component_outputs,
    components,
)
from backtracking.mechanism.phrases import PhraseReader
from backtracking.mechanism.readouts import Openings, opening_odds
from backtracking.model.loading import LoadedModel
from backtracking.text.onsets.triggers import Phrase

PatchGroup = Literal["changed", "between", "deciding"]
GROUPS: tuple[PatchGroup, ...] = ("changed", "between", "deciding")
"""From the first change to the result's end, the tokens after it, and the last before the next sentence."""
PatchDirection = Literal["noising", "denoising"]
DIRECTIONS: tuple[PatchDirection, ...] = ("noising", "denoising")
SMALLEST_GAP = 0.5
"""Pairs whose log-odds differ by less hold no signal to trace."""


def backs(pair: Pair, group: PatchGroup) -> tuple[int, ...]:
    """Positions of a group, counted back from the deciding one."""
    if group == "deciding":
        return (0,)
    if group == "between":
        return tuple(range(1, pair.decision - pair.result_end))
    return tuple(range(max(1, pair.decision - pair.result_end), pair.decision - pair.first + 1))


def patch_arms(sites: Sequence[Site], pair: Pair) -> list[Edits]:
    """Nothing, then every component in every group of positions (an empty group changes nothing)."""
    return [UNCHANGED, *((Edit(site, None, backs(pair, group)),) for site in sites for group in GROUPS)]


@torch.no_grad()
def patch_pairs(
    loaded: LoadedModel, pairs: Sequence[Pair], phrases: Sequence[Phrase], budget: int
) -> Iterator[tuple[int, Values]]:
    """Per pair the log-odds of the phrases: clean, corrupted, and under every patch in both directions.

    What first pieces weigh is the same in all of them, the mean of both prefixes, so that the whole of what
    differs moves the whole gap.
    """
    sites = list(components(loaded))
    reader = PhraseReader(loaded, phrases, budget)
    for index, pair in enumerate(pairs):
        tail = pair.decision - pair.first + 1
        clean, corrupted = pair.clean[: pair.decision + 1], pair.corrupted[: pair.decision + 1]
        both = torch.stack([read for _, read in sorted(reader([clean, corrupted], [[pair.decision]] * 2))])
        chances = dict(zip(reader.phrases, both.mean(0)[0].tolist(), strict=True))
        openings = Openings.of(phrases, chances)
        scan = TailScan(loaded, patch_arms(sites, pair), tail=tail, budget=budget)
        ends = {}
        for direction, (target, source) in (
            ("noising", (clean, corrupted)),
            ("denoising", (corrupted, clean)),
        ):
            donors = component_outputs(loaded, [source], tail, budget)
            states = scan([target], donors)[0]
            ends[direction] = opening_odds(loaded.readout(states).float().log_softmax(-1), openings).tolist()
        yield (
            index,
            {
                "clean": ends["noising"][0],
                "corrupted": ends["denoising"][0],
                **{direction: values[1:] for direction, values in ends.items()},
            },
        )


def _warning(pairs: int) -> str:
    """What to say where pairs are too few for a finding."""
    if pairs >= FEWEST_PAIRS:
        return ""
    return f"{pairs} of the {FEWEST_PAIRS} pairs that a finding takes"


def patching_table(pairs: Sequence[Pair], values: Sequence[Values], sites: Sequence[Site]) -> pd.DataFrame:
    """Per component, group and direction the share of the gap between right and wrong that a patch moves.

    Noising puts the wrong run's output into the right run, denoising the reverse; 1 moves the whole gap.
    """
    gaps = np.array([value["corrupted"] - value["clean"] for value in values], dtype=float)
    used = np.abs(gaps) >= SMALLEST_GAP
    cells = [(site, group) for site in sites for group in GROUPS]
    tables = []
    for direction in DIRECTIONS:
        sign = 1.0 if direction == "noising" else -1.0
        start = np.array(
            [value["clean" if direction == "noising" else "corrupted"] for value in values], dtype=float
        )
        moved = sign * (np.array([value[direction] for value in values], dtype=float) - start[:, None])
        columns = np.stack([moved[used], np.broadcast_to(gaps[used, None], moved[used].shape)], axis=1)
        problems = [pair.example_id for pair, use in zip(pairs, used, strict=True) if use]
        if not problems:
            continue
        share = jackknife(problems, columns, lambda total: total[0] / total[1])
        tables.append(
            pd.DataFrame(
                {
                    "component": [site.component for site, _ in cells],
                    "layer": [site.layer for site, _ in cells],
                    "positions": [group for _, group in cells],
                    "direction": direction,
                    "share": share.value,
                    "share_low": share.low,
                    "share_high": share.high,
                    "p_holm": holm(share.p),
                    "n_pairs": int(used.sum()),
                    "n_problems": len(set(problems)),
                    "warning": _warning(int(used.sum())),
                }
            )
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
