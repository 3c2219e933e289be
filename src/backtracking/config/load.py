"""From YAML to a checked config: inheritance, overrides, the origin of every key, all mistakes at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backtracking.config.mistakes import complaints, place_of
from backtracking.config.reading import DEFAULT, parse_yaml, read_config
from backtracking.config.schema import ExperimentConfig
from backtracking.errors import UserError
from backtracking.run.provenance import digest

_SPELLINGS = {"model.torch_dtype": "model.dtype"}
"""Keys that may also be written otherwise."""


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config that remembers where each of its keys came from."""

    config: ExperimentConfig
    source: str
    origins: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    """Keys of an earlier implementation that mean nothing here."""
    parent: str | None = None
    """The config that this one extends."""

    def origin(self, key: str) -> str:
        """Where a dotted key got its value: a file and line, an override, or the default."""
        own = self.origins.get(_SPELLINGS.get(key, key)) or self.origins.get(key, DEFAULT)
        inner = {origin for known, origin in self.origins.items() if known.startswith(f"{key}.")}
        return f"{own}, partly --set" if "--set" in inner and own != "--set" else own

    @property
    def hash(self) -> str:
        """A digest of all values, the same for configs that ask for the same."""
        return config_hash(self.config)


def config_hash(config: ExperimentConfig) -> str:
    """Identity of what is asked for, whatever the run is called and wherever it is kept."""
    return digest(config.model_dump(mode="json", exclude={"run": {"run_id", "output_dir"}}))


def load_config(
    path: Path, overrides: list[str] | None = None, *, skip_unknown: bool = False
) -> LoadedConfig:
    """Read a config with everything it extends, apply `a.b=c` overrides, and check it whole.

    It is named by its path, or by the name under which it ships with the package.

    Configs of an earlier implementation may have keys that are unknown here; they can be skipped.
    """
    read = read_config(path)
    data, origins = read.data, dict(read.origins)
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
        mistakes = _explain(error, read.source, origins)
        blamed = _blamed(mistakes, read.source)
        said = [mistake.removeprefix("--set: ") for mistake in mistakes] if blamed == "--set" else mistakes
        raise UserError(
            f"{blamed}: {_count(mistakes)}",
            "\n        ".join(said),
            "correct the keys above; `backtracking config show --explain` lists every key and what it takes",
        ) from None
    return LoadedConfig(config, read.source, origins, ignored, read.parent)


def _drop_unknown(data: dict[str, Any]) -> tuple[str, ...]:
    """Take out the keys that the schema does not have; returns them."""
    try:
        ExperimentConfig.model_validate(data)
    except ValidationError as error:
        unknown = [
            list(place_of(problem)) for problem in error.errors() if problem["type"] == "extra_forbidden"
        ]
        for *sections, key in unknown:
            section: Any = data
            for name in sections:
                section = section[name]
            del section[key]
        return tuple(".".join(map(str, loc)) for loc in unknown)
    return ()


def _blamed(mistakes: list[str], source: str) -> str:
    """Where the mistakes were made: in the file, on the command line, or both."""
    typed = sum(mistake.startswith("--set: ") for mistake in mistakes)
    return source if not typed else "--set" if typed == len(mistakes) else f"{source} and --set"


def _count(mistakes: list[str]) -> str:
    return "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"


# --- overrides ---------------------------------------------------------------------------------------


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(
            f"--set {text!r} is not of the form key=value", next_step="e.g. --set generation.temperature=0.7"
        )
    return key.strip(), parse_yaml(value, f"--set {text!r}", "write the value as YAML")[1]


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


def _explain(error: ValidationError, source: str, origins: dict[str, str]) -> list[str]:
    told = complaints(error, ExperimentConfig)
    for line in "\n".join(told.pop("", [])).splitlines():
        key, _, said = line.partition(": ")
        told.setdefault(key, []).append(said)
    return [f"{_place(key, source, origins)}{key}: {' or '.join(said)}" for key, said in told.items()]


def _place(key: str, source: str, origins: dict[str, str]) -> str:
    """File and line of the nearest key that somebody wrote, as a prefix; options write inner keys."""
    if key not in origins and any(
        known.startswith(f"{key}.") and origin == "--set" for known, origin in origins.items()
    ):
        return "--set: "
    while key:
        if key in origins:
            return f"{origins[key]}: "
        key = key.rpartition(".")[0]
    return f"{source}: "
