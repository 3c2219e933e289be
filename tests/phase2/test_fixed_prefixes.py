"""Fixed prefixes on the bundled reasoner, whose rate of noticing its own errors is known."""

import random

import pandas as pd
import pytest

from backtracking.config.schema import DetectionConfig, ModelConfig, PromptingConfig
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.interventions import BASELINE_ARM, Arm, Condition, Intervention, When
from backtracking.measurements.events import EventReader
from backtracking.measurements.fixed_prefixes import INJECTED, caught_by_arm, prefix_table
from backtracking.measurements.injections import Rewriter
from backtracking.model.arms import Resources
from backtracking.model.loading import load_model
from backtracking.organism.design import DESIGN, MAIN
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import STATEMENT, write_trace
from backtracking.run.records import GenerationRecord
from backtracking.sweeps.fixed_prefixes import Writer, draw_prefixes, tasks_of, write_all
from backtracking.sweeps.sweep import SweepJob
from backtracking.text.tokenization import TokenMap

WANTED = 45


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """70 right traces of as many problems, and what writes on from them."""
    model = load_model(ModelConfig(hf_id="bundled", device="cpu"))
    token_map, rng = TokenMap(model.tokenizer), random.Random(0)
    prompts, records, gold = [], {}, {}
    for problem in tiny_problems("test", 70, seed=0):
        text = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": problem.question}], add_generation_prompt=True, tokenize=False
        )
        ids = model.tokenizer.encode(text + "<think>\n", add_special_tokens=False)
        body = model.tokenizer.encode(write_trace(problem, MAIN, rng).text, add_special_tokens=False)
        prompts.append(Prompt(problem.id, MAIN, text, tuple(ids)))
        gold[problem.id] = str(problem.value)
        records[problem.id, 0] = GenerationRecord(
            example_id=problem.id, sample_id=0, variant=MAIN, condition="baseline", prompt=text,
            prompt_ids=ids, completion=token_map(body).text, completion_ids=body, finish_reason="stop",
            prompt_tokens=len(ids), completion_tokens=len(body), gen_params={}, seed_key="",
        )  # fmt: skip
    job = SweepJob(
        model=model,
        prompts=prompts,
        reader=EventReader(DetectionConfig(), PromptingConfig(), token_map, gold),
        sampling=SamplingParams(max_new_tokens=128, temperature=1.0),
        samples=1,
        seed=0,
        folder=tmp_path_factory.mktemp("prefixes"),
        resources=Resources(model.n_layers, model.n_heads, When()),
    )
    rewriter = Rewriter(model.tokenizer, token_map, job.reader.detector)
    prefixes = draw_prefixes(rewriter, list(records), lambda _: records, WANTED)
    return model, prefixes, Writer.of(job), records, rewriter


def silent_arm():
    phrases = frozenset(DetectionConfig().triggers_strict)
    return Arm("silent", "silent", None, (Condition(name="silent", suppress_phrases=phrases),))


def removed_arm():
    last = Intervention(component="attn", layer=5, strength=0.0)
    return Arm("attn5", "attn5", 0.0, (Condition(name="attn5", interventions=(last,)),))


@pytest.fixture(scope="module")
def written(world):
    _, prefixes, writer, *_ = world
    return write_all(writer, tasks_of(prefixes, [BASELINE_ARM, silent_arm(), removed_arm()]))


def test_rows_are_drawn_until_there_are_enough(world):
    _, prefixes, _, records, rewriter = world
    assert len(prefixes) == WANTED
    usable = sum(any(pair.is_wrong for pair in rewriter.pairs(row)[0]) for row in records.values())
    assert usable < len(records), "some rows give none and others must take their place"
    everything = draw_prefixes(rewriter, list(records), lambda _: records, 1000)
    assert len(everything) == usable
    assert draw_prefixes(rewriter, list(records), lambda _: records, 0) == []


def test_both_kinds_differ_in_the_result_alone(world):
    model, prefixes, *_ = world
    for injected, right in zip(*[iter(tasks_of(prefixes, [BASELINE_ARM]))] * 2, strict=True):
        texts = [model.tokenizer.decode(task.ids) for task in (injected, right)]
        results = []
        for text in texts:
            left, sign, other, result = list(STATEMENT.finditer(text))[-1].groups()
            a, b = int(left), int(other)
            results.append(int(result) == {"+": a + b, "-": a - b, "×": a * b}[sign])
        assert results == [False, True], texts
        assert len(injected.ids) == len(right.ids)
        assert injected.ids[: right.prefix.prompt_tokens] == right.row(MAIN).prompt.ids


def test_the_reasoner_notices_as_often_as_it_was_designed_to(written):
    table = prefix_table(written).set_index("arm")
    baseline, form = table.loc["baseline"], DESIGN.formats[MAIN]
    assert baseline["prefixes"] == baseline["total"] == WANTED
    assert baseline["onset_after_injected_low"] <= form.trigger
    assert form.trigger <= baseline["onset_after_injected_high"] + 0.05
    assert baseline["onset_after_right_low"] <= form.false_alarm <= baseline["onset_after_right_high"]
    assert baseline["caught_rate"] > 0.8
    assert pd.isna(baseline["share_removed"])
    silent = table.loc["silent"]
    assert silent["share_removed"] == 1.0
    assert silent["share_removed_low"] > 0.7
    assert silent["caught_rate_diff_high"] < 0


def test_an_arm_acts_on_the_token_right_behind_the_prefix(written):
    """It reads the prefix as a completion: in the prompt, a decode-only arm would miss the very decision."""
    line = prefix_table(written).set_index("arm").loc["attn5"]
    assert line["onset_after_injected_diff_high"] < -0.1
    assert line["share_removed_low"] > 0.1


def test_given_tokens_are_what_the_model_would_have_written(world):
    """A row that is given its own beginning goes on as it went, under an arm as under the baseline."""
    model, prefixes, writer, *_ = world
    for engine in ("batched", "reference"):
        for arm in (BASELINE_ARM, removed_arm()):
            task = tasks_of(prefixes[:1], [arm])[1]
            free = Row(task.row(MAIN).prompt, 0, task.condition)
            settings = {"seed": 3, "engine": engine}
            (whole,) = generate_rows(model, [free], writer.sampling, **settings)
            begun = Row(free.prompt, 0, free.condition, tuple(whole.completion_ids[:9]))
            (again,) = generate_rows(model, [begun], writer.sampling, **settings)
            assert again.completion_ids == whole.completion_ids


def test_caught_errors_by_arm_count_the_rows_of_the_table(written):
    table = caught_by_arm(written).set_index("arm")
    rows = written[(written["arm"] == "silent") & (written["kind"] == INJECTED)]
    assert table.loc["silent", "forced_errors"] == len(rows) == WANTED
    assert table.loc["silent", "caught_rate"] == pytest.approx(rows["is_correct"].mean())
    assert table.loc["silent", "marked_rate"] == 0
