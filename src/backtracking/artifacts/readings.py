"""What is read inside the model in Phase 1: controls, lens, scan, injection, direction."""

from backtracking.artifacts.columns import COMPONENT, ONSET, ROW
from backtracking.artifacts.kinds import Data, Table, Vectors, meanings

CONTROLS = Table(
    "analysis/controls.csv",
    "logit-lens",
    "the events studied and their matched controls (`ablation-scan` writes the same)",
    meanings(
        """
        example_id, sample_id: row of the event
        pred_pos: the position that is studied
        control_kind: `matched_row` or `same_row_earlier`
        matching: how the control was found, or `unmatched`
        control_example_id, control_sample_id, control_pos: the control's row and position
        offset, control_offset: the completion token decided on, of the event; of the control
        starts_sentence, control_starts_sentence: whether a sentence begins with it
        behind, control_behind: what stands before it: a kind of mark, `number`, `word` or `start`
        after_wrong_step, control_after_wrong_step: whether the last checkable step before it is wrong
        """,
        {name: ONSET[name] for name in ("onset_phrase", "onset_token_id", "onset_token_text")},
    ),
)
STABILITY = Table(
    "analysis/onset_stability.csv",
    "onset-stability",
    "onsets and matched positions without one, sampled again",
    meanings(
        """
        pred_pos: the position whose next token was sampled again
        position_kind: `onset` or `matched_row`
        onset_phrase: phrase of the onset
        continuations: how often it was sampled
        with_onset: continuations in which an onset begins within `analysis.stability_window` tokens
        at_once: those in which it begins with the first token
        share: `with_onset` ÷ `continuations`
        greedy_onset: whether an onset begins within the window where the likeliest token is always taken
        """,
        {name: ROW[name] for name in ("example_id", "sample_id", "variant")},
    ),
)
STABILITY_SUMMARY = Table(
    "analysis/onset_stability_summary.csv",
    "onset-stability",
    "how often onsets come again, beside matched positions",
    meanings("""
        position_kind: `onset` or `matched_row`
        positions, problems: positions sampled again; different problems
        continuations: continuations of all of them
        share: share of continuations with an onset within the window
        stable_share: share of positions with an onset in at least `analysis.stable_share` of continuations
    """),
)
STABILITY_FIGURE = STABILITY.figure(
    "onset_stability", "how often onsets come again", "phase1:plot_onset_stability"
)
BALANCE = Table(
    "analysis/controls_balance.csv",
    "logit-lens",
    "how alike onsets and their controls are (`ablation-scan` writes the same)",
    meanings("""
        control_kind: `matched_row` or `same_row_earlier`
        measure: what is compared: a share, or a quantile of the tokens ahead of the place
        onsets, controls: its value for the onsets that have such a control; for these controls
        n: pairs
    """),
)
_LENS_READINGS = (
    ("logit", "logit of the onset token"),
    ("logprob", "its log-probability"),
    ("rank", "its rank"),
    ("family", "log-mass of its family"),
    ("continue", "family log-mass − that of the words that continue"),
    ("end", "family log-mass − that of the end tokens"),
)
LENS = Table(
    "analysis/logit_lens.csv",
    "logit-lens",
    "the onset token through the layers, events beside controls",
    meanings(
        """
        layer: layer, from 0
        mean_target_logit_bt, mean_target_logit_control: mean logit of the onset token at events; at controls
        std_bt, std_control: its standard deviation
        n_bt, n_control: events; controls
        control_matching: kind of control
        """,
        {f"{name}_bt": f"{about}, at events" for name, about in _LENS_READINGS},
        {f"{name}_control": f"{about}, at controls" for name, about in _LENS_READINGS},
        {f"{name}_diff": f"{about}: paired difference" for name, about in _LENS_READINGS},
    ),
)
LENS_WINDOW = Table(
    "analysis/logit_lens_window.csv",
    "logit-lens",
    "the onset's family through layers and positions",
    meanings("""
        group: `onset` or the kind of control
        layer: layer, from 0
        offset: position, counted from the deciding one
        family_logmass: log-mass of the onset's family
        onset_minus_group: the events' log-mass − this group's, paired
        n: positions
    """),
)
_POSITION = meanings("pred_pos: the position that is read") | {
    name: ROW[name] for name in ("example_id", "sample_id", "variant")
}
LENS_ONSETS = Table(
    "analysis/logit_lens_onsets.csv",
    "logit-lens",
    "the lens onset by onset: the explorer shows it beside the text",
    meanings(
        """
        layer: layer, from 0
        position_kind: `onset` or the kind of control, read at the control's own position
        logit, logprob, rank: of the onset token
        family: log-mass of its family
        """,
        _POSITION,
    ),
)
LENS_SUMMARY = Data(
    "analysis/logit_lens.json", "logit-lens", "the first layer that separates, and the families"
)
TRANSLATORS = Vectors(
    "analysis/lens_translators.safetensors", "logit-lens", "the tuned lens, with `analysis.lens: tuned`"
)
LENS_FIGURE = LENS.figure(
    "wait_logit_lens_bt_vs_control", "events and controls through the layers", "mechanism:plot_logit_lens"
)
LENS_WINDOW_FIGURE = LENS_WINDOW.figure(
    "logit_lens_window", "the family through layers and positions", "mechanism:plot_lens_window"
)

_SCANNED = meanings(
    """
    delta_wait_logit_mean, delta_wait_logit_std: change of the onset's logit, and its spread over events
    n_events, n_problems: onsets studied; problems that they come from
    mode: how the component was removed
    delta_logit, delta_logprob: change of the onset token's logit; of its log-probability
    delta_triggers, delta_trigger_log_odds: change of the log-mass of all triggers; of its log-odds: whether \
an onset comes
    delta_family, delta_log_odds: change of the log-mass of the event's own family; of its log-odds
    delta_word: change of the family's share among the triggers, in log: which word it is
    kl_onset, kl_control: KL(original ‖ ablated) at events; at controls: the damage
    delta_next_logprob_control: change of the next token's log-probability at controls
    delta_family_control, delta_triggers_control: change of the family's log-mass at controls; of all triggers
    n_controls: controls studied
    """,
    COMPONENT,
)
_SCORED = meanings(
    """
    selectivity: log-odds of the triggers lost ÷ (damage at controls + `analysis.collateral_floor`)
    effect: the onset's logit lost
    selectivity_excess, effect_excess: what it takes beyond the reach of the ensemble of all components
    selectivity_rank, effect_rank: place by this score within its kind; empty where it cannot be selected
    """,
    _SCANNED,
)
IMPORTANCE = Table(
    "analysis/ablation_importance.csv", "ablation-scan", "effect and damage of each component", _SCORED
)
IMPORTANCE_BY_MODE = Table(
    "analysis/ablation_modes.csv", "ablation-scan", "the same for every way of removal", _SCORED
)
SCAN_ONSETS = Table(
    "analysis/ablation_onsets.csv",
    "ablation-scan",
    "the scan onset by onset: the explorer shows it beside the text",
    meanings(
        """
        mode: how the component was removed
        delta_logit, delta_logprob: change of the onset token's logit; of its log-probability
        delta_family, delta_log_odds: change of its family's log-mass; of its log-odds
        kl_onset: KL(original ‖ ablated)
        """,
        COMPONENT,
        _POSITION,
    ),
)
SELECTION = Data(
    "analysis/ablation_selection.json", "ablation-scan", "what stands out, by which rule, and where"
)
SELECTED = Data(
    "analysis/selected_layers.json", "ablation-scan", "the layers that stand out, strongest first"
)
DIRECT = Table(
    "analysis/direct_effects.csv",
    "ablation-scan",
    "direct effects, total effects and self-repair",
    meanings(
        """
        head: attention head; empty for whole blocks
        direct: what the component itself writes towards onset − contrast
        total: what its removal takes away
        self_repair: 1 − total ÷ direct, where the direct effect is above zero
        """,
        COMPONENT,
    ),
)
PAIRS = Table(
    "analysis/pair_interactions.csv",
    "ablation-scan",
    "the selected components in pairs",
    meanings("""
        component_a, layer_a, component_b, layer_b: the pair
        lost_a, lost_b, lost_together: log-odds of the triggers lost without the one, the other, both
        interaction: lost together − (lost alone + lost alone)
        p_holm: its p, corrected over pairs (Holm)
        kind: `sub-additive` or `super-additive` (significant), `additive` (within ±0.1 of the sum) or \
`undecided`
    """),
)
HEADS = Table(
    "analysis/ablation_heads.csv",
    "ablation-scan --heads",
    "effect and damage of each attention head",
    meanings("head: attention head", _SCORED),
)
POSITIONS = Table(
    "analysis/ablation_positions.csv",
    "ablation-scan --positions",
    "removal at earlier positions",
    meanings("position: where it is removed, counted from the deciding position", _SCANNED),
)
IMPORTANCE_FIGURE = IMPORTANCE.figure(
    "ablation_importance_by_layer", "effect of each component", "mechanism:plot_ablation_importance", SELECTED
)
DIRECT_FIGURE = DIRECT.figure(
    "direct_vs_total_effect", "direct beside total effects", "circuit:plot_direct_effects"
)
PAIRS_FIGURE = PAIRS.figure("component_interactions", "interactions of pairs", "circuit:plot_interactions")
HEADS_FIGURE = HEADS.figure("ablation_heads", "effect of each head", "circuit:plot_heads")
POSITIONS_FIGURE = POSITIONS.figure("ablation_positions", "effect by position", "circuit:plot_positions")

INJECTION = Table(
    "analysis/error_injection.csv",
    "error-injection",
    "right steps made wrong, one by one",
    meanings(
        """
        kind: kind of rewrite
        is_wrong: whether the rewrite makes the step wrong
        step, changed: the step as it was; as it was rewritten
        decision_pos: the position that is read
        clean_logmass, corrupted_logmass: log-mass of the strict triggers there, before and after
        change: their difference
        change_0, change_1, change_2, change_3, change_4, change_5, change_6, change_7: the same \\
this many tokens after the change
        """,
        {name: ROW[name] for name in ("example_id", "sample_id")},
    ),
)
INJECTION_SUMMARY = Table(
    "analysis/error_injection_summary.csv",
    "error-injection",
    "the change per kind of rewrite",
    meanings("""
        kind: kind of rewrite
        n, problems: rewrites; different problems
        change: mean change of the triggers' log-mass
        above_harmless: the same − that of harmless rewrites
        p: p against harmless rewrites
        share_raised: share of rewrites that raise it
        p_holm: p, corrected over kinds (Holm)
    """),
)
INJECTION_CURVE = Table(
    "analysis/error_injection_curve.csv",
    "error-injection",
    "the change, token by token",
    meanings("""
        rewrite: `wrong` or `harmless`
        offset: tokens after the change
        change: mean change of the triggers' log-mass
        n: rewrites
    """),
)
PATCHING = Table(
    "analysis/error_patching.csv",
    "error-injection",
    "which components carry the signal",
    meanings(
        """
        positions: where activations are swapped: `changed`, `between` or `deciding`
        direction: `noising` (wrong into right) or `denoising`
        share: part of the gap in log-odds that the swap moves
        p_holm: its p, corrected (Holm)
        n_pairs, n_problems: pairs of prefixes; different problems among them
        warning: how many pairs there are, where they are too few for a finding
        """,
        COMPONENT,
    ),
)
INJECTION_FIGURE = INJECTION_SUMMARY.figure(
    "error_injection", "the change per kind", "causes:plot_error_injection", INJECTION_CURVE
)
PATCHING_FIGURE = PATCHING.figure("error_patching", "who carries the signal", "causes:plot_patching")

DIRECTION = Table(
    "analysis/direction.csv",
    "direction",
    "how well each layer's direction tells onsets from controls",
    meanings("""
        layer: layer, from 0; −1 for the probe that knows the position only
        place: `deciding` or `window` (mean over the positions before it)
        norm: length of the direction
        method: how onsets are told apart
        control_kind: kind of control
        n_fit, n_test: samples fitted on; tested on
        auroc: area under the curve on the other half of the problems
    """),
)
DIRECTIONS = Vectors(
    "analysis/directions.safetensors", "direction", "a direction per layer and place, by name"
)
DIRECTIONS_CARD = Data("analysis/directions.json", "direction", "the names, and what they were made from")
DIRECTION_FIGURE = DIRECTION.figure(
    "backtracking_direction", "how well directions separate", "causes:plot_direction"
)
