"""Where a report's numbers come from, out of meta.json."""

from collections.abc import Mapping
from typing import Any

from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import quoted
from backtracking.config.schema import NO_MODEL, ExperimentConfig
from backtracking.reports.columns import Lines
from backtracking.reports.document import Document
from backtracking.reports.page import Page


def write_provenance(page: Page, evidence: Evidence) -> None:
    """Code, packages, weights, data and the record of each stage, folded."""
    meta, run = evidence.meta, quoted(evidence.paths.run_id)
    if not meta:
        page.say(f"Run {run} has no meta.json, so where its numbers come from is not known.")
        return
    if _is_of_earlier(evidence):
        page.say(
            f"Run {run} was written by an earlier implementation: code, model and seeds behind its tables are"
            " not recorded. What follows is about the results made since."
        )
    with page.folded(f"Where the numbers of run {run} come from"):
        known = Lines([{"what": name, "value": value} for name, value in facts(meta) if value])
        page.table(
            f"Code, packages, weights and data of run {run}",
            [
                known.column("What", lambda row: str(row["what"]), holds="names"),
                known.text("Value", lambda row: str(row["value"])),
            ],
        )
        _stages(page, meta.get("stages"), run)


def _stages(page: Page, stages: object, run: str) -> None:
    if not isinstance(stages, Mapping):
        return
    done = [
        {"key": key, **stage}
        for key, stage in stages.items()
        if stage.get("outcome") != "started"  # the report itself, which is being written
    ]
    lines = Lines(done)
    page.table(
        f"Stages of run {run}",
        [
            lines.names("Stage", "key"),
            lines.text("State", lambda row: ": ".join(filter(None, (row.get("outcome"), row.get("reason"))))),
            lines.text("Finished", lambda row: str(row.get("finished") or "—")),
            lines.column("Seconds", lambda row: _number(row.get("seconds"))),
            lines.column("Rows", lambda row: _number(row.get("rows"))),
        ],
    )


def model_studied(evidence: Evidence, config: ExperimentConfig) -> str:
    """The model behind a run's tables, as far as it is known, as a part of a sentence."""
    model = config.model.hf_id
    if model == NO_MODEL:
        return "traces imported from elsewhere, no model"
    if _is_of_earlier(evidence):
        named = f"(the config names {quoted(model)})"
        return f"written by an earlier implementation, which recorded no model {named}"
    return f"model {quoted(model)}"


def _is_of_earlier(evidence: Evidence) -> bool:
    meta = evidence.meta
    return bool(meta) and ("schema" not in meta or bool(meta.get("earlier")))


def write_out_of_date(document: Document, stale: Mapping[str, str]) -> None:
    """Says which results do not belong together, before anything is concluded from them."""
    if stale:
        document.say(
            "**Out of date.** These results were made from other inputs or settings than the run has now, or "
            "are gone, so what follows may combine what does not belong together, or lack what was found. "
            "Run the named stages again."
        )
        document.bullets([f"{quoted(stage)}: {quoted(reason)}" for stage, reason in stale.items()])


def facts(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Code, model, data, seeds and packages, as far as the record of a run names them."""
    environment = _part(meta, "environment")
    git, packages = _part(environment, "git"), _part(environment, "packages")
    model, dataset, seeds = _part(meta, "model"), _part(meta, "dataset"), _part(meta, "seeds")
    dirty = " with uncommitted changes" if git.get("dirty") else ""
    known: list[tuple[str, object]] = [
        ("created", meta.get("created")),
        ("code", f"{git['sha']}{dirty}" if git.get("sha") else None),
        ("config", meta.get("config_source")),
        ("config hash", meta.get("config_hash")),
        ("model", model.get("hf_id")),
        ("model revision", model.get("revision")),
        ("device and dtype", " ".join(str(model[key]) for key in ("device", "dtype") if key in model)),
        ("data", dataset.get("source")),
        ("data SHA-256", dataset.get("sha256")),
        ("problems", dataset.get("problems")),
        ("seeds", ", ".join(f"{name} {value}" for name, value in seeds.items())),
        ("platform", environment.get("platform")),
        ("packages", ", ".join(f"{name} {version}" for name, version in packages.items())),
    ]
    return [(name, quoted(value, limit=400) if value not in (None, "") else "") for name, value in known]


def _part(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = data.get(key)
    return part if isinstance(part, Mapping) else {}


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else "—"
