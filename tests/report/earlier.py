"""Run folders as the earlier implementation left them: tables with the contract's columns only."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from backtracking.run.paths import RunPaths

VARIANTS = ("baseline_think_newline", "think_same_line", "no_think_tags")
CONDITIONS = ("baseline", "targeted_ablation", "random_ablation")
SUBSETS = ("mlp_late_cluster", "mlp_27_only", "attn_heads")
SCALES = (0.0, 0.5, 0.9)
CAP = 64

PHASE1_CONFIG = f"""
run: {{name: earlier, output_dir: runs, notes: by hand}}
model: {{hf_id: bundled, torch_dtype: bfloat16}}
dataset: {{name: tiny_arithmetic, max_examples: 6}}
generation: {{num_samples_per_prompt: 2, max_new_tokens: {CAP}}}
"""
PHASE2_CONFIG = (
    PHASE1_CONFIG
    + """
phase2:
  num_random: 1
  subset_sweep: {subsets: {mlp_late_cluster: [[mlp, 4]], mlp_27_only: [[mlp, 5]]}}
"""
)


def write_phase1(root: Path, without: Iterable[str] = ()) -> RunPaths:
    """A Phase 1 run of 6 problems, two samples each, all variants, all conditions."""
    paths = _new_run(root, "earlier", PHASE1_CONFIG)
    events = _events()
    tables = {
        "backtracking_events.csv": events,
        "condition_comparison.csv": _rates(events, ["variant", "condition"]),
        "formatting_summary.csv": _rates(events[events["condition"] == "baseline"], ["variant"]),
        "logit_lens.csv": _lens(),
        "ablation_importance.csv": _importance(),
    }
    data = {
        "selected_layers.json": {"attn": [5], "mlp": [4]},
        "summary_metrics.json": {"overall": {"total": len(events), "backtracking_rate": 0.5}},
    }
    return _write(paths, tables, data, without)


def write_phase2(root: Path, config: str = PHASE2_CONFIG, without: Iterable[str] = ()) -> RunPaths:
    """A Phase 2 run with both sweeps, the onset step and the metrics."""
    paths = _new_run(root, "earlier-phase2", config)
    tables = {
        "subset_sweep_results.csv": _sweep([("baseline", 1.0), *((name, 0.0) for name in SUBSETS)]).drop(
            columns="scale"
        ),
        "scale_sweep_results.csv": _sweep([(SUBSETS[0], scale) for scale in (*SCALES, 1.0)]),
        "continuation_ablation_results.csv": _onset_step(),
    }
    summary = {"total": 36, "backtracking_count": 18, "backtracking_rate": 0.5, "accuracy": 0.25}
    data = {
        "metrics_v2.json": {
            "baseline_only_summary": summary,
            "backtracking_vs_accuracy": {"with_backtracking": 0.2, "without_backtracking": 0.3},
            "formatting_effect": {},
            "variant_specific": {},
        },
        "hook_debug.json": {
            "total_calls": 900,
            "ablation_calls": 800,
            "skipped_calls": 100,
            "seq_len_distribution": {"1": 900},
            "by_layer": {"4": 900},
        },
    }
    return _write(paths, tables, data, without)


def _new_run(root: Path, run_id: str, config: str) -> RunPaths:
    paths = RunPaths(root / "runs", run_id)
    paths.analysis.mkdir(parents=True)
    paths.config.write_text(config)
    paths.meta.write_text(json.dumps({"git_commit": "abc1234", "run_id": run_id, "created_at": "2025-01-01"}))
    return paths


def _write(
    paths: RunPaths, tables: dict[str, pd.DataFrame], data: dict[str, object], without: Iterable[str]
) -> RunPaths:
    for name in without:
        tables.pop(name, None)
        data.pop(name, None)
    for name, table in tables.items():
        table.to_csv(paths.table(name), index=False)
    for name, content in data.items():
        paths.table(name).write_text(json.dumps(content))
    return paths


def _events() -> pd.DataFrame:
    rows = []
    generator = np.random.default_rng(0)
    for variant in VARIANTS:
        for condition in CONDITIONS:
            for problem in range(6):
                for sample in range(2):
                    has = bool(generator.random() < (0.1 if condition == "targeted_ablation" else 0.6))
                    tokens = int(generator.integers(40, CAP + 1))
                    answered = generator.random() < 0.5
                    rows.append(
                        {
                            "example_id": problem,
                            "sample_id": sample,
                            "variant": variant,
                            "condition": condition,
                            "has_backtracking_strict": has,
                            "has_backtracking_relaxed": has,
                            "onset_phrase": "wait" if has else "",
                            "onset_char": 20 if has else -1,
                            "onset_token_in_completion": 8 if has else -1,
                            "onset_token_in_full": 30 if has else -1,
                            "onset_token_id": 14190 if has else -1,
                            "onset_token_text": "Wait" if has else "",
                            "pred_pos_in_full": 29 if has else -1,
                            "predicted_answer": "7" if answered else "",
                            "is_correct": bool(generator.random() < 0.5) if answered else "",
                            "prompt_tokens": 22,
                            "completion_tokens": tokens,
                        }
                    )
    return pd.DataFrame(rows)


def _rates(events: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Their accuracy is that of graded rows."""
    right = events["is_correct"].map({True: 1.0, False: 0.0})
    groups = events.assign(right=right).groupby(keys, sort=False)
    return groups.agg(
        total=("example_id", "size"),
        backtracking_count=("has_backtracking_strict", "sum"),
        backtracking_rate=("has_backtracking_strict", "mean"),
        accuracy=("right", "mean"),
    ).reset_index()


def _lens() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "layer": range(7),
            "mean_target_logit_bt": np.linspace(-1.0, 9.0, 7),
            "mean_target_logit_control": np.linspace(-1.0, 2.0, 7),
            "std_bt": 1.0,
            "std_control": 1.0,
            "n_bt": 20,
            "n_control": 20,
            "control_matching": "random_position",
        }
    )


def _importance() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "layer": layer,
                "component": component,
                "delta_wait_logit_mean": -0.1 * layer,
                "delta_wait_logit_std": 0.2,
                "n_events": 20,
            }
            for component in ("attn", "mlp")
            for layer in range(6)
        ]
    )


def _sweep(arms: list[tuple[str, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "total": 48,
                "backtracking_count": 24 - 4 * k,
                "backtracking_rate": (24 - 4 * k) / 48,
                "correct_count": 12 - k,
                "accuracy": (12 - k) / 48,
                "subset_name": name,
                "scale": scale,
                "num_components": 0 if name == "baseline" else 2,
            }
            for k, (name, scale) in enumerate(arms)
        ]
    )


def _onset_step() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "example_id": problem,
                "sample_id": 0,
                "variant": VARIANTS[0],
                "pred_pos": 29,
                "onset_token_id": 14190,
                "onset_token_text": "Wait",
                "subset_name": SUBSETS[1],
                "scale": scale,
                "num_components": 1,
                "onset_prob": 0.5 * scale,
                "onset_logit": 4.0 * scale,
            }
            for problem in range(6)
            for scale in SCALES
        ]
    )
