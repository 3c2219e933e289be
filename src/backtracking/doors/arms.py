"""An arm as a folder that plain transformers can use: what it does to which modules, vectors, the code."""

import inspect
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtracking.doors import standalone
from backtracking.doors.card import markdown_table
from backtracking.doors.folder import new_folder
from backtracking.doors.standalone import CHANGES
from backtracking.errors import UserError
from backtracking.interventions import MODES, Arm, Condition, Intervention
from backtracking.run.io import write_json, write_text
from backtracking.text.onsets.triggers import Phrase

if TYPE_CHECKING:
    from torch import Tensor, nn

    from backtracking.model.loading import LoadedModel

CODE = "apply_arm.py"
_CONVENTION = (
    "Layers count from 0. `scale` multiplies what the module writes into the residual stream, `mean` "
    "replaces it; `add` adds strength × vector to the residual stream after the layer, `project` takes that "
    "share of it along the vector (at length one) out. By default an arm acts while tokens are generated "
    "(`decode`): the pass over the prompt, which gives the first new token, is untouched."
)


def member_of(arm: Arm, draw: int | None) -> Condition:
    """The condition that leaves: the arm's only one, or the draw of a random control that was named."""
    drawn = [member.draw for member in arm.members]
    if draw is None and len(arm.members) == 1:
        return arm.members[0]
    chosen = [member for member in arm.members if member.draw == draw]
    if draw is None or not chosen:
        raise UserError(
            f"{arm.name} is {len(arm.members)} draws" if draw is None else f"{arm.name} has no draw {draw}",
            f"draws: {', '.join('none' if one is None else str(one) for one in drawn)}",
            "name one with --draw",
        )
    return chosen[0]


def export_arm(
    condition: Condition,
    model: "LoadedModel",
    vectors: "Mapping[str, Tensor]",
    onset_phrases: Collection[Phrase],
    out: Path,
) -> None:
    """Write the arm's record, its vectors and the code that applies it."""
    from safetensors.torch import save_file

    named = {one.vector for one in condition.interventions if one.vector is not None}
    with new_folder(out) as folder:
        write_json(folder / "arm.json", arm_record(condition, model, onset_phrases))
        if named:
            kept = {name: vectors[name].float().contiguous().cpu() for name in sorted(named)}
            save_file(kept, folder / "vectors.safetensors")
        write_text(folder / CODE, inspect.getsource(standalone))
        write_text(folder / "README.md", _card(condition, model))


def arm_record(
    condition: Condition, model: "LoadedModel", onset_phrases: Collection[Phrase]
) -> dict[str, Any]:
    """What `arm.json` holds: every change with its module, its strength, and when it acts."""
    names = {module: name for name, module in model.model.named_modules()}
    waits = any(one.when.onset != "any" for one in condition.interventions)
    return {
        "name": condition.name,
        "model": {
            "name": model.name,
            "model_type": model.model.config.get_text_config().model_type,
            "layers": model.n_layers,
            "hidden_size": model.hidden_size,
        },
        "changes": [_change(one, model, names) for one in condition.interventions],
        "onset_phrases": sorted(map(list, onset_phrases)) if waits else [],
        "suppressed": _suppressed(condition, model),
    }


def _change(one: Intervention, model: "LoadedModel", names: "Mapping[nn.Module, str]") -> dict[str, Any]:
    if one.operation not in CHANGES:
        raise UserError(
            f"mode {one.mode!r} has no form outside of this package", f"known: {', '.join(CHANGES)}"
        )
    block, rule, span = model.blocks[one.layer], MODES[one.mode], None
    module = {"attn": block.attn, "mlp": block.mlp, "resid": block.layer}[one.component]
    if one.head is not None:
        if block.head_projection is None or not model.has_separable_heads(one.layer):
            raise UserError(f"heads of attn {one.layer} cannot be told apart in {model.name}")
        module, span = block.head_projection, [one.head * model.head_dim, (one.head + 1) * model.head_dim]
    return {
        "module": names[module],
        "slice": span,
        "mode": one.operation,
        "strength": one.applied_strength,
        "neutral": rule.neutral,
        "vector": one.vector,
        "unit": rule.unit_vector,
        "when": one.when.model_dump(mode="json"),
    }


def _suppressed(condition: Condition, model: "LoadedModel") -> dict[str, Any] | None:
    """What can never be sampled: tokens, and those that complete a phrase behind its beginning."""
    from backtracking.model.bans import Bans

    return Bans(condition, model.tokenizer).as_data() if condition.suppresses else None


def _when(one: Intervention) -> str:
    """Its schedule without what says nothing."""
    given = one.when.model_dump(mode="json")
    return "`" + json.dumps({key: value for key, value in given.items() if value not in (None, "any")}) + "`"


def _card(condition: Condition, model: "LoadedModel") -> str:
    rows = [
        [
            one.component + (f" head {one.head}" if one.head is not None else ""),
            str(one.layer),
            one.mode,
            f"{one.applied_strength:g}",
            f"`{one.vector}`" if one.vector else "",
            _when(one),
        ]
        for one in condition.interventions
    ]
    head = ["Component", "Layer", "Mode", "Strength", "Vector", "When"]
    changes = markdown_table(head, rows) if rows else "It changes no activation."
    bans = "It never lets a row say some tokens or phrases: pass `logits_processor`." * condition.suppresses
    return "\n\n".join(
        filter(
            None,
            [
                f"# Arm {condition.name} of {model.name}",
                changes,
                bans,
                _CONVENTION,
                f"```python\nfrom {Path(CODE).stem} import AppliedArm\n\nwith AppliedArm(model) as arm:\n"
                "    model.generate(**inputs, do_sample=False, logits_processor=arm.logits_processors)\n```",
                "`arm.json` is the record, with the module of every change.",
            ],
        )
    ) + "\n"  # fmt: skip
