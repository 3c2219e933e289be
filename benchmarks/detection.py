"""How many completions per second detection and metrics take in, on one core.

    python benchmarks/detection.py [--tokenizer FOLDER] [--completions 20000] [--events 1000000]
    python benchmarks/detection.py --traces tests/text/data/labelled_traces.jsonl --completions 600 --events 0

Texts of about 300 tokens: word problems solved step by step, a third of them with an onset. With `--traces`,
texts of about 2,000 tokens from the sentences of labelled traces, much denser in onsets.
"""

import argparse
import csv
import itertools
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from backtracking.config.schema import DetectionConfig, PromptingConfig
from backtracking.measurements.caps import caps_up_to
from backtracking.measurements.events import EVENT_COLUMNS, EventReader, write_events
from backtracking.measurements.metrics_v2 import save_metrics_v2
from backtracking.measurements.tallies import tally_file
from backtracking.organism.bundle import bundled_reasoner_path
from backtracking.run.records import GenerationRecord
from backtracking.text.answers import extract_answer, grade
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets import Detector
from backtracking.text.tokenization import TokenMap

CLOSE = "</think>"
SENTENCES = (
    "First we need to work out how many apples Tom has after he goes to the market in the morning.",
    "He buys {a} bags and every bag holds {b} apples, so that makes {a} * {b} = {c} apples in total.",
    "Then his sister takes some of them home, which leaves him with fewer than he started with.",
    "The question asks for the number that is left at the end of the day, not for the price of them.",
    "Each of the boxes costs the same, so the total cost only depends on how many of them he carries.",
    "After lunch he sells a few more to the neighbours, who pay him $2 each and thank him for the help.",
    "Let us keep that number in mind because it is going to be needed again in the second part.",
)
ONSETS = ("Wait, that is not right.", "Hmm, let me check that again.", "But wait, he also ate one.")


def make_text(rng: random.Random, sentences: int = 13) -> str:
    """A completion with an answer, and in a third of the cases an onset."""
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    parts = [rng.choice(SENTENCES).format(a=a, b=b, c=a * b) for _ in range(sentences)]
    if rng.random() < 1 / 3:
        parts.insert(rng.randrange(1, sentences), rng.choice(ONSETS))
    return " ".join(parts) + f"\n{CLOSE}\n\nThe answer is \\boxed{{{a * b}}}."


def trace_writer(path: Path) -> Callable[[random.Random], str]:
    """Makes long traces from the sentences of labelled ones."""
    traces = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = [sentence["text"] for trace in traces for sentence in trace["sentences"]]

    def write(rng: random.Random) -> str:
        body = "".join(rng.choice(sentences) + rng.choice((" ", " ", "\n\n")) for _ in range(110))
        return f"{body}\n{CLOSE}\n\nThe answer is \\boxed{{{rng.randint(2, 99)}}}."

    return write


def make_records(tokenizer: Any, count: int, write: Callable[[random.Random], str]) -> list[GenerationRecord]:
    """Distinct completions with their ids."""
    rng = random.Random(0)
    records = []
    for index in range(count):
        text = write(rng)
        ids = tokenizer.encode(text, add_special_tokens=False)
        records.append(
            GenerationRecord(
                example_id=f"p{index % 500}",
                sample_id=index // 500,
                variant="baseline_think_newline",
                condition="baseline",
                prompt="",
                prompt_ids=[1],
                completion=text,
                completion_ids=ids,
                finish_reason="stop",
                prompt_tokens=1,
                completion_tokens=len(ids),
                gen_params={},
                seed_key="",
            )
        )
    return records


def report(name: str, count: int, work: Callable[[], object]) -> None:
    """Run once and print completions per second of processor time."""
    started = time.process_time()
    work()
    seconds = time.process_time() - started
    print(f"{name:<40} {count / seconds:>10,.0f} completions/s  ({1e6 * seconds / count:,.0f} us each)")


def detection(records: Sequence[GenerationRecord], token_map: TokenMap) -> None:
    """Detection by parts, and the whole reader that fills the tables."""
    detector = Detector(DetectionConfig())
    count, texts = len(records), [record.completion for record in records]
    mean = sum(record.completion_tokens for record in records) / count
    print(f"{count:,} completions, {mean:.0f} tokens on average")

    def onsets_with_tokens() -> None:
        for record in records:
            found = detector.find(record.completion, CLOSE)
            if found:
                tokens = token_map(record.completion_ids, record.completion)
                for onset in found:
                    tokens.token_span(onset.start, onset.end)

    report("onsets in text", count, lambda: [detector.find(text, CLOSE) for text in texts])
    report("doubt and redo in text", count, lambda: [detector.turns(text, CLOSE) for text in texts])
    report("onsets in text, with their tokens", count, onsets_with_tokens)
    report("token map of every completion", count, lambda: [token_map(r.completion_ids) for r in records])
    answers = [extract_answer(text, think_close=CLOSE) for text in texts]
    report("answers found", count, lambda: [extract_answer(text, think_close=CLOSE) for text in texts])
    report("answers graded", count, lambda: [grade(answer.text, "18") for answer in answers])
    report("arithmetic statements", count, lambda: [find_steps(text) for text in texts])
    gold = {record.example_id: "18" for record in records}
    reader = EventReader(DetectionConfig(), PromptingConfig(), token_map, gold)
    with_caps = EventReader(DetectionConfig(), PromptingConfig(), token_map, gold, caps_up_to(512))
    report("all of it, cut at five token caps", count, lambda: [with_caps(record) for record in records])
    report("all of it", count, lambda: [reader(record) for record in records])
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "events.csv", Path(folder) / "onsets.csv"
        report("all of it, written to CSV", count, lambda: write_events(iter(records), reader, *paths))


def metrics(events: int) -> None:
    """Metrics of a long events table, with the memory that they took."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backtracking_events.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, EVENT_COLUMNS, restval="")
            writer.writeheader()
            groups = itertools.product(("baseline", "targeted_ablation"), range(events // 2))
            writer.writerows(_event(rng, condition, index) for condition, index in groups)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        target = Path(folder) / "metrics_v2.json"
        report(f"metrics of {events:,} events", events, lambda: save_metrics_v2(tally_file(path), target))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak memory before and after: {before / 1024:,.0f} and {after / 1024:,.0f} MiB")


def _event(rng: random.Random, condition: str, index: int) -> dict[str, object]:
    strict = rng.random() < 0.5
    kinds = ("strict_anywhere", "relaxed_anywhere", "strict_clause_start", "relaxed_clause_start")
    return dict.fromkeys(kinds, strict) | {
        "example_id": f"p{index % 1319}",
        "sample_id": index // 1319,
        "variant": "baseline_think_newline",
        "condition": condition,
        "has_backtracking_strict": strict,
        "has_backtracking_relaxed": strict,
        "is_correct": rng.choice(["True", "False", ""]),
        "completion_tokens": 300,
        "truncated": rng.random() < 0.1,
        "n_onsets_strict": int(strict),
        "n_onsets_relaxed": int(strict),
        "answer_token": 290,
        "steps_right": 2,
        "steps_wrong": 1,
        "onsets_after_right": 0,
        "onsets_after_wrong": int(strict),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tokenizer",
        default=bundled_reasoner_path(),
        help="folder or id; the bundled reasoner's if not given",
    )
    parser.add_argument("--completions", type=int, default=20_000)
    parser.add_argument("--traces", type=Path, help="labelled traces (JSONL) whose sentences make long texts")
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    write = trace_writer(arguments.traces) if arguments.traces else make_text
    detection(make_records(tokenizer, arguments.completions, write), TokenMap(tokenizer))
    if arguments.events:
        metrics(arguments.events)


if __name__ == "__main__":
    main()
