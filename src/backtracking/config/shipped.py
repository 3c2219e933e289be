"""The configs that come with the package: where they lie and what they are called."""

from dataclasses import dataclass
from pathlib import Path

_SHORT = {
    "r1_gsm8k": "backtracking_state_transition",
    "r1_gsm8k_phase2": "backtracking_state_transition_phase2",
}
"""Short names beside the files' own."""
_LONGEST_LINK = 260


@dataclass(frozen=True)
class ConfigFile:
    """A config file, and what messages call it: the path as typed, or the name under which it ships."""

    path: Path
    label: str
    ships: bool = False


def find_config(given: Path) -> ConfigFile | None:
    """The file of this path, else the config that ships under this name."""
    for path in (given, _through_link(given)):
        if path is not None and _is_file(path):
            return ConfigFile(path, str(given).encode("utf-8", "backslashreplace").decode())
    return shipped_config(str(given))


def _through_link(given: Path) -> Path | None:
    """A file of a linked folder: where links cannot be, git leaves a file that says where this one leads."""
    link = given.parent
    if not _is_file(link) or link.stat().st_size > _LONGEST_LINK:
        return None
    return link.parent / link.read_text(encoding="utf-8", errors="replace").strip() / given.name


def shipped_config(name: str) -> ConfigFile | None:
    """The config that ships under a name; None when there is none."""
    files = {file.stem: file for file in shipped_folder().glob("*.yaml")}
    path = files.get(_SHORT.get(name, name))
    return None if path is None else ConfigFile(path, name, ships=True)


def shipped_names() -> list[str]:
    """The names to choose from, a short one instead of the long one where there is one."""
    stems = {file.stem for file in shipped_folder().glob("*.yaml")}
    return sorted(stems - set(_SHORT.values()) | set(_SHORT))


def shipped_folder() -> Path:
    """Inside the package; `configs/` of a checkout is a link to it."""
    return Path(__file__).parents[1] / "configs"


def starting_copy(config: ConfigFile) -> str:
    """A shipped config's text, for one's own folder; what it extends goes by its short name there too."""
    text = config.path.read_text(encoding="utf-8")
    for short, long in _SHORT.items():
        if config.label in _SHORT:
            text = text.replace(f"extends: {long}.yaml", f"extends: {short}.yaml")
    return text


def summary(config: ConfigFile) -> str:
    """What a shipped config is for: its first line, a comment."""
    return config.path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _is_file(path: Path) -> bool:
    """A path that no file can have (too long, a null byte) is no file."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
