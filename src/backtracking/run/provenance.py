"""Where a result came from: code, packages, machine, inputs."""

import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backtracking import __version__
from backtracking.run.bundled import bundled_folder

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

ASIDE = ("cli", "organism")
_SAMPLES, _SAMPLE_BYTES = 1024, 4096


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(data: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def machine_digest() -> str:
    """Tells machines apart without naming them."""
    return digest(platform.node())[:12]


def folder_digest(folder: Path) -> str:
    """Names, sizes and evenly spread samples of a folder's files: cheap for weights of any size."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[str(path.relative_to(folder)), _sampled_digest(path)] for path in files])


def weights_digest(hf_id: str, revision: str | None) -> str | None:
    """Which weights a model id means on this machine now; None before they were ever loaded."""
    bundled = bundled_folder(hf_id)
    if bundled is not None:
        return file_digest(bundled / "SHA256SUMS")
    if Path(hf_id).is_dir():
        return folder_digest(Path(hf_id))
    from huggingface_hub.constants import HF_HUB_CACHE

    reference = Path(HF_HUB_CACHE) / f"models--{hf_id.replace('/', '--')}" / "refs" / (revision or "main")
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision


def _sampled_digest(path: Path) -> str:
    size = path.stat().st_size
    stride = max(size // _SAMPLES, _SAMPLE_BYTES)
    summary = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in range(0, size, stride):
            file.seek(start)
            summary.update(file.read(_SAMPLE_BYTES))
    return summary.hexdigest()


def package_versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty flag of the code that ran; nulls where git does not keep it."""
    sha = _git(folder, "rev-parse", "HEAD") if _git(folder, "ls-files", "__init__.py") else None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"sha": sha, "dirty": bool(status) if sha else None}


def code_version() -> str:
    """The commit of the code that runs, marked when it was changed since; the version outside a checkout."""
    state = git_state(Path(__file__).parent)
    if state["sha"] is None:
        return f"version {__version__}, source {source_digest()[:12]}"
    return f"{state['sha']}{' with uncommitted changes' if state['dirty'] else ''}"


@functools.cache
def source_digest() -> str:
    """Identity of what makes results: the package's code and rules, without commands and the organism."""
    package = Path(__file__).parents[1]
    files = sorted(
        path
        for path in [*package.rglob("*.py"), *package.glob("assets/**/*.yaml")]
        if path.relative_to(package).parts[0] not in ASIDE
    )
    return digest([[path.relative_to(package).as_posix(), file_digest(path)] for path in files])


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
        "version": __version__,
        "source": source_digest(),
        "git": git_state(Path(__file__).parent),
        "platform": platform.platform(),
        "packages": package_versions(),
    }
