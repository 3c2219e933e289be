"""Names that users of the earlier study know lead into the house, and do what they did."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from tests.phase2 import world

NAMES = {
    "hooks": "AblationSpec HookDebugState enable_hook_debug disable_hook_debug reset_hook_debug "
    "write_hook_debug_json specs_from_subset_config apply_ablation_hooks_with_debug "
    "apply_generation_hooks_with_debug",
    "prompts": "format_prompt",
    "paths": "get_events_file get_summary_file get_selected_layers_file get_logit_lens_file "
    "get_ablation_importance_file get_generations_file",
    "config": "load_config Phase2SubsetSweepConfig Phase2ScaleSweepConfig Phase2ContinuationAblationConfig "
    "Phase2ReportConfig",
    "analysis.metrics_v2": "compute_baseline_only_metrics compute_variant_specific_metrics "
    "compute_backtracking_vs_accuracy_baseline compute_formatting_baseline_only save_metrics_v2",
    "analysis.sweeps": "generate_with_ablation evaluate_generations run_subset_sweep run_scale_sweep "
    "find_best_tradeoff",
    "analysis.continuations": "get_onset_token_prob run_continuation_ablation summarize_continuation_results",
    "analysis.plots_phase2": "plot_subset_sweep_comparison plot_scale_tradeoff_curve "
    "plot_continuation_ablation_effect plot_baseline_only_summary",
}


@pytest.mark.parametrize("path", NAMES)
def test_every_name_is_where_it_was(path):
    module = importlib.import_module(f"backtracking.{path}")
    for name in NAMES[path].split():
        assert callable(getattr(module, name)), name
        assert name in module.__all__


def test_paths_are_those_of_a_run():
    from backtracking import paths
    from backtracking.artifacts.phase1 import EVENTS, GENERATIONS, SUMMARY
    from backtracking.artifacts.readings import SELECTED
    from backtracking.run.paths import RunPaths

    run = RunPaths(Path("out"), "demo")
    assert paths.get_events_file("demo", "out") == EVENTS.path(run)
    assert paths.get_summary_file("demo", "out") == SUMMARY.path(run)
    assert paths.get_selected_layers_file("demo", "out") == SELECTED.path(run)
    assert paths.get_logit_lens_file("demo", "out") == run.table("logit_lens.csv")
    assert paths.get_ablation_importance_file("demo", "out") == run.table("ablation_importance.csv")
    assert paths.get_generations_file("demo", "plain", output_dir="out") == GENERATIONS.path(
        run, variant="plain", condition="baseline"
    )
    assert paths.get_events_file("demo") == Path("runs/demo/analysis/backtracking_events.csv")


def test_config_sections_are_those_of_phase_2():
    from backtracking import config
    from backtracking.config.phase2 import Phase2Config

    fields = Phase2Config.model_fields
    assert fields["subset_sweep"].annotation is config.Phase2SubsetSweepConfig
    assert fields["scale_sweep"].annotation is config.Phase2ScaleSweepConfig
    assert fields["continuation_ablation"].annotation is config.Phase2ContinuationAblationConfig
    assert fields["report"].annotation is config.Phase2ReportConfig


def test_hooks_act_and_count(tmp_path):
    from backtracking import hooks

    model, ids = world.random_model(), torch.tensor([world.prompts(1)[0].ids])
    specs = [hooks.AblationSpec(1, "mlp")]
    with torch.no_grad():
        plain = model.model(ids).logits
        with hooks.apply_ablation_hooks_with_debug(model, specs) as state:
            ablated = model.model(ids).logits
        handle = model.blocks[1].mlp.register_forward_hook(lambda _, __, output: output * 0)
        expected = model.model(ids).logits
        handle.remove()
    torch.testing.assert_close(ablated, expected)
    assert not torch.equal(plain, expected)
    hooks.write_hook_debug_json(state, tmp_path / "hook_debug.json")
    assert json.loads((tmp_path / "hook_debug.json").read_text())["ablation_calls"] == 1
    hooks.reset_hook_debug(state)
    assert state.total_calls == 0


def test_generation_hooks_leave_the_prompt_alone():
    from backtracking import hooks

    model, ids = world.random_model(), torch.tensor([world.prompts(1)[0].ids])
    with hooks.apply_generation_hooks_with_debug(
        model, hooks.specs_from_subset_config([("attn", 0)])
    ) as state:
        model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, eos_token_id=None,
            pad_token_id=0,
        )  # fmt: skip
    assert (state.total_calls, state.ablation_calls) == (4, 3)


def test_a_ledger_that_is_switched_off_counts_nothing():
    from backtracking import hooks

    state = hooks.enable_hook_debug()
    hooks.disable_hook_debug(state)
    state.record(("a", 0, "mlp"), 1, 1, 1)
    assert state.total_calls == 0
