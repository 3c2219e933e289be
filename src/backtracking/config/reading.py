"""From YAML text to plain data that knows the line of every key."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from backtracking.config.shipped import ConfigFile, find_config, shipped_config, shipped_names
from backtracking.errors import UserError

DEFAULT = "default"
RESOLVED_FROM = "# resolved from "
_MOST_NODES = 100_000
"""Far more than a config has; aliases of aliases reach it within a few lines."""
_MISREAD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What YAML's constructors raise for a value that is not of the kind it looks like, or is tagged as."""


class _NullByteError(Exception):
    """A value that no path can hold."""


@dataclass(frozen=True)
class ReadConfig:
    """A config's data with that of all it extends, and where each key stands."""

    data: dict[str, Any]
    origins: dict[str, str]
    source: str
    parent: str | None = None
    """The config that it extends, by the name with which `--config` finds it."""


def read_config(path: Path) -> ReadConfig:
    """Read a config, by its path or by the name under which it ships, and everything that it extends."""
    file = find_config(path)
    if file is None:
        raise UserError(f"no config file {path}", next_step=_near(path))
    return _read_with_parents(file, ())


def parse_yaml(text: str, where: str, place: str = "correct that line") -> tuple[yaml.Node | None, Any]:
    """YAML as nodes and as data; every way of being wrong is the person's mistake."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if _weight(node, {}) > _MOST_NODES:
            raise UserError(
                f"{where}: far too large for a config",
                f"with its aliases written out it has more than {_MOST_NODES:,} values",
                "write the few values that are meant",
            )
        return node, yaml.safe_load(text)
    except RecursionError:
        raise UserError(
            f"{where}: nested too deeply, or an alias contains itself",
            "a config has a few levels, and no circles",
        ) from None
    except UnicodeEncodeError:
        raise UserError(
            f"{where}: a value is not text",
            "it holds half of a character (a lone surrogate), which no file can keep",
            "write the whole character",
        ) from None
    except _NullByteError:
        raise UserError(
            f"{where}: a value is not text", "it holds a null byte, which no path can", "take it out"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise UserError(
            f"{at}: not valid YAML", getattr(error, "problem", None) or str(error), place
        ) from None
    except _MISREAD as error:
        why = str(error) if isinstance(error, ValueError) else "it is not of the kind that its tag says"
        raise UserError(f"{where}: a value cannot be read", why, "put it in quotes") from None


def _weight(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values there are with all aliases written out; counted without writing them out."""
    if node is None:
        return 0
    if id(node) not in known:
        if isinstance(node, yaml.ScalarNode):
            node.value.encode()  # refuses lone surrogates
            if "\0" in node.value:
                raise _NullByteError
            inner: list[yaml.Node] = []
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        else:
            inner = list(node.value)
        known[id(node)] = 1 + sum(_weight(part, known) for part in inner)
    return known[id(node)]


def _read_with_parents(file: ConfigFile, seen: tuple[ConfigFile, ...]) -> ReadConfig:
    if file.path.resolve() in {other.path.resolve() for other in seen}:
        chain = " -> ".join(step.label for step in (*seen, file))
        raise UserError(f"{file.label}: `extends` goes round in a circle", chain, "remove one of the extends")
    text = _read_text(file)
    data, lines = _read_yaml(text, file.label)
    places = _noted_origins(text.splitlines(), lines) or {
        k: f"{file.label}:{line}" for k, line in lines.items()
    }
    own = ReadConfig(data, places, resolved_from(text.splitlines()) or file.label)
    parent, replaced = data.pop("extends", None), data.pop("replaces", [])
    for key in [key for key in own.origins if key.partition(".")[0] in ("extends", "replaces")]:
        del own.origins[key]
    if parent is None:
        if replaced:
            raise UserError(
                f"{file.label}: `replaces` goes with `extends`", "there is nothing to take keys from"
            )
        return own
    extended = _parent(file, parent)
    base = _read_with_parents(extended, (*seen, file))
    for key in _replaced_keys(file, replaced, data):
        base = _without(base, key)
    return ReadConfig(_merge(base.data, data), base.origins | own.origins, own.source, extended.label)


def _parent(file: ConfigFile, named: Any) -> ConfigFile:
    """The file that a config extends: beside it, else the config that ships under that name."""
    if not isinstance(named, str):
        raise UserError(f"{file.label}: extends must name one file", f"it is {named!r}")
    shipped = shipped_config(Path(named).stem) if Path(named).name == named else None
    parent = (None if file.ships else find_config(file.path.parent / named)) or shipped
    if parent is None:
        shown = named if len(named) <= 80 else f"{named[:77]}..."
        raise UserError(f"{file.label}: extends names {shown!r}, but there is no config file of that name")
    return parent


def _replaced_keys(file: ConfigFile, named: Any, data: dict[str, Any]) -> list[str]:
    """The dotted keys whose values are to take the place of the parent's, rather than to join them."""
    keys = [named] if isinstance(named, str) else named
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise UserError(f"{file.label}: replaces must name one key, or be a list of them", f"it is {named!r}")
    for key in keys:
        if not _holds(data, key):
            raise UserError(
                f"{file.label}: replaces names {key!r}, which this config does not set",
                "what it replaces has to be given beside it",
                "write the whole dotted key, e.g. phase2.subset_sweep.subsets",
            )
    return keys


def _holds(data: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _without(base: ReadConfig, key: str) -> ReadConfig:
    """A config as if it had not set a dotted key, nor anything inside it."""
    origins = {k: at for k, at in base.origins.items() if k != key and not k.startswith(f"{key}.")}
    return replace(base, data=_dropped(base.data, key.split(".")), origins=origins)


def _dropped(data: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    first, *rest = parts
    if not rest:
        return {name: value for name, value in data.items() if name != first}
    inner = data.get(first)
    return data | {first: _dropped(inner, rest)} if isinstance(inner, dict) else data


def _near(path: Path) -> str:
    """What the person may have meant."""
    if shipped_config(path.stem):
        return f"did you mean the one that comes with the package? --config {path.stem}"
    try:
        if path.is_symlink():
            return "it is a link that leads nowhere"
        beside = {file.stem: str(file) for file in path.parent.glob("*.y*ml")}
    except (OSError, ValueError):
        beside = {}
    names = {name: name for name in shipped_names()} | beside
    near = difflib.get_close_matches(path.stem, names, n=1)  # all files are alike in their ending
    if near:
        return f"did you mean {names[near[0]]}?"
    return f"give a YAML file with --config, or a config that comes along: {', '.join(shipped_names())}"


def _read_text(file: ConfigFile) -> str:
    try:
        return file.path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file.label} as a config file", str(error)) from None


def _read_yaml(text: str, where: str) -> tuple[dict[str, Any], dict[str, int]]:
    node, data = parse_yaml(text, where)
    lines: dict[str, int] = {}
    _note_lines(node, "", lines, where)
    if not isinstance(data, dict):
        raise UserError(
            f"{where}: a config is a mapping of sections", f"the file holds {type(data).__name__}"
        )
    return data, lines


def _noted_origins(text: list[str], lines: dict[str, int]) -> dict[str, str]:
    """A run's resolved config says of each value where it came from; that stays its origin."""
    if resolved_from(text) is None:
        return {}
    comments = {key: text[line - 1].rpartition("  # ")[2] for key, line in lines.items()}
    return {key: origin for key, origin in comments.items() if origin not in (DEFAULT, text[lines[key] - 1])}


def resolved_from(text: list[str]) -> str | None:
    """The config that a run's resolved config was made of."""
    if not text or not text[0].startswith(RESOLVED_FROM):
        return None
    return text[0].removeprefix(RESOLVED_FROM).partition(";")[0]


def _note_lines(node: yaml.Node | None, prefix: str, lines: dict[str, int], where: str) -> None:
    """Record the line of every key, and refuse a key given twice (YAML would keep the last silently)."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            key = f"{prefix}{key_node.value}"
            line = key_node.start_mark.line + 1
            if key in lines and key_node.value != "<<":
                raise UserError(f"{where}, line {line}: {key} is given twice", f"first on line {lines[key]}")
            lines[key] = line
            _note_lines(value, f"{key}.", lines, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{prefix}{index}"] = value.start_mark.line + 1
            _note_lines(value, f"{prefix}{index}.", lines, where)


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key; anything else is replaced whole."""
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping of dotted keys."""
    leaves: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves
