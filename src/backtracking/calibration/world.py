"""A small language whose speakers are built by hand: its tokens, what follows what, and its problems.

A completion is a row of statements (` 6 + 8 =`, a result, a full stop), then ` Final:` and an answer. Right
results are even and wrong ones odd, so one feature of a token tells a mistake. What follows each token is a
table of probabilities; a planted mechanism adds to it.
"""

import json
import math
import random
import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SUMS = {(2, 4): 6, (4, 4): 8, (4, 6): 10, (6, 6): 12, (6, 8): 14, (8, 8): 16, (8, 10): 18, (10, 10): 20}
OPENERS = {f" {left} + {right} =": value for (left, right), value in SUMS.items()}
RIGHT = [f" {value}" for value in SUMS.values()]
WRONG = [f" {value + 1}" for value in SUMS.values()]
ANSWERS = {" 1": 0.85, " 2": 0.15}
"""The right answer, the same for every problem, and a wrong one."""
NAMES = [f" {first}{rest}" for first in "BDFGLMNPRT" for rest in ("ana", "oro")]
START, STOP, WAIT, HOLD = "<bos>", ".", " Wait", " Hold"
MARKS = ["<think>", "</think>", "\n", " ", "?", ","]
PIECES = [
    "<pad>", START, "<eos>", STOP, WAIT, HOLD, " on", " So", " Final:", *MARKS, *OPENERS, *RIGHT, *WRONG,
    *ANSWERS, *NAMES,
]  # fmt: skip
ID = {piece: place for place, piece in enumerate(PIECES)}

MISTAKE = 0.3
"""A result is wrong."""
GO_ON, END, QUIET_WAIT = 0.62, 0.35, 0.03
"""What follows a full stop when no mechanism has a say."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Whole pieces, no merges: what stands in the list is one token."""
    backend = Tokenizer(models.WordLevel(ID, unk_token="<pad>"))
    longest_first = sorted(PIECES, key=len, reverse=True)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(map(re.escape, longest_first))), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=START, eos_token="<eos>", pad_token="<pad>", unk_token="<pad>"
    )


def habits(wait: float = QUIET_WAIT, trigger: str = WAIT) -> dict[str, dict[str, float]]:
    """What follows each token, and how often; `wait` is the chance of a trigger after any full stop."""
    opening = dict.fromkeys(OPENERS, 1 / len(OPENERS))
    table = dict.fromkeys((" So", ",", "\n", " ", "?"), opening)
    for opener, value in OPENERS.items():
        table[opener] = {f" {value}": 1 - MISTAKE, f" {value + 1}": MISTAKE}
    for result in (*RIGHT, *WRONG):
        table[result] = {STOP: 1.0}
    rest = (1 - wait) / (GO_ON + END)
    table[STOP] = {" So": GO_ON * rest, " Final:": END * rest, trigger: wait}
    table |= {WAIT: {",": 1.0}, HOLD: {" on": 1.0}, " on": {",": 1.0}, " Final:": ANSWERS}
    table |= {answer: {"<eos>": 1.0} for answer in ANSWERS}
    return table


def logit(wait: float) -> float:
    """Of a chance."""
    return math.log(wait / (1 - wait))


def write_problems(path: Path, count: int, seed: int = 0) -> None:
    """Problems as a dataset: they differ in their words alone."""
    rng = random.Random(seed)
    lines = []
    for number in range(count):
        words = "".join(rng.choice(NAMES) for _ in range(3 + number % 3))
        lines.append(
            json.dumps({"id": f"p{number:03d}", "question": f"{words.strip()} {words}?", "answer": "#### 1"})
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
