"""Configs: inheritance, overrides, origins, and every way to get them wrong."""

import runpy
from pathlib import Path

import pytest
import yaml

from backtracking.config.load import config_hash, load_config
from backtracking.config.show import dump_resolved, key_docs
from backtracking.errors import UserError
from tests.foundation.command import assert_one_clear_message

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_origins_of_file_override_and_default(tmp_path):
    base = write(tmp_path, "generation:\n  temperature: 0.5\n  top_p: 0.8\n", "base.yaml")
    child = write(tmp_path, "extends: base.yaml\ngeneration:\n  top_p: 0.9\n")
    loaded = load_config(child, ["run.seed=7"])
    assert loaded.config.generation.temperature == 0.5
    assert loaded.config.generation.top_p == 0.9
    assert loaded.config.run.seed == 7
    assert loaded.origin("generation.temperature") == f"{base}:2"
    assert loaded.origin("generation.top_p") == f"{child}:3"
    assert loaded.origin("run.seed") == "--set"
    assert loaded.origin("generation.top_k") == "default"


def test_origins_follow_other_spellings_and_inner_keys(tmp_path):
    path = write(
        tmp_path,
        "model:\n  dtype: float16\nphase2:\n  subset_sweep:\n    subsets: {mlp_27_only: [[mlp, 1]]}\n",
    )
    loaded = load_config(path, ["phase2.subset_sweep.subsets.mlp_late_cluster=[[mlp,2]]"])
    assert loaded.origin("model.torch_dtype") == f"{path}:2"
    assert loaded.origin("phase2.subset_sweep.subsets") == f"{path}:5, partly --set"


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "configs").glob("*.yaml"))])
def test_resolved_config_loads_again_as_the_same_config(name, tmp_path):
    loaded = load_config(ROOT / "configs" / name)
    again = load_config(write(tmp_path, dump_resolved(loaded)))
    assert again.config == loaded.config
    assert again.hash == loaded.hash
    assert dump_resolved(again) == dump_resolved(loaded)  # origins and source too


def test_hash_ignores_where_the_run_is_kept_and_nothing_else(tmp_path):
    path = write(tmp_path, "run: {name: a}\n")
    plain = load_config(path).config
    moved = load_config(path, ["run.output_dir=elsewhere", "run.run_id=x"]).config
    warmer = load_config(path, ["generation.temperature=0.61"]).config
    assert config_hash(plain) == config_hash(moved)
    assert config_hash(plain) != config_hash(warmer)


def test_phase2_config_extends_phase1_key_by_key():
    one = load_config(ROOT / "configs/backtracking_state_transition.yaml").config
    two = load_config(ROOT / "configs/backtracking_state_transition_phase2.yaml").config
    assert two.model_dump(exclude={"run", "phase2"}) == one.model_dump(exclude={"run", "phase2"})
    subsets = two.phase2.subset_sweep.subsets
    assert len(subsets["phase1_full"].components) == 12
    assert [(c.component, c.layer) for c in subsets["attn_no_early"].components] == [
        ("attn", 15),
        ("attn", 17),
        ("attn", 19),
        ("attn", 27),
    ]


def test_deprecated_dtype_spelling_is_understood(tmp_path):
    assert (
        load_config(write(tmp_path, "model: {dtype: torch.bfloat16}")).config.model.torch_dtype == "bfloat16"
    )


def test_all_mistakes_are_told_at_once(tmp_path):
    path = write(tmp_path, "run: {sed: 1}\ngeneration:\n  temperature: -1\n  top_p: 2\nmodle: {}\n")
    with pytest.raises(UserError) as caught:
        load_config(path)
    text = str(caught.value)
    assert "4 mistakes" in text
    assert f"{path}:1: run.sed: unknown key; did you mean 'seed'?" in text
    assert f"{path}:3: generation.temperature" in text
    assert f"{path}:4: generation.top_p" in text
    assert "did you mean 'model'?" in text


def _bomb(form: str, first: str = "[x]") -> str:
    """A few lines that alias each other nine times over, a dozen times: 9^12 values."""
    lines = (
        f"a{depth}: &a{depth} " + form.format(", ".join([f"*a{depth - 1}"] * 9)) for depth in range(1, 13)
    )
    return "\n".join([f"a0: &a0 {first.format()}", *lines])


MALFORMED = {
    "unknown section": ("generatoin: {}", "did you mean 'generation'?"),
    "unknown key": ("generation: {max_new_token: 5}", "did you mean 'max_new_tokens'?"),
    "unknown nested key": ("phase2: {subset_sweep: {enable: true}}", "did you mean 'enabled'?"),
    "wrong type": ("generation: {max_new_tokens: many}", "generation.max_new_tokens"),
    "negative": ("generation: {temperature: -0.1}", "greater than 0"),
    "zero cap": ("generation: {max_new_tokens: 0}", "generation.max_new_tokens"),
    "share above one": ("generation: {top_p: 1.5}", "generation.top_p"),
    "bad batch size": ("generation: {batch_size: huge}", "'auto'"),
    "greedy many": ("generation: {do_sample: false}", "num_samples_per_prompt: 1"),
    "no question": ("prompting: {template: hello}", "{question}"),
    "repeated variant": (
        "prompting: {formatting_variants: [{name: a}, {name: a, think_open: x}]}",
        "repeated: a",
    ),
    "identical variants": ("prompting: {formatting_variants: [{name: a}, {name: b}]}", "same prompt"),
    "variant without name": ("prompting: {formatting_variants: [{think_open: x}]}", "name: missing"),
    "no variants": ("prompting: {formatting_variants: []}", "formatting_variants"),
    "bad regex": ("detection: {answer_regex: '('}", "not a regular expression"),
    "empty trigger": ("detection: {triggers_strict: ['']}", "empty"),
    "no triggers": ("detection: {triggers_strict: []}", "triggers_strict"),
    "bad device": ("model: {device: gpu}", "model.device"),
    "bad dtype": ("model: {torch_dtype: float8}", "'bfloat16'"),
    "both dtypes": ("model: {torch_dtype: auto, dtype: auto}", "not both"),
    "bad mode": ("ablation_generation: {mode: remove}", "'zero', 'scale' or 'mean'"),
    "bad component": ("analysis: {ablation_components: [attention]}", "'attn' or 'mlp'"),
    "escaping run id": ("run: {run_id: ../../etc}", "run.run_id"),
    "boolean name": ("run: {name: on}", "quotes"),
    "unknown subset": (
        "phase2: {subset_sweep: {subsets: {a: [[mlp, 1]]}}, scale_sweep: {subset_name: b}, "
        "continuation_ablation: {subset_name: a}}",
        "phase2.scale_sweep.subset_name: no subset 'b'; there are a",
    ),
    "unknown sweep variant": (
        "phase2: {subset_sweep: {variant: zzz}, scale_sweep: {enabled: false}, "
        "continuation_ablation: {enabled: false}}",
        "no variant 'zzz'",
    ),
    "negative layer": ("phase2: {subset_sweep: {subsets: {a: [[mlp, -1]]}}}", "layer"),
    "subset twice": ("phase2: {subset_sweep: {subsets: {a: [[mlp, 1], [mlp, 1]]}}}", "twice"),
    "empty subset": ("phase2: {subset_sweep: {subsets: {a: []}}}", "from_selected_layers"),
    "bad intervention": (
        "phase2: {subset_sweep: {subsets: {a: [{component: mlp, layer: 1, mode: explode}]}}}",
        "choose one of scale, zero",
    ),
    "repeated scales": (
        "phase2: {subset_sweep: {enabled: false}, scale_sweep: {scales: [0.5, 0.5]}}",
        "scales must differ",
    ),
    "not YAML": ("run: [unclosed", "not valid YAML"),
    "tab": ("run:\n\tname: x", "line 2"),
    "key twice": ("run: {name: a}\nrun: {name: b}", "given twice"),
    "alias of itself": ("run: &a {name: *a}", "circle"),
    "boolean number": ("generation: {temperature: true}", "must be a number, not true"),
    "boolean count": ("generation: {max_new_tokens: true}", "must be a whole number, not true"),
    "date that is none": ("run: {name: 2024-13-45}", "quotes"),
    "report over rows": ("report: {report_path: generations/a/b.md}", "reports/"),
    "report outside": ("report: {report_path: reports/../../x.md}", "reports/"),
    "report of another kind": ("report: {report_path: reports/x.html}", ".md"),
    "problems over settings": ("dataset: {save_path: runs/demo/meta.json}", ".jsonl"),
    "infinite": ("ablation_generation: {scale: .nan}", "finite"),
    "not a mapping": ("- a\n- b", "mapping of sections"),
    "missing parent": ("extends: nowhere.yaml", "no config file"),
    "circular": ("extends: c.yaml", "circle"),
    "parent with an endless name": (f"extends: {'a' * 300}.yaml", "no config file of that name"),
    "parent with a null byte": ('extends: "a\\0b"', "null byte"),
    "folder with a null byte": ('run: {output_dir: "a\\0b"}', "null byte"),
    "empty tagged number": ('run: {seed: !!int ""}', "put it in quotes"),
    "text tagged as a truth": ("run: {seed: !!bool perhaps}", "put it in quotes"),
    "text tagged as a date": ("run: {name: !!timestamp x}", "put it in quotes"),
    "half a character": (r'run: {output_dir: "x\ud800"}', "half of a character"),
    "aliases of aliases": (_bomb("[{}]"), "far too large"),
    "merges of merges": (_bomb("{{<<: [{}]}}", "{{k: v}}"), "far too large"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_config_gives_one_clear_message(case, cli, workdir):
    text, expected = MALFORMED[case]
    path = write(workdir, text)
    assert_one_clear_message(cli("config", "check", path), str(path.name), expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("generation.temperature", "key=value"),
        ("generation.temprature=1", "did you mean"),
        ("run.seed.x=1", "run.seed"),
        ('run.seed=!!int ""', "put it in quotes"),
        ("run.name=" + "[" * 5000, "nested too deeply"),
    ],
)
def test_bad_override_gives_one_clear_message(override, expected, cli, workdir):
    path = write(workdir, "run: {seed: 3}")
    assert_one_clear_message(cli("config", "check", path, "--set", override), expected)


def test_missing_config_suggests_a_near_name(cli, workdir):
    write(workdir, "run: {name: a}", "demo.yaml")
    assert_one_clear_message(cli("config", "check", "dmo.yaml"), "did you mean demo.yaml?")


def test_every_key_is_explained_and_the_page_is_current(cli):
    undocumented = [doc.key for doc in key_docs() if not doc.text]
    assert undocumented == []
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    render = runpy.run_path(str(ROOT / "scripts/write_config_docs.py"))["render"]
    assert page == render(), "docs/config.md is out of date: run `make docs`"
    shown = cli("config", "show", "--explain").out
    assert all(doc.key in shown for doc in key_docs())


def test_seed_configs_have_every_key_that_users_know():
    data = yaml.safe_load((ROOT / "configs/backtracking_state_transition.yaml").read_text())
    known = {
        "run": "name seed run_id output_dir",
        "model": "hf_id revision trust_remote_code torch_dtype device attn_implementation use_cache",
        "dataset": "name path split max_examples shuffle seed save_path",
        "prompting": "system_prompt template formatting_variants",
        "generation": "num_samples_per_prompt max_new_tokens temperature top_p do_sample batch_size",
        "detection": "triggers_strict triggers_relaxed onset_priority answer_regex",
        "analysis": "max_events control_samples logit_lens_token ablation_components ablation_layers "
        "topk_layers_for_generation",
        "ablation_generation": "enabled mode scale random_control_seed",
        "report": "make_report report_path",
    }
    for section, keys in known.items():
        assert set(keys.split()) <= set(data[section]), section


def test_the_number_of_mistakes_is_the_number_of_lines(tmp_path, cli):
    """Several may come out of one check, such as names that nothing defines."""
    path = tmp_path / "c.yaml"
    path.write_text("phase2: {subset_sweep: {variant: nope}}\n")
    outcome = cli("config", "check", path)
    assert_one_clear_message(outcome, "phase2.subset_sweep.variant", "phase2.scale_sweep.subset_name")
    listed = [line for line in outcome.err.splitlines() if "phase2." in line]
    assert f"{len(listed)} mistakes" in outcome.err


def test_a_dangling_link_is_called_one(cli, workdir):
    (workdir / "c.yaml").symlink_to("nowhere")
    assert_one_clear_message(cli("config", "check", "c.yaml"), "a link that leads nowhere")


NAMES = ("demo", "demo_phase2", "r1_gsm8k", "r1_gsm8k_phase2")


@pytest.mark.parametrize("name", NAMES)
def test_a_config_that_ships_is_found_by_name_in_any_folder(name, cli, workdir):
    outcome = cli("config", "check", name, "backtracking_state_transition")
    assert outcome.code == 0, outcome.err
    assert name in cli("config", "list").out
    loaded = load_config(Path(name))
    assert loaded.source == name
    assert str(workdir) not in dump_resolved(loaded)


def test_a_file_wins_over_a_name_and_a_folder_does_not(cli, workdir):
    (workdir / "demo_phase2").mkdir()
    write(workdir, "run: {name: mine}", "demo")
    assert load_config(Path("demo")).config.run.name == "mine"
    assert load_config(Path("demo_phase2")).config.run.name == "demo-phase2"


def test_a_linked_folder_is_followed_where_git_could_make_no_link(cli, workdir):
    """Of a link, a checkout on such a system holds a file with the place where it leads."""
    (workdir / "there").mkdir()
    write(workdir / "there", "run: {name: found}", "demo.yaml")
    write(workdir, "there", "configs")
    assert load_config(Path("configs/demo.yaml")).config.run.name == "found"
    assert_one_clear_message(cli("config", "check", "-c", "configs/none.yaml"), "no config file")
    write(workdir, "run: {name: file}" * 100, "configs")
    assert_one_clear_message(cli("config", "check", "-c", "configs/demo.yaml"), "--config demo")


@pytest.mark.parametrize("given", ["configs/demo.yaml", "demo.yaml", "dem"])
def test_a_name_that_is_nearly_right_is_suggested(given, cli, workdir):
    assert_one_clear_message(cli("config", "check", "-c", given), "demo")


@pytest.mark.parametrize("given", ["configs/nope.yaml", "nope", "configs/table.yaml"])
def test_a_name_like_none_is_told_all_of_them(given, cli, workdir):
    """That both end in .yaml makes no name like another."""
    (workdir / "configs").mkdir()
    write(workdir / "configs", "run: {name: mine}", "demo.yaml")
    assert_one_clear_message(cli("config", "check", "-c", given), "demo, demo_doubter")


@pytest.mark.parametrize("name", NAMES)
def test_a_config_to_edit_says_the_same_and_is_never_overwritten(name, cli, workdir):
    assert cli("config", "init", name).code == 0
    path = workdir / f"{name}.yaml"
    assert load_config(path).config == load_config(Path(name)).config
    assert path.read_text().startswith("# ")
    path.write_text("run: {seed: 7}")
    assert_one_clear_message(cli("config", "init", name), f"{name}.yaml already exists")
    assert path.read_text() == "run: {seed: 7}"


@pytest.mark.parametrize(("first", "second"), [NAMES[:2], NAMES[2:]])
def test_edited_copies_extend_each_other(first, second, cli, workdir):
    for name in (first, second):
        assert cli("config", "init", name).code == 0
    path = workdir / f"{first}.yaml"
    path.write_text(path.read_text().replace("  seed: ", "  seed: 9", 1))
    assert load_config(path).config.run.seed >= 90
    assert load_config(workdir / f"{second}.yaml").config.run.seed == load_config(path).config.run.seed
    assert_one_clear_message(cli("config", "init", "dmo"), "did you mean demo?")


PARENT = """phase2:
  scale_sweep: {enabled: false}
  continuation_ablation: {enabled: false}
  subset_sweep: {subsets: {a: [[attn, 1]], b: [[mlp, 1]]}, variant: no_think_tags}
"""
OWN = "extends: base.yaml\n{}phase2: {{subset_sweep: {{subsets: {{c: [[attn, 2]]}}}}}}\n"


@pytest.mark.parametrize(
    ("replaces", "subsets", "variant"),
    [
        ("", ["a", "b", "c"], "no_think_tags"),
        ("replaces: phase2.subset_sweep.subsets\n", ["c"], "no_think_tags"),
        ("replaces: [phase2.subset_sweep]\n", ["c"], "baseline_think_newline"),
    ],
)
def test_a_config_can_replace_what_its_parent_sets(tmp_path, replaces, subsets, variant):
    (tmp_path / "base.yaml").write_text(PARENT)
    loaded = load_config(write(tmp_path, OWN.format(replaces)))
    sweep = loaded.config.phase2.subset_sweep
    assert (list(sweep.subsets), sweep.variant) == (subsets, variant)
    assert loaded.origin("phase2.subset_sweep.subsets.c").endswith(f":{2 + bool(replaces)}")
    assert not any("replaces" in key for key in loaded.origins)
    inherited = [key for key, origin in loaded.origins.items() if "base.yaml" in origin]
    assert ("phase2.subset_sweep.subsets.a" in inherited) == ("a" in subsets)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("replaces: phase2\nphase2: {}\n", "goes with `extends`"),
        (OWN.format("replaces: phase2.subset_sweep.subset\n"), "which this config does not set"),
        (OWN.format("replaces: 3\n"), "must name one key"),
    ],
)
def test_what_cannot_be_replaced_is_told(tmp_path, text, words):
    (tmp_path / "base.yaml").write_text(PARENT)
    with pytest.raises(UserError, match=words):
        load_config(write(tmp_path, text))
