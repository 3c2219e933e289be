"""An arm that leaves acts in plain transformers as it does in the engine: the same greedy tokens."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from backtracking.api.runs import open_run
from backtracking.artifacts.readings import DIRECTIONS
from backtracking.config.schema import ModelConfig
from backtracking.doors.arms import export_arm, member_of
from backtracking.doors.standalone import CHANGES
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, MODES, Arm, Condition, Intervention, When
from backtracking.model.loading import load_model
from backtracking.run.bundled import bundled_folder
from tests.engine.tiny import prompt, tiny
from tests.explore.conftest import type_command

TOKENS, LENGTH = 20, 9
FAMILIES = ("qwen2", "gpt_neox", "gemma2")


def one(component, mode="scale", strength=0.0, layer=1, **more):
    return Intervention(component=component, layer=layer, mode=mode, strength=strength, **more)


CONDITIONS = {
    "scale": [one("attn", strength=0.3), one("mlp", layer=2, strength=1.7)],
    "zero": [one("mlp", "zero")],
    "head": [one("attn", "zero", head=2), one("attn", strength=2.0, head=1)],
    "mean": [one("mlp", "mean", vector="v")],
    "add": [one("resid", "add", 3.0, vector="v")],
    "project": [one("resid", "project", 1.0, vector="v")],
    "in order": [
        one("resid", "add", 2.0, vector="v"),
        one("resid", "project", 0.7, vector="w"),
        one("resid", strength=0.9),
    ],
    "prompt alone": [one("mlp", "zero", when=When(phase="prefill"))],
    "everywhere": [one("resid", "add", 1.5, vector="w", when=When(phase="all"))],
    "some steps": [one("mlp", "zero", when=When(phase="all", steps=(0, 3, 4)))],
}  # fmt: skip


@pytest.fixture(scope="module")
def vectors():
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(32, generator=generator) for name in "vw"}


def ours(model, condition, vectors, phrases=(), examples=(0, 1, 2)):
    """The engine's greedy tokens, row by row, without the end token."""
    rows = [Row(prompt(k, LENGTH), 0, condition) for k in examples]
    params = SamplingParams(TOKENS, do_sample=False)
    found = generate_rows(model, rows, params, seed=0, vectors=vectors, onset_phrases=phrases)
    return {int(r.example_id): [t for t in r.completion_ids if t != 1] for r in found}


def taken_in(folder):
    """The code that was written, as a module of its own."""
    spec = importlib.util.spec_from_file_location("apply_arm", folder / "apply_arm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(model, folder, examples=(0, 1, 2), **options):
    """Greedy tokens of `model.generate` under the arm."""
    ids = torch.tensor([prompt(k, LENGTH).ids for k in examples])
    with taken_in(folder).AppliedArm(model.model) as arm, torch.no_grad():
        said = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS,
            logits_processor=arm.logits_processors, eos_token_id=1, pad_token_id=0, **options,
        )  # fmt: skip
    cut = {k: row[LENGTH:].tolist() for k, row in zip(examples, said, strict=True)}
    return {k: row[: row.index(1)] if 1 in row else row for k, row in cut.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CONDITIONS)
def test_the_same_greedy_tokens(family, name, vectors, tmp_path):
    model, condition = tiny(family), Condition(name=name, interventions=tuple(CONDITIONS[name]))
    export_arm(condition, model, vectors, (), tmp_path / "arm")
    expected = ours(model, condition, vectors)
    assert theirs(model, tmp_path / "arm") == expected
    assert expected != ours(model, BASELINE, {}), "an arm that changes nothing shows nothing"


@pytest.mark.parametrize("family", FAMILIES[:2])
def test_gates_that_wait_for_tokens_and_onsets(family, vectors, tmp_path):
    model = tiny(family)
    free = ours(model, BASELINE, {})
    phrases = ((free[0][4],), tuple(free[1][2:4]))
    whens = {
        "after": When(after_tokens=frozenset(free[0][1:3])),
        "from": When(onset="from_first"),
        "until": When(onset="until_first"),
    }
    for name, when in whens.items():
        condition = Condition(name=name, interventions=(one("resid", "add", 4.0, vector="v", when=when),))
        export_arm(condition, model, vectors, phrases, tmp_path / name)
        expected = ours(model, condition, vectors, phrases)
        assert theirs(model, tmp_path / name) == expected, name
        assert expected != free, name
        assert theirs(model, tmp_path / name, use_cache=False) == expected, name


def test_what_is_never_said_is_never_said(tmp_path):
    model = tiny("qwen2")
    free = ours(model, BASELINE, {})
    pairs = {" ".join(map(str, ids[k : k + 2])) for ids in free.values() for k in range(0, len(ids) - 1, 2)}
    muted = Condition(
        name="muted",
        suppress_phrases=frozenset(pairs),
        suppress_tokens=frozenset(free[2][:1]),
        interventions=(one("attn", strength=0.9),),
    )
    export_arm(muted, model, {}, (), tmp_path / "arm")
    expected = ours(model, muted, {})
    assert theirs(model, tmp_path / "arm") == expected != free


def test_the_model_is_its_own_again_afterwards(vectors, tmp_path):
    model = tiny("qwen2")
    export_arm(
        Condition(name="a", interventions=tuple(CONDITIONS["add"])), model, vectors, (), tmp_path / "arm"
    )
    before = model.model(torch.tensor([prompt(0).ids])).logits
    theirs(model, tmp_path / "arm")
    assert torch.equal(model.model(torch.tensor([prompt(0).ids])).logits, before)
    with pytest.raises(ValueError, match="the arm is for"):
        taken_in(tmp_path / "arm").AppliedArm(tiny("gpt_neox").model)


def test_every_mode_has_a_form_outside(vectors, tmp_path, monkeypatch):
    assert {rule.same_as or name for name, rule in MODES.items()} == set(CHANGES)
    monkeypatch.setitem(MODES, "rolled", MODES["scale"])
    condition = Condition(name="x", interventions=(one("mlp", "rolled"),))
    with pytest.raises(UserError, match="outside"):
        export_arm(condition, tiny("qwen2"), {}, (), tmp_path / "arm")


def test_a_random_control_leaves_draw_by_draw():
    draws = tuple(Condition(name="r", draw=k, interventions=(one("attn", layer=k),)) for k in range(2))
    arm = Arm("r", "r", 0.0, draws)
    assert member_of(arm, 1) is draws[1]
    for draw in (None, 7):
        with pytest.raises(UserError, match="--draw"):
            member_of(arm, draw)


ALONE = """
import json, sys
sys.modules["backtracking"] = None
sys.path.insert(0, sys.argv[1])
import torch
from apply_arm import AppliedArm
from transformers import AutoModelForCausalLM
row = json.loads(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32)
with AppliedArm(model) as arm:
    said = model.generate(torch.tensor([row]), do_sample=False, max_new_tokens=int(sys.argv[4]),
                          logits_processor=arm.logits_processors)
print(json.dumps(said[0, len(row):].tolist()))
"""


@pytest.mark.parametrize("name", ["no_direction", "no_trigger_tokens", "attn_last_x0.5"])
def test_an_arm_of_a_run_leaves_by_the_command_and_needs_nothing_of_ours(inside, tmp_path, name):
    type_command("export", "arm", "demo-phase2", "--arm", name, "--out", str(tmp_path / "arm"))
    run = open_run("demo-phase2")
    rows = run.rows(name).records

    model = load_model(run.config.model)
    condition = Condition.model_validate(
        json.loads((run.paths.generations / f"baseline_think_newline/phase2_{name}.arm.json").read_text())[
            "members"
        ][0]
    )
    saved = DIRECTIONS.read(open_run("demo").paths)
    row = Row(_asked(rows[0]), 0, condition)
    expected = next(
        iter(generate_rows(model, [row], SamplingParams(60, do_sample=False), seed=0, vectors=saved))
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", ALONE, tmp_path / "arm"),
            *(bundled_folder("bundled"), json.dumps(rows[0].prompt_ids), "60"),
        ],
        check=False, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected.completion_ids


def _asked(record):
    return Prompt(record.example_id, record.variant, record.prompt, tuple(record.prompt_ids))


def test_vectors_leave_with_a_card(inside, tmp_path):
    type_command("export", "vector", "demo", "--name", "onset_deciding_3", "--out", str(tmp_path / "v"))
    saved = DIRECTIONS.read(open_run("demo").paths)["onset_deciding_3"]
    with safe_open(tmp_path / "v/vectors.safetensors", "pt") as file:
        assert list(file.keys()) == ["onset_deciding_3"]
        assert torch.equal(file.get_tensor("onset_deciding_3"), saved)
        (about,) = json.loads(file.metadata()["vectors"])
    assert (about["layer"], about["position"]) == (3, "deciding")
    assert about["norm"] == pytest.approx(saved.norm().item())
    card = (tmp_path / "v/README.md").read_text(encoding="utf-8")
    assert "hidden_states[layer + 1]" in card and f"{saved.norm().item():.4g}" in card
    assert "but the last" in card
    with pytest.raises(AssertionError):
        type_command("export", "vector", "demo", "--name", "nonesuch", "--out", str(tmp_path / "w"))


def test_what_the_card_says_of_transformers_hidden_states():
    model = load_model(ModelConfig(hf_id="bundled"))
    blocks, kept = model.blocks, {}
    handles = [
        block.layer.register_forward_hook(lambda _, __, out, k=k: kept.update({k: out}))
        for k, block in enumerate(blocks)
    ]
    with torch.no_grad():
        states = model.model(torch.tensor([[5, 6, 7, 8]]), output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    outputs = [out[0] if isinstance(out, tuple) else out for _, out in sorted(kept.items())]
    same = [torch.equal(states[layer + 1], output) for layer, output in enumerate(outputs)]
    assert same == [True] * (len(blocks) - 1) + [False]


def test_conditions_of_phase1_leave_too(inside, tmp_path, monkeypatch, capsys):
    shutil.copytree(inside / "runs/demo", tmp_path / "runs/demo")
    monkeypatch.chdir(tmp_path)
    Path("runs/demo/analysis/selected_layers.json").write_text('{"attn": [5], "mlp": [4]}')
    asked = {"targeted_ablation": (), "single_mlp_4": (), "random_ablation": ("--draw", "0")}
    modules = {}
    for name, more in asked.items():
        type_command("export", "arm", "demo", "--arm", name, *more, "--out", name)
        changes = json.loads(Path(name, "arm.json").read_text())["changes"]
        modules[name] = {change["module"] for change in changes}
    assert modules["targeted_ablation"] == {"model.layers.5.self_attn", "model.layers.4.mlp"}
    assert modules["single_mlp_4"] == {"model.layers.4.mlp"}
    assert len(modules["random_ablation"]) == 2 and modules["random_ablation"] != modules["targeted_ablation"]
    Path("runs/demo/analysis/selected_layers.json").write_text('{"attn": [], "mlp": []}')
    with pytest.raises(AssertionError):
        type_command("export", "arm", "demo", "--arm", "targeted_ablation", "--out", "none")
    assert "selected none" in capsys.readouterr().err
