"""Run folders for the audit: a clean study in tables alone, to be spoiled in one way at a time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backtracking.claims.audit.audited import AuditedRun
from backtracking.claims.audit.check import Check
from backtracking.claims.audit.checks import CHECKS
from backtracking.claims.evidence import Evidence
from backtracking.run.paths import RunPaths

VARIANTS = ("baseline_think_newline", "no_think_tags")
CONDITIONS = ("baseline", "targeted_ablation", "random_ablation")
CAP = 64
CONFIG = (
    f"generation: {{num_samples_per_prompt: 4, max_new_tokens: {CAP}, temperature: 1.0, do_sample: true}}\n"
)
RULES = {check.name: check for check in CHECKS}


def gold(problem: int) -> str:
    """Every problem has an answer of its own."""
    return str(100 + 7 * problem)


def events(problems: int = 12, samples: int = 4, seed: int = 0) -> pd.DataFrame:
    """Completions with the contract's columns: two prompt formats, the ablations in the first of them."""
    generator = np.random.default_rng(seed)
    rows = []
    for place, variant in enumerate(VARIANTS):
        for condition in CONDITIONS if place == 0 else CONDITIONS[:1]:
            for problem in range(problems):
                for sample in range(samples):
                    is_right = bool(generator.random() < 0.7)
                    has = bool(generator.random() < (0.2 if condition == CONDITIONS[1] else 0.6))
                    rows.append(
                        {
                            "example_id": f"p{problem:02}",
                            "sample_id": sample,
                            "variant": variant,
                            "condition": condition,
                            "has_backtracking_strict": has,
                            "has_backtracking_relaxed": has,
                            "onset_phrase": "wait" if has else "",
                            "onset_char": int(generator.integers(5, 60)) if has else -1,
                            "onset_token_text": " Wait" if has else "",
                            "pred_pos_in_full": 29 if has else -1,
                            "predicted_answer": gold(problem) if is_right else str(generator.integers(900)),
                            "is_correct": is_right,
                            "prompt_tokens": 20 + problem - 3 * place,
                            "completion_tokens": int(generator.integers(20, CAP)),
                            "draw": sample if condition == CONDITIONS[2] else None,
                        }
                    )
    return pd.DataFrame(rows)


def arms(*lines: tuple[str, float | None, float, float], total: int = 48) -> pd.DataFrame:
    """A table of arms as (subset, scale, backtracking rate, accuracy)."""
    rows = [
        {
            "total": total,
            "backtracking_count": round(total * rate),
            "backtracking_rate": rate,
            "correct_count": round(total * accuracy),
            "accuracy": accuracy,
            "subset_name": name,
            "scale": scale,
            "num_components": 0 if name == "baseline" else 1,
        }
        for name, scale, rate, accuracy in lines
    ]
    return pd.DataFrame(rows)


def write_run(
    root: Path,
    tables: Mapping[str, pd.DataFrame | str] = {},
    data: Mapping[str, Any] = {},
    config: str = CONFIG,
    meta: Mapping[str, Any] | None = None,
    problems: int = 0,
    run_id: str = "one",
) -> Evidence:
    """A run folder of these tables (or texts) and JSON files; `problems`: how many stand in dataset.jsonl."""
    paths = RunPaths(root / "runs", run_id)
    paths.analysis.mkdir(parents=True)
    paths.config.write_text(config)
    if meta is not None:
        paths.meta.write_text(json.dumps(meta))
    for name, table in tables.items():
        text = table if isinstance(table, str) else table.to_csv(index=False)
        paths.table(f"{name}.csv").write_text(text)
    for name, content in data.items():
        paths.table(f"{name}.json").write_text(json.dumps(content))
    if problems:
        lines = [
            {"id": f"p{k:02}", "question": "?", "answer": gold(k), "answer_value": gold(k)}
            for k in range(problems)
        ]
        paths.dataset.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Evidence(paths)


def checked(name: str, evidence: Evidence, phase1: Evidence | None = None) -> Check:
    """One check of a run."""
    return RULES[name](AuditedRun(evidence, AuditedRun(phase1) if phase1 is not None else None))
