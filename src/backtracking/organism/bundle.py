"""Where the bundled reasoners lie, and the check that their files are whole."""

import hashlib
from pathlib import Path

from backtracking.errors import UserError
from backtracking.run.bundled import BUNDLED, bundled_folder

CHECKSUMS = "SHA256SUMS"
NEEDED = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What the model and its tokenizer are loaded from."""


def bundled_reasoner_path(name: str = "bundled") -> Path:
    """The folder of a reasoner that ships with the package; refuses damaged files."""
    folder = bundled_folder(name)
    if folder is None:
        raise UserError(
            f"no reasoner called {name!r} ships with the package",
            next_step=f"name one of {', '.join(BUNDLED)}, or give the folder of a trained one",
        )
    verify_checksums(folder)
    return folder


def write_checksums(folder: Path) -> None:
    """Record the SHA-256 of every file of a release folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def verify_checksums(folder: Path) -> None:
    """Compare every recorded file with its SHA-256; all that a model is loaded from must be recorded."""
    recorded = _recorded(folder)
    unknown = [name for name in NEEDED if name not in recorded]
    if unknown:
        raise _damaged(folder, f"{CHECKSUMS} does not list {', '.join(unknown)}")
    for name, expected in recorded.items():
        path = folder / name
        if not path.is_file():
            raise _damaged(folder, f"{name} is missing")
        if _digest(path) != expected:
            raise _damaged(folder, f"the SHA-256 of {name} is not the recorded one")


def _recorded(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by name, as far as the lines can be read."""
    record = folder / CHECKSUMS
    if not record.is_file():
        raise _damaged(folder, f"{CHECKSUMS} is missing")
    lines = (line.partition("  ") for line in record.read_bytes().decode(errors="replace").splitlines())
    return {name: expected for expected, _, name in lines if name and "\0" not in name}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(
        f"the bundled reasoner in {folder} is damaged",
        why=why,
        next_step="install the package again: pip install --force-reinstall backtracking",
    )
