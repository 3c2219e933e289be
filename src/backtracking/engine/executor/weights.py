"""A model's folder sent to machines that lack it: through Ray's store, once to each of them."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from backtracking.run.provenance import folder_digest


@dataclass(frozen=True)
class Files:
    """The files of a folder, each under a reference that another machine can get it by."""

    digest: str
    references: dict[str, Any]


def packed(folder: Path, put: Callable[[bytes], Any]) -> Files:
    """Put the files of a folder where others can get them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    references = {path.relative_to(folder).as_posix(): put(path.read_bytes()) for path in files}
    return Files(folder_digest(folder), references)


def unpacked(files: Files, get: Callable[[Any], bytes]) -> Path:
    """The folder on this machine, written by the first worker that needs it; the others find it."""
    folder = Path(tempfile.gettempdir()) / f"backtracking-weights-{files.digest[:16]}"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            begun = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
            for name, reference in files.references.items():
                place = begun / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(get(reference))
            begun.rename(folder)
    return folder
