"""Problems to study: made on the spot, read from the hub or a file, or your own."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backtracking.api.settings import checked
from backtracking.config.schema import MADE_HERE, DatasetConfig
from backtracking.errors import UserError
from backtracking.run.records import Problem
from backtracking.sources.columns import Role, by_role
from backtracking.sources.problems import load_problems, problems_of_rows

_CALLED = {"max_examples": "count"}
_NAME = re.compile(r"[\w.~/\\:-]+")
_FILE_ENDINGS = (".jsonl", ".json", ".csv", ".parquet")
ALL = 10**9
Asked = int | str | Path | Iterable[str] | Iterable[Problem | Mapping[str, Any]]
"""What `generate` takes: a count, one question or several, or problems."""


def problems(
    source: int | str | Path | Iterable[Problem | Mapping[str, Any]] = MADE_HERE,
    count: int | None = None,
    *,
    split: str = "test",
    shuffle: bool = True,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Word problems with gold answers.

    - `problems(20)`: that many for the bundled reasoner, made on the spot;
    - `problems("gsm8k", 50)`: of a hub dataset with `question` and `answer` columns;
    - `problems("mine.jsonl")`: of a JSONL, JSON, CSV or Parquet file, or a folder of `datasets`;
    - `problems([{"question": "2 + 3?", "answer": 5}])`: your own, any iterable of mappings, so also a
      `datasets.Dataset`.

    An answer is a number, or a solution that ends in `#### value`.
    `columns` says what the rows call them where they have other names: `{"question": "problem"}`; beside
    `question` and `answer` there are `id` and `answer_value`, a column with the bare value.
    Those of the hub or a file are shuffled with the seed unless `shuffle` is false; `id` columns are kept.
    """
    if isinstance(source, int):
        if count is not None:
            raise UserError(f"bt.problems({source}, {count}) gives the count twice", next_step="give it once")
        count, source = source, MADE_HERE
    if isinstance(source, str | Path):
        is_file = isinstance(source, Path) or Path(source).exists()
        asked = {
            "path" if is_file else "name": str(source),
            "max_examples": _count_of(source) if count is None else count,
        }
        more = {"split": split, "shuffle": shuffle, "seed": seed, "columns": columns}
        return load_problems(checked(DatasetConfig, asked | more, "bt.problems", _CALLED))
    asked = {"name": "problem", "max_examples": ALL if count is None else count, "columns": columns}
    config = checked(DatasetConfig, asked, "bt.problems", _CALLED)
    given = [_row(item, config.columns or {}) for item in _items(source)]
    if not given:
        raise UserError("there are no problems", next_step='give some: [{"question": "2 + 3?", "answer": 5}]')
    named = config.model_copy(update={"columns": None})
    return problems_of_rows(given, named, "these problems")[: config.max_examples]


def asked_about(source: Asked) -> list[Problem]:
    """What `generate` is given, as problems: texts are questions, without gold answers."""
    if isinstance(source, str):
        return [_question(source, "question")]
    if isinstance(source, int | Path):
        return problems(source)
    items = list(_items(source))
    if items and all(isinstance(item, str) for item in items):
        return [_question(item, f"question_{number}") for number, item in enumerate(items, start=1)]
    return problems(items)


def _question(text: str, called: str) -> Problem:
    """A problem without a gold answer."""
    asked = text.strip()
    if not asked:
        raise UserError("a question is empty", next_step='lm.generate("What is 2 + 2?")')
    if _NAME.fullmatch(asked) or asked.lower().endswith(_FILE_ENDINGS):
        raise UserError(
            f"{text!r} reads like the name of a dataset or a file, not like a question",
            next_step=f"lm.generate(bt.problems({text!r}))",
        )
    return Problem(id=called, question=asked, answer="", answer_value="")


def _count_of(source: str | Path) -> int:
    """How many problems there are where nobody said: those that are made have no end."""
    return 20 if source == MADE_HERE else ALL


def _items(source: Any) -> Iterable[Any]:
    """The rows of a table or of anything iterable; one problem stands for itself."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        rows: list[Any] = source.to_dict("records")
        return rows
    if isinstance(source, Problem | Mapping):
        return [source]
    if not isinstance(source, Iterable):
        raise UserError(
            f"{source!r} holds no problems", next_step="give a number, a name, a file, or mappings"
        )
    return source


def _row(item: Problem | Mapping[str, Any], columns: Mapping[Role, str]) -> Problem | Mapping[str, Any]:
    """A row in the shape of a dataset's, its columns under the names of their roles."""
    if isinstance(item, Problem) or not isinstance(item, Mapping):
        return item
    return by_role(item, columns, "bt.problems: columns.")
