"""What is fuzzed: a strategy for hostile input, and what it is given to."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from backtracking.config.load import load_config
from backtracking.config.schema import DetectionConfig
from backtracking.config.shipped import find_config
from backtracking.errors import UserError
from backtracking.explore.queries import Query
from backtracking.interventions import Condition, Intervention
from backtracking.run import io
from backtracking.run.paths import RunPaths, check_id
from backtracking.run.records import GenerationRecord
from backtracking.sources.rows import read_rows
from backtracking.sources.trace import Columns
from backtracking.text.answers import grade, judge_answer
from backtracking.text.arithmetic import find_steps
from backtracking.text.onsets import Detector

WORDS = (
    "Wait, ", "But ", "Hmm", "let me check", "\\boxed{", "}", "####", "The answer is ", "</think>", "= ",
    " + ", "12", "3/4", "-7", "1,250.50", "%", "$", "\\frac{1}{2}", "×", "two hundred", "\n\n", ".",
    "\x00", "\u202e", "9" * 5000, "(" * 40, "2^", "**", "é", "🌊", "\ud800", "e+999",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=12)), max_size=30).map("".join)
NUMBERS = st.sampled_from(
    ("2", "3", "12", "0.5", "1,250", "3/4", "\\frac{1}{2}", "two", "p", "10^9", "25%", "$4")
)
SIGNS = st.sampled_from((" + ", " - ", " × ", "/", " times ", " of ", "(", ")", " eggs + ", " \\times "))
EQUALS = st.sampled_from((" = ", "=", " ≈ ", " is ", " equals ", " = \\) ", " | "))
STATEMENTS = st.tuples(NUMBERS, SIGNS, NUMBERS, EQUALS, NUMBERS).map("".join)
ARITHMETIC = st.lists(STATEMENTS | st.sampled_from(WORDS) | SIGNS | EQUALS, max_size=12).map("".join)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CONFIG = Path(str(find_config(Path("demo_phase2")).path)).read_text()


def spliced(text: bytes) -> st.SearchStrategy[bytes]:
    """The text with pieces cut out, doubled, or replaced by others."""
    edit = st.tuples(
        st.integers(0, len(text)),
        st.integers(0, 40),
        st.one_of(st.binary(max_size=12), st.sampled_from(YAML)),
    )

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = text
        for start, length, piece in edits:
            data = data[:start] + piece + data[start + length :]
        return data

    return st.lists(edit, min_size=1, max_size=6).map(apply)


YAML = (b"!!python/object:os.system x", b"&a [*a]", b"!x", b"? ", b": ", b"- ", b".inf", b".nan", b"1e999",
        b"{", b"}", b"[", b"]", b"<<: ", b"\n", b"\t", b"|", b">", b"'", b"!!set {", b"!!binary x", b"0x",
        b"2026-13-45", b"1:2:3", b"~", b"extends: a.yaml")  # fmt: skip
CSV = b'example_id,sample_id,text\r\n1,0,"a ""quoted"" text"\r\n2,1,NA\r\n'
ROW = GenerationRecord(
    example_id="1", sample_id=0, variant="v", condition="baseline", prompt="p", prompt_ids=[1, 2],
    completion="c", completion_ids=[3], finish_reason="stop", prompt_tokens=2, completion_tokens=1,
    gen_params={"temperature": 1.0}, seed_key="k",
).sealed("m").model_dump_json().encode() + b"\n"  # fmt: skip
TRACE = json.dumps([{"question": "1 + 1?", "response": "2. Wait, no.", "answer": "2"}]).encode()
DETECTOR = Detector(DetectionConfig())


def in_a_file(suffix: str, read: Callable[[Path], Any]) -> Callable[[bytes], None]:
    """Give the bytes to a reader as a file."""

    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"input{suffix}"
            path.write_bytes(data)
            read(path)

    return run


def traces(path: Path) -> None:
    columns = Columns().found(read_rows(str(path))) or Columns()
    for row in read_rows(str(path)):
        columns.trace(row)


def run_id(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        paths = RunPaths(root, check_id("run id", name))
        assert paths.root.resolve().parent == root.resolve()
        assert paths.meta.resolve().is_relative_to(root.resolve())


def path_inside(relative: str) -> None:
    if "\0" in relative:
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = RunPaths(Path(folder), "run")
        assert paths.inside(relative, "key").resolve().is_relative_to(paths.root.resolve())


def intervention(data: Any) -> None:
    made = Intervention.model_validate(data)
    condition = Condition(name="c", interventions=(made,))
    assert Condition.model_validate_json(condition.model_dump_json()) == condition


def onsets(text: str) -> None:
    for onset in [*DETECTOR.find(text), *DETECTOR.turns(text), *DETECTOR.all_matches(text)]:
        assert 0 <= onset.start < onset.end <= len(text)


def steps(text: str) -> None:
    for step in find_steps(text):
        assert 0 <= step.start < step.end <= len(text)
        for span in (*step.operands, step.result):
            assert step.start <= span[0] < span[1] <= step.end


INTERVENTIONS = st.fixed_dictionaries(
    {"component": st.sampled_from(["attn", "mlp", "resid"]) | TEXTS, "layer": st.integers() | JSONS},
    optional={
        "mode": st.sampled_from(["scale", "zero", "mean", "add", "project"]) | JSONS,
        "strength": st.floats() | JSONS,
        "head": st.integers() | JSONS,
        "vector": JSONS,
        "when": st.dictionaries(st.sampled_from(["phase", "steps", "after_tokens", "onset"]), JSONS) | JSONS,
    },
)


@dataclass(frozen=True)
class Target:
    """What is given hostile input; only these exceptions may leave it."""

    inputs: st.SearchStrategy[Any]
    run: Callable[[Any], Any]
    refuses_with: tuple[type[Exception], ...] = (UserError,)


TARGETS = {
    "config": Target(spliced(CONFIG.encode()), in_a_file(".yaml", load_config)),
    "override": Target(TEXTS, lambda text: load_config(Path("demo"), [f"generation.temperature={text}"])),
    "detector": Target(TEXTS, onsets),
    "answers": Target(TEXTS, lambda text: judge_answer(text, "12", think_close="</think>")),
    "gold answers": Target(
        st.tuples(TEXTS, TEXTS), lambda pair: (grade(*pair), judge_answer(*pair, think_close="</think>"))
    ),
    "cut answers": Target(TEXTS, lambda text: judge_answer(text, "12", truncated=True)),
    "arithmetic": Target(TEXTS | ARITHMETIC, steps),
    "rows": Target(
        spliced(ROW * 3),
        in_a_file(".jsonl", lambda path: list(io.read_jsonl(path, GenerationRecord, made_by="x"))),
    ),
    "table": Target(spliced(CSV) | st.binary(), in_a_file(".csv", io.read_csv)),
    "JSON": Target(
        JSONS.map(lambda data: json.dumps(data).encode()) | st.binary(),
        in_a_file(".json", lambda path: io.read_json(path, made_by="x")),
    ),
    "traces as JSON": Target(spliced(TRACE) | JSONS.map(lambda data: json.dumps(data).encode()),
                             in_a_file(".json", traces)),
    "traces as JSONL": Target(spliced(TRACE[1:-1] + b"\n"), in_a_file(".jsonl", traces)),
    "traces as CSV": Target(spliced(CSV) | st.binary(), in_a_file(".csv", traces)),
    "traces as Parquet": Target(st.binary().map(lambda data: b"PAR1" + data + b"PAR1"),
                                in_a_file(".parquet", traces)),
    "traces as .eval": Target(st.binary().map(lambda data: b"PK\x03\x04" + data), in_a_file(".eval", traces)),
    "run ids": Target(st.text(max_size=120) | st.sampled_from(["..", "a/../b", "a\n", "."]), run_id),
    "paths": Target(
        st.lists(st.sampled_from(["..", ".", "/", "a", "~", "é"]) | st.text(max_size=5)).map("/".join),
        path_inside,
    ),
    "interventions": Target(INTERVENTIONS, intervention, (ValidationError,)),
    "queries": Target(
        TEXTS | TEXTS.map(lambda text: f"#rows?q={text}"),
        lambda link: Query.parse(link, SimpleNamespace(facets=[])),
    ),
}  # fmt: skip
"""By name."""
