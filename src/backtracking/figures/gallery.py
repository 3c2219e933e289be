"""The index of `figures/`: which run each folder of figures belongs to."""

from backtracking.errors import UserError
from backtracking.run.io import write_text
from backtracking.run.meta import RunMeta
from backtracking.run.paths import Gallery, RunPaths

_HEAD = """# Figures by run

Written by the program: each folder holds the figures of one run.

| run | study | config | last made (UTC) | figures |
|---|---|---|---|---|
"""


def write_index(gallery: Gallery) -> None:
    """Name every run that has figures, with the hash of its config and the time of its last stage."""
    write_text(gallery.index, _HEAD + "".join(_line(run) for run in gallery.runs()))


def _line(run: RunPaths) -> str:
    names = sorted(path.stem for path in run.proposal_figures.glob("*.png"))
    links = ", ".join(f"[{name}]({run.run_id}/{name}.png)" for name in names)
    study, config, time = _origin(run)
    return f"| {run.run_id} | {study} | {config} | {time} | {links} |\n"


def _origin(run: RunPaths) -> tuple[str, str, str]:
    """Study, config hash and time; a neighbour's missing or damaged record must not stop this run."""
    if not run.meta.exists():
        return "(the run is gone)", "", ""
    try:
        meta = RunMeta.load(run.meta)
    except UserError:
        return "(its meta.json cannot be read)", "", ""
    time = max((record.started for record in meta.stages.values()), default=meta.created)
    return meta.name.replace("|", "\\|"), meta.config_hash[:12], time[:16].replace("T", " ")
