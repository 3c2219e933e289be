"""What Phase 2 leaves behind."""

from backtracking.artifacts.columns import (
    ARM,
    ARM_COMPARED,
    ARM_RATES,
    DEGENERATION,
    EVENT,
    ONSET,
    PREFIX_ARM,
    PREFIX_ROW,
    ROW,
)
from backtracking.artifacts.kinds import ConfigKey, Data, JsonLines, PageFile, Table, meanings
from backtracking.config.phase2 import Phase2Config

METRICS = Data(
    "analysis/metrics_v2.json", "metrics-v2", "deconfounded baseline-only metrics of a Phase 1 run"
)
METRICS_AUDIT = Data(
    "analysis/audit_phase1.json", "metrics-v2", "the audit of the Phase 1 run that the metrics are taken from"
)
METRICS_FIGURE = METRICS.figure(
    "phase2_baseline_summary", "the baseline per prompt format", "phase2:plot_baseline_only_summary"
)

MARGIN = ConfigKey("phase2.accuracy_margin", Phase2Config().accuracy_margin)
"""How much accuracy may be lost and still counts as held."""

ARM_ROWS = JsonLines(
    "generations/{variant}/phase2_{arm}.jsonl",
    "the sweeps",
    "an arm's completions; each sweep adds its own",
    command="phase2-subset-sweep",
)
ARM_PREFIX = ARM_ROWS.stem.removesuffix("{arm}")
"""What the files of Phase 2's arms begin with."""
ARM_CARD = JsonLines(
    "generations/{variant}/phase2_{arm}.arm.json",
    "the sweeps",
    "what an arm is, and what its rows were made with",
    command="phase2-subset-sweep",
)
HOOK_DEBUG = Data(
    "analysis/hook_debug.json",
    "phase2-subset-sweep",
    "what each hook did, over all arms and starts (every sweep adds its own), and the arms left out",
)

_ARM_EVENTS = meanings("", EVENT, DEGENERATION, ARM)
_ARM_TABLE = meanings("", ARM, ARM_RATES, ARM_COMPARED)

SUBSETS = Table("analysis/subset_sweep_results.csv", "phase2-subset-sweep", "one row per subset", _ARM_TABLE)
SUBSET_EVENTS = Table(
    "analysis/subset_sweep_events.csv",
    "phase2-subset-sweep",
    "one row per completion of every arm",
    _ARM_EVENTS,
)
SUBSETS_FIGURE = SUBSETS.figure(
    "phase2_subset_sweep",
    "backtracking and accuracy per subset",
    "phase2:plot_subset_sweep_comparison",
    MARGIN,
)
SCALES = Table("analysis/scale_sweep_results.csv", "phase2-scale-sweep", "one row per scale", _ARM_TABLE)
SCALE_EVENTS = Table(
    "analysis/scale_sweep_events.csv",
    "phase2-scale-sweep",
    "one row per completion of every arm",
    _ARM_EVENTS,
)
SCALES_FIGURE = SCALES.figure(
    "phase2_scale_tradeoff",
    "backtracking against accuracy, scale by scale",
    "phase2:plot_scale_tradeoff_curve",
    MARGIN,
)

_WAVES = meanings(
    """
    wave: number of the wave of problems, from 1
    problems: problems that the arm has then
    rows_spent: completions of all arms of the sweep up to this wave
    rows_in_full: completions of the sweep without stopping
    verdict: the arm's, at the wave that is its last; empty before
    stopped: whether the arm stopped there, settled
    """,
    {"arm": ARM["arm"]},
)
SUBSET_WAVES = Table(
    "analysis/subset_sweep_waves.csv",
    "phase2-subset-sweep",
    "one row per wave and arm, where settled arms stop (`phase2.stop_early`)",
    _WAVES,
)
SUBSET_WAVES_FIGURE = SUBSET_WAVES.figure(
    "phase2_subset_waves", "verdicts reached against completions spent", "waves:plot_waves"
)
SCALE_WAVES = Table(
    "analysis/scale_sweep_waves.csv",
    "phase2-scale-sweep",
    "one row per wave and scale, where settled arms stop (`phase2.stop_early`)",
    _WAVES,
)
SCALE_WAVES_FIGURE = SCALE_WAVES.figure(
    "phase2_scale_waves", "verdicts reached against completions spent", "waves:plot_waves"
)

SPECIFICITY = Table(
    "analysis/specificity.csv",
    "phase2-specificity",
    "what each arm leaks",
    meanings("""
        arm: name of the arm
        total: completions
        family_onsets_diff: change in onsets of the commonest trigger's family, paired by problem
        synonym_onsets_diff: the same for all other triggers
        unmarked_checks_diff: the same for computations made again with no trigger between
        wrong_steps_diff: the same for wrong steps
        completion_tokens_diff: the same for the length in tokens
        new_onset_rate: share with an onset among completions whose baseline has none
        kept_onset_rate: share with an onset among completions whose baseline has one
        rows_without_onset, rows_with_onset: baseline completions without; with
        kl_per_token: KL per token on the baseline's text, arm from untouched model, in nats
        diverged, divergence_rate: completions that part from the baseline, and their share
        median_step: median token at which they part
        in_reasoning: share that parts before the reasoning closes
        at_onset, before_onset: share that parts at the baseline's first onset; before it
        trigger_hits, trigger_hit_rate: first changes that replace a trigger token, and their share
        trigger_base_rate: share of trigger tokens in the baseline's text
        specificity_index: `trigger_hit_rate` ÷ `trigger_base_rate`
        forced_errors: right baseline completions into which an error was put
        marked_rate: share in which an onset follows
        caught_rate: share that still ends right
    """),
)
DIVERGENCES = Table(
    "analysis/first_divergences.csv",
    "phase2-specificity",
    "where each completion leaves its baseline",
    meanings(
        """
        arm: name of the arm
        step: completion token at which it parts; empty if it never does
        baseline_tokens, baseline_trigger_tokens: tokens of the baseline row; trigger tokens among them
        baseline_token, new_token: id of the token there, before and under the arm
        baseline_text, new_text: their text
        region: `think` or `answer`
        steps_from_onset: distance to the baseline's first onset
        removes_trigger, adds_trigger: whether a trigger token goes; comes
        old_prob, old_prob_arm: probability of the baseline's token there under the baseline; under the arm
        new_prob, new_prob_arm: the same of the arm's token (`phase2.parting_probabilities` asks for all four)
        """,
        {name: ROW[name] for name in ("example_id", "sample_id")},
    ),
)
REPLACED = Table(
    "analysis/replaced_tokens.csv",
    "phase2-specificity",
    "the commonest first changes",
    meanings("""
        arm: name of the arm
        baseline_text, new_text: the token before and under the arm
        count, share: how often, and as a share of the arm's first changes
    """),
)
FLOW = Table(
    "analysis/correction_flow.csv",
    "phase2-specificity",
    "what becomes of completions whose baseline erred and ended right",
    meanings("""
        arm: name of the arm
        baseline_fate, fate: what became of the row under the baseline; under the arm
        count, total, share: rows, of how many, and their share
    """),
)
FORCED_ERROR_ROWS = Table(
    "analysis/forced_error_rows.csv",
    "phase2-specificity",
    "one row per completion behind a forced error",
    PREFIX_ROW,
)
DIVERGENCE_FIGURE = SPECIFICITY.figure(
    "phase2_first_divergence", "what first changes hit", "leaks:plot_first_divergences", REPLACED
)
FLOW_FIGURE = FLOW.figure(
    "phase2_correction_flow", "whether correction survives", "leaks:plot_correction_flow"
)

TRIALS = Table(
    "analysis/search_trials.csv",
    "phase2-search",
    "every trial of the search",
    meanings(
        """
        trial: number of the trial
        backtracking_rate: the arm's
        accuracy: the arm's; of one that stopped, corrected by how hard its problems are for the baseline
        outcome_change: change in the rate of onsets at the baseline's mix of steps, paired by problem
        problems: problems that the arm came to, where arms may stop (`phase2.stop_early`)
        why_stopped: why it got no more of them; empty if it got all
        """,
        {name: ARM[name] for name in ("arm", "subset_name", "scale")},
        {"judged_on": ARM_RATES["judged_on"]},
    ),
)
SEARCH = Table("analysis/search_results.csv", "phase2-search", "one row per arm of the search", _ARM_TABLE)
SEARCH_EVENTS = Table(
    "analysis/search_events.csv", "phase2-search", "one row per completion of every arm", _ARM_EVENTS
)

CHOICE = Table(
    "analysis/tradeoff_search.csv",
    "phase2-confirm",
    "all arms on the half that the choice is made on",
    meanings(
        "front_probability: share of draws in which no arm beats it in outcome and accuracy; "
        "empty where the baseline has no onset to lower",
        _ARM_TABLE,
    ),
)
CONFIRMED = Table(
    "analysis/confirm_results.csv",
    "phase2-confirm",
    "the choice on the other half, which alone may be quoted",
    meanings("role: `winner`, `scale neighbour`, `random control` or `baseline`", _ARM_TABLE),
)
CONFIRM_EVENTS = Table(
    "analysis/confirm_events.csv", "phase2-confirm", "one row per completion of every arm", _ARM_EVENTS
)
CONFIRM_PREFIXES = Table(
    "analysis/confirm_fixed_prefixes.csv",
    "phase2-confirm",
    "onsets after the same injected errors under every arm that is confirmed",
    PREFIX_ARM,
)
CONFIRM_PREFIX_ROWS = Table(
    "analysis/confirm_fixed_prefix_rows.csv",
    "phase2-confirm",
    "one row per completion behind a prefix",
    PREFIX_ROW,
)
CONFIRM_PREFIXES_FIGURE = CONFIRM_PREFIXES.figure(
    "phase2_fixed_prefixes", "the same errors under every arm", "prefixes:plot_fixed_prefixes"
)
CHOICE_FIGURE = CHOICE.figure(
    "phase2_choice", "the choice and its confirmation", "leaks:plot_choice", CONFIRMED, MARGIN
)

_AT_POSITION = (
    ("onset_prob", "probability of the onset token"),
    ("onset_logit", "its logit"),
    ("onset_rank", "its rank"),
    ("family_prob", "probability of its family"),
    ("other_families_prob", "probability of all other strict families"),
    ("entropy", "entropy of the next token, in nats"),
)
STEP = Table(
    "analysis/continuation_ablation_results.csv",
    "phase2-continuation-ablation",
    "the onset step, one row per position and scale",
    meanings(
        """
        pred_pos: the position that is read
        position_kind: `onset` or the kind of control
        position_example_id, position_sample_id: row in which it lies
        kl: KL from the untouched model, in nats
        top_tokens: the likeliest tokens with their probabilities
        """,
        {name: ROW[name] for name in ("example_id", "sample_id", "variant")},
        {name: ONSET[name] for name in ("onset_phrase", "onset_token_id", "onset_token_text")},
        {name: ARM[name] for name in ("subset_name", "scale", "num_components")},
        dict(_AT_POSITION),
        {f"{name}_before": f"{about}, untouched" for name, about in _AT_POSITION},
    ),
)
STEP_SUMMARY = Table(
    "analysis/continuation_ablation_summary.csv",
    "phase2-continuation-ablation",
    "the same as means",
    meanings(
        """
        position_kind: `onset` or the kind of control
        scale: factor on the components' output; 1 is the untouched model
        n: positions
        problems: problems that they come from
        kl: KL from the untouched model, in nats
        family_change: change of the family's probability
        """,
        {name: about for name, about in _AT_POSITION if name not in ("onset_logit", "onset_rank")},
    ),
)
STEP_FIGURE = STEP_SUMMARY.figure(
    "phase2_continuation_effect", "the onset step", "phase2:plot_continuation_ablation_effect"
)
RESUMED = Table(
    "analysis/continuation_samples.csv",
    "phase2-continuation-ablation",
    "sampled continuations (`num_continuations` > 0)",
    meanings(
        """
        pred_pos: the position from which they go on
        continuation: which continuation, from 0
        first_token: its first token
        onset_at_once, onset_later: whether an onset begins with it; after it
        """,
        {name: ROW[name] for name in ("example_id", "sample_id")},
        {name: ARM[name] for name in ("arm", "scale")},
    ),
)
RESUMED_SUMMARY = Table(
    "analysis/continuation_samples_summary.csv",
    "phase2-continuation-ablation",
    "the same as shares",
    meanings("""
        scale: factor on the components' output
        n: continuations
        onset_at_once, onset_later, onset_at_all: share with an onset at once; later; at all
    """),
)

REPORT = PageFile(
    "reports/backtracking_phase2_report.md",
    "make-report-phase2",
    "the findings of Phase 2, with an `.html` twin (elsewhere if `phase2.report.report_path` says so)",
)
