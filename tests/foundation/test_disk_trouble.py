"""What a disk refuses is told in words, at the terminal and in the list of stages, never as a number."""

import errno

import pytest

from backtracking.stages.phase1.prepare_data import PrepareData
from tests.foundation.command import assert_one_clear_message

REFUSED = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "a file grew past the size limit of this shell",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "there is no permission to write here",
}


@pytest.mark.parametrize(("number", "words"), REFUSED.items())
def test_what_the_disk_refuses_is_told_in_words(cli, workdir, monkeypatch, number, words):
    first = cli("prepare-data", "-c", "demo", "--set", "dataset.max_examples=3")
    assert first.code == 0, first.err

    def refuse(*_):
        raise OSError(number, "in the words of the system", "runs/demo/dataset.jsonl")

    with monkeypatch.context() as broken:
        broken.setattr(PrepareData, "run", refuse)
        outcome = cli("prepare-data", "-c", "demo", "--set", "dataset.max_examples=2")
    assert_one_clear_message(outcome, f"{words} (runs/demo/dataset.jsonl)", "run the same command again")
    shown = cli("status", "--run-id", "demo").out
    assert words in " ".join(shown.split())
    for text in (outcome.err, shown):
        assert "Errno" not in text
        assert "in the words of the system" not in text
    again = cli("prepare-data", "-c", "demo", "--set", "dataset.max_examples=2")
    assert again.code == 0, again.err


def test_a_folder_where_a_file_is_to_be_is_named_by_its_own_name(cli, workdir):
    """The file is written beside its place first; what that is called helps nobody."""
    assert cli("init-run", "-c", "demo").code == 0
    (workdir / "runs/demo/dataset.jsonl").mkdir()
    outcome = cli("prepare-data", "-c", "demo", "--set", "dataset.max_examples=2")
    assert_one_clear_message(outcome, "runs/demo/dataset.jsonl: Is a directory", "move it away")
    assert "/." not in outcome.err
