"""Columns that several tables share, and what they mean."""

from backtracking.artifacts.kinds import meanings
from backtracking.config.onsets import TURN_KINDS
from backtracking.measurements import metrics

ROW = meanings("""
example_id: id of the problem
sample_id: which sample of the problem, from 0
variant: prompt format
condition: what was done to the model (for the sweeps: the arm)
""")

GROUP = meanings("""
variant: prompt format
condition: what was done to the model
total: completions
problems: different problems
""")

ONSET = meanings("""
onset_phrase: phrase of the row's first strict onset, or else of its first relaxed one
onset_char: where it begins in the completion, in characters; −1 without an onset
onset_token_in_completion: the completion token in which it begins; −1 without an onset
onset_token_in_full: the same, counted from the prompt's first token
onset_token_id: id of that token
onset_token_text: its text
pred_pos_in_full: the position whose prediction is the onset token
""")

EVENT = meanings(
    """
has_backtracking_strict: whether the completion has a strict onset
has_backtracking_relaxed: whether it has an onset of any kind
predicted_answer: the answer read from the completion; empty where there is none
is_correct: `True`, `False`, or empty where no answer could be graded
prompt_tokens: length of the prompt in tokens
completion_tokens: length of the completion in tokens
draw: which of the random sets, for `random_ablation` and random arms
finish_reason: `stop`, `length` (cut), `loop`, `error`, or `unknown` where an import does not say
truncated: whether the completion did not end by itself; empty where an import does not say
answer_rule: the rule by which the answer was found
answer_token: token at which the answer is complete
reasoning_tokens: tokens before the reasoning closes
onset_kind: `strict` or `relaxed`, of the onset named in this row
onset_region: `think` or `answer`: where that onset stands
n_onsets_strict: strict onsets
n_onsets_relaxed: onsets of any kind
strict_anywhere: whether there is a strict onset, wherever the phrase stands
strict_clause_start: whether there is a strict onset at the start of a clause
relaxed_anywhere: whether there is an onset of any kind, wherever the phrase stands
relaxed_clause_start: whether there is an onset of any kind at the start of a clause
has_gold: whether the problem has a gold answer; imported ones may have none
preceded_by_error: whether the last checkable step before the onset is wrong
steps_right: checkable steps of the reasoning that are right
steps_wrong: checkable steps of the reasoning that are wrong
onsets_after_right: right steps that a strict onset follows before the next step
onsets_after_wrong: wrong steps that a strict onset follows before the next step
fresh_right: right steps that neither come first behind an onset nor compute the same again
fresh_wrong: wrong steps that neither come first behind an onset nor compute the same again
onsets_after_fresh_right: fresh right steps that a strict onset follows before the next step
onsets_after_fresh_wrong: fresh wrong steps that a strict onset follows before the next step
""",
    ROW,
    ONSET,
    {f"has_{kind}": f"whether there is an onset of kind {kind}" for kind in TURN_KINDS},
    {f"n_onsets_{kind}": f"onsets of kind {kind}" for kind in TURN_KINDS},
)

RATES = metrics.meanings_in(1) | {count.name: count.meaning for count in metrics.COUNTS}

COMPARED = metrics.differences_in(1, "the first row") | {
    f"{metric.outcome}_minimum_detectable": f"the smallest difference in `{metric.name}` that this many "
    "problems would show"
    for metric in metrics.compared_in(1)
}

COMPONENT = meanings("""
layer: layer, from 0
component: `attn` or `mlp`
""")

ARM = meanings("""
arm: name of the arm
subset_name: the subset of components that the arm changes
scale: factor on their output; empty where the arm does something else
num_components: how many components it changes
kind: `baseline`, `intervention`, `suppression` or `random control`
""")

PREFIX_ROW = meanings(
    """
example_id, sample_id: the baseline row that the prefix is of
kind: `injected` (its step made wrong) or `right` (as it was)
arm: what was done to the model
draw: which set of a random arm
rewrite: kind of wrong result
step, changed: the step as it was; its result as it was rewritten
onset_follows: whether a strict onset comes before the next step
is_correct: whether the row ends right
finish_reason: `stop`, `length` or `loop`
completion_tokens: length of what was written on
"""
)

PREFIX_ARM = meanings(
    """
arm: what was done to the model
draw: which set of a random arm, taken alone; empty where the line is the whole arm
prefixes, problems: different prefixes; different problems
total: completions behind injected errors, and as many behind right steps
onset_after_injected, onset_after_right: share that an onset follows at once, with the error; without
caught_rate: share with the error that still ends right
accuracy_right: share without the error that ends right
truncation_rate: share that did not end by itself
gap: `onset_after_injected` − `onset_after_right`, paired by prefix
share_removed: 1 − `gap` ÷ the baseline's; no interval where the baseline has no clear gap
""",
    {
        f"{name}_diff": f"difference in `{name}` to the baseline, paired by problem"
        for name in ("onset_after_injected", "onset_after_right", "caught_rate", "accuracy_right", "gap")
    },
)

DEGENERATION = meanings("""
is_loop: whether the completion ends in a loop
is_empty: whether it says nothing
non_ascii_burst: whether it has a burst of foreign characters
distinct_3: different runs of three tokens ÷ all
""")

ARM_RATES = meanings(
    """
total: completions
problems: different problems
problems_in_full: problems of the whole sweep, where settled arms stop before (`phase2.stop_early`)
nominal_level: level of this line's intervals, at which they are 95% intervals over all looks (`stop_early`)
backtracking_count: completions with a strict onset
correct_count: correct answers
finished_count: completions that ended by themselves
retention: accuracy ÷ the baseline's
distinct_3_ratio: `distinct_3` ÷ the baseline's
fresh_wrong_count, fresh_right_count: fresh wrong steps; fresh right steps
judged_on: what the verdict is about: `onset_after_wrong` where steps can be checked, else `backtracking`
onsets_removed: share of the baseline's onsets that the arm takes away, at the baseline's mix of steps
what_fell: `noticing of errors`, `needless checks` or `completions with an onset`; the larger fall first
verdict: what the arm shows: `non-destructive`, `destructive`, `inconclusive`, `no effect`, …
not_testable: why the verdict cannot be given, where it cannot
""",
    metrics.meanings_in(2),
    metrics.signs(),
)

ARM_COMPARED = metrics.differences_in(2, "the baseline") | meanings("""
accuracy_no_worse_p: p of the claim that accuracy falls by less than the margin
accuracy_minimum_detectable: the smallest difference in accuracy that this many problems would show
accuracy_deciding_problems: about how many problems would tell whether accuracy is held
""")
