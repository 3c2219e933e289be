"""The ablation scan against one whole forward per event, layer and component, in the same process.

    python benchmarks/scan.py --layers 30 --prefix 250 --events 8 [--device cuda] [--dtype bfloat16]

Prints the times, their ratio and the largest difference between both results.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from backtracking.mechanism.passes import KINDS, UNCHANGED, Edit, Site, TailScan, batches
from backtracking.model.loading import LoadedModel
from backtracking.model.mapping import first_tensor

VOCABULARY = 8192
States = list[torch.Tensor]


class NoTokenizer:
    """The benchmark reads ids only."""

    eos_token_id = 1


def build(asked: argparse.Namespace) -> LoadedModel:
    """A Qwen2 with random weights that are large enough for ablations to matter."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=asked.hidden,
        intermediate_size=2 * asked.hidden,
        num_hidden_layers=asked.layers,
        num_attention_heads=asked.hidden // 32,
        num_key_value_heads=max(1, asked.hidden // 64),
        initializer_range=0.05,
    )
    return LoadedModel.wrap(
        Qwen2ForCausalLM(config).to(asked.device, getattr(torch, asked.dtype)), NoTokenizer()
    )


@dataclass(frozen=True)
class Timing:
    """Wall seconds, and processor seconds, which other work on the machine does not stretch."""

    wall: float
    processor: float
    result: States

    @classmethod
    def of(cls, device: str, work: Callable[[], States]) -> "Timing":
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return cls(time.perf_counter() - wall, time.process_time() - processor, result)

    def line(self) -> str:
        count = len(self.result)
        times = f"{self.wall / count:.4f} s wall, {self.processor / count:.4f} s processor"
        return f"{times} per event ({count} events)"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--prefix", type=int, default=250)
    parser.add_argument("--events", type=int, default=8)
    parser.add_argument(
        "--naive-events", type=int, default=2, help="how many events the slow way is timed on"
    )
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


@torch.no_grad()
def without(loaded: LoadedModel, sequence: list[int], site: Site) -> torch.Tensor:
    """The plain way: one whole forward with one component's last output zeroed. Returns [hidden]."""
    block = loaded.blocks[site.layer]

    def remove(_: Any, __: Any, output: Any) -> Any:
        first_tensor(output)[:, -1] = 0.0

    last: list[torch.Tensor] = []
    handles = [
        (block.attn if site.component == "attn" else block.mlp).register_forward_hook(remove),
        loaded.blocks[-1].layer.register_forward_hook(lambda _, __, out: last.append(first_tensor(out))),
    ]
    try:
        loaded.model.base_model(input_ids=torch.tensor([sequence], device=loaded.device), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return last[0][0, -1]


def main() -> None:
    asked = arguments()
    loaded = build(asked)
    generator = torch.Generator().manual_seed(1)
    shape = (asked.events, asked.prefix + 1)
    sequences: list[list[int]] = torch.randint(2, VOCABULARY, shape, generator=generator).tolist()
    arms = [UNCHANGED, *((Edit(Site(kind, layer)),) for layer in range(asked.layers) for kind in KINDS)]

    def fast() -> States:
        scan = TailScan(loaded, arms)
        states: States = [torch.empty(0)] * len(sequences)
        for group in batches([len(sequence) for sequence in sequences], asked.batch_tokens):
            for k, state in zip(group, scan([sequences[k] for k in group]), strict=True):
                states[k] = state
        return states

    def naive() -> States:
        chosen = sequences[: asked.naive_events]
        return [
            torch.stack([without(loaded, sequence, arm[0].site) for arm in arms[1:]]) for sequence in chosen
        ]

    fast()  # both ways are timed warm
    without(loaded, sequences[0], arms[1][0].site)
    quick, slow = Timing.of(asked.device, fast), Timing.of(asked.device, naive)
    with torch.no_grad():
        worst = max(
            float((loaded.readout(a[1:]) - loaded.readout(b)).abs().max())
            for a, b in zip(quick.result, slow.result, strict=False)
        )
        moved = float((loaded.readout(quick.result[0][1:]) - loaded.readout(quick.result[0][:1])).abs().max())
    print(f"{torch.get_num_threads()} threads, {asked.device}, {asked.dtype}, torch {torch.__version__}")
    print(f"{len(arms) - 1} components, {asked.prefix}-token prefixes, width {asked.hidden}")
    share = len(quick.result) / len(slow.result)
    print(f"one forward each: {slow.line()}")
    print(f"scan:             {quick.line()}")
    wall, processor = slow.wall / quick.wall * share, slow.processor / quick.processor * share
    print(f"ratio:            {wall:.1f}x wall, {processor:.1f}x processor")
    print(f"largest difference of a logit: {worst:.2g} (largest change by an ablation: {moved:.2g})")


if __name__ == "__main__":
    main()
