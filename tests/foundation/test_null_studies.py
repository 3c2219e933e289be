"""Studies that find nothing, or too little, run to both reports, end well, and claim nothing they cannot."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import shared_data
from tests.foundation.command import CommandLine
from tests.foundation.study import FEW_DRAWS

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {
    "dataset.max_examples": 4,
    "generation.num_samples_per_prompt": 2,
    "ablation_generation.random_draws": 2,
    "phase2.num_samples_per_prompt": 2,
    "phase2.subset_sweep.subsets": FEW_DRAWS,
    "phase2.scale_sweep.scales": "[0.0, 0.5]",
    "phase2.continuation_ablation.scales": "[0.0]",
    "phase2.confirm.random_draws": 2,
}
NEVER = {"detection.triggers_strict": "[zzz zzz]", "detection.triggers_relaxed": "[zzz zzz]"}
STUDIES = {
    "never says it": NEVER,
    "one problem": {"dataset.max_examples": 1},
    "three problems": {"dataset.max_examples": 3, "generation.num_samples_per_prompt": 4},
    "all cut": {"generation.max_new_tokens": 3},
}
ONSETS = (
    "onset-stability",
    "logit-lens",
    "ablation-scan",
    "direction",
    "targeted_ablation",
    "random_ablation",
    "single_ablation",
    "fixed-prefixes",
)
NOT_TESTABLE = {
    "never says it": {*ONSETS, "phase2-continuation-ablation"},
    "one problem": {*ONSETS, "error-injection", "phase2-confirm", "phase2-continuation-ablation"},
    "three problems": {*ONSETS, "error-injection"} - {"onset-stability"},
    "all cut": {*ONSETS, "error-injection", "phase2-continuation-ablation"},
}
COUNTS = {
    "never says it": "no onsets in 4 baseline completions (onsets in 2 problems needed)",
    "one problem": "only 1 problem with onsets in 2 baseline completions (2 needed)",
    "three problems": "only 1 problem with onsets in 4 baseline completions (2 needed)",
    "all cut": "no onsets in 4 baseline completions (onsets in 2 problems needed)",
}
PICTURED = ("never says it", "one problem")
"""Studies whose figures are drawn, of nothing and of next to nothing."""
HARMLESS = "without loss of accuracy"


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys, monkeypatch)


def sets(settings):
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def ends_well(cli, phase1, phase2, settings):
    """Run both phases; returns what each stage came to, and both reports."""
    states = {}
    for config, chosen in (
        (phase1, {k: v for k, v in settings.items() if "phase2" not in k}),
        (phase2, settings),
    ):
        outcome = cli("run", "-c", config, *sets(chosen))
        assert outcome.code == 0, outcome.err
        again = cli("run", "-c", config, *sets(chosen))
        assert "nothing to do" in again.out, again.err
        shown = cli("status", "-c", config, *sets(chosen)).out
        found = re.findall(r"^(done|not testable|missing|made elsewhere|stale|\w+) +(\S+)", shown, flags=re.M)
        states |= {stage: state for state, stage in found if state not in ("run", "state")}
    reports = {path.parents[1].name: path.read_text() for path in Path("runs").glob("*/reports/*.md")}
    assert len(reports) == 2
    assert len(list(Path("runs").glob("*/reports/*.html"))) == 2
    return states, reports


def untested(states):
    assert set(states.values()) == {"done", "not testable"}, states
    return {stage for stage, state in states.items() if state == "not testable"}


def verdict(report, words):
    return next(line.split("|")[2].strip(" *") for line in report.splitlines() if words in line)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_of_the_bundled_reasoner_ends_in_two_reports(cli, request, study):
    if study not in PICTURED:
        request.getfixturevalue("no_pictures")
    settings = SMALL | STUDIES[study]
    states, reports = ends_well(cli, CONFIGS / "demo.yaml", CONFIGS / "demo_phase2.yaml", settings)
    expected = NOT_TESTABLE[study]
    found = untested(states)
    assert len(found) == len(expected)
    assert all(any(name in stage for stage in found) for name in expected), found
    one, two = reports["demo"], reports["demo-phase2"]
    for report in (one, two):
        assert not re.search(r"\bnan\b|\bNone\b", report)
        assert "Traceback" not in report
    assert COUNTS[study] in one
    assert verdict(two, HARMLESS) in ("not testable", "inconclusive")
    assert verdict(one, "H1:") in ("not testable", "inconclusive")
    if study != "three problems":
        for words in ("H1:", "H0:", "H2:", "error detection", "accuracy intact", "Formatting changes"):
            assert verdict(one, words) == "not testable", words
        assert verdict(two, HARMLESS) == verdict(two, "substantial") == "not testable"
        assert verdict(two, "At the onset step") == "not testable"
        assert "Left out, because Phase 1 has nothing to build them from" in two
    if study == "all cut":
        assert re.search(r"100\.0% of \d+ completions of `baseline_think_newline/baseline` are cut", two)


def random_study(folder, tokenizer, kind):
    """Configs of both phases on a tiny random model with this tokenizer, which does not say "Wait".

    The kind of model is one under which the tokenizer is loaded as what it is.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    known = AutoTokenizer.from_pretrained(tokenizer)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(known),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        eos_token_id=known.eos_token_id,
        bos_token_id=known.bos_token_id,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(config)
    # Logits spread as a trained model's do: a flat nucleus is nearly all of the vocabulary, and would be
    # sorted at every step.
    spread = 5.0 / (config.initializer_range * config.hidden_size**0.5)
    torch.nn.init.constant_(model.model.norm.weight, spread)
    model.save_pretrained(folder / "model")
    for path in tokenizer.glob("*.json*"):
        shutil.copy(path, folder / "model" / path.name)
    phase1 = {
        "run": {"name": "demo", "run_id": "demo"},
        "model": {"hf_id": str(folder / "model")},
        "dataset": {"name": "tiny_arithmetic", "max_examples": 3},
        "prompting": {"use_chat_template": known.chat_template is not None},
        "generation": {"num_samples_per_prompt": 2, "max_new_tokens": 6, "temperature": 1.0},
    }
    subsets = {
        "selected": {"from_selected_layers": True},
        "late": [["mlp", 1]],
        "silent": {"suppress_triggers": True},
        "other": {"random_like": "late", "draws": 2},
        "means": [{"component": "mlp", "layer": 1, "mode": "mean", "vector": "mean_mlp_1"}],
    }
    phase2 = {
        "phase1_run_id": "demo",
        "num_samples_per_prompt": 2,
        "subset_sweep": {"subsets": subsets},
        "scale_sweep": {"subset_name": "best", "scales": [0.0, 0.5]},
        "continuation_ablation": {"subset_name": "selected"},
        "search": {"enabled": True, "budget_rows": 24, "trials_at_once": 2},
    }
    for name, content in (
        ("one.yaml", phase1),
        ("two.yaml", phase1 | {"run": {"name": "two", "run_id": "two"}, "phase2": phase2}),
    ):
        (folder / name).write_text(yaml.safe_dump(content))
    return folder / "one.yaml", folder / "two.yaml"


@pytest.mark.parametrize(
    ("tokenizer", "kind"),
    [("r1_tokenizer", "qwen2"), ("tokenizers/deepseek_v3", "llama"), ("tokenizers/yi", "llama")],
)
def test_a_null_study_with_other_tokenizers_ends_in_two_reports(cli, tmp_path, no_pictures, tokenizer, kind):
    configs = random_study(tmp_path, shared_data() / tokenizer, kind)
    states, reports = ends_well(cli, *configs, {})
    expected = {*ONSETS, "error-injection", "phase2-continuation-ablation"}
    found = untested(states)
    assert all(any(name in stage for stage in found) for name in expected), found
    assert "no onsets in 2 baseline completions (onsets in 2 problems needed)" in reports["demo"]
    assert verdict(reports["two"], HARMLESS) == "not testable"


def test_a_study_that_becomes_testable_leaves_no_trace_of_the_null(cli, no_pictures):
    """The same run with other triggers: stages are made again, and nothing of the other answer is left."""
    config = CONFIGS / "demo.yaml"
    chosen = {key: value for key, value in SMALL.items() if "phase2" not in key}
    for settings in (NEVER, {}, NEVER):
        outcome = cli("run", "-c", config, *sets(chosen | settings))
        assert outcome.code == 0, outcome.err
        is_null = settings == NEVER
        lens = Path("runs/demo/analysis/logit_lens.csv")
        assert lens.exists() != is_null
        assert Path("runs/demo/analysis/selected_layers.json").exists() != is_null
        (report,) = Path("runs/demo/reports").glob("*.md")
        assert ("no onsets in 8 baseline completions" in report.read_text()) == is_null
