"""Whether Phase 2 may build on a Phase 1 run: both phases ask one model, with one prompt."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backtracking.errors import UserError
from backtracking.run.inputs import Setting
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.stages.base import RunContext, Stage
from backtracking.stages.digests import WEIGHTS

_PROMPT_KEYS = ("system_prompt", "template", "use_chat_template")


def check_built_on(ctx: RunContext, stages: Iterable[Stage]) -> None:
    """Refuse stages that would ask another model than their Phase 1 run did, or ask it otherwise.

    Stages that only read tables may: foreign runs have nothing else.
    """
    phase1 = ctx.phase1
    asks = any(stage.phase == 2 and "model" in stage.config_keys for stage in stages)
    if phase1 is None or not asks or not phase1.root.is_dir():
        return
    if other := _other_model(ctx, phase1):
        raise UserError(
            f"Phase 1 run {phase1.run_id!r} studied another model",
            f"it ran on {other}; {ctx.loaded.source} asks for {_model_asked(ctx)}",
            "name a Phase 1 run of this model with --phase1-run-id (nothing was generated)",
        )
    if differences := list(_other_prompts(ctx, phase1)):
        raise UserError(
            f"Phase 1 run {phase1.run_id!r} has other prompts",
            "\n        ".join(differences),
            f"take over its prompting section in {ctx.loaded.source}, or name another Phase 1 run with "
            "--phase1-run-id (nothing was generated)",
        )


def _recorded(run: RunPaths, key: str) -> Any:
    """A setting that a run's completions were made with."""
    return Setting(run.config_earlier if run.config_earlier.exists() else run.config, key).value()


def _model_asked(ctx: RunContext) -> str:
    return _named(ctx.config.model.hf_id, ctx.config.model.gguf_file)


def _named(model: str, gguf_file: str | None) -> str:
    return f"{model} ({gguf_file})" if gguf_file else model


def _other_model(ctx: RunContext, phase1: RunPaths) -> str:
    """What Phase 1 ran on, where that is known and has neither the name nor the weights asked for."""
    recorded = _recorded(phase1, "model.hf_id")
    if not isinstance(recorded, str):
        return ""
    there = _named(recorded, _recorded(phase1, "model.gguf_file"))
    return "" if there == _model_asked(ctx) or _same_weights(ctx, phase1) else there


def _same_weights(ctx: RunContext, phase1: RunPaths) -> bool:
    meta = RunMeta.load(phase1.meta) if phase1.meta.exists() else None
    records = meta.stages.values() if meta else ()
    return ctx.weights() in {record.inputs[WEIGHTS] for record in records if record.inputs.get(WEIGHTS)}


def _other_prompts(ctx: RunContext, phase1: RunPaths) -> Iterator[str]:
    """Each setting of the prompts that the phases share and do not agree on.

    An earlier implementation did not write down all of them, so nothing is said of its runs.
    """
    if not phase1.meta.exists() or RunMeta.load(phase1.meta).earlier is not None:
        return
    asked, there = ctx.config.prompting.model_dump(mode="json"), _recorded(phase1, "prompting")
    if not isinstance(there, dict):
        return
    for key in _PROMPT_KEYS:
        if key in there and there[key] != asked[key]:
            yield f"prompting.{key}: {there[key]!r} there, {asked[key]!r} here"
    opened = _openings(there.get("formatting_variants") or ())
    for name, opening in _openings(asked["formatting_variants"]).items():
        if name in _swept(ctx) and name in opened and opened[name] != opening:
            yield f"{name} opens with {opened[name]!r} there, {opening!r} here"


def _openings(variants: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {variant["name"]: variant.get("think_open", "") for variant in variants}


def _swept(ctx: RunContext) -> set[str]:
    return {ctx.phase2.subset_sweep.variant, ctx.phase2.scale_sweep.variant}
