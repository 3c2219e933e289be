"""A run as a folder of Hugging Face datasets: a config per prompt format, a split per condition, a card."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from backtracking.doors.card import about_columns, about_run
from backtracking.doors.completions import OnCounted, write_arms
from backtracking.doors.folder import new_folder
from backtracking.explore.study import ArmFile, MeasuredRun
from backtracking.run.io import write_text


def export_datasets(study: MeasuredRun, arms: Sequence[ArmFile], out: Path, told: OnCounted) -> int:
    """Write the rows of some arms for `datasets.load_dataset`; how many rows there are."""
    with new_folder(out) as folder:
        rows = write_arms(study, arms, lambda arm: folder / _file(arm), told)
        write_text(folder / "README.md", _card(study, arms, out))
    return rows


def split_names(arms: Sequence[ArmFile]) -> dict[ArmFile, str]:
    """What each condition's split is called: its name, with `_` for what a split's name may not hold."""
    names: dict[ArmFile, str] = {}
    for arm in arms:
        name = ".".join(filter(None, re.sub(r"[^\w.]", "_", arm.name).split(".")))
        taken = {other for known, other in names.items() if known.variant == arm.variant}
        while name in taken:
            name += "_"
        names[arm] = name
    return names


def _file(arm: ArmFile) -> Path:
    return Path("data") / arm.variant / f"{arm.name}.parquet"


def _card(study: MeasuredRun, arms: Sequence[ArmFile], out: Path) -> str:
    names = split_names(arms)
    variants = list(dict.fromkeys(arm.variant for arm in arms))
    configs = [
        {
            "config_name": variant,
            "data_files": [
                {"split": names[arm], "path": _file(arm).as_posix()} for arm in arms if arm.variant == variant
            ],
        }
        | ({"default": True} if variant == variants[0] else {})
        for variant in variants
    ]
    head = yaml.safe_dump(
        {"pretty_name": f"Completions of run {study.name}", "tags": ["reasoning-traces"], "configs": configs},
        sort_keys=False,
    )
    first = arms[0]
    return "\n\n".join(
        [
            f"---\n{head}---\n\n# Completions of run {study.name}",
            about_run(study),
            "A config per prompt format, a split per condition; a row per completion.",
            f'```python\nimport datasets\n\ndatasets.load_dataset("{out.name}", "{first.variant}", '
            f'split="{names[first]}")\n```',
            about_columns(),
        ]
    ) + "\n"  # fmt: skip
