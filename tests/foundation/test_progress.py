"""Progress lines: the count and the times are whole at any width, read in the right order, and never leak."""

import io
import re

import pytest
from rich.console import Console

from backtracking.config.schema import ModelConfig
from backtracking.run import progress

LONGEST = "generate[baseline_think_newline/targeted_ablation]"


def test_elapsed_and_left_follow_the_rate():
    assert progress.describe(40, 240, "rows", 60.0) == "40/240 rows, 1:00 elapsed, 5:00 left"
    assert progress.describe(0, 240, "rows", 3.0, "0 cut") == "0/240 rows, 0:03 elapsed, 0 cut"
    assert progress.describe(240, 240, "rows", 3723.0) == "240/240 rows, 1:02:03 elapsed"


@pytest.mark.parametrize("label", ["completions", LONGEST])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_live_bar_keeps_label_count_and_times_whole(width, label):
    shown = io.StringIO()
    terminal = progress.Terminal()
    terminal._console = Console(file=shown, width=width, force_terminal=True, color_system=None)
    with terminal.bar(label, 1200) as bar:
        for _ in range(600):
            bar.advance(1, "1,234 tokens/s, 56 cut, and more than any terminal can show beside the rest")
    for line in filter(None, re.split(r"[\r\n]|\x1b\[[0-9?]*[A-Za-z]", shown.getvalue())):
        assert len(line) <= width
    last = [line for line in shown.getvalue().splitlines() if "600/1,200 rows" in line][-1]
    assert re.search(r"600/1,200 rows, \d+:\d\d elapsed, \d+:\d\d left", last)
    assert label in (last if label == "completions" or width == 140 else shown.getvalue())


def test_a_log_gets_the_same_words(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SHOW_AFTER_SECONDS", 0.0)
    with progress.Plain().bar("arms", 3) as bar:
        bar.advance(3, "1 cut")
    assert capsys.readouterr().err == "  arms: 3/3 rows, 0:00 elapsed, 1 cut\n"


def test_loading_a_model_shows_no_bar_of_the_library(random_reasoner, capfd):
    from transformers.utils import logging

    from backtracking.model.loading import load_model

    was_on = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    try:
        load_model(ModelConfig(hf_id=str(random_reasoner)))
        assert "Loading" not in capfd.readouterr().err
        assert logging.is_progress_bar_enabled()
    finally:
        if not was_on:
            logging.disable_progress_bar()
