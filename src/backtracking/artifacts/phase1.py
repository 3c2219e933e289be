"""What Phase 1 generates, measures, compares and concludes."""

from backtracking.artifacts.columns import (
    COMPARED,
    EVENT,
    GROUP,
    PREFIX_ARM,
    PREFIX_ROW,
    RATES,
    ROW,
)
from backtracking.artifacts.kinds import Data, Figure, JsonLines, PageFile, Table, meanings

CONFIG = PageFile(
    "config_resolved.yaml",
    "init-run",
    "the whole config, each value with where it came from (file and line, `--set`, default)",
)
META = PageFile("meta.json", "init-run", "what the run is, where it came from, and what each stage did when")
AUDIT = Data(
    "analysis/audit.json",
    "audit",
    "whether the run's numbers can carry its claims, check by check (both reports write it too)",
)
DATASET = JsonLines(
    "dataset.jsonl",
    "prepare-data",
    "the problems: `id, question, answer, answer_value`, and `truth` where it is known "
    "(elsewhere if `dataset.save_path` says so)",
)
GENERATIONS = JsonLines("generations/{variant}/{condition}.jsonl", "generate", "one row per completion")
WORK = JsonLines(
    "work/{stage}.jsonl",
    "the analyses",
    "values per position, from which an interrupted analysis resumes; may be deleted",
)

EVENTS = Table(
    "analysis/backtracking_events.csv",
    "detect-events",
    "one row per completion: onset, position, answer, verdict",
    EVENT,
)
ONSETS = Table(
    "analysis/onsets.csv",
    "detect-events",
    "one row per onset",
    meanings(
        """
        draw: which of the random sets, for `random_ablation`
        onset_index: which onset of its completion, from 0
        phrase: the phrase
        kind: `strict`, `relaxed`, or a kind that rules find
        region: `think` or `answer`
        clause_start: whether it stands at the start of a clause
        char_start, char_end: where it stands in the completion, in characters
        token_start, token_end: the same in completion tokens
        pred_pos_in_full: the position whose prediction is its first token
        token_id, token_text: its first token
        preceded_by_error: whether the last checkable step before it is wrong
        """,
        ROW,
    ),
)
SUMMARY = Data(
    "analysis/summary_metrics.json", "detect-events", "rates by variant and condition, with intervals"
)
COUPLING = Table(
    "analysis/error_coupling.csv",
    "detect-events",
    "onsets after wrong and after right steps",
    meanings("""
        variant: prompt format
        condition: what was done to the model
        n_wrong, n_right: checkable steps that are wrong; right
        n_onset_after_wrong, n_onset_after_right: those that an onset follows before the next step
        p_onset_after_wrong, p_onset_after_right: their share
        difference: `p_onset_after_wrong` − `p_onset_after_right`, paired by problem
        odds_ratio: odds ratio within problems
        informative_problems: problems that say something about it
    """),
)
BY_CAP = Table(
    "analysis/accuracy_by_cap.csv",
    "detect-events",
    "accuracy and truncation had the run been cut earlier",
    meanings("""
        variant: prompt format
        condition: what was done to the model
        cap: the token cap
        total: completions
        accuracy: correct ÷ all under this cap
        truncation_rate: share that this cap would cut
    """),
)
FAMILIES = Data("analysis/token_families.json", "detect-events", "the tokens that begin each trigger")
RATE_BY_VARIANT = Figure(
    "figures/backtracking_rate_by_variant.png", "detect-events", "backtracking per prompt format"
)
RATE_VS_ACCURACY = Figure(
    "figures/backtracking_vs_accuracy.png", "detect-events", "accuracy with and without backtracking"
)

SPLIT = Data(
    "analysis/problem_split.json",
    "detect-events",
    "the two halves of the problems, by one rule in both phases (`phase2-confirm` writes its own run's): "
    "`search` is looked into and picked on, `confirm` is held out; `left_out` names those that would "
    "confirm, but that Phase 1 had looked into",
)
_SET = """
    draw: which random set; empty for the targeted one
    components: what it consists of
    collateral: KL at controls of removing each of them alone, added up
"""
COMPARISON = Table(
    "analysis/condition_comparison.csv",
    "compare-conditions",
    "baseline, targeted and random ablation within one prompt format",
    meanings(
        """
        random_sets: random sets that the targeted one is ranked among, by backtracking
        target_rank: 1 + the sets that lower it as much or more, each on its own rows
        rank_p: `target_rank` ÷ (1 + `random_sets`)
        onset_after_wrong_random_sets, onset_after_wrong_target_rank: the same by onsets after wrong steps
        onset_after_wrong_rank_p: the same as a p
        """,
        GROUP,
        RATES,
        COMPARED,
    ),
)
RANDOM_SETS = Table(
    "analysis/random_sets.csv",
    "generate",
    "the targeted set and the sets of the random control (`generate --condition random_ablation`)",
    meanings(_SET),
)
DRAWS = Table(
    "analysis/random_draws.csv",
    "compare-conditions",
    "the random control, set by set, each beside baseline and targeted ablation on the same rows",
    meanings(
        f"""
        {_SET.strip()}
        total: completions
        problems: different problems
        backtracking_set, onset_after_wrong_set: the set's rate minus the baseline's, on the set's rows
        backtracking_target, onset_after_wrong_target: the targeted ablation's minus the baseline's, on the \
same rows
        """,
        RATES,
    ),
)
COMPARISON_FIGURE = COMPARISON.figure(
    "backtracking_rate_by_condition",
    "backtracking per condition",
    "phase1:plot_backtracking_rate_by_condition",
)
PREFIXES = Table(
    "analysis/fixed_prefixes.csv",
    "fixed-prefixes",
    "onsets after the same injected errors under every condition and random set",
    PREFIX_ARM,
)
PREFIX_ROWS = Table(
    "analysis/fixed_prefix_rows.csv", "fixed-prefixes", "one row per completion behind a prefix", PREFIX_ROW
)
PREFIXES_FIGURE = PREFIXES.figure(
    "fixed_prefixes", "the same errors under every condition", "prefixes:plot_fixed_prefixes"
)
FORMATS = Table(
    "analysis/formatting_summary.csv",
    "formatting-sweep",
    "prompt formats side by side, baseline only",
    meanings("", {name: about for name, about in GROUP.items() if name != "condition"}, RATES, COMPARED),
)
FORMATS_FIGURE = FORMATS.figure(
    "formatting_effect_on_backtracking",
    "the effect of the prompt format",
    "phase1:plot_formatting_effect_on_backtracking",
)

CLAIMS = Data(
    "analysis/claims.json",
    "make-report",
    "the verdicts with their numbers, rules and the audit checks they rest on (`make-report-phase2` writes "
    "its own)",
)
REPORT = PageFile(
    "reports/backtracking_state_transition_report.md",
    "make-report",
    "the findings of Phase 1, with an `.html` twin (elsewhere if `report.report_path` says so)",
)
