"""The models that ship with the package, by the name that a config gives them."""

from pathlib import Path

BUNDLED = {"bundled": "reasoner", "bundled:doubter": "doubter"}
"""What `model.hf_id` says, and the folder among the assets."""


def bundled_folder(hf_id: str) -> Path | None:
    """The folder of a model that ships with the package; None for any other name."""
    folder = BUNDLED.get(hf_id)
    return None if folder is None else Path(__file__).parents[1] / "assets" / folder
