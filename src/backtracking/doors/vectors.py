"""Saved directions as safetensors, with a card that says layer, norm, position and convention."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backtracking.artifacts.readings import DIRECTION, DIRECTIONS, DIRECTIONS_CARD
from backtracking.claims.evidence import Evidence
from backtracking.claims.wording import lines_of, number
from backtracking.doors.card import markdown_table
from backtracking.doors.folder import new_folder
from backtracking.errors import UserError
from backtracking.run.io import write_text

FILE = "vectors.safetensors"
_CONVENTION = (
    "Layers count from 0. A vector belongs to the residual stream after its layer: the output of "
    "`layers[layer]`, which is `hidden_states[layer + 1]` of transformers for every layer but the last, "
    "whose entry there is taken after the final norm. It points from controls to onsets, at its own length "
    "(`norm`): adding it leads towards onsets, taking it away leads from them."
)


def export_vectors(evidence: Evidence, names: Sequence[str], out: Path) -> list[dict[str, Any]]:
    """Write some of a run's directions (of none: all); what the card says of each."""
    from safetensors.torch import save_file

    if reason := evidence.why_not_made(DIRECTIONS):
        raise UserError("the run has no directions", f"not testable: {reason}")
    saved = DIRECTIONS.read(evidence.paths)
    if unknown := [name for name in names if name not in saved]:
        raise UserError(
            f"the run has no direction {', '.join(map(repr, unknown))}",
            f"there are: {', '.join(sorted(saved))}",
        )
    card = evidence.data(DIRECTIONS_CARD)
    chosen = {name: saved[name].float().contiguous() for name in names or sorted(saved)}
    about = [
        {**_place(name), "norm": float(vector.norm()), "auroc": _auroc(evidence, name)}
        for name, vector in chosen.items()
    ]
    with new_folder(out) as folder:
        kept = {key: card.get(key) for key in ("what", "places", "model", "revision", "variant")}
        header = {
            "format": "pt",
            "convention": _CONVENTION,
            "made_from": json.dumps(kept),
            "vectors": json.dumps(about),
        }
        save_file(chosen, folder / FILE, metadata=header)
        write_text(folder / "README.md", _card(kept, about))
    return about


def _place(name: str) -> dict[str, Any]:
    """Layer and position, which a direction's name says."""
    _, place, layer = name.rsplit("_", 2)
    return {"name": name, "layer": int(layer), "position": place}


def _auroc(evidence: Evidence, name: str) -> float | None:
    """How well it tells onsets from matched controls on problems that it was not fitted on."""
    table = evidence.table(DIRECTION)
    wanted = {"method": "difference of means", "control_kind": "matched_row"}
    place = _place(name)
    for line in () if table is None else lines_of(table):
        is_its = line["layer"] == place["layer"] and line["place"] == place["position"]
        if is_its and all(line.get(key) == value for key, value in wanted.items()):
            return number(line, "auroc")
    return None


def _card(made_from: dict[str, Any], about: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            f"`{one['name']}`",
            str(one["layer"]),
            one["position"],
            f"{one['norm']:.4g}",
            "—" if one["auroc"] is None else f"{one['auroc']:.3f}",
        ]
        for one in about
    ]
    places = "; ".join(f"`{name}`: {meaning}" for name, meaning in (made_from["places"] or {}).items())
    revision = f", revision `{made_from['revision']}`" if made_from["revision"] else ""
    return "\n\n".join(
        [
            f"# Directions of {made_from['model']}",
            f"Each is the {made_from['what']}. Model `{made_from['model']}`{revision}, prompt format "
            f"`{made_from['variant']}`. Positions are {places}.",
            _CONVENTION,
            "```python\nfrom safetensors.torch import load_file\n\n"
            f'vector = load_file("{FILE}")["{about[0]["name"]}"]\n```',
            markdown_table(["Name", "Layer", "Position", "Norm", "AUROC on held-out problems"], rows),
        ]
    ) + "\n"  # fmt: skip
