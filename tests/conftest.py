"""Fixtures shared by all tests."""

import gc
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# A busy machine is no failure; `make mutate` runs a test again and again in one process.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.differing_executors])
settings.load_profile("untimed")


def find_shared_data() -> Path | None:
    """Data kept beside the checkout, where there is any."""
    root = os.environ.get("BACKTRACKING_SHARED")
    places = [Path(root)] if root else [parent / "shared" for parent in Path(__file__).resolve().parents]
    return next((place / "data" for place in places if (place / "data").is_dir()), None)


def shared_data() -> Path:
    """Data kept beside the checkout; tests that need it skip where it is absent."""
    found = find_shared_data()
    if found is None:
        pytest.skip("no shared data beside this checkout (set BACKTRACKING_SHARED)")
    return found


REASONER_TOKENIZERS = {"shipped": Path(__file__).parent / "data" / "reasoner_tokenizer"}
if (_shared := find_shared_data()) is not None:
    REASONER_TOKENIZERS["r1"] = _shared / "r1_tokenizer"


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", params=REASONER_TOKENIZERS)
def r1_tokenizer(request):
    """A reasoning model's kind of tokenizer: the small one shipped here, and the 1.5B model's where it is."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(REASONER_TOKENIZERS[request.param])


@pytest.fixture
def no_pictures():
    """For studies of which nobody looks at pictures: they are a third of a small one's time."""
    from backtracking.figures.save import undrawn

    with undrawn():
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once(name, make)`: a folder that `make` fills, once for all processes that share the tests."""

    def folder_of(name, make):
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of
