"""Where a decoding step of the bundled reasoner spends its time, and what fewer operations would save of it.

    python -P benchmarks/small_model.py [--rows 32,128] [--rounds 3]

Times are processor time of one thread per decoding step, medians over the rounds. The second table takes the
operations of a step's layers as they are and in another form, in turns, and says whether both give the same
bits in float32.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from backtracking.engine import attention, batched, cache, forward
from backtracking.engine.pages import PAGE
from backtracking.organism.bundle import bundled_reasoner_path

sys.path.append(str(Path(__file__).resolve().parent / "peers"))

import contenders

TOKENS, PAGES_PER_ROW = 96, 3
PARTS = {
    "the whole forward pass": (forward, "model_step"),
    "of it attention": (attention, "_decode"),
    "of it writing keys and values": (cache._PagedLayer, "update"),
    "choosing tokens": (batched, "choose"),
    "reading prompts and taking rows in": (batched.Batch, "_admit"),
}


def timed_parts(spent: dict[str, float]) -> None:
    """Have every part add the time of its calls."""
    for name, (place, called) in PARTS.items():
        original = getattr(place, called)

        def timed(*args: Any, name: str = name, original: Callable[..., Any] = original, **more: Any) -> Any:
            start = time.thread_time()
            try:
                return original(*args, **more)
            finally:
                spent[name] += time.thread_time() - start

        setattr(place, called, timed)


def parts(model: Any, tokenizer: Any, rows: list[int], rounds: int) -> None:
    """Milliseconds of each part per step."""
    run, spent = contenders.this_project(model, tokenizer, TOKENS), defaultdict(float)
    timed_parts(spent)
    for count in rows:
        prompts = contenders.prompt_rows(tokenizer, count)
        run(prompts, 1)
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            spent.clear()
            start = time.thread_time()
            run(prompts, 1)
            spent["all"] = time.thread_time() - start
            for name, seconds in spent.items():
                found[name].append(1e3 * seconds / TOKENS)
        print(f"{count} rows, ms per step:", {name: round(median(times), 2) for name, times in found.items()})


def median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


Operation = Callable[[], list[Tensor]]


def forms(model: Any, rows: int) -> dict[str, tuple[int, Operation, Operation]]:
    """How many there are in a step, the operations as they are, and in another form."""
    layer, depth = model.model.layers[0], len(model.model.layers)
    x = torch.randn(rows, 1, model.config.hidden_size)
    asked = (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
    joined = torch.cat([part.weight for part in asked]), torch.cat([part.bias for part in asked])
    widths = [len(part.weight) for part in asked]
    gates = (layer.mlp.gate_proj, layer.mlp.up_proj)
    both, norm = torch.cat([part.weight for part in gates]), layer.input_layernorm
    heads, width = (
        model.config.num_key_value_heads,
        model.config.hidden_size // model.config.num_attention_heads,
    )
    kept = [torch.zeros(rows * PAGES_PER_ROW + 1, heads, width, PAGE) for _ in range(2)]
    pages, offsets = torch.randperm(len(kept[0]))[:rows], torch.randint(0, PAGE, (rows,))
    new = torch.randn(rows, heads, width)
    flat = (pages * heads * width * PAGE + offsets)[:, None] + torch.arange(heads * width) * PAGE

    def write() -> list[Tensor]:
        kept[0][pages, :, :, offsets] = new
        return kept[:1]

    def write_flat() -> list[Tensor]:
        kept[1].view(-1).scatter_(0, flat.flatten(), new.flatten())
        return kept[1:]

    return {
        "q, k, v as one product": (
            depth,
            lambda: [part(x) for part in asked],
            lambda: list(functional.linear(x, *joined).split(widths, -1)),
        ),
        "gate and up as one product": (
            depth,
            lambda: [part(x) for part in gates],
            lambda: list(functional.linear(x, both).chunk(2, -1)),
        ),
        "norms by the library's rms_norm": (
            2 * depth + 1,
            lambda: [norm(x)],
            lambda: [functional.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)],
        ),
        "keys written through one flat index": (depth, write, write_flat),
    }


def savings(model: Any, rows: list[int], rounds: int) -> None:
    """Milliseconds of a step that other forms would save, and whether their bits are the same."""
    for count in rows:
        for name, (times, now, other) in forms(model, count).items():
            same = all(torch.equal(a, b) for a, b in zip(now(), other(), strict=True))
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(10 * rounds):
                for form, seconds in zip((now, other), taken, strict=True):
                    start = time.thread_time()
                    for _ in range(20):
                        form()
                    seconds.append((time.thread_time() - start) / 20)
            before, after = (1e3 * times * median(seconds) for seconds in taken)
            print(f"{count} rows, {name}: {before:.2f} -> {after:.2f} ms per step; same bits: {same}")


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="32,128")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rows = [int(count) for count in asked.rows.split(",")]
    torch.set_num_threads(1)
    folder = bundled_reasoner_path()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        savings(model, rows, asked.rounds)
    parts(model, tokenizer, rows, asked.rounds)


if __name__ == "__main__":
    main()
