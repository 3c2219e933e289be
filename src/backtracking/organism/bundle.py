"""Where the bundled reasoner lies, and the check that its files are whole."""

import hashlib
from importlib.resources import files
from pathlib import Path

from backtracking.errors import UserError

CHECKSUMS = "SHA256SUMS"


def bundled_reasoner_path() -> Path:
    """The folder of the reasoner that ships with the package; refuses damaged files."""
    folder = Path(str(files("backtracking") / "assets" / "reasoner"))
    verify_checksums(folder)
    return folder


def write_checksums(folder: Path) -> None:
    """Record the SHA-256 of every file of a release folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def verify_checksums(folder: Path) -> None:
    """Compare every recorded file with its SHA-256."""
    record = folder / CHECKSUMS
    if not record.is_file():
        raise _damaged(folder, f"{CHECKSUMS} is missing")
    for line in record.read_text(encoding="utf-8").splitlines():
        expected, name = line.split("  ", 1)
        path = folder / name
        if not path.is_file():
            raise _damaged(folder, f"{name} is missing")
        if _digest(path) != expected:
            raise _damaged(folder, f"the SHA-256 of {name} is not the recorded one")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(
        f"the bundled reasoner in {folder} is damaged",
        why=why,
        next_step="install the package again: pip install --force-reinstall backtracking",
    )
