"""Prompts: what the model sees, token for token."""

import re

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from backtracking.config.schema import FormattingVariant, PromptingConfig
from backtracking.errors import UserError
from backtracking.text.prompts import check_variants, format_prompt, render_prompt

PROMPTING = PromptingConfig(template="{question}\nPut the answer in \\boxed{}.")
BOS, USER, ASSISTANT, THINK = "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>"
PINNED = {BOS: 151646, USER: 151644, ASSISTANT: 151645, THINK: 151648, "\n": 198, " ": 220}


def ids_of(tokenizer, *texts):
    """The ids of texts that are one token each."""
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    assert all(len(one) == 1 for one in ids), ids
    return [one[0] for one in ids]


def byte_tokenizer(chat_template=None, adds_bos=True):
    """A tokenizer of single bytes with a BOS, for base models."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({char: k for k, char in enumerate(["<s>", *alphabet])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if adds_bos:
        backend.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", chat_template=chat_template)


class TestRealTemplate:
    """The rendering for the 1.5B reasoning model is pinned."""

    @pytest.mark.parametrize(
        ("variant", "ending", "tail"),
        [
            ("baseline_think_newline", "<｜Assistant｜><think>\n", [ASSISTANT, THINK, "\n"]),
            ("think_same_line", "<｜Assistant｜><think> ", [ASSISTANT, THINK, " "]),
            ("no_think_tags", "<｜Assistant｜>", [ASSISTANT]),
        ],
    )
    def test_forced_start_replaces_what_the_template_wrote(self, r1_tokenizer, variant, ending, tail):
        text, ids = render_prompt("How many?", PROMPTING, variant, r1_tokenizer)
        assert text == ("<｜begin▁of▁sentence｜><｜User｜>How many?\nPut the answer in \\boxed{}." + ending)
        assert ids[:2] == ids_of(r1_tokenizer, BOS, USER)
        assert ids[-len(tail) :] == ids_of(r1_tokenizer, *tail)
        assert ids.count(ids[0]) == 1
        assert ids == r1_tokenizer.encode(text, add_special_tokens=False)

    def test_all_ids_of_a_short_prompt(self, r1_tokenizer):
        prompting = PromptingConfig(template="{question}")
        _, ids = render_prompt("hi", prompting, "baseline_think_newline", r1_tokenizer)
        assert ids == [
            *ids_of(r1_tokenizer, BOS, USER),
            *r1_tokenizer.encode("hi", add_special_tokens=False),
            *ids_of(r1_tokenizer, ASSISTANT, THINK, "\n"),
        ]

    def test_ids_of_the_real_vocabulary(self, r1_tokenizer):
        found = dict(zip(PINNED, ids_of(r1_tokenizer, *PINNED), strict=True))
        assert found == PINNED or len(r1_tokenizer) < 1_000, "the shipped one has ids of its own"

    def test_the_three_variants_differ(self, r1_tokenizer):
        check_variants(PROMPTING, r1_tokenizer)

    @pytest.mark.parametrize("token", ["<think>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"])
    def test_a_question_that_spells_a_control_token_is_refused(self, r1_tokenizer, token):
        with pytest.raises(UserError, match=f"control token '{re.escape(token)}'"):
            render_prompt(f"What is {token} for?", PromptingConfig(), "no_think_tags", r1_tokenizer)

    def test_system_prompt_is_rendered(self, r1_tokenizer):
        text, _ = render_prompt(
            "hi", PromptingConfig(system_prompt="Be brief."), "no_think_tags", r1_tokenizer
        )
        assert text == "<｜begin▁of▁sentence｜>Be brief.<｜User｜>hi<｜Assistant｜>"


class TestOtherTokenizers:
    def test_plain_template_for_a_base_model(self):
        prompting = PromptingConfig(template="Q: {question}\nA: ", use_chat_template=False)
        text, ids = render_prompt("1+1?", prompting, "baseline_think_newline", byte_tokenizer())
        assert text == "<s>Q: 1+1?\nA: <think>\n"
        assert ids[0] == 0
        assert ids.count(0) == 1

    def test_no_bos_where_the_tokenizer_adds_none(self):
        prompting = PromptingConfig(use_chat_template=False)
        text, ids = render_prompt("hi", prompting, "no_think_tags", byte_tokenizer(adds_bos=False))
        assert text == "hi"
        assert 0 not in ids

    @pytest.mark.parametrize("written", ["", "<s>", "<s><s>"])
    def test_exactly_one_bos_whatever_the_template_writes(self, written):
        tokenizer = byte_tokenizer(written + "{% for m in messages %}{{ m['content'] }}{% endfor %}>")
        tokenizer.add_special_tokens({"bos_token": "<s>"})
        text, ids = render_prompt("hi", PromptingConfig(), "no_think_tags", tokenizer)
        assert text == "<s>hi>"
        assert ids.count(0) == 1

    def test_an_empty_think_block_of_the_template_is_replaced_too(self):
        template = (
            "{{ messages[0]['content'] }}{% if add_generation_prompt %}|<think>\n\n</think>\n\n{% endif %}"
        )
        text, _ = render_prompt(
            "hi", PromptingConfig(), "baseline_think_newline", byte_tokenizer(template, adds_bos=False)
        )
        assert text == "hi|<think>\n"

    def test_missing_chat_template_shows_the_plain_rendering(self):
        with pytest.raises(UserError, match=r"no chat template(.|\n)*'hi'(.|\n)*use_chat_template: false"):
            render_prompt("hi", PromptingConfig(), "no_think_tags", byte_tokenizer())

    def test_a_template_that_drops_the_system_turn_is_refused(self):
        tokenizer = byte_tokenizer("{{ messages[-1]['content'] }}")
        with pytest.raises(UserError, match=r"drops or changes prompting\.system_prompt"):
            render_prompt("hi", PromptingConfig(system_prompt="Be brief."), "no_think_tags", tokenizer)

    def test_a_template_that_raises_is_reported(self):
        tokenizer = byte_tokenizer("{{ raise_exception('System role not supported') }}")
        with pytest.raises(UserError, match=r"refuses a conversation(.|\n)*System role not supported"):
            render_prompt("hi", PromptingConfig(), "no_think_tags", tokenizer)


def test_variants_with_the_same_ids_are_refused_with_both_renderings():
    """A normalizing tokenizer can make different forced starts equal; only the ids can tell."""
    tokenizer = byte_tokenizer("{{ messages[0]['content'] }}")
    tokenizer.backend_tokenizer.normalizer = normalizers.Strip()
    variants = (
        FormattingVariant(name="one", think_open="<think>"),
        FormattingVariant(name="two", think_open="<think> "),
    )
    with pytest.raises(UserError, match=r"'one' and 'two' render the same prompt(.|\n)*one: (.|\n)*two: "):
        check_variants(PromptingConfig(formatting_variants=variants), tokenizer)


def test_format_prompt_keeps_braces_of_the_question():
    prompt = format_prompt("What is {x}?", PROMPTING, "think_same_line")
    assert prompt == "What is {x}?\nPut the answer in \\boxed{}.<think> "


def test_unknown_variant_names_the_choices():
    with pytest.raises(UserError, match=r"unknown variant 'other'(.|\n)*baseline_think_newline"):
        format_prompt("hi", PROMPTING, "other")
