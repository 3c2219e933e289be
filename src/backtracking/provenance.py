"""Where a result came from: code, packages, machine, inputs."""

import hashlib
import importlib.metadata
import json
import platform
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGES = (
    "backtracking",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "datasets",
    "math-verify",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "pydantic",
)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(data: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty flag of the code that ran; nulls outside a checkout."""
    sha = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"sha": sha, "dirty": bool(status) if sha else None}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment() -> dict[str, Any]:
    """The part of meta.json that says which code ran where."""
    return {
        "git": git_state(Path(__file__).parent),
        "hostname": socket.gethostname(),
        "platform": platform.platform(),
        "packages": package_versions(),
    }
