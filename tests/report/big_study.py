"""The tables of a big study, made up: 28 layers, 12 arms beside the baseline, 28 × 12 heads."""

from pathlib import Path

import numpy as np
import pandas as pd

from backtracking.artifacts import phase1 as files
from backtracking.artifacts import phase2 as later
from backtracking.artifacts import readings
from backtracking.run.paths import RunPaths
from tests.report.tables import sweep_table

LAYERS, HEADS = 28, 12
_LOST = "delta_trigger_log_odds"
ARMS = (
    "selected_x0.5",
    "attn_last_x0.5",
    "attn_last_at_sentences_x0.5",
    "mlp_last_x0.5",
    "random_attn",
    "random_direction",
    "no_direction",
    "attn_last_head",
    "no_trigger_tokens",
    "late_layers_x0",
    "early_layers_x0.25",
    "middle_third_x0.75",
)
VERDICTS = (
    "non-destructive",
    "destructive",
    "inconclusive",
    "raises backtracking",
    "no effect",
    "not testable",
)
MECHANISM = "attn", "mlp"
_KINDS = ("matched_row", "same_row_earlier")


def with_ends(table: pd.DataFrame, width: float, *columns: str) -> pd.DataFrame:
    """The table with an interval around each of these columns."""
    for column in columns:
        table[f"{column}_low"], table[f"{column}_high"] = table[column] - width, table[column] + width
    return table


def arms_table() -> pd.DataFrame:
    """Twelve arms, most of them in a crowd at the baseline, with every verdict."""
    random = np.random.default_rng(1)
    rates = {"baseline": (0.62, 0.84)}
    for index, arm in enumerate(ARMS):
        crowded = index < 8
        rates[arm] = (
            (0.62 + random.normal(0, 0.02), 0.84 + random.normal(0, 0.015))
            if crowded
            else (0.1 + 0.1 * index % 0.5, 0.3 + 0.04 * index)
        )
    table = sweep_table(rates, margin=0.05, problems=60, samples=4)
    kinds = ["baseline", *("random" if arm.startswith("random") else "intervention" for arm in ARMS)]
    verdicts = [VERDICTS[index % len(VERDICTS)] for index in range(len(ARMS))]
    chances = [0.5, *random.random(len(ARMS))]
    return table.assign(kind=kinds, verdict=["", *verdicts], front_probability=chances)


def scan_table(with_heads: bool = False) -> pd.DataFrame:
    """A scan by block, or by head."""
    random = np.random.default_rng(2)
    rows = [
        {"layer": layer, "component": component} | ({"head": head} if with_heads else {})
        for layer in range(LAYERS)
        for component in (("attn",) if with_heads else MECHANISM)
        for head in range(HEADS if with_heads else 1)
    ]
    table = pd.DataFrame(rows)
    bump = np.exp(-(((table["layer"] - 20) / 3.0) ** 2))
    table["delta_trigger_log_odds"] = -2.0 * bump * random.random(len(table)) + random.normal(
        0, 0.1, len(table)
    )
    table["kl_control"] = random.exponential(0.05, len(table))
    table["selectivity"] = -table["delta_trigger_log_odds"] / (table["kl_control"] + 0.05)
    table = with_ends(table, 0.15, "delta_trigger_log_odds")
    return table.assign(n_events=400, n_controls=380, mode="mean")


def lens_table() -> pd.DataFrame:
    layers = np.arange(LAYERS)
    parts = []
    for kind, gain in zip(_KINDS, (4.0, 3.2), strict=True):
        rise = 1 / (1 + np.exp(-(layers - 18) / 2.0))
        part = pd.DataFrame({"layer": layers, "control_matching": kind, "n_bt": 400, "n_control": 380})
        part["family_bt"], part["family_control"] = -14 + 12 * rise, -14 + (12 - gain) * rise
        part["family_diff"] = gain * rise
        parts.append(with_ends(part, 0.3, "family_diff"))
    return pd.concat(parts, ignore_index=True)


def window_table() -> pd.DataFrame:
    rows = [
        {
            "group": group,
            "layer": layer,
            "offset": offset,
            "n": 400,
            "family_logmass": -14 + 0.3 * layer + 0.1 * offset,
            "onset_minus_group": (layer / LAYERS) ** 3 * 4 * np.exp(offset / 3.0),
        }
        for group in ("onset", *_KINDS)
        for layer in range(LAYERS)
        for offset in range(-16, 2)
    ]
    return with_ends(pd.DataFrame(rows), 0.4, "onset_minus_group")


def direct_table() -> pd.DataFrame:
    random = np.random.default_rng(3)
    table = scan_table()[["layer", "component"]].assign(head=np.nan)
    late = table["layer"] > 18
    table["direct"] = random.normal(0, 0.15, len(table)) + late * random.exponential(1.5, len(table))
    table["total"] = 0.6 * table["direct"] + random.normal(0, 0.2, len(table))
    return with_ends(table, 0.12, "direct", "total")


def pairs_table() -> pd.DataFrame:
    random = np.random.default_rng(4)
    chosen = [("attn", 20), ("attn", 21), ("attn", 25), ("mlp", 19), ("mlp", 22), ("mlp", 27)]
    rows = [
        {
            "component_a": a,
            "layer_a": i,
            "component_b": b,
            "layer_b": j,
            "lost_a": 1.0,
            "lost_b": 0.8,
            "lost_together": 1.5,
            "interaction": random.normal(0, 0.8),
        }
        for place, (a, i) in enumerate(chosen)
        for b, j in chosen[place + 1 :]
    ]
    table = with_ends(pd.DataFrame(rows), 0.5, "interaction")
    kinds = np.where(table["interaction"].abs() < 0.5, "additive", "sub-additive")
    return table.assign(kind=kinds, p_holm=0.01)


def positions_table() -> pd.DataFrame:
    parts = [
        scan_table().assign(position=position, delta_trigger_log_odds=scan_table()[_LOST] / (1 - position))
        for position in range(-3, 1)
    ]
    return pd.concat(parts, ignore_index=True)


def patching_table() -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = [
        {
            "component": component,
            "layer": layer,
            "positions": positions,
            "direction": direction,
            "share": random.random() * (layer > 14) * (positions == "deciding") + random.normal(0, 0.02),
        }
        for direction in ("noising", "denoising")
        for positions in ("changed", "between", "deciding")
        for layer in range(LAYERS)
        for component in MECHANISM
    ]
    return with_ends(pd.DataFrame(rows), 0.08, "share").assign(n_pairs=120, n_problems=90)


def direction_table() -> pd.DataFrame:
    rows = [
        {
            "layer": layer,
            "place": "deciding",
            "control_kind": kind,
            "n_fit": 300,
            "n_test": 280,
            "method": method,
            "auroc": 0.5 if "shuffled" in method else 0.5 + 0.45 / (1 + np.exp(-(layer - 14) / 3)),
        }
        for kind in _KINDS
        for method in ("difference of means", "probe", "probe, shuffled labels")
        for layer in range(LAYERS)
    ]
    rows += [
        {"layer": -1, "place": "deciding", "control_kind": kind, "method": "position only", "auroc": 0.55}
        for kind in _KINDS
    ]
    return with_ends(pd.DataFrame(rows), 0.05, "auroc")


def flow_table() -> pd.DataFrame:
    random = np.random.default_rng(6)
    fates = ("marked", "silent", "never_erred", "wrong", "unanswered")
    rows = []
    for arm in ("baseline", *ARMS):
        shares = random.dirichlet((4, 1, 1, 2, 0.5)) if arm != "baseline" else np.array([1.0, 0, 0, 0, 0])
        for fate, share in zip(fates, shares, strict=True):
            rows.append(
                {
                    "arm": arm,
                    "baseline_fate": "marked",
                    "fate": fate,
                    "count": 1,
                    "total": 420,
                    "share": share,
                }
            )
    return pd.DataFrame(rows)


def prefixes_table() -> pd.DataFrame:
    rows = [
        {
            "arm": arm,
            "draw": np.nan,
            "prefixes": 90,
            "problems": 80,
            "total": 90,
            "truncation_rate": 0.02 * index,
            "onset_after_injected": 0.9 - 0.06 * index,
            "onset_after_right": 0.05 + 0.01 * index,
            "share_removed": np.nan if arm == "baseline" else 0.07 * index - 0.05,
        }
        for index, arm in enumerate(("baseline", *ARMS))
    ]
    rows += [rows[5] | {"draw": draw, "share_removed": 0.03 * draw} for draw in range(5)]
    return with_ends(pd.DataFrame(rows), 0.05, "onset_after_injected", "onset_after_right", "share_removed")


def divergence_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    summary = pd.DataFrame({"arm": ARMS, "total": 240, "diverged": range(20, 200, 15)})
    summary["specificity_index"] = [2.0 * 1.3**index for index in range(len(ARMS))]
    replaced = pd.DataFrame(
        {
            "arm": ARMS[-1],
            "baseline_text": [" Wait", "Wait", " Hmm", " Actually", " Let", "\n"],
            "new_text": [" So", " The", " Therefore,", "\n\n", " us", " $x$"],
            "count": range(30, 0, -5),
            "share": [0.2, 0.15, 0.1, 0.05, 0.04, 0.03],
        }
    )
    return with_ends(summary, 1.0, "specificity_index"), replaced


def waves_table() -> pd.DataFrame:
    """Arms that stopped in the first wave or the second, or went on to the last."""
    spent = [800 + 400 * min(index // 4, 2) for index in range(len(ARMS))]
    table = pd.DataFrame({"arm": ARMS, "rows_spent": spent, "rows_in_full": 3120, "verdict": "destructive"})
    return table.assign(stopped=table["rows_spent"] < 1600)


def write_big_study(folder: Path) -> RunPaths:
    """A run folder with these tables, for figures of both phases."""
    paths = RunPaths(folder / "runs", "big")
    arms = arms_table()
    scales = arms.head(7).assign(
        subset_name=["baseline", *["late_layers"] * 6],
        scale=[np.nan, 0.0, 0.2, 0.4, 0.6, 0.8, 0.9],
        arm=["baseline", *(f"late_layers_x{scale:g}" for scale in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9))],
    )
    summary, replaced = divergence_tables()
    step = pd.DataFrame(
        [
            {
                "position_kind": kind,
                "scale": scale,
                "n": 300,
                "onset_prob": level * scale,
                "family_prob": level * scale,
                "other_families_prob": 0.1,
            }
            for kind, level in (("onset", 0.8), ("control", 0.05))
            for scale in (1.0, 0.9, 0.75, 0.5, 0.25, 0.0)
        ]
    )
    for artifact, table in (
        (later.SUBSET_WAVES, waves_table()),
        (later.SCALE_WAVES, waves_table()),
        (readings.LENS, lens_table()),
        (readings.LENS_WINDOW, window_table()),
        (readings.IMPORTANCE, scan_table()),
        (readings.DIRECT, direct_table()),
        (readings.PAIRS, pairs_table()),
        (readings.HEADS, scan_table(with_heads=True)),
        (readings.POSITIONS, positions_table()),
        (readings.PATCHING, patching_table()),
        (readings.DIRECTION, direction_table()),
        (files.PREFIXES, prefixes_table()),
        (later.CONFIRM_PREFIXES, prefixes_table()),
        (later.SUBSETS, arms),
        (later.SCALES, scales),
        (later.CHOICE, arms),
        (later.CONFIRMED, arms.iloc[[0, 1]]),
        (later.FLOW, flow_table()),
        (later.SPECIFICITY, summary),
        (later.REPLACED, replaced),
        (later.STEP_SUMMARY, with_ends(step, 0.03, "onset_prob", "family_prob", "other_families_prob")),
    ):
        artifact.write(paths, table)
    readings.SELECTED.write(paths, {"attn": [20, 21], "mlp": [19]})
    return paths
