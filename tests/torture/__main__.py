"""The long form: `python -m tests.torture --local 420 --ray 90`; its tables go into docs/reliability.md."""

import argparse
import contextlib
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.executor.standing import standing_cluster
from tests.torture import executors
from tests.torture.faults import faults_on
from tests.torture.process import warm_up
from tests.torture.study import ROOT, Study
from tests.torture.trials import GOOD, OUTCOMES, SKIPPED, Trial, run_trial

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- trials: written by `make torture` -->", "<!-- end of trials -->"
HEADINGS = {executors.LOCAL.name: "In one process", executors.RAY: "Two workers on Ray"}
CPUS = 8
"""Of the cluster that stands, on paper: workers of several trials find room."""


def main() -> int:
    asked = _asked()
    warm_up()
    asked.scratch.mkdir(parents=True, exist_ok=True)
    study = Study.made(asked.scratch / "study")
    done = _read(asked.trials_file)
    everything = [(name, number) for name in executors.NAMES for number in range(vars(asked)[name])]
    pending = [name for name in asked.only or everything if name not in done]
    with contextlib.ExitStack() as stack:
        joined = any(name == executors.RAY for name, _ in pending)
        address = stack.enter_context(standing_cluster(asked.scratch, CPUS)) if joined else None
        one = partial(run_trial, study, seed=asked.seed, scratch=asked.scratch, address=address)
        pool = stack.enter_context(
            multiprocessing.get_context("fork").Pool(asked.workers, maxtasksperchild=50)
        )
        file = stack.enter_context(asked.trials_file.open("a", encoding="utf-8"))
        for trial in pool.imap_unordered(one, pending):
            file.write(trial.line() + "\n")
            file.flush()
            done[trial.name] = trial
            print(*trial.name, f"{trial.fault} | {trial.step} {trial.target}: {trial.outcome}", flush=True)
    print(tables(done.values()))
    if asked.page:
        write_page(done.values(), asked.seed)
    return int(any(trial.outcome not in (*GOOD, SKIPPED) for trial in done.values()))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--local", type=int, default=420, help="how many trials in one process")
    parser.add_argument("--ray", type=int, default=90, help="how many with workers on Ray")
    parser.add_argument("--only", type=_name, nargs="*", help="these trials alone, as local/17 or ray/3")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "backtracking-torture")
    parser.add_argument("--trials-file", type=Path, help="one line per trial; trials in it are not run again")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    asked.trials_file = asked.trials_file or asked.scratch / f"trials-{asked.seed}.jsonl"
    return asked


def _name(text: str) -> tuple[str, int]:
    executor, _, number = text.partition("/")
    if executor not in executors.NAMES:
        raise ValueError(text)
    return executor, int(number)


def _read(path: Path) -> dict[tuple[str, int], Trial]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {trial.name: trial for trial in (Trial(**json.loads(line)) for line in lines)}


def tables(trials: Iterable[Trial]) -> str:
    """A table for each executor that was tried."""
    by = {name: [trial for trial in trials if trial.executor == name] for name in executors.NAMES}
    return "\n\n".join(f"{HEADINGS[name]}:\n\n{_table(name, some)}" for name, some in by.items() if some)


def _table(executor: str, trials: Iterable[Trial]) -> str:
    """Trials by fault and outcome, in Markdown."""
    counts = Counter((trial.fault, trial.outcome) for trial in trials)
    seen = [outcome for outcome in OUTCOMES if any(named == outcome for _, named in counts)]
    lines = [f"| fault | how | trials | {' | '.join(seen)} |", "|---|---|" + "---:|" * (len(seen) + 1)]
    for fault in faults_on(executor):
        row = [counts[fault.name, outcome] for outcome in seen]
        lines.append(f"| {fault.name} | {fault.how} | {sum(row)} | {' | '.join(map(str, row))} |")
    sums = [sum(counts[fault.name, outcome] for fault in faults_on(executor)) for outcome in seen]
    lines.append(f"| all | | {sum(sums)} | {' | '.join(map(str, sums))} |")
    return "\n".join(lines)


def write_page(trials: Iterable[Trial], seed: int) -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n\nSeed {seed}.\n\n{tables(trials)}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
