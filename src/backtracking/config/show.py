"""A config as a person reads it: resolved, with where each value came from, or every key with its meaning."""

import json
import types
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from backtracking.config.base import Section
from backtracking.config.load import LoadedConfig
from backtracking.config.mistakes import section_at, strip_optional
from backtracking.config.reading import RESOLVED_FROM
from backtracking.config.schema import ExperimentConfig


def dump_resolved(loaded: LoadedConfig) -> str:
    """The whole config as YAML, each value marked with where it came from; loads again as it is."""
    lines = [f"{RESOLVED_FROM}{loaded.source}; the comment behind a value says where it came from"]
    _dump(loaded.config.model_dump(mode="json"), "", 0, loaded, lines)
    return "\n".join(lines) + "\n"


def _dump(data: dict[str, Any], prefix: str, depth: int, loaded: LoadedConfig, lines: list[str]) -> None:
    for key, value in data.items():
        dotted = f"{prefix}{key}"
        indent = "  " * depth
        if (
            isinstance(value, dict)
            and value
            and section_at(tuple(dotted.split(".")), ExperimentConfig) is not None
        ):
            lines.append(f"{indent}{key}:")
            _dump(value, f"{dotted}.", depth + 1, loaded, lines)
        else:
            inline = json.dumps(value, ensure_ascii=False)  # JSON is YAML, on one line, with safe escapes
            lines.append(f"{indent}{key}: {inline}  # {loaded.origin(dotted)}")


@dataclass(frozen=True)
class KeyDoc:
    """One config key as the documentation shows it."""

    key: str
    kind: str
    default: str
    text: str


def key_docs(section: type[Section] = ExperimentConfig, prefix: str = "") -> list[KeyDoc]:
    """Every key with its type, default and meaning, in the order of the schema."""
    docs: list[KeyDoc] = []
    for name, info in section.model_fields.items():
        kind = strip_optional(info.annotation)
        text = " ".join((info.description or "").split())
        if isinstance(kind, type) and issubclass(kind, Section):
            docs.append(KeyDoc(f"{prefix}{name}", "section", "", text))
            docs += key_docs(kind, f"{prefix}{name}.")
        else:
            docs.append(KeyDoc(f"{prefix}{name}", _type_name(info.annotation), _default_text(info), text))
    return docs


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if origin is typing.Union or isinstance(kind, types.UnionType):
        return " or ".join("null" if a is type(None) else _type_name(a) for a in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type_name(arguments[1])}"
    name = str(kind.__name__)
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(name, name)


def _default_text(info: Any) -> str:
    default = info.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        default = [item.model_dump() if isinstance(item, BaseModel) else item for item in default]
    return json.dumps(default, ensure_ascii=False)
