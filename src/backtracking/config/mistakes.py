"""What is wrong with keys and values, in words for the person: of a config file, or of keyword arguments."""

import difflib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_UNION_TAGS = {"short", "full"}
_EXPECTED = {
    "model_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "tuple_type": "a list",
    "none_required": "null",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "float_type": "a number",
    "float_parsing": "a number",
}

_OWN = "Value error, "
"""What pydantic puts before messages of ours."""

Loc = tuple[str | int, ...]


def complaints(
    error: ValidationError, schema: type[BaseModel], called: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """What is wrong with each dotted key of a schema, and under "" what is wrong with several together.

    Keys may be `called` otherwise where they were given.
    """
    problems, names = error.errors(), called or {}
    told: dict[str, list[str]] = {}
    for problem in problems:
        loc = place_of(problem)
        if problem["type"] == "too_short" and any(_is_inside(other["loc"], loc) for other in problems):
            continue  # only short because its items are wrong, which is said already
        said = _say(problem, loc, schema, names) if loc else problem["msg"].removeprefix(_OWN)
        told.setdefault(".".join(names.get(str(part), str(part)) for part in loc), []).append(said)
    return told


def place_of(problem: Any) -> Loc:
    """The keys that lead to a mistake, without pydantic's marks of which kind of value it tried."""
    return tuple(part for part in problem["loc"] if not _is_union_tag(part))


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part in _UNION_TAGS or "[" in part or part == "constrained-int")


def _is_inside(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _say(problem: Any, loc: Loc, schema: type[BaseModel], called: Mapping[str, str]) -> str:
    kind, value = problem["type"], _short(problem["input"])
    if kind == "extra_forbidden":
        return f"unknown key{_did_you_mean(loc, schema, called)}"
    if kind == "missing":
        return "missing"
    if kind == "string_pattern_mismatch":
        return f"{value} does not fit the pattern {problem['ctx']['pattern']}"
    if kind == "value_error":
        return f"{problem['msg'].removeprefix(_OWN)} (it is {value})"
    message = _EXPECTED.get(kind, problem["msg"].removeprefix("Input should be "))
    if kind in _EXPECTED or message[:1].islower() or message[:1] == "'":
        return f"must be {message}, not {value}"
    return f"{message} (it is {value})"


def _short(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _did_you_mean(loc: Loc, schema: type[BaseModel], called: Mapping[str, str]) -> str:
    section = section_at(loc[:-1], schema)
    if section is None:
        return ""
    names = [called.get(name, name) for name in section.model_fields]
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"


def section_at(loc: Loc, schema: type[BaseModel]) -> type[BaseModel] | None:
    """The section of a schema that a dotted place in it belongs to; none for a plain value."""
    kind: Any = schema
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            arguments = [a for a in typing.get_args(kind) if a not in (str, Ellipsis, type(None))]
            kind = arguments[-1] if arguments else None
        kind = strip_optional(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def strip_optional(kind: Any) -> Any:
    """`X | None` as `X`."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        rest = [argument for argument in typing.get_args(kind) if argument is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind
