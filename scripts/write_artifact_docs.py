"""Write docs/artifacts.md from the registry of artifacts."""

from collections.abc import Mapping
from pathlib import Path

from backtracking.artifacts.kinds import SUFFIXES
from backtracking.artifacts.registry import ARTIFACTS, TABLES

HEAD = """# What a run leaves behind

Generated from the registry of artifacts by `make docs`.

Everything of a run lies in `runs/<id>/`. `.gitignore` keeps `generations/`, `work/` and the problems local
and lets `reports/`, `analysis/`, `figures/`, `config_resolved.yaml` and `meta.json` be committed. Copies of
the figures lie in `figures/<id>/` beside `runs/`, and `figures/index.md` names run, config and time.
Beside each `figures/NAME.png` lie `NAME.svg` and `NAME.narrow.svg` for pages, and `NAME.json` with its
caption, or why there is nothing to show ([Figures](figures.md)).

| file | made by | content |
|---|---|---|
"""

MIDDLE = """## Completions

Each line of a generations file: `schema_version, example_id, sample_id, variant, condition, draw` (which
random set, for `random_ablation`), `prompt, prompt_ids, completion, completion_ids` (ids as read and
written by the model; nothing is ever tokenized again), `finish_reason` (`stop`, `length` = cut at the cap,
`loop`, `error`), `prompt_tokens, completion_tokens, gen_params, seed_key`, and `logprobs` when asked for.
Rows are appended as they finish and sorted when the stage is done. When the config changes, earlier rows
are kept in `<condition>.previous.jsonl` (then `.previous1.jsonl`, …).

A file of more than `generation.shard_rows` rows (50,000) goes on in numbered files of so many rows each, in
a folder beside it: `<condition>.jsonl`, `<condition>.shards/00002.jsonl`, …. They are one sequence, and
commands, explorer, exports and digests read them so; elsewhere
`cat <condition>.jsonl <condition>.shards/*.jsonl` does. `00001.index` and its like say where each row
begins: `[byte, example_id, sample_id, digest]`, after a line with the shard's size and the digest of the
lines that follow. With fewer rows there is neither folder nor index, and another size makes nothing stale.

While a stage runs, rows longer than 512 tokens are kept on their way in `<condition>.unfinished/`, so that
the next start goes on in the middle of them; the folder may be deleted.

## `meta.json`

`run_id, name, created, config_source, config_hash, seeds`; `environment` (git commit and dirty flag, host,
platform, package versions); `model` (id, resolved revision, device, dtype, layers, parameters); `dataset`
(source, SHA-256, number of problems); and under `stages`, for each stage and its parameters: outcome, start
and end, seconds, rows, the values of the config keys it depends on, the SHA-256 of its inputs and outputs,
and notes such as the layers of each random draw.

## When a result is stale

- **A config key** of those that the stage depends on has another value.
- **An input** has another digest. Inputs are what was read: while a stage runs, everything that it opens in
  this run's folder and in Phase 1's is noted, also files that it looked for in vain. Where only a part
  matters, the part is what counts: `backtracking_events.csv[no_think_tags/baseline]` are the rows of one
  prompt format and condition, `phase2_baseline.jsonl[first 16 rows]` the rows that were there, since other
  sweeps may add some.
- **An output** has been changed since, unless another stage of the run wrote it. One that is gone makes the
  stage *missing*; `work/` alone may be deleted.

Each line of `work/` carries a digest: one that was damaged or edited is computed again. A result that was
made by other code (`source` in its record is the digest of the package's sources) stays *done*, and
`status` says so below the table: most changes of code leave results as they are, and a night's work should
not go stale by an upgrade. To make a result again with the code of now, run its stage with `--force`.

## Columns

Beside any column may stand these, named after it:

| ending | meaning |
|---|---|
"""


def render() -> str:
    """The whole page."""
    lines = [f"| `{artifact.name}` | `{artifact.maker}` | {artifact.about} |" for artifact in ARTIFACTS]
    endings = [f"| `{ending}` | {about} |" for ending, about in SUFFIXES.items()]
    page = HEAD + "\n".join(lines).replace("{", "<").replace("}", ">") + "\n" + MIDDLE + "\n".join(endings)
    for table in TABLES:
        page += f"\n\n### `{table.file}`\n\n{table.about[0].upper()}{table.about[1:]} (`{table.maker}`).\n\n"
        page += "| column | meaning |\n|---|---|\n"
        page += "\n".join(f"| {', '.join(names)} | {about} |" for about, names in _by_meaning(table.columns))
    return page + "\n"


def _by_meaning(columns: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Columns that share one meaning stand together."""
    found: dict[str, list[str]] = {}
    for name, about in columns.items():
        found.setdefault(about, []).append(f"`{name}`")
    return list(found.items())


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "docs" / "artifacts.md"
    target.write_text(render(), encoding="utf-8")
