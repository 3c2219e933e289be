"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from transformers import AutoTokenizer


def shared_data() -> Path:
    """Data kept beside the checkout; tests that need it skip where it is absent."""
    root = os.environ.get("BACKTRACKING_SHARED")
    places = [Path(root)] if root else [parent / "shared" for parent in Path(__file__).resolve().parents]
    found = next((place / "data" for place in places if (place / "data").is_dir()), None)
    if found is None:
        pytest.skip("no shared data beside this checkout (set BACKTRACKING_SHARED)")
    return found


@pytest.fixture(scope="session")
def r1_tokenizer():
    """The tokenizer of the 1.5B reasoning model, with its vocabulary, ids and prompt rendering."""
    return AutoTokenizer.from_pretrained(shared_data() / "r1_tokenizer")
