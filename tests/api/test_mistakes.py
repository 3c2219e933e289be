"""What is not meant is refused in words, and what is there is told in the right ones."""

import json

import numpy as np
import pytest
import torch

import backtracking as bt
from backtracking.api.arms import ArmRecipe
from backtracking.api.results import Scan
from backtracking.config.schema import DatasetConfig
from backtracking.errors import UserError
from backtracking.interventions import Intervention
from backtracking.sources.problems import load_problems

VALUES = {
    2: "2",
    "8": "8",
    "$1,250": "1250",
    "-0.5": "-0.5",
    "\\frac{1}{2}": "\\frac{1}{2}",
    "3 + 4 #### 7": "7",
}


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_an_answer_is_the_same_in_memory_and_in_a_file(tmp_path, ending):
    rows = [{"question": f"{number}?", "answer": answer} for number, answer in enumerate(VALUES)]
    path = tmp_path / f"mine.{ending}"
    path.write_text(json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    of_memory, of_file = bt.problems(rows), bt.problems(path, shuffle=False)
    assert [p.answer_value for p in of_memory] == [p.answer_value for p in of_file] == list(VALUES.values())
    configured = load_problems(DatasetConfig(path=str(path), shuffle=False))
    assert configured == of_file
    assert [problem.id for problem in of_file[:2]] == ["mine-test-00000", "mine-test-00001"]


@pytest.mark.parametrize("answer", ["it is 8", "maybe", "8 9", "####", True])
def test_an_answer_that_is_no_value_is_refused_in_both(tmp_path, answer):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([{"question": "?", "answer": answer}]))
    for source in (path, [{"question": "?", "answer": answer}]):
        with pytest.raises(UserError, match="no number and has no `#### N`"):
            bt.problems(source)


def test_a_path_names_its_problems_whatever_the_config_calls_the_dataset(tmp_path):
    path = tmp_path / "sums.jsonl"
    path.write_text('{"question": "?", "answer": 1}')
    (problem,) = load_problems(DatasetConfig(name="tiny_arithmetic", path=str(path)))
    assert problem.id == "sums-test-00000"


ACTING = [
    bt.scale("attn", 5, 0.5),
    bt.scale("attn", 5, 0.5) + bt.suppress_triggers(),
    bt.suppress_triggers(),
    bt.random_like(bt.zero("attn", 5)),
]


@pytest.mark.parametrize("arm", ACTING, ids=repr)
def test_only_the_unchanged_model_is_called_baseline(arm):
    with pytest.raises(UserError, match="cannot be called 'baseline'"):
        arm.named("baseline")
    with pytest.raises(UserError, match="cannot be called 'baseline'"):
        ArmRecipe("baseline", (Intervention(component="attn", layer=1),))
    assert bt.baseline.named("again").named("baseline") == bt.baseline


@pytest.mark.parametrize("name", ["", "a/b", "../a", " ", "a b", 5, None])
def test_a_name_of_an_arm_is_written_like_that_of_a_run(name):
    with pytest.raises(UserError, match="name"):
        bt.zero("attn", 5).named(name)


MEANINGLESS = {
    "a factor in quotes": (lambda: bt.scale("attn", 5, "0.5"), "bt.scale: factor is a finite number"),
    "no factor": (lambda: bt.scale("attn", 5, None), "bt.scale: factor is a finite number, not None"),
    "several factors": (lambda: bt.scale("attn", 5, [0.5, 1]), "bt.scale: factor is a finite number"),
    "a strength in quotes": (lambda: bt.steer([1.0], "1", layer=2), "bt.steer: strength is a finite number"),
    "an infinite share": (lambda: bt.project([1.0], float("inf"), layer=2), "bt.project: strength"),
    "true as layer": (lambda: bt.zero("attn", True), "a layer is a whole number, not True"),
    "true among layers": (lambda: bt.zero("attn", [2, True]), "a layer is a whole number, not True"),
    "a direction's layer": (lambda: bt.steer([1.0], 1, layer="2"), "a layer is a whole number, not '2'"),
    "a head in quotes": (lambda: bt.scale("attn", 5, 0.5, head="1"), "head is a whole number, not '1'"),
    "the stream scaled": (lambda: bt.scale("resid", 5, 0.5), "must be 'attn' or 'mlp', not 'resid'"),
    "the stream's mean": (lambda: bt.mean("resid", 5, None), "must be 'attn' or 'mlp', not 'resid'"),
    "a mean of nothing": (lambda: bt.mean("mlp", 3, None), "None are not rows"),
}


@pytest.mark.parametrize("case", MEANINGLESS)
def test_an_arm_is_checked_before_it_is_named(case):
    make, said = MEANINGLESS[case]
    with pytest.raises(UserError, match=said) as caught:
        make()
    assert caught.value.next_step


@pytest.mark.parametrize("factor", [0, np.float32(0.5), torch.tensor(0.5), np.int64(2)])
def test_numbers_may_be_of_any_kind(factor):
    assert bt.scale("mlp", 3, factor) == bt.scale("mlp", 3, float(factor))
    assert bt.zero("mlp", np.array(3)) == bt.zero("mlp", 3)


def test_rows_that_are_not_there(rows):
    for ask in (lambda: rows[9999], lambda: rows[-55]):
        with pytest.raises(UserError, match="there is no row"):
            ask()
    with pytest.raises(UserError, match=r"1\.5 picks no rows"):
        rows[1.5]
    with pytest.raises(UserError, match="'x' is no test of a row"):
        rows.filter("x")
    assert rows.index(rows[2]) == 2
    with pytest.raises(ValueError):
        rows.index("no row", 50)


def test_an_arm_stands_for_its_name(rows):
    arm = bt.scale("attn", 5, 0.5)
    assert rows[arm].records == rows["attn5x0.5"].records
    assert rows.compare(arm).equals(rows.compare("attn5x0.5"))
    assert rows.compare(bt.baseline, to=arm).equals(rows.compare("baseline", to="attn5x0.5"))
    with pytest.raises(UserError, match="no arm 'mlp3x0'"):
        rows[bt.zero("mlp", 3)]


def test_arms_and_rows_are_told_in_short(rows):
    assert repr(bt.baseline) == "Arm('baseline')"
    assert repr([bt.scale("attn", 5, 0.5)]) == "[Arm('attn5x0.5')]"
    assert repr(rows[:1]).startswith("Rows(1 completion of 1 problem, ")
    assert "1 draw of other" in bt.random_like(bt.zero("mlp", 3), draws=1)._repr_html_()


def test_a_scan_that_selects_nothing_says_so(lm, monkeypatch):
    scan = lm.scan(lm.generate(bt.problems(12), samples=4), max_events=4, control_samples=4)
    monkeypatch.setattr(Scan, "selected", {"attn": [], "mlp": []})
    assert repr(scan).endswith("selected: nothing)")
    monkeypatch.setattr(Scan, "selected", {"attn": [], "mlp": [3]})
    assert repr(scan).endswith("selected: mlp 3)")


REFUSED = {
    "too few": (lambda _: bt.problems(0), "bt.problems: count: must be greater than or equal to 1, not 0"),
    "no number": (
        lambda lm: lm.generate(1, samples=2.5),
        "generate: samples: must be a whole number, not 2.5",
    ),
    "one of two kinds": (lambda lm: lm.generate(1, batch_size="big"), "generate: batch_size: must be"),
    "a near key": (lambda _: bt.load("bundled", devise="cpu"), "unknown key; did you mean 'device'?"),
    "a key inside": (
        lambda lm: lm.generate(1, loop_detection={"windw": 5}),
        "loop_detection.windw: unknown key",
    ),
    "several together": (lambda _: bt.scale("mlp", 1, 0.5, head=0), "bt.scale: only attention has heads"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_keywords_are_told_in_the_words_of_a_config(lm, case):
    make, said = REFUSED[case]
    with pytest.raises(UserError) as caught:
        make(lm)
    text = str(caught.value)
    assert said in text
    for raw in ("Input should", "Extra inputs", "constrained", "Value error", "save_path", "hub_config"):
        assert raw not in text


def test_rows_without_a_baseline_say_what_to_generate(lm, rows):
    with pytest.raises(UserError, match=r"there are no baseline completions of .* in these rows") as caught:
        lm.scan(rows["suppress_triggers"])
    assert "bt.baseline" in caught.value.next_step and "--condition" not in str(caught.value)


def test_every_listed_table_can_be_read(tmp_path):
    analysis = tmp_path / "one" / "analysis"
    analysis.mkdir(parents=True)
    (tmp_path / "one" / "meta.json").write_text("{}")
    for name, text in {
        "lens.csv": "a\n1\n",
        "lens.json": "[1]",
        "alone.json": "[2]",
        "b.csv": "a\n2\n",
    }.items():
        (analysis / name).write_text(text)
    run = bt.open_run(tmp_path / "one")
    assert run.tables == ("alone", "b", "lens", "lens.json")
    assert [len(run.table(name)) for name in run.tables] == [1, 1, 1, 1]
    assert run.table("lens.json") == [1] and list(run.table("lens")["a"]) == [1]
    assert run.table("lens.csv").equals(run.table("lens")) and run.table("alone.json") == [2]


def test_how_a_model_samples_is_no_count(lm):
    assert "num_samples" not in repr(lm.sampling) and "num_samples_per_prompt" not in lm.sampling.model_dump()
    assert "temperature" in repr(lm.sampling)
    assert {row.sample_id for row in lm.generate("2 + 2 = ?", samples=2, max_new_tokens=2)} == {0, 1}


def test_layers_may_be_whole_numbers_of_any_kind():
    for layer in (3, np.int64(3), [3], range(3, 4), np.array([3])):
        assert bt.zero("mlp", layer) == bt.zero("mlp", 3)


def test_a_model_shows_how_it_samples_and_what_counts(lm):
    html = lm._repr_html_()
    assert "temperature" in html and "hold on" in html and "LanguageModel(" in html
