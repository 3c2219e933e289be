"""How time and memory grow with the number of completions, stage by stage, from traces to the explorer.

    python -P benchmarks/scale.py [--rows 600 10000 100000] [--repeat 1] [--figure docs/figures/scale.png]
    python -P benchmarks/scale.py --part plan   # what the plan of `generate` takes in memory

Rows are completions of the bundled reasoner, their reasoning repeated, under as many problems as it takes
(six rows each). Every stage is a process of its own: its processor time and the most memory that it ever held
are what the kernel says of it. The first, small size shows what a start costs; the ratios are of what each
row costs beyond it, at the largest size and at the one before: 1.0 is linear.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "scale.json"
RUN, TRACES, PROBLEMS, SAMPLES = "scale", "traces.jsonl", 100, 6


@dataclass(frozen=True)
class Spent:
    """What a stage took for so many rows."""

    stage: str
    rows: int
    seconds: float
    """Of processor time."""
    megabytes: float
    """The most that the process held."""


def main() -> None:
    """Measure every stage at every size, three at least."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[600, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=1, help="how often a row says its reasoning")
    parser.add_argument("--figure", type=Path, help="where to draw the result")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        PARTS[asked.part]()
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: a child counts as its own what its parent held when it was started.
        taken([sys.executable, "-P", __file__, "--part", "traces"], Path(folder))
        spent = [one for rows in asked.rows for one in measured(Path(folder), rows, repeat=asked.repeat)]
    RESULTS.write_text(json.dumps([asdict(one) for one in spent], indent=1))
    show(spent)
    if asked.figure:
        draw(spent, asked.figure)


def make_traces() -> None:
    """Completions of the bundled reasoner as traces."""
    import backtracking as bt

    problems = bt.problems(PROBLEMS)
    gold = {problem.id: (problem.question, problem.answer_value) for problem in problems}
    with Path(TRACES).open("w") as file:
        for row in bt.load("bundled", progress=False).generate(problems, samples=SAMPLES):
            question, right = gold[row.example_id]
            file.write(json.dumps({"prompt": question, "text": row.completion, "gold": right}) + "\n")


def measured(folder: Path, rows: int, repeat: int) -> Iterator[Spent]:
    """A run of so many rows, stage by stage; its files are gone afterwards."""
    place = folder / str(rows)
    place.mkdir()
    with (place / TRACES).open("w") as file:
        for row in islice(repeated((folder / TRACES).read_text().splitlines(), repeat), rows):
            file.write(json.dumps(row) + "\n")
    for stage in STAGES:
        seconds, megabytes = taken([sys.executable, "-P", __file__, "--part", stage], place)
        print(f"{rows:,} rows, {stage}: {seconds:.1f} s, {megabytes:,.0f} MB", file=sys.stderr, flush=True)
        yield Spent(stage, rows, round(seconds, 2), round(megabytes, 1))
    shutil.rmtree(place)


def repeated(lines: list[str], repeat: int) -> Iterator[dict[str, str]]:
    """The traces again and again, each time under other problems, their reasoning said so many times."""
    for again in count():
        for number, line in enumerate(lines):
            trace = json.loads(line)
            thought, mark, answer = trace["text"].partition("</think>")
            problem = f"{again}-{number // SAMPLES}"
            yield trace | {"id": problem, "text": thought * repeat + mark + answer}


def taken(command: list[str], folder: Path) -> tuple[float, float]:
    """Processor seconds of a command, and the most memory that it held."""
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (folder / "said").read_text()
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bring_in() -> None:
    """The first half of `backtracking import-traces`: a run of the traces, not yet measured."""
    from backtracking.config.load import LoadedConfig
    from backtracking.config.schema import ExperimentConfig, ModelConfig
    from backtracking.model.loading import load_tokenizer
    from backtracking.sources.trace import Columns
    from backtracking.stages.import_traces import Import, import_config, import_traces

    config = import_config(ExperimentConfig(), RUN, "bundled")
    tokenizer = load_tokenizer(ModelConfig(hf_id="bundled"))
    asked = Import(TRACES, Columns({}), {}, tokenizer=tokenizer)
    import_traces(asked, LoadedConfig(config, "benchmarks/scale.py"), RUN)


def explore() -> None:
    """What the explorer does before its first page, and one search."""
    import backtracking as bt
    from backtracking.explore.explorer import Explorer

    explorer = Explorer(bt.open_run(f"runs/{RUN}").studies())
    json.dumps(explorer.index_json())
    explorer.texts.having("hold on")


def plan_memory() -> None:
    """The most that the plan of 120,000 rows takes, from the problems to the last row that is handed out."""
    from backtracking.config.schema import ModelConfig
    from backtracking.engine.rows import Prompt, checked_rows
    from backtracking.interventions import BASELINE_ARM
    from backtracking.model.gates import GateTable
    from backtracking.model.loading import load_model
    from backtracking.run.records import Problem
    from backtracking.stages.phase1.row_plan import RowPlan

    def render(problem: Problem) -> Prompt:
        return Prompt(problem.id, "format", problem.question, tuple(range(100)))

    table = GateTable(load_model(ModelConfig()), None, ())
    tracemalloc.start()
    texts = (f"{number} " + "question " * 35 for number in range(20_000))
    problems = [
        Problem(id=f"p{k}", question=text, answer=text, answer_value="1") for k, text in enumerate(texts)
    ]
    held = tracemalloc.get_traced_memory()[0]
    plan = RowPlan(problems, SAMPLES, BASELINE_ARM, render)
    deque(checked_rows(plan.without(()), table), maxlen=0)
    most = tracemalloc.get_traced_memory()[1]
    rows = len(plan)
    print(f"{held / rows:,.0f} bytes per row for the problems, {(most - held) / rows:,.0f} for the plan")


def run_stage(name: str) -> None:
    """One stage of those that need no model, as `import-traces` runs them."""
    from backtracking.cli.session import Request, asked_run, run_stages
    from backtracking.stages.phase1.detect_events import DetectEvents
    from backtracking.stages.phase1.make_report import MakeReport
    from backtracking.stages.phase2.metrics_v2 import MetricsV2

    request = Request(run_id=RUN, quiet=True)
    ctx = asked_run(request)
    ctx.phase1 = ctx.paths
    stages = (DetectEvents(), MetricsV2(), MakeReport())
    run_stages(ctx, [stage for stage in stages if stage.name == name], request)


STAGES: dict[str, Callable[[], None]] = {
    "import": bring_in,
    **{name: partial(run_stage, name) for name in ("detect-events", "metrics-v2", "make-report")},
    "explore": explore,
}
PARTS = STAGES | {"traces": make_traces, "plan": plan_memory}


def show(spent: list[Spent]) -> None:
    """A line per stage: processor time and memory at each size, and what a row costs beyond the start."""
    for stage in STAGES:
        small, *_, before, last = at = [one for one in spent if one.stage == stage]
        time, early_time = slope(before, last, "seconds"), slope(small, before, "seconds")
        ratio = f"{time / early_time:.2f}" if early_time > 0 else "none: the small sizes are all start"
        memory = 1e6 * slope(before, last, "megabytes")
        print(
            f"{stage:14} s {', '.join(f'{one.seconds:,.1f}' for one in at)}: {1e3 * time:.3f} ms per row, "
            f"ratio {ratio}; MB {', '.join(f'{one.megabytes:,.0f}' for one in at)}: "
            f"{memory:,.0f} bytes per row, ratio {last.megabytes / before.megabytes:.2f}"
        )


def slope(less: Spent, more: Spent, what: str) -> float:
    """What each row costs between two sizes."""
    return float((getattr(more, what) - getattr(less, what)) / (more.rows - less.rows))


def draw(spent: list[Spent], path: Path) -> None:
    """Time and memory over the number of rows; dots go up in proportion to the rows."""
    import matplotlib.pyplot as plt

    figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for stage in STAGES:
        at = [one for one in spent if one.stage == stage]
        sizes = [one.rows for one in at]
        time.plot(sizes, [one.seconds for one in at], "o-", label=stage)
        memory.plot(sizes, [one.megabytes for one in at], "o-", label=stage)
        in_proportion = [at[-1].seconds * rows / sizes[-1] for rows in sizes[1:]]
        time.plot(sizes[1:], in_proportion, ":", color="grey", linewidth=0.8)
    time.set(xscale="log", yscale="log", xlabel="rows", title="processor time, s")
    memory.set(xscale="log", xlabel="rows", title="most memory held, MB", ylim=(0, None))
    memory.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
