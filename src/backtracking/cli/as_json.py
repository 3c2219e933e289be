"""What commands say to programs; docs/commands.md documents the keys."""

import json
from typing import TYPE_CHECKING, Any

from backtracking.cli.say import say

if TYPE_CHECKING:
    from backtracking.config.load import LoadedConfig


def echo_json(data: Any) -> None:
    """The only thing on standard output when --json is given."""
    say(json.dumps(data, indent=2, ensure_ascii=False))


def described_config(loaded: "LoadedConfig") -> dict[str, Any]:
    """A config: every value, and by dotted key where it comes from."""
    from backtracking.config.show import key_docs

    values = loaded.config.model_dump(mode="json")
    origins = {doc.key: loaded.origin(doc.key) for doc in key_docs() if doc.kind != "section"}
    return {"source": loaded.source, "hash": loaded.hash, "config": values, "origins": origins}
