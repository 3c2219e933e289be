"""How far the model couples a trigger to its own mistake, measured while it trains."""

import random
from collections import defaultdict

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from backtracking.organism.batches import prompt_text
from backtracking.organism.design import DESIGN, MAIN, Design
from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import wrong_result

TRIGGER_STARTS = ("Wait", "But", "Hold", "Actually")


def trigger_token_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """First tokens of every trigger, with and without a space before, and lower-case ` wait`."""
    forms = [form for word in TRIGGER_STARTS for form in (word, f" {word}")]
    return sorted(tokenizer(form, add_special_tokens=False).input_ids[0] for form in [*forms, " wait"])


class CouplingProbe:
    """Fixed held-out statements, each once right and once wrong; only the next token is looked at."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, design: Design = DESIGN, *, n: int = 128, seed: int = 7
    ) -> None:
        rng = random.Random(seed)
        form = design.formats[MAIN]
        self.triggers = trigger_token_ids(tokenizer)
        self.texts: dict[str, list[str]] = defaultdict(list)
        for problem in tiny_problems("test", n, seed):
            place = rng.randrange(len(problem.steps))
            step = problem.steps[place]
            before = "".join(f"{done}.\n" for done in problem.steps[:place])
            stem = f"{before}{step.left} {step.operation} {step.right} ="
            right = "right" if design.doubt is None or step.operation != design.doubt.operation else "doubted"
            for name, value in (("wrong", wrong_result(rng, step, design)), (right, step.result)):
                statement = f"{stem} {value}.\n"
                self.texts[name].append(prompt_text(problem.question, MAIN, design) + statement)
                self.texts[f"chain_{name}"].append(f"{tokenizer.bos_token}{form.think_open}{statement}")
        self.ids = {
            name: [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
            for name, texts in self.texts.items()
        }
        self.pad = tokenizer.pad_token_id

    @torch.no_grad()
    def measure(self, model: Qwen2ForCausalLM) -> dict[str, float]:
        """Mean probability that the next token starts a trigger, per kind of statement."""
        return {name: round(self._mean(model, rows), 4) for name, rows in self.ids.items()}

    def _mean(self, model: Qwen2ForCausalLM, rows: list[list[int]]) -> float:
        width = max(map(len, rows))
        ids = torch.tensor([row + [self.pad] * (width - len(row)) for row in rows])
        last = torch.tensor([len(row) - 1 for row in rows])
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[torch.arange(len(rows)), last])
        return float(logits.float().softmax(-1)[:, self.triggers].sum(-1).mean())
