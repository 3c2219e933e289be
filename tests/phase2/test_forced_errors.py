"""Forced errors on the bundled reasoner, whose rate of noticing its own errors is known."""

import random

import pytest

from backtracking.config.schema import DetectionConfig, ModelConfig, PromptingConfig
from backtracking.engine.generate import Prompt, SamplingParams
from backtracking.interventions import BASELINE_ARM, Arm, Condition, When
from backtracking.measurements.events import EventReader
from backtracking.model.arms import Resources
from backtracking.model.loading import load_model
from backtracking.organism.design import DESIGN, MAIN
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import STATEMENT, write_trace
from backtracking.run.records import GenerationRecord
from backtracking.sweeps.forced_errors import caught_by_arm, run_forced_errors, wrong_prefixes
from backtracking.sweeps.sweep import SweepJob
from backtracking.text.tokenization import TokenMap


@pytest.fixture(scope="module")
def forced(tmp_path_factory):
    """60 right traces with one result made wrong, written on with and without trigger tokens."""
    model = load_model(ModelConfig(hf_id="bundled", device="cpu"))
    token_map, rng = TokenMap(model.tokenizer), random.Random(0)
    prompts, records, gold = [], [], {}
    for problem in tiny_problems("test", 60, seed=0):
        text = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": problem.question}], add_generation_prompt=True, tokenize=False
        )
        ids = model.tokenizer.encode(text + "<think>\n", add_special_tokens=False)
        body = model.tokenizer.encode(write_trace(problem, MAIN, rng).text, add_special_tokens=False)
        prompts.append(Prompt(problem.id, MAIN, text, tuple(ids)))
        gold[problem.id] = str(problem.value)
        records.append(
            GenerationRecord(
                example_id=problem.id, sample_id=0, variant=MAIN, condition="baseline", prompt=text,
                prompt_ids=ids, completion=token_map(body).text, completion_ids=body, finish_reason="stop",
                prompt_tokens=len(ids), completion_tokens=len(body), gen_params={}, seed_key="",
            )
        )  # fmt: skip
    detection = DetectionConfig()
    job = SweepJob(
        model=model,
        prompts=prompts,
        reader=EventReader(detection, PromptingConfig(), token_map, gold),
        sampling=SamplingParams(max_new_tokens=128, temperature=1.0),
        samples=1,
        seed=0,
        folder=tmp_path_factory.mktemp("forced"),
        resources=Resources(model.n_layers, model.n_heads, When()),
    )
    silent = Condition(name="silent", suppress_phrases=frozenset(detection.triggers_strict))
    prefixes = wrong_prefixes(records, job)
    return (
        model,
        prefixes,
        run_forced_errors(job, [BASELINE_ARM, Arm("silent", "silent", None, (silent,))], prefixes),
    )


def test_prefixes_end_with_the_wrong_statement(forced):
    model, prefixes, _ = forced
    assert len(prefixes) > 40
    for prefix in prefixes:
        text = model.tokenizer.decode(prefix.corrupted[: prefix.decision + 1])
        left, sign, right, result = list(STATEMENT.finditer(text))[-1].groups()
        truth = {"+": int(left) + int(right), "-": int(left) - int(right), "×": int(left) * int(right)}[sign]
        assert int(result) != truth, text[-60:]


def test_the_reasoner_notices_as_often_as_it_was_designed_to(forced):
    _, prefixes, rows = forced
    table = caught_by_arm(rows).set_index("arm")
    assert table.loc["baseline", "forced_errors"] == len(prefixes)
    noticed = table.loc["baseline"]
    assert noticed["marked_rate_low"] <= DESIGN.formats[MAIN].trigger <= noticed["marked_rate_high"] + 0.05
    assert noticed["caught_rate"] > 0.8
    assert table.loc["silent", "marked_rate"] < 0.1, "it may still ask to check"
    assert not rows.loc[rows["arm"] == "silent", "has_backtracking_strict"].any()
    assert table.loc["silent", "caught_rate_high"] < noticed["caught_rate_low"]
