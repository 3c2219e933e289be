"""What SECURITY.md promises: text of others acts on nothing, nothing leads out, no key is kept."""

import ast
import io
import json
import os
import re
import unicodedata
from pathlib import Path

import pytest

from backtracking.config.schema import ModelConfig
from backtracking.model.loading import load_tokenizer
from backtracking.run import progress
from backtracking.run.terminal import disarmed
from tests.foundation.command import assert_one_clear_message
from tests.foundation.study import PLANTED_KEYS

SOURCE = Path(__file__).parents[2] / "src" / "backtracking"
CLEARS = "\x1b[2J\x1b]0;owned\x07"
HOSTILE = f"{CLEARS}\u202eevil\u2066\x00\x9b31m <script>alert(1)</script> <img src=x onerror=alert(1)> | =1+1"

COMMANDS = (
    ["status"], ["status", "--json"], ["audit"], ["audit", "--json"], ["compare", "hostile", "hostile"],
    ["config", "show"], ["logit-lens"], ["explore", "--export", "page.html"],
)  # fmt: skip


def acts(text):
    """The characters that a terminal would obey."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"}


def test_every_control_mark_of_direction_and_half_character_is_shown():
    for code in range(0x11000):
        char = chr(code)
        if unicodedata.category(char) == "Cc" or unicodedata.bidirectional(char) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        ) or 0xD800 <= code < 0xE000:  # fmt: skip
            expected = char if char in "\n\t" else f"\\u{code:04x}"
            assert disarmed(f"a{char}b") == f"a{expected}b"
    assert disarmed("é 測試 🌊 ½ — ok\n\t") == "é 測試 🌊 ½ — ok\n\t"


def test_what_is_escaped_in_json_reads_back_as_it_was():
    text = json.dumps({"text": HOSTILE}, ensure_ascii=False)
    assert json.loads(disarmed(text)) == {"text": HOSTILE}


def test_progress_says_nothing_that_acts(monkeypatch):
    heard = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", heard)
    progress.Plain().say(HOSTILE)
    progress.Terminal().say(HOSTILE)
    assert heard.getvalue().count("evil") == 2 and not acts(heard.getvalue())


def test_commands_print_by_one_way_only():
    """A new command cannot forget it."""
    printers = {"echo", "secho", "print"}
    allowed = {"say.py": {"echo"}, "compare.py": {"print"}, "status_table.py": {"print"}}
    for path in (SOURCE / "cli").glob("*.py"):
        called = {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        assert called & printers <= allowed.get(path.name, set()), path.name


def test_hostile_traces_act_on_nothing(cli, tmp_path, monkeypatch):
    """Question, answer, id and gold of a trace, from the file to every page, table and screen."""
    monkeypatch.chdir(tmp_path)
    row = {
        "question": HOSTILE,
        "response": f"2 + 3 = 6. Wait, {HOSTILE} 2 + 3 = 5.",
        "answer": HOSTILE,
        "id": HOSTILE,
    }
    Path("hostile.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    done = cli("import-traces", "hostile.jsonl")
    assert done.code == 0, done.err
    said = done.out + done.err
    for command in COMMANDS:
        done = cli(*command)
        said += done.out + done.err
    assert not acts(said)
    pages = [*Path("runs").rglob("*.md"), *Path("runs").rglob("*.html"), Path("page.html")]
    assert len(pages) >= 3
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text and not re.search(r"<img[^>]*onerror", text), page
        assert not acts(text), page
    for table in Path("runs").rglob("*.csv"):
        assert not re.search(r"(?m)(^|,)=1", table.read_text(encoding="utf-8")), table


def test_messages_about_hostile_files_act_on_nothing(cli, run):
    """Names of columns, a stage's reason in a foreign record, the text of a problem."""
    Path("hostile.jsonl").write_text(json.dumps({HOSTILE: 1}) + "\n", encoding="utf-8")
    meta = Path("runs/demo/meta.json")
    record = json.loads(meta.read_text(encoding="utf-8"))
    record["stages"]["prepare-data"]["reason"] = HOSTILE
    record["stages"]["prepare-data"]["outcome"] = "not testable"
    meta.write_text(json.dumps(record), encoding="utf-8")
    problems = Path("runs/demo/dataset.jsonl")
    first = json.loads(problems.read_text(encoding="utf-8").splitlines()[0])
    Path("one.jsonl").write_text(json.dumps(first | {"question": HOSTILE}) + "\n", encoding="utf-8")
    shown = ["prompts", "-c", "demo", "--run-id", "new", "--set", "dataset.path=one.jsonl"]
    for command in (["import-traces", "hostile.jsonl"], ["status", "--run-id", "demo"], shown):
        done = cli(*command)
        said = done.out + done.err
        assert "\\u001b" in said, (command, said)
        assert not acts(said), command


@pytest.mark.parametrize("name", ["analysis", "generations/imported", "analysis/audit.json", ".lock"])
def test_a_link_that_leads_out_of_a_run_is_not_written_through(name, run, cli, tmp_path):
    place = Path("runs/demo") / name
    outside = tmp_path / "outside"
    if place.exists():
        place.rename(outside)
    else:
        outside.mkdir()
    before = sorted(outside.rglob("*"))
    place.symlink_to(outside)
    refused = cli("detect-events", "--run-id", "demo", "--force")
    assert_one_clear_message(refused, "leads out of the run folder", place.name)
    assert sorted(outside.rglob("*")) == before


def test_what_stands_in_the_place_of_a_table_hangs_and_crashes_nothing(run, cli):
    """A pipe, whose reader would wait; lines that are no such table; a time that is none."""
    table, meta = Path("runs/demo/analysis/onset_stability.csv"), Path("runs/demo/meta.json")
    kept = meta.read_text()
    table.write_text("SECRETLINE=abc\n1\n")
    explored = cli("explore", "demo", "--export", "page.html")
    assert_one_clear_message(explored, "onset_stability.csv does not read as the table", "onset-stability")
    table.unlink()
    os.mkfifo(table)
    assert_one_clear_message(cli("status", "--run-id", "demo"), "neither a file nor a folder")
    table.unlink()
    for edited in (re.sub('"seconds": [0-9.]+', '"seconds": 1e999', kept, count=1), "null"):
        meta.write_text(edited)
        assert_one_clear_message(cli("status", "--run-id", "demo"), "is not a run's meta.json")


def test_a_run_folder_that_is_itself_a_link_is_a_choice_and_works(run, cli, tmp_path):
    Path("runs/demo").rename(tmp_path / "big disk")
    Path("runs/demo").symlink_to(tmp_path / "big disk")
    assert cli("detect-events", "--run-id", "demo", "--force").code == 0


def test_code_of_a_model_is_announced():
    with pytest.warns(UserWarning, match=r"trust_remote_code is on: code that comes with .* runs here"):
        load_tokenizer(ModelConfig(hf_id="bundled", trust_remote_code=True))


def test_no_key_of_the_environment_is_kept(finished):
    """The study was made with keys planted in its environment."""
    files = [path for path in finished.rglob("*") if path.is_file()]
    assert len(files) > 100
    secrets = [key.encode() for key in PLANTED_KEYS.values()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


def test_nothing_is_unpickled():
    """No pickle is read or written; a checkpoint of the organism's training is read as plain tensors."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"} & set(names), path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load"):
                assert any(word.arg == "weights_only" for word in node.keywords), path
