"""The word problems: from the hub, a local file, or made on the spot, into one record shape."""

import json
import math
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backtracking.config.schema import MADE_HERE, DatasetConfig
from backtracking.errors import UserError
from backtracking.run.hub import asking_hub
from backtracking.run.records import Problem
from backtracking.sources.columns import GUESSES, by_role, guess, listed
from backtracking.text.answers.grading import parse_number

_HUB_IDS = {"gsm8k": ("openai/gsm8k", "main")}
_FILE_BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_LIKELY = {
    "question": ("question", *GUESSES["prompt"]),
    "answer": ("answer", "solution", "rationale"),
    "answer_value": ("answer_value", *GUESSES["gold"]),
}
_GOLD = re.compile(r"####\s*((?:(?!####).)+?)\s*$", re.DOTALL)


def load_problems(config: DatasetConfig) -> list[Problem]:
    """The problems that the config asks for, drawn reproducibly."""
    if config.path is None and config.name == MADE_HERE:
        from backtracking.organism.task import problems_made_here

        return problems_made_here(config.split, config.max_examples, config.seed)
    rows = _read_local(Path(config.path)) if config.path is not None else _read_hub(config)
    read = problems_of_rows(rows, config, config.path or config.name)
    if config.shuffle:
        random.Random(config.seed).shuffle(read)
    return read[: config.max_examples]


def problems_of_rows(
    rows: Iterable[Problem | Mapping[str, Any]], config: DatasetConfig, source: str
) -> list[Problem]:
    """Rows as problems, their columns as `dataset.columns` says; `source` names them in messages."""
    problems = [
        row if isinstance(row, Problem) else _to_problem(row, index, config, source)
        for index, row in enumerate(rows)
    ]
    if not problems:
        raise UserError(f"{source} holds no problems", next_step="check dataset.path and dataset.split")
    _refuse_repeated_ids(problems, source)
    return problems


def _read_local(path: Path) -> Iterable[Mapping[str, Any]]:
    if not path.exists():
        raise UserError(f"dataset.path: {path} does not exist", next_step="correct dataset.path")
    if path.is_dir():
        return _read_saved_folder(path)
    builder = _FILE_BUILDERS.get(path.suffix.lower())
    if builder is None:
        raise UserError(
            f"dataset.path: {path.name} has an unknown ending",
            next_step=f"use one of {', '.join(_FILE_BUILDERS)} or a folder written by datasets' save_to_disk",
        )
    import pandas as pd

    try:
        if path.suffix.lower() == ".jsonl":
            return _read_jsonl(path)
        if path.suffix.lower() == ".json":
            return _read_json(path)
        # `NA` in a file is a text; only an empty cell is missing.
        is_csv = builder == "csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False) if is_csv else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise UserError(f"cannot read {path}", str(error)) from error
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _read_jsonl(path: Path) -> list[Mapping[str, Any]]:
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except json.JSONDecodeError as error:
                    raise UserError(f"{path}, line {number}: not valid JSON", str(error)) from error
    return rows


def _read_json(path: Path) -> list[Mapping[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON", str(error)) from error
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else data
    if not isinstance(data, list):
        raise UserError(f"{path} holds no list of problems", f"its top level is {type(data).__name__}")
    return data


def _read_saved_folder(path: Path) -> Iterable[Mapping[str, Any]]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"dataset.path: {path} is not a saved dataset folder", str(error)) from error
    if isinstance(loaded, datasets.DatasetDict):
        raise UserError(
            f"dataset.path: {path} holds several splits",
            next_step=f"name one, e.g. {path / next(iter(loaded))}",
        )
    rows: Iterable[Mapping[str, Any]] = loaded
    return rows


def _read_hub(config: DatasetConfig) -> Iterable[Mapping[str, Any]]:
    import datasets

    hub_id, default_config = _HUB_IDS.get(config.name, (config.name, None))
    hub_config = config.hub_config or default_config
    local = "set dataset.path to a local JSONL, JSON, CSV or Parquet file"
    is_reached = False
    try:
        with asking_hub("dataset", hub_id, "dataset.name", local) as is_reached:
            rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(hub_id, hub_config, split=config.split)
    except UserError:
        raise
    except Exception as error:  # the hub client raises many kinds; all mean that it could not be had
        said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}"
        offline = "the hub is not within reach, and no copy is in this machine's cache"
        part = (
            f"split {config.split}"
            if hub_config is None
            else f"configuration {hub_config}, split {config.split}"
        )
        raise UserError(
            f"cannot load dataset {hub_id!r} ({part})",
            said if is_reached else offline,
            f"check the name and the network, or {local}",
        ) from error
    return rows


def _to_problem(row: Mapping[str, Any], index: int, config: DatasetConfig, source: str) -> Problem:
    if not isinstance(row, Mapping):
        raise UserError(f"{source}, row {index + 1}: not a mapping", "each row needs `question` and `answer`")
    where = f"{source}, row {index + 1}"
    named = by_role(row, config.columns or {}, f"{where}: dataset.columns.")
    given = {str(key): value for key, value in named.items() if not _is_missing(value)}
    missing = [name for name in ("question", "answer") if name not in given]
    if missing == ["answer"] and "answer_value" in given:
        given["answer"], missing = f"#### {given['answer_value']}", []
    if missing:
        raise UserError(
            f"{where}: no {' and no '.join(missing)}",
            f"its columns are {listed(row)}",
            "each row needs `question` and `answer` (a number, or a text ending in `#### N`),"
            " or `answer_value` in its place" + _other_names(named),
        )
    _refuse_half_characters(given, where)
    called = Path(config.path).stem if config.path else Path(config.name).name
    return Problem(
        id=str(given.get("id", f"{called}-{config.split}-{index:05d}")),
        question=str(given["question"]).strip(),
        answer=str(given["answer"]).strip(),
        answer_value=_gold_value(given, where),
    )


def _other_names(row: Mapping[str, Any]) -> str:
    """Which columns may be meant, where they go by names that others use."""
    likely = guess(row, {}, _LIKELY)
    named = ", ".join(f"{role}: {name}" for role, name in likely.items() if role not in row)
    return f"; where they have other names, say so, perhaps columns: {{{named}}}" if named else ""


def _refuse_half_characters(row: Mapping[str, Any], where: str) -> None:
    """JSON can spell a lone surrogate, which is no text and which no file can keep."""
    for name, value in row.items():
        try:
            str(value).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{where}: {name} is not text", f"it holds half of a character: {error}", "correct that row"
            ) from None


def _is_missing(value: Any) -> bool:
    """Nothing, an empty text, or a table's not-a-number."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or not str(value).strip()


def _gold_value(row: Mapping[str, Any], where: str) -> str:
    """The bare value: a column of its own, what follows `####`, or an answer that is but a number."""
    if "answer_value" in row:
        return _without_separators(str(row["answer_value"]))
    answer = str(row["answer"]).strip()
    match = _GOLD.search(answer)
    if match is None and not _is_number(answer):
        raise UserError(
            f"{where}: the answer is no number and has no `#### N`",
            f"it ends in {answer[-40:]!r}",
            "end each answer with `#### N`, or add an `answer_value` column",
        )
    value = answer if match is None else match.group(1)
    return _without_separators(value.replace("$", ""))


def _without_separators(value: str) -> str:
    """A number without its commas; where they may be something else (12,5), the value as it is."""
    return (value.replace(",", "") if parse_number(value) is not None else value).strip()


def _is_number(answer: str) -> bool:
    """Whether an answer is one word that states a number, and no sentence with a number in it."""
    return len(answer.split()) == 1 and "####" not in answer and parse_number(answer) is not None


def _refuse_repeated_ids(problems: list[Problem], source: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise UserError(
                f"{source}: the id {problem.id!r} appears twice",
                "rows are joined by id, so ids must differ",
                "make the ids unique, or leave the id column out",
            )
        seen.add(problem.id)
