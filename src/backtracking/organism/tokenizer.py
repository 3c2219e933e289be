"""The byte-level BPE tokenizer of the reasoner, with the position traps of a real one."""

import json
import random
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from backtracking.organism.design import DESIGN, Design
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import write_trace

BOS, EOS, PAD, USER, ASSISTANT = "<|begin|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"

SPACE = "Ġ"
"""How byte-level BPE writes a space."""
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The split of Qwen2; a spaced digit takes the space before it while the merges are learned."""

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '" + ASSISTANT + "' + message['content'] + eos_token }}"
    "{% else %}{{ '" + USER + "' + message['content'] | trim }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + ASSISTANT + "' }}{% endif %}"
)


def corpus(design: Design, n: int, seed: int) -> Iterator[str]:
    """Questions and traces of all formats, for the merges."""
    rng = random.Random(f"tokenizer/{seed}")
    for problem in tiny_problems("train", n, seed):
        yield problem.question
        for variant, form in design.formats.items():
            yield form.think_open + write_trace(problem, variant, rng, design).text


def _splitter(space: str) -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(SPLIT % space), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _keep_spaced_digits(trained: Tokenizer) -> Tokenizer:
    """Turn each digit with its space into an added token of the same id.

    Transformers gives every Qwen2 checkpoint the split of Qwen2, which parts a digit from its space
    whatever the tokenizer's file says; added tokens come before the split, so they hold under any loader.
    """
    state = json.loads(trained.to_str())["model"]
    digits = {f"{SPACE}{digit}": f" {digit}" for digit in range(10)}
    vocab = {digits.get(token, token): index for token, index in state["vocab"].items()}
    merges = [(left, right) for left, right in state["merges"] if left + right not in digits]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in digits.values()])
    return tokenizer


def train_tokenizer(
    design: Design = DESIGN, *, vocab_size: int = 768, n: int = 6000, seed: int = 0
) -> PreTrainedTokenizerFast:
    """Train the tokenizer of a design; the same seed gives the same one."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = _splitter(" ?" if design.spaced_digits else "")
    special = [
        AddedToken(token, special=True, normalized=False) for token in (PAD, BOS, EOS, USER, ASSISTANT)
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(corpus(design, n, seed), trainer)
    tokenizer = _keep_spaced_digits(trained) if design.spaced_digits else trained
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(
        [AddedToken(token, special=False, normalized=False) for token in (THINK_OPEN, THINK_CLOSE)]
    )
    tokenizer.pre_tokenizer = _splitter("")
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )
