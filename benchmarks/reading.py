"""How long reading takes beside another version, both in turns on the same texts.

    python benchmarks/reading.py [--against OTHER/src] [--rows 400] [--rounds 10]

Texts of about 2,000 tokens in the manner of reasoning models (sentences of labelled traces and a dozen
statements of arithmetic) go through all that `detect-events` does with a row. Each version has a process of
its own; they take turns of `rows / rounds` texts, and processor time is compared. The environment variable
TOKENIZER names a tokenizer's folder, if not the bundled one.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

_HERE = Path(__file__).resolve().parent
_TRACES = _HERE.parent / "tests" / "text" / "data" / "labelled_traces.jsonl"


def worker(rows: int, rounds: int) -> None:
    """Read one share of the rows for every line that comes in; print the processor time that it took."""
    from transformers import AutoTokenizer

    from arithmetic import write_trace
    from backtracking.config.schema import DetectionConfig, PromptingConfig
    from backtracking.measurements.events import EventReader
    from backtracking.organism.bundle import bundled_reasoner_path
    from backtracking.text.tokenization import TokenMap
    from detection import CLOSE, make_records, trace_writer

    sentences = trace_writer(_TRACES)

    def write(rng: random.Random) -> str:
        body, _, answer = sentences(rng).partition(f"\n{CLOSE}")
        return f"{body}\n{write_trace(rng).text}\n{CLOSE}{answer}"

    tokenizer = AutoTokenizer.from_pretrained(os.environ.get("TOKENIZER") or bundled_reasoner_path())
    records = make_records(tokenizer, rows, write)
    gold = {record.example_id: "18" for record in records}
    reader = EventReader(DetectionConfig(), PromptingConfig(), TokenMap(tokenizer), gold)
    print(sum(record.completion_tokens for record in records) / rows, flush=True)
    for turn in range(rounds):
        sys.stdin.readline()
        started = time.process_time()
        for record in records[turn::rounds]:
            reader(record)
        print(time.process_time() - started, flush=True)


def start(source: Path, arguments: argparse.Namespace) -> "subprocess.Popen[str]":
    """A process that reads with the package in a folder."""
    command = [sys.executable, __file__, "--worker", "--rows", arguments.rows, "--rounds", arguments.rounds]
    return subprocess.Popen(
        [str(part) for part in command],
        env=os.environ | {"PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def compare(arguments: argparse.Namespace) -> None:
    """Let the versions take turns, and print the time of each and the ratio."""
    sources = {"this version": _HERE.parent / "src", "the other": arguments.against}
    workers = {name: start(source, arguments) for name, source in sources.items() if source}
    tokens = {name: float(process.stdout.readline()) for name, process in workers.items() if process.stdout}
    spent = dict.fromkeys(workers, 0.0)
    for _ in range(arguments.rounds):
        for name, process in workers.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            spent[name] += float(process.stdout.readline())
    for name, seconds in spent.items():
        each = 1000 * seconds / arguments.rows
        print(f"{name}: {each:.2f} ms of processor time per text of {tokens[name]:.0f} tokens")
    if len(spent) > 1:
        print(f"ratio: {spent['this version'] / spent['the other']:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="the `src` of another version")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.rows, arguments.rounds)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
