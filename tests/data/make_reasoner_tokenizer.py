"""Makes `reasoner_tokenizer/`: a few hundred tokens with the position traps of a large reasoning model's.

    python tests/data/make_reasoner_tokenizer.py

Bytes as the alphabet, single digits, the space before a digit its own token, `Wait`, ` Wait` and ` wait` one
token each, a BOS that the tokenizer adds and the chat template writes, and a template that opens `<think>`.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

FOLDER = Path(__file__).parent / "reasoner_tokenizer"
BOS, EOS, USER, ASSISTANT = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
)
PLAIN = 600
"""At most so many tokens that are not added by name."""
SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '" + USER + "' + message['content'] }}"
    "{% else %}{{ '" + ASSISTANT + "' + message['content'] + eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + ASSISTANT + "<think>\n' }}{% endif %}"
)
WHO = ("Anna", "Tom", "She", "He", "The shop", "A farmer", "Everybody", "So the class", "Each of them")
DOES = ("buys", "sells", "gives away", "counts", "has", "packs", "needs", "finds", "loses")
WHAT = ("apples", "pages", "coins", "bricks", "tickets", "litres of milk", "kilometres", "small boxes")
TURNS = (
    "Wait, that is not right.", "Hold on, let me check this again.", "Actually, the sum is wrong.",
    "wait, no.", "Hmm, wait. But wait, how many are left?", "Alternatively, we can add them first.",
    "But wait, the question asks for the total.", "Let me see. Wait. Yes.", "Maybe I should double check.",
    "On second thought, hold on. Let me recompute.", "\n\nWait, what about the rest?", "Okay, so first,",
    "\nAlternatively, count them. The alternative: alternatively, sell them. An alternating row.",
    "There is an alternative. So alternatively this. (Alternatively that.)",
)  # fmt: skip
ENDS = ("Therefore the final answer is \\boxed{", "So the answer is **", "The answer: ", "Final answer: $")


def corpus() -> Iterator[str]:
    """Worked problems of every combination, in a fixed order."""
    for number, (who, does, what) in enumerate(itertools.product(WHO, DOES, WHAT)):
        turn, end = TURNS[number % len(TURNS)], ENDS[number % len(ENDS)]
        left, right = number % 17, number % 23
        yield f"{who} {does} {left} {what} and then {right} more. How many {what} are there together?"
        yield f"First, {left} + {right} = {left + right}. {turn} {end}{left + right}}}. That is it.\n"


def main() -> None:
    """Train, add what is added by name, and save."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PLAIN, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in (EOS, USER, ASSISTANT, BOS)])
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in ("<think>", "</think>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    ).save_pretrained(FOLDER)


if __name__ == "__main__":
    main()
