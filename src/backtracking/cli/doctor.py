"""Looks the installation over and says what is missing before a run finds out."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backtracking.errors import UserError
from backtracking.run.provenance import PACKAGES, package_versions

MIN_FREE_GB = 2.0


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at."""

    subject: str
    grade: Literal["ok", "note", "problem"]
    text: str


def examine(output_dir: Path) -> list[Diagnosis]:
    """Everything a run relies on."""
    return [
        _python(),
        *_packages(),
        _device(),
        _reasoner(),
        _disk(output_dir),
        _writable(output_dir),
        _hub(),
    ]


def _python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return Diagnosis("python", "ok" if fine else "problem", version if fine else f"{version}; 3.11 is needed")


def _packages() -> list[Diagnosis]:
    versions = package_versions()
    absent = [name for name in PACKAGES if versions[name] == "not installed"]
    if absent:
        return [
            Diagnosis("packages", "problem", f"not installed: {', '.join(absent)}; run scripts/bootstrap.sh")
        ]
    shown = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "datasets"))
    return [Diagnosis("packages", "ok", shown)]


def _device() -> Diagnosis:
    try:
        import torch
    except ImportError as error:
        return Diagnosis("device", "problem", f"torch cannot be imported: {error}")
    if torch.cuda.is_available():
        return Diagnosis("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}")
    if torch.backends.mps.is_available():
        return Diagnosis("device", "ok", "mps")
    return Diagnosis(
        "device", "ok", f"cpu, {torch.get_num_threads()} threads (enough for the bundled reasoner)"
    )


def _reasoner() -> Diagnosis:
    from backtracking.organism.bundle import bundled_reasoner_path

    try:
        path = bundled_reasoner_path()
    except UserError as error:
        return Diagnosis("bundled reasoner", "problem", str(error))
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    return Diagnosis("bundled reasoner", "ok", f"checksums right, {size:.1f} MB")


def _existing_parent(path: Path) -> Path:
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path


def _disk(output_dir: Path) -> Diagnosis:
    free = shutil.disk_usage(_existing_parent(output_dir)).free / 1e9
    return Diagnosis(
        "disk", "ok" if free >= MIN_FREE_GB else "problem", f"{free:.1f} GB free for {output_dir}"
    )


def _writable(output_dir: Path) -> Diagnosis:
    folder = _existing_parent(output_dir)
    fine = os.access(folder, os.W_OK)
    return Diagnosis(
        "run folder", "ok" if fine else "problem", f"{folder} is {'' if fine else 'not '}writable"
    )


def _hub() -> Diagnosis:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return Diagnosis(
            "model hub", "note", "HF_HUB_OFFLINE=1: only models and data on this disk can be used"
        )
    token = bool(os.environ.get("HF_TOKEN"))
    return Diagnosis(
        "model hub",
        "ok" if token else "note",
        "HF_TOKEN is set" if token else "HF_TOKEN is not set: public models only (see .env.example)",
    )
