"""From YAML to a checked config: inheritance, overrides, the origin of every key, all mistakes at once."""

import difflib
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from backtracking.config.base import Section
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.run.provenance import digest

DEFAULT = "default"
_RESOLVED_FROM = "# resolved from "
_SPELLINGS = {"model.torch_dtype": "model.dtype"}
"""Keys that may also be written otherwise."""
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

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config that remembers where each of its keys came from."""

    config: ExperimentConfig
    source: str
    origins: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    """Keys of an earlier implementation that mean nothing here."""

    def origin(self, key: str) -> str:
        """Where a dotted key got its value: a file and line, an override, or the default."""
        own = self.origins.get(_SPELLINGS.get(key, key)) or self.origins.get(key, DEFAULT)
        inner = {origin for known, origin in self.origins.items() if known.startswith(f"{key}.")}
        return f"{own}, partly --set" if "--set" in inner and own != "--set" else own

    @property
    def hash(self) -> str:
        return config_hash(self.config)


def config_hash(config: ExperimentConfig) -> str:
    """Identity of what is asked for, whatever the run is called and wherever it is kept."""
    return digest(config.model_dump(mode="json", exclude={"run": {"run_id", "output_dir"}}))


def load_config(
    path: Path, overrides: list[str] | None = None, *, skip_unknown: bool = False
) -> LoadedConfig:
    """Read a config file with everything it extends, apply `a.b=c` overrides, and check it whole.

    Configs of an earlier implementation may have keys that are unknown here; they can be skipped.
    """
    data, origins = _read_with_parents(path, seen=())
    for override in overrides or []:
        key, value = _parse_override(override)
        _assign(data, key.split("."), value, override)
        for stale in [known for known in origins if known == key or known.startswith(f"{key}.")]:
            del origins[stale]
        origins |= dict.fromkeys(_dotted_keys(key, value), "--set")
    ignored = _drop_unknown(data) if skip_unknown else ()
    try:
        config = ExperimentConfig.model_validate(data)
    except ValidationError as error:
        mistakes = _explain(error, path, origins)
        raise UserError(
            f"{path}: {_count(mistakes)}",
            "\n        ".join(mistakes),
            "mend the keys above; `backtracking config show --explain` lists every key and what it takes",
        ) from None
    source = _resolved_from(path.read_text(encoding="utf-8").splitlines()[:1]) or str(path)
    return LoadedConfig(config, source, origins, ignored)


def _drop_unknown(data: dict[str, Any]) -> tuple[str, ...]:
    """Take out the keys that the schema does not have; returns them."""
    try:
        ExperimentConfig.model_validate(data)
    except ValidationError as error:
        unknown = [
            [part for part in problem["loc"] if not _is_union_tag(part)]
            for problem in error.errors()
            if problem["type"] == "extra_forbidden"
        ]
        for *sections, key in unknown:
            section: Any = data
            for name in sections:
                section = section[name]
            del section[key]
        return tuple(".".join(map(str, loc)) for loc in unknown)
    return ()


def _count(mistakes: list[str]) -> str:
    return "one mistake in the config" if len(mistakes) == 1 else f"{len(mistakes)} mistakes in the config"


# --- reading ---------------------------------------------------------------------------------------


def _read_with_parents(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    if path.resolve() in seen:
        chain = " -> ".join(str(step) for step in (*seen, path))
        raise UserError(f"{path}: `extends` goes round in a circle", chain, "remove one of the extends")
    data, lines = _read_yaml(path)
    own_origins = _noted_origins(path, lines) or {key: f"{path}:{line}" for key, line in lines.items()}
    parent = data.pop("extends", None)
    own_origins.pop("extends", None)
    if parent is None:
        return data, own_origins
    if not isinstance(parent, str):
        raise UserError(f"{path}: extends must name one file", f"it is {parent!r}")
    if not (path.parent / parent).exists():
        raise UserError(
            f"{path}: extends names {parent!r}, but there is no config file {path.parent / parent}"
        )
    base, origins = _read_with_parents(path.parent / parent, (*seen, path.resolve()))
    return _merge(base, data), origins | own_origins


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1)
        hint = (
            f"did you mean {path.parent / near[0]}?" if near else "give the path of a YAML file with --config"
        )
        raise UserError(f"no config file {path}", next_step=hint) from None
    except (IsADirectoryError, UnicodeDecodeError, PermissionError) as error:
        raise UserError(f"cannot read {path} as a config file", str(error)) from None
    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _note_lines(node, "", lines, path)
        data = yaml.safe_load(text)
    except RecursionError:
        raise UserError(
            f"{path}: nested too deeply, or an alias contains itself",
            "a config has a few levels, and no circles",
        ) from None
    except ValueError as error:  # a date or number that YAML recognises and Python refuses
        raise UserError(f"{path}: a value cannot be read", str(error), "put it in quotes") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{where}: not valid YAML", problem, "mend that line") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a config is a mapping of sections", f"the file holds {type(data).__name__}")
    return data, lines


def _noted_origins(path: Path, lines: dict[str, int]) -> dict[str, str]:
    """A run's resolved config says of each value where it came from; that stays its origin."""
    text = path.read_text(encoding="utf-8").splitlines()
    if _resolved_from(text) is None:
        return {}
    comments = {key: text[line - 1].rpartition("  # ")[2] for key, line in lines.items()}
    return {key: origin for key, origin in comments.items() if origin not in (DEFAULT, text[lines[key] - 1])}


def _resolved_from(text: list[str]) -> str | None:
    """The config that a run's resolved config was made of."""
    if not text or not text[0].startswith(_RESOLVED_FROM):
        return None
    return text[0].removeprefix(_RESOLVED_FROM).partition(";")[0]


def _note_lines(node: yaml.Node | None, prefix: str, lines: dict[str, int], path: Path) -> None:
    """Record the line of every key, and refuse a key given twice (YAML would keep the last silently)."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            key = f"{prefix}{key_node.value}"
            line = key_node.start_mark.line + 1
            if key in lines and key_node.value != "<<":
                raise UserError(f"{path}, line {line}: {key} is given twice", f"first on line {lines[key]}")
            lines[key] = line
            _note_lines(value, f"{key}.", lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{prefix}{index}"] = value.start_mark.line + 1
            _note_lines(value, f"{prefix}{index}.", lines, path)


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key; anything else is replaced whole."""
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(
            f"--set {text!r} is not of the form key=value", next_step="e.g. --set generation.temperature=0.7"
        )
    try:
        return key.strip(), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"--set {text!r}: the value is not valid YAML", str(error)) from None


def _dotted_keys(key: str, value: Any) -> list[str]:
    inner = value.items() if isinstance(value, dict) else ()
    return [key, *(deeper for name, part in inner for deeper in _dotted_keys(f"{key}.{name}", part))]


def _assign(data: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
        if not isinstance(data, dict):
            raise UserError(f"--set {override!r}: {key} holds no keys", "it is not a section")
    data[keys[-1]] = value


# --- explaining mistakes ---------------------------------------------------------------------------


def _explain(error: ValidationError, path: Path, origins: dict[str, str]) -> list[str]:
    problems = error.errors()
    complaints: dict[str, list[str]] = {}
    for problem in problems:
        loc = tuple(part for part in problem["loc"] if not _is_union_tag(part))
        if problem["type"] == "too_short" and any(_is_inside(other["loc"], loc) for other in problems):
            continue  # only short because its items are wrong, which is said already
        if not loc:
            for text in problem["msg"].removeprefix("Value error, ").split("\n"):
                key, _, said = text.partition(": ")
                complaints.setdefault(key, []).append(said)
            continue
        complaints.setdefault(".".join(map(str, loc)), []).append(_say(problem, loc))
    return [f"{_place(key, path, origins)}{key}: {' or '.join(said)}" for key, said in complaints.items()]


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part in _UNION_TAGS or "[" in part or part == "constrained-int")


def _is_inside(loc: Loc, outer: Loc) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _say(problem: Any, loc: Loc) -> str:
    kind, value = problem["type"], _short(problem["input"])
    if kind == "extra_forbidden":
        return f"unknown key{_did_you_mean(loc)}"
    if kind == "missing":
        return "missing"
    if kind == "string_pattern_mismatch":
        return f"{value} does not fit the pattern {problem['ctx']['pattern']}"
    if kind == "value_error":
        return f"{problem['msg'].removeprefix('Value error, ')} (it is {value})"
    message = _EXPECTED.get(kind, problem["msg"].removeprefix("Input should be "))
    if kind in _EXPECTED or message[:1].islower() or message[:1] == "'":
        return f"must be {message}, not {value}"
    return f"{message} (it is {value})"


def _short(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(key: str, path: Path, origins: dict[str, str]) -> str:
    """File and line of the nearest key that somebody wrote, as a prefix."""
    while key:
        if key in origins:
            return f"{origins[key]}: "
        key = key.rpartition(".")[0]
    return f"{path}: "


def _did_you_mean(loc: Loc) -> str:
    section = _section_at(loc[:-1])
    if section is None:
        return ""
    names = list(section.model_fields)
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"


def _section_at(loc: Loc) -> type[BaseModel] | None:
    kind: Any = ExperimentConfig
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            arguments = [a for a in typing.get_args(kind) if a not in (str, Ellipsis, type(None))]
            kind = arguments[-1] if arguments else None
        kind = _strip_optional(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _strip_optional(kind: Any) -> Any:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        rest = [argument for argument in typing.get_args(kind) if argument is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


# --- showing ---------------------------------------------------------------------------------------


def dump_resolved(loaded: LoadedConfig) -> str:
    """The whole config as YAML, each value marked with where it came from; loads again as it is."""
    lines = [f"{_RESOLVED_FROM}{loaded.source}; the comment behind a value says where it came from"]
    _dump(loaded.config.model_dump(mode="json"), "", 0, loaded, lines)
    return "\n".join(lines) + "\n"


def _dump(data: dict[str, Any], prefix: str, depth: int, loaded: LoadedConfig, lines: list[str]) -> None:
    for key, value in data.items():
        dotted = f"{prefix}{key}"
        indent = "  " * depth
        if isinstance(value, dict) and value and _section_at(tuple(dotted.split("."))) is not None:
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
        kind = _strip_optional(info.annotation)
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
