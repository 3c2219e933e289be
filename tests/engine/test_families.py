"""Every family of transformers: proved and run with equal tokens, or refused in words."""

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import NumberTokenizer, prompt

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.model.loading import LoadedModel

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts/write_model_docs.py"))
SAMPLE = (
    "llama", "qwen2", "qwen3_moe", "gpt_oss", "deepseek_v3", "granite", "cohere", "glm4", "gemma2", "falcon",
    "bloom", "lfm2_moe", "qwen3_next", "mamba", "openai-gpt", "deepseek_v4", "cohere_compass_text",
)  # fmt: skip
"""A family of every kind of outcome."""


@cache
def outcome_of(family: str) -> Any:
    """What becomes of a family, tried once however many tests ask."""
    [outcome] = SCRIPT["outcomes"]([family])
    return outcome


def lines() -> dict[str, str]:
    """The page's table, a line by family."""
    rows = [line for line in SCRIPT["PAGE"].read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    return {row.split("`")[1]: row for row in rows}


@pytest.mark.parametrize("family", SAMPLE)
def test_the_page_says_what_becomes_of_a_family(family):
    """Anything but a `UserError` is raised here."""
    assert outcome_of(family).is_equal is not False
    assert lines()[family] == outcome_of(family).line()


@pytest.mark.slow
def test_the_page_is_what_the_script_writes():
    found = list(map(outcome_of, SCRIPT["FAMILIES"]))
    assert not [outcome.family for outcome in found if outcome.is_equal is False]
    assert all(outcome.reference or outcome.note for outcome in found)
    assert SCRIPT["render"](found) == SCRIPT["PAGE"].read_text(encoding="utf-8")


def test_the_page_has_every_family():
    assert set(lines()) == set(SCRIPT["FAMILIES"])
    assert set(SCRIPT["KNOWN"]) <= set(SCRIPT["FAMILIES"])


def test_sinks_take_their_share():
    """With large sinks attention gives next to nothing, in both engines alike; the tokens are others."""
    written = []
    for size in (-30.0, 5.0):
        raw = SCRIPT["tiny_model"]("gpt_oss")
        for layer in raw.model.layers:
            torch.nn.init.constant_(layer.self_attn.sinks, size)
        model = LoadedModel.wrap(raw, NumberTokenizer(), "sinks")
        rows = [Row(prompt(i, 5 + 9 * i), 0) for i in range(3)]
        found = [
            {r.example_id: r.completion_ids for r in generate_rows(
                model, rows, SamplingParams(12, 1.0, 0.95), seed=0, engine=engine, slots=4
            )}
            for engine in ("batched", "reference")
        ]  # fmt: skip
        assert found[0] == found[1]
        written.append(found[0])
    assert written[0] != written[1]


def logprobs_by_slots(family, slots, rows):
    model = LoadedModel.wrap(SCRIPT["tiny_model"](family), NumberTokenizer(), family)
    params = SamplingParams(16, 1.0, 0.95, logprobs=True)
    return [
        {r.example_id: r for r in generate_rows(model, rows, params, seed=0, slots=count)} for count in slots
    ]


@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral"])
def test_mixtures_of_experts_are_equal_in_tokens_and_near_in_log_probabilities(family):
    """How many rows an expert gets depends on the batch: its products change size, and round differently."""
    rows = [Row(prompt(i, 5 + 7 * (i % 5)), 0) for i in range(20)]
    few, many = logprobs_by_slots(family, (1, 20), rows)
    for key, record in few.items():
        assert many[key].completion_ids == record.completion_ids
        assert many[key].logprobs == pytest.approx(record.logprobs, abs=1e-4)


def test_heads_of_width_8_are_equal_to_the_last_bit():
    rows = [Row(prompt(i, 5 + 7 * (i % 5)), 0) for i in range(20)]
    few, many = logprobs_by_slots("llama", (1, 20), rows)
    assert {key: r.logprobs for key, r in few.items()} == {key: r.logprobs for key, r in many.items()}
