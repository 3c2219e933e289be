"""Rows in memory: what is generated, measured and shown."""

import random
import re

import numpy as np
import pandas as pd
import pytest
import torch

import backtracking as bt
from backtracking.errors import UserError
from backtracking.interventions import When
from backtracking.measurements.events import EventReader, write_events
from backtracking.measurements.metrics_v2 import condition_table
from backtracking.measurements.tallies import tally_file
from backtracking.text.tokenization import TokenMap


def test_rows_come_in_order_and_under_their_arms(rows):
    keys = [(record.example_id, record.sample_id, record.condition) for record in rows]
    arms = ("baseline", "attn5x0.5", "suppress_triggers")
    assert keys == [(p.id, sample, arm) for p in rows.problems for sample in range(3) for arm in arms]
    assert rows.arms == arms
    assert len(rows["baseline"]) == 18 and len(rows[:5]) == 5 and rows[0].condition == "baseline"
    assert repr(rows) == "Rows(54 completions of 6 problems, arms: baseline, attn5x0.5, suppress_triggers)"
    assert rows.accuracy().loc["suppress_triggers", "total"] == 18
    assert (rows["suppress_triggers"].onsets()["token_start"] >= 0).all()


def test_rows_do_not_depend_on_batch_or_company(lm, rows):
    alone = lm.generate(bt.problems(6), samples=3, batch_size=2)
    assert [r.completion_ids for r in alone] == [r.completion_ids for r in rows["baseline"]]
    other = lm.generate(bt.problems(6), samples=3, seed=1)
    assert [r.completion_ids for r in other] != [r.completion_ids for r in alone]


def test_tables_are_those_of_a_run(lm, rows, tmp_path):
    """The same rows through the files of a run give the same numbers to the last digit."""
    gold = {problem.id: problem.answer_value for problem in rows.problems}
    reader = EventReader(lm.detection, lm.prompting, TokenMap(lm.tokenizer), gold)
    write_events(rows, reader, tmp_path / "events.csv", tmp_path / "onsets.csv")
    expected = condition_table(tally_file(tmp_path / "events.csv"), rows.variant).set_index("condition")
    found = rows.rates()
    assert list(found.index) == list(expected.index)
    for column in found.columns:
        torch.testing.assert_close(
            torch.tensor(found[column].to_numpy(float)),
            torch.tensor(expected[column].to_numpy(float)),
            rtol=0, atol=0, equal_nan=True,
        )  # fmt: skip
    compared = rows.compare("attn5x0.5")
    line = expected.loc["attn5x0.5"]
    for outcome in ("backtracking", "accuracy"):
        assert compared.loc[outcome, "difference"] == line[f"{outcome}_diff"]
        assert compared.loc[outcome, "low"] == line[f"{outcome}_diff_low"]


def test_accuracy_counted_by_hand(rows):
    frame = rows.to_pandas()
    assert len(frame) == len(rows) and list(frame["completion"]) == [r.completion for r in rows]
    for arm in rows.arms:
        part = frame[frame["condition"] == arm]
        right = sum(value is True or value == 1 for value in part["is_correct"].fillna(value=False))
        assert rows.accuracy().loc[arm, "accuracy"] == right / 18


def test_an_unknown_arm_is_named(rows):
    with pytest.raises(UserError, match="no arm 'nothing'"):
        rows["nothing"]
    with pytest.raises(UserError, match="no arm 'x'"):
        rows.compare("baseline", to="x")


def test_own_detectors(rows):
    """Phrases, a pattern, and a function, beside a count by hand."""
    words = rows.detect(["so"])
    by_phrase = sum(len(re.findall(r"(?<![\w'-])so(?![\w'-])", r.completion, re.IGNORECASE)) for r in rows)
    found = words.detect({"triggers_strict": ("so",), "position_policy": "anywhere"}).onsets()
    assert found["kind"].eq("strict").sum() == by_phrase
    pattern = rows.detect(re.compile(r"\d+ [+×-] \d+ = \d+").finditer)
    assert len(pattern.onsets()) == sum(len(re.findall(r"\d+ [+×-] \d+ = \d+", r.completion)) for r in rows)
    first = rows.detect(lambda text: [(0, 2)])
    onsets = first.onsets()
    assert len(onsets) == len(rows) and (onsets["token_start"] == 0).all()
    assert (first.rates()["backtracking_rate"] == 1.0).all()
    assert rows.onsets().equals(rows.detect({}).onsets())


@pytest.mark.parametrize("bad", [[(3, 3)], [(0, 10**6)], ["wait"], [5]])
def test_a_detector_that_leaves_the_text_is_refused(rows, bad):
    with pytest.raises(UserError, match="which is not a part of the text"):
        rows[:1].detect(lambda text: bad).onsets()


def test_a_single_text_is_no_list_of_phrases(rows):
    with pytest.raises(UserError, match="is one text"):
        rows.detect("wait")
    with pytest.raises(UserError, match="a phrase is empty"):
        rows.detect([" "])


def test_model_text_is_escaped(rows):
    evil = rows[0].model_copy(update={"completion": "<script>alert(1)</script> Wait, <b>no</b>"})
    page = bt.Rows([evil], rows.reading)
    page.__dict__["_measured"] = [type("M", (), {"onsets": [{"char_start": 26, "char_end": 30}]})()]
    html = page._repr_html_()
    assert "<script>" not in html and "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <mark>Wait</mark>, &lt;b&gt;" in html
    assert "<mark>" in rows._repr_html_() or not len(rows[:3].onsets())


def test_arms_add_up(lm):
    both = bt.scale("attn", 5, 0.5) + bt.zero("mlp", 3)
    assert both.name == "attn5x0.5+mlp3x0"
    assert [(i.component, i.layer, i.strength) for i in both.interventions] == [
        ("attn", 5, 0.5),
        ("mlp", 3, 0.0),
    ]
    assert (bt.baseline + both).named("mine").name == "mine"
    assert (bt.baseline + bt.baseline).name == "baseline"
    with pytest.raises(UserError, match="several arms are called 'baseline'"):
        lm.generate(1, arms=[bt.baseline, bt.baseline])
    with pytest.raises(UserError, match="attn 99 does not exist"):
        lm.generate(1, arms=[bt.scale("attn", 99, 0.5)], samples=1)
    with pytest.raises(UserError, match="changes no component"):
        bt.random_like(bt.suppress_triggers())


def test_steering_is_the_vector_added(lm):
    """Both engines agree, and strength 0 changes nothing."""
    torch.manual_seed(0)
    vector = torch.randn(lm.loaded.hidden_size)
    arms = [
        bt.baseline,
        bt.steer(vector, 0.0, layer=2),
        bt.steer(vector, 3.0, layer=2),
        bt.project(vector, layer=2),
        bt.scale("attn", 4, 0.3, when=When(onset="from_first")).named("late"),
    ]
    fast = lm.generate(2, arms=arms, samples=2)
    slow = lm.generate(2, arms=arms, samples=2, engine="reference")
    assert [r.completion_ids for r in fast] == [r.completion_ids for r in slow]
    texts = {name: [r.completion for r in fast[name]] for name in fast.arms}
    assert texts["steer2x0"] == texts["baseline"] != texts["steer2x3"]
    assert texts["project2x1"] != texts["steer2x3"]


def test_random_controls_are_other_components(lm):
    arm = bt.random_like(bt.scale("attn", 5, 0.5), draws=3)
    rows = lm.generate(3, arms=[bt.baseline, arm], samples=2)
    assert {record.draw for record in rows[arm.name]} == {0, 1, 2}


def test_a_bare_vector_needs_a_layer(lm):
    with pytest.raises(UserError, match="a bare vector has no layer"):
        bt.steer([1.0, 2.0], 1.0)
    with pytest.raises(UserError, match="one vector"):
        bt.steer([[1.0, 2.0]], 1.0, layer=1)


def test_sampling_keys_are_checked(lm):
    with pytest.raises(UserError, match="generate: temprature") as caught:
        lm.generate(1, temprature=0.5)
    assert caught.value.what == "generate: temprature: unknown key; did you mean 'temperature'?"
    assert lm.generate(1, samples=1, max_new_tokens=4)[0].completion_tokens == 4


def test_own_problems():
    mine = bt.problems(
        [{"question": "2 + 3?", "answer": 5}, {"id": "b", "question": "Half?", "answer": "\\frac{1}{2}"}]
    )
    assert [(p.id, p.answer_value) for p in mine] == [("problem-test-00000", "5"), ("b", "\\frac{1}{2}")]
    assert bt.problems(mine) == mine
    solved = bt.problems([{"question": "?", "answer": "so 3 + 4 = 7\n#### 7"}])
    assert solved[0].answer_value == "7"
    with pytest.raises(UserError, match="no `#### N`"):
        bt.problems([{"question": "?", "answer": "it is seven or so"}])
    with pytest.raises(UserError, match="no question"):
        bt.problems([{"prompt": "?", "answer": 1}])


def test_problems_with_columns_of_other_names(tmp_path):
    rows = [{"problem": "2 + 3?", "target": 5}, {"problem": "so?", "target": "3 + 4 = 7 #### 7"}]
    columns = {"question": "problem", "answer": "target"}
    assert [p.answer_value for p in bt.problems(rows, columns=columns)] == ["5", "7"]
    path = tmp_path / "mine.jsonl"
    path.write_text('{"problem": "2 + 3?", "target": "5"}\n')
    assert bt.problems(path, columns={"question": "problem", "answer_value": "target"})[0].answer_value == "5"
    with pytest.raises(UserError, match="question: there is no column 'probelm'"):
        bt.problems(rows, columns={**columns, "question": "probelm"})
    with pytest.raises(UserError, match="columns"):
        bt.problems(rows, columns={"query": "problem"})
    with pytest.raises(UserError, match="'problem' is given for both question and answer"):
        bt.problems(rows, columns={"question": "problem", "answer": "problem"})
    with pytest.raises(UserError, match="made on the spot"):
        bt.problems(5, columns=columns)


@pytest.mark.parametrize("kind", [list, tuple, iter, pd.Series])
def test_several_texts_are_several_questions(lm, kind):
    rows = lm.generate(kind(["What is 2+2?", "And 3+3?", "What is 2+2?"]), samples=1, max_new_tokens=4)
    assert [p.question for p in rows.problems] == ["What is 2+2?", "And 3+3?", "What is 2+2?"]
    assert len(rows) == len({row.example_id for row in rows}) == 3
    assert all(p.answer_value == "" for p in rows.problems)


@pytest.mark.parametrize("wrong", [["And?", " "], ["gsm8k"], [], ["And?", 5], ["And?", {"question": "so?"}]])
def test_what_is_no_list_of_questions_is_refused(lm, wrong):
    with pytest.raises(UserError):
        lm.generate(wrong)


def test_a_text_is_a_question(lm):
    rows = lm.generate("What is 2+2?", samples=2)
    assert [(p.question, p.answer_value) for p in rows.problems] == [("What is 2+2?", "")]
    assert len(rows) == 2 and rows[0].prompt.count("What is 2+2?") == 1
    assert rows.onsets() is not None and rows.accuracy() is not None


@pytest.mark.parametrize("name", ["gsm8k", "openai/gsm8k", "tiny_arithmetic", "./mine.jsonl", "my sums.csv"])
def test_a_name_is_no_question(lm, name):
    with pytest.raises(UserError, match="not like a question") as caught:
        lm.generate(name)
    assert caught.value.next_step == f"lm.generate(bt.problems({name!r}))"


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "8"])
def test_a_wrong_number_is_told_by_the_name_that_was_given(lm, wrong):
    with pytest.raises(UserError, match="generate: samples: ") as caught:
        lm.generate("What is 2+2?", samples=wrong)
    assert "num_samples_per_prompt" not in str(caught.value)
    with pytest.raises(UserError, match="problems: count: ") as caught:
        bt.problems([{"question": "2 + 3?", "answer": 5}], wrong)
    assert "max_examples" not in str(caught.value)


def test_problems_of_a_file_and_of_datasets(tmp_path):
    import datasets

    given = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(30)]
    assert [p.answer_value for p in bt.problems(datasets.Dataset.from_list(given), 3)] == ["1", "2", "3"]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(f'{{"question": "{n}?", "answer": "#### {n}"}}\n' for n in range(30)))
    drawn = bt.problems(path, 5, seed=3)
    order = list(range(30))
    random.Random(3).shuffle(order)
    assert [p.answer_value for p in drawn] == [str(n) for n in order[:5]]
    assert len(bt.problems(str(path))) == 30 and len(bt.problems(4)) == 4
    with pytest.raises(UserError, match="does not exist"):
        bt.problems(tmp_path / "none.jsonl")


def test_loading(lm):
    again = bt.load(lm.loaded.model, lm.tokenizer, progress=False)
    assert again.n_layers == 6 and again.sampling.max_new_tokens == 8192
    assert "6 layers" in repr(lm) and lm.sampling.max_new_tokens == 128
    assert lm.prompt("How many?").count("How many?") == 1
    with pytest.raises(UserError, match="comes with its own"):
        bt.load("bundled", lm.tokenizer)
    with pytest.raises(UserError, match="comes with its tokenizer"):
        bt.load(lm.loaded.model)
    with pytest.raises(UserError, match="devise"):
        bt.load("bundled", devise="cpu")
    with pytest.raises(UserError, match="unknown variant"):
        lm.prompt("?", variant="other")


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("baseline", "'baseline' is not an arm"),
        (["baseline"], "'baseline' is not an arm"),
        (bt.suppress_triggers, "is not an arm"),
        ([], "there is no arm"),
        ([bt.baseline, bt.baseline], "several arms are called 'baseline'"),
    ],
)
def test_what_is_no_arm_is_refused(lm, arms, said):
    with pytest.raises(UserError, match=said):
        lm.generate(1, arms, samples=1)


def test_a_single_arm_stands_for_itself(lm):
    assert lm.generate(1, bt.baseline, samples=1).arms == ("baseline",)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bt.scale("atn", 1, 0.5), "bt.scale: component"),
        (lambda: bt.scale("attn", -1, 0.5), "bt.scale: layer"),
        (lambda: bt.scale("attn", 1, float("nan")), "bt.scale: factor"),
        (lambda: bt.scale("attn", [], 0.5), "without layers"),
        (lambda: bt.scale("mlp", 1, 0.5, head=0), "only attention has heads"),
        (lambda: bt.zero("attn", 1, when="later"), "when: must be 'decode', 'prefill' or 'all'"),
        (lambda: bt.random_like(bt.zero("attn", 1), draws=0), "at least one, not 0"),
        (lambda: bt.random_like(bt.zero("attn", 1), draws=2.5), "at least one, not 2.5"),
        (lambda: bt.random_like("attn"), "'attn' is not an arm"),
        (lambda: bt.scale("attn", 5.5, 0.5), "a layer is a whole number, not 5.5"),
        (lambda: bt.scale("attn", "5", 0.5), "a layer is a whole number, not '5'"),
        (lambda: bt.suppress_triggers("wait"), "not a list of phrases"),
        (lambda: bt.suppress_triggers([5]), "not a list of phrases"),
        (lambda: bt.open_run(5), "a run is named by its folder"),
        (lambda: bt.steer("up", 1.0, layer=1), "vector of numbers"),
    ],
)
def test_arms_that_mean_nothing_are_refused_where_they_are_written(make, said):
    with pytest.raises(UserError, match=said):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: bt.problems(0),
        lambda: bt.problems(20, 5),
        lambda: bt.problems(2.5),
        lambda: bt.problems([]),
        lambda: bt.problems([{"question": "2 + 3?", "answer": None}]),
        lambda: bt.problems([{"question": "2 + 3?", "answer": 5}], -1),
    ],
)
def test_problems_that_are_none_are_refused(make):
    with pytest.raises(UserError):
        make()


def test_one_problem_and_a_frame_are_problems_too():
    row = {"question": "2 + 3?", "answer": 5}
    (one,) = bt.problems(row)
    assert one.answer_value == "5"
    assert bt.problems(one) == [one] == bt.problems(pd.DataFrame([row]))


@pytest.mark.parametrize("detector", [5, lambda text: None])
def test_what_finds_nothing_is_refused(rows, detector):
    with pytest.raises(UserError, match="detector"):
        rows.detect(detector).onsets()


def test_a_compiled_expression_is_a_detector(rows):
    pattern = re.compile(r"\bwait\b", re.IGNORECASE)
    assert rows.detect(pattern).onsets().equals(rows.detect(pattern.finditer).onsets())


def test_no_rows_are_called_that(rows):
    none = rows.filter(lambda record: False)
    assert none.onsets().empty and none.to_pandas().empty and none.arms == ()
    for ask in (none.rates, none.accuracy, lambda: none.variant, lambda: none.compare("baseline")):
        with pytest.raises(UserError, match="no rows"):
            ask()


def test_a_row_shows_its_text_and_not_its_ids(rows):
    shown = repr(rows[np.int64(0)])
    assert rows[0].completion[:8] in shown and "ids" not in shown


def test_batch_size_is_checked(lm):
    with pytest.raises(UserError, match="batch_size"):
        lm.generate(1, samples=1, batch_size="big")


def test_rows_add_up_to_what_one_generation_gives(lm, rows):
    later = lm.generate(bt.problems(6), arms=[bt.zero("mlp", 3)], samples=3)
    both = rows + later
    assert both.arms == (*rows.arms, "mlp3x0")
    at_once = lm.generate(bt.problems(6), arms=[bt.baseline, bt.zero("mlp", 3)], samples=3)
    assert both.compare("mlp3x0").equals(at_once.compare("mlp3x0"))
    more = lm.generate(bt.problems(8)[6:], samples=3)
    assert len((rows["baseline"] + more).problems) == 8


def test_rows_that_do_not_go_together_are_refused(lm, rows):
    with pytest.raises(UserError, match="both hold sample 0"):
        _ = rows + rows["baseline"]
    with pytest.raises(UserError, match="read in different ways"):
        _ = rows + lm.generate(bt.problems(6), samples=1, seed=9).detect(["hmm"]).filter(lambda _: False)
    renamed = [{"id": problem.id, "question": "1 + 1 = ?", "answer": "2"} for problem in bt.problems(1)]
    with pytest.raises(UserError, match="is not the same in both"):
        _ = rows[:0] + lm.generate(renamed, samples=1)
    with pytest.raises(TypeError):
        _ = rows + 1


@pytest.mark.parametrize("question", [5, None, ["2 + 3"]])
def test_a_prompt_is_made_of_a_text(lm, question):
    with pytest.raises(UserError, match="a question is a text"):
        lm.prompt(question)


def test_what_is_no_language_model_is_refused(lm):
    with pytest.raises(UserError, match="Linear is not a causal language model") as caught:
        bt.load(torch.nn.Linear(2, 2), lm.tokenizer)
    assert caught.value.what == "Linear: this architecture cannot be intervened on"
    with pytest.raises(UserError, match="comes with its tokenizer"):
        bt.load(lm.loaded.model, len)
