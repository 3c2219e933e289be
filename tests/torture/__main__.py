"""The long form: `python -m tests.torture --trials 500`; its table goes into docs/reliability.md."""

import argparse
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.torture.faults import FAULTS
from tests.torture.process import warm_up
from tests.torture.study import ROOT, Study
from tests.torture.trials import GOOD, OUTCOMES, SKIPPED, Trial, run_trial

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- trials: written by `make torture` -->", "<!-- end of trials -->"


def main() -> int:
    asked = _asked()
    warm_up()
    asked.scratch.mkdir(parents=True, exist_ok=True)
    study = Study.made(asked.scratch / "study")
    done = _read(asked.trials_file)
    pending = [number for number in asked.only or range(asked.trials) if number not in done]
    one = partial(run_trial, study, seed=asked.seed, scratch=asked.scratch)
    pool = multiprocessing.get_context("fork").Pool(asked.workers, maxtasksperchild=50)
    with asked.trials_file.open("a", encoding="utf-8") as file, pool:
        for trial in pool.imap_unordered(one, pending):
            file.write(trial.line() + "\n")
            file.flush()
            done[trial.number] = trial
            print(f"{trial.number} {trial.fault} | {trial.step} {trial.target}: {trial.outcome}", flush=True)
    print(table(done.values()))
    if asked.page:
        write_page(done.values(), asked.seed)
    return int(any(trial.outcome not in (*GOOD, SKIPPED) for trial in done.values()))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--trials", type=int, default=525, help="how many")
    parser.add_argument("--only", type=int, nargs="*", help="these trials alone, by number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "backtracking-torture")
    parser.add_argument("--trials-file", type=Path, help="one line per trial; trials in it are not run again")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    asked.trials_file = asked.trials_file or asked.scratch / f"trials-{asked.seed}.jsonl"
    return asked


def _read(path: Path) -> dict[int, Trial]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {trial.number: trial for trial in (Trial(**json.loads(line)) for line in lines)}


def table(trials: Iterable[Trial]) -> str:
    """Trials by fault and outcome, in Markdown."""
    counts = Counter((trial.fault, trial.outcome) for trial in trials)
    seen = [outcome for outcome in OUTCOMES if any(counts[fault.name, outcome] for fault in FAULTS)]
    lines = [f"| fault | how | trials | {' | '.join(seen)} |", "|---|---|" + "---:|" * (len(seen) + 1)]
    for fault in FAULTS:
        row = [counts[fault.name, outcome] for outcome in seen]
        lines.append(f"| {fault.name} | {fault.how} | {sum(row)} | {' | '.join(map(str, row))} |")
    sums = [sum(counts[fault.name, outcome] for fault in FAULTS) for outcome in seen]
    lines.append(f"| all | | {sum(sums)} | {' | '.join(map(str, sums))} |")
    return "\n".join(lines)


def write_page(trials: Iterable[Trial], seed: int) -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n\nSeed {seed}.\n\n{table(trials)}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
