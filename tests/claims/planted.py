"""Completions and scans with a known truth, from which verdicts are computed."""

import numpy as np
import pandas as pd

from backtracking.claims import phase1, phase2
from backtracking.claims.evidence import Evidence
from tests.report.tables import MAIN, run_paths

SETS = 20


def stepped(condition, after_wrong, after_right=0.04, accuracy=0.9, **how):
    """Rows of which half hold one wrong step; onsets follow the steps at the given rates.

    `accuracy` is that of this half, `sound_accuracy` that of the other;
    `problems`, `samples`, `draw`, `variant` and `seed` say how many.
    """
    problems, samples = how.get("problems", 100), how.get("samples", 6)
    generator = np.random.default_rng([how.get("seed", 0), *condition.encode()])
    count = problems * samples
    wrong = np.arange(count) % 2
    after = {
        "wrong": generator.binomial(wrong, after_wrong),
        "right": generator.binomial(3, after_right, count),
    }
    right_answers = np.where(wrong == 1, accuracy, how.get("sound_accuracy", 0.98))
    return pd.DataFrame(
        {
            "example_id": np.repeat([f"p{k}" for k in range(problems)], samples),
            "sample_id": np.tile(np.arange(samples), problems),
            "variant": how.get("variant", MAIN),
            "condition": condition,
            "draw": how.get("draw", np.nan),
            "has_backtracking_strict": after["wrong"] + after["right"] > 0,
            "is_correct": generator.random(count) < right_answers,
            "finish_reason": "stop",
            "completion_tokens": 50,
            "predicted_answer": "1",
            "is_loop": False,
            "is_empty": False,
            "steps_wrong": wrong,
            "steps_right": 3,
            "onsets_after_wrong": after["wrong"],
            "onsets_after_right": after["right"],
        }
    )


def random_sets(after_wrong, sets=SETS, **how):
    """Rows of so many random sets; `after_wrong` may be one rate, or one for each."""
    rates = np.broadcast_to(after_wrong, sets)
    how = {"samples": 2} | how
    return pd.concat(
        [stepped("random_ablation", rate, draw=float(k), seed=k, **how) for k, rate in enumerate(rates)]
    )


def scan_table(p_values, error=0.05):
    """A scan of one component for each p; two nats are lost where it stands out, `error` is the losses'."""
    lost = np.array([2.0 if p < 0.05 else 0.02 for p in p_values])
    reach = 2 * error
    return pd.DataFrame(
        {
            "layer": range(len(p_values)),
            "component": "mlp",
            "delta_wait_logit_mean": -lost,
            "delta_trigger_log_odds": -lost,
            "n_events": 100,
            "n_problems": 100,
            "selectivity": lost,
            "selectivity_excess": lost,
            "selectivity_excess_low": lost - reach,
            "selectivity_excess_high": lost + reach,
            "selectivity_p_holm": p_values,
        }
    )


FOUND, NOTHING = scan_table([0.001, 0.9, 0.9]), scan_table([0.9, 0.9, 0.9])


def judged(folder, *rows, **tables):
    """Phase 1's verdicts by key, on a run of these completions and tables."""
    if rows:
        tables["backtracking_events"] = pd.concat(rows)
    paths = run_paths(folder, **tables)
    return {verdict.key: verdict for verdict in phase1.phase1_verdicts(Evidence(paths), MAIN)}


def judged2(folder, margin=0.1, **tables):
    """Phase 2's verdicts by key, on a run of these tables."""
    paths = run_paths(folder, **tables)
    return {verdict.key: verdict for verdict in phase2.phase2_verdicts(Evidence(paths), margin)}
