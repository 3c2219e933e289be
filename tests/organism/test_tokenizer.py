"""The tokenizer: every position trap of a real one, and the chat template."""

import random

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from backtracking.organism.batches import chain_sample, problem_sample, prompt_text
from backtracking.organism.bundle import bundled_reasoner_path
from backtracking.organism.design import DESIGN, DOUBTER, MAIN
from backtracking.organism.probe import trigger_token_ids
from backtracking.organism.task import tiny_problems
from backtracking.organism.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(bundled_reasoner_path())


def pieces(tokenizer, text):
    return [tokenizer.decode([i]) for i in tokenizer(text, add_special_tokens=False).input_ids]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wait", ["Wait"]),
        (" Wait", [" Wait"]),
        ("But wait", ["But", " wait"]),
        ("Hold on", ["Hold", " on"]),
        (" Actually", [" Actually"]),
        ("17", ["1", "7"]),
        (" 17", [" 1", "7"]),
        ("<think>\n", ["<think>", "\n"]),
        ("<think> ", ["<think>", " "]),
        ("17.\nWait,", ["1", "7", ".\n", "Wait", ","]),
        ("</think>\nFinal: 7", ["</think>", "\n", "Final", ":", " 7"]),
    ],
)
def test_traps(tokenizer, text, expected):
    assert pieces(tokenizer, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Wait", [" Wait"]),
        ("Hold on", ["Hold", " on"]),
        (" 17", [" ", "1", "7"]),
        ("7. 12 + 5", ["7", ".", " ", "1", "2", " +", " ", "5"]),
        ("<think> 1", ["<think>", " ", "1"]),
        ("17.\nWait,", ["1", "7", ".\n", "Wait", ","]),
    ],
)
def test_the_doubter_sets_the_space_before_a_digit_apart(text, expected):
    assert pieces(train_tokenizer(DOUBTER), text) == expected


def test_wait_with_and_without_a_space_and_in_lower_case_are_three_tokens(tokenizer):
    ids = {tokenizer(t, add_special_tokens=False).input_ids[0] for t in ("Wait", " Wait", " wait")}
    assert len(ids) == 3
    assert ids <= set(trigger_token_ids(tokenizer))


def test_a_forced_space_is_its_own_token_and_moves_the_boundary(tokenizer):
    together = tokenizer("<think> 12", add_special_tokens=False).input_ids
    apart = (
        tokenizer("<think> ", add_special_tokens=False).input_ids
        + tokenizer("12", add_special_tokens=False).input_ids
    )
    assert together != apart


def test_text_survives_a_round_trip_and_think_tags_are_kept(tokenizer):
    text = "<think>\n12 × 1 = 12. Café ünï 🙂\n</think>\nFinal: \\boxed{12}"
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text


def test_the_chat_template_gives_the_training_prompt_with_one_begin_token(tokenizer):
    question = tiny_problems("test", 1, seed=0)[0].question
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    assert rendered + DESIGN.formats[MAIN].think_open == prompt_text(question, MAIN)
    ids = tokenizer(rendered, add_special_tokens=False).input_ids
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer(rendered).input_ids.count(tokenizer.bos_token_id) == 2, (
        "a second one is the caller's mistake"
    )


@pytest.mark.parametrize("design", [DESIGN, DOUBTER], ids=lambda design: design.name)
def test_training_it_again_gives_the_bundled_one_and_every_loader_its_ids(design):
    trained = train_tokenizer(design)
    tokenizer = AutoTokenizer.from_pretrained(bundled_reasoner_path(design.bundled))
    plain = PreTrainedTokenizerFast.from_pretrained(bundled_reasoner_path(design.bundled))
    assert trained.get_vocab() == tokenizer.get_vocab()
    rng = random.Random(0)
    for sample in (draw(rng, design=design) for _ in range(200) for draw in (problem_sample, chain_sample)):
        for text in (sample.prompt, sample.trace.text):
            ids = trained(text, add_special_tokens=False).input_ids
            assert tokenizer(text, add_special_tokens=False).input_ids == ids
            assert plain(text, add_special_tokens=False).input_ids == ids
            assert tokenizer.decode(ids) == text


def test_every_common_word_is_one_token(tokenizer):
    words = [" Mia", " pens", " points", " bus", " drawer", " Actually", " Then"]
    assert all(len(pieces(tokenizer, word)) == 1 for word in words)
