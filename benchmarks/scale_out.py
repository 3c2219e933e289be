"""How generation scales with workers on one machine: this process, then 1, 2 and 4 workers.

    python -P benchmarks/scale_out.py [PROBLEMS]

Every setting makes the same rows of the bundled reasoner, and they are compared. Processor time is shown
beside wall time, because other work on the machine counts in full in the latter.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import torch

from backtracking.config.schema import ModelConfig, PromptingConfig
from backtracking.config.workers import RayConfig
from backtracking.engine.executor.on_ray import RayExecutor
from backtracking.engine.executor.work import HERE, Executor
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.model.loading import LoadedModel, load_model
from backtracking.organism.task import problems_made_here
from backtracking.run.io import JsonlAppender
from backtracking.text.prompts import render_prompt

RESULTS = Path(__file__).parent / "results" / "scale_out.json"
SAMPLES, SLOTS, WORKERS = 6, 64, (1, 2, 4)
SAMPLING = SamplingParams(max_new_tokens=200, temperature=1.0)


def main() -> None:
    torch.set_num_threads(1)
    model = load_model(ModelConfig())
    rows = list(rows_of(model, int(sys.argv[1]) if len(sys.argv) > 1 else 200))
    local = measure("this process", model, rows, HERE, lambda: 0.0)
    lines = [local]
    for count in WORKERS:
        executor = RayExecutor(ModelConfig(), RayConfig(workers=count))
        try:
            list(generate_rows(model, rows[:count], SAMPLING, seed=0, slots=SLOTS, executor=executor))
            spent = spent_by(executor)
            lines.append(measure(f"{count} on Ray", model, rows, executor, spent))
        finally:
            executor.close()
    assert all(line.pop("rows") == local["rows"] for line in lines[1:]), "the rows differ"
    local.pop("rows")
    for line in lines:
        predict(line, lines[1])
        print(", ".join(f"{key} {value}" for key, value in line.items()))
    RESULTS.write_text(
        json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), "lines": lines}, indent=1)
    )


def rows_of(model: LoadedModel, count: int) -> Iterator[Row]:
    """Rows as a run makes them."""
    prompting = PromptingConfig()
    variant = prompting.variant_names[0]
    for problem in problems_made_here("test", count, 0):
        text, ids = render_prompt(problem.question, prompting, variant, model.tokenizer)
        for sample in range(SAMPLES):
            yield Row(Prompt(problem.id, variant, text, tuple(ids)), sample)


def spent_by(executor: RayExecutor) -> Callable[[], float]:
    """Processor time of all workers."""
    processes = [psutil.Process(worker.pid) for worker in executor.identities.values()]

    def seconds() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    return seconds


def measure(
    name: str, model: LoadedModel, rows: list[Row], executor: Executor, workers: Callable[[], float]
) -> dict:
    """Generate all rows into a file, and what it took here and in the workers."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"scale-out-{os.getpid()}.jsonl"
    wall, driver, before = time.monotonic(), time.process_time(), workers()
    made = {}
    with JsonlAppender(folder) as file:
        for record in generate_rows(model, rows, SAMPLING, seed=0, slots=SLOTS, executor=executor):
            sealed = record.sealed("0")
            file.append(sealed)
            made[record.id] = sealed.digest
    wall, driver, spent = time.monotonic() - wall, time.process_time() - driver, workers() - before
    tokens = sum(map(len, read_ids(folder)))
    size = folder.stat().st_size
    folder.unlink()
    on_ray = spent > 0
    return {
        "setting": name,
        "workers": int(name.removesuffix(" on Ray")) if on_ray else 0,
        "rows": made,
        "row_count": len(rows),
        "tokens": tokens,
        "bytes": size,
        "wall_s": round(wall, 2),
        "tokens_per_s": round(tokens / wall),
        "worker_cpu_ms_per_1000_tokens": round(1e6 * (spent if on_ray else driver) / tokens, 1),
        "driver_cpu_ms_per_row": round(1e3 * driver / len(rows), 3) if on_ray else None,
    }


def read_ids(path: Path) -> Iterator[list[int]]:
    for line in path.open():
        yield json.loads(line)["completion_ids"]


def predict(line: dict, one: dict) -> None:
    """Tokens per second by processor time: as one worker's cost foretells, and as this setting's was."""
    if not line["workers"]:
        return
    for name, cost in (("foretold_tokens_per_s", one), ("tokens_per_s_by_processor_time", line)):
        work = cost["worker_cpu_ms_per_1000_tokens"] * line["tokens"] / 1e6
        driver = cost["driver_cpu_ms_per_row"] * line["row_count"] / 1e3
        seconds = max(work / line["workers"], driver, (work + driver) / (os.cpu_count() or 1))
        line[name] = round(line["tokens"] / seconds)


if __name__ == "__main__":
    main()
