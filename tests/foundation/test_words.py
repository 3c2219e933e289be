"""One word per thing: words that the glossary replaced come no more in what a user reads."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVERYWHERE = {
    r"\bwinners?\b": "the picked arm",
    r"\bmatched (place|spot)s?\b": "matched control",
    r"\bforetells?\b": "predicts",
    r"\btold in words\b": "explained",
    r"\bmended\b": "fixed",
    r"\bgoing on: ": "resuming",
}
IN_MESSAGES = {
    r"\bbaseline rows?\b": "baseline completions",
    r"\brows? (is |are |were |was )?(cut|done|finished)\b": "completions",
    r"\bundecided:": "open",
}
ROOMS = ("claims", "reports", "figures", "cli", "stages", "sweeps")
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CHANGELOG.md"))]
CODE = re.compile(r"```.*?```|``.*?``|`[^`]*`", re.DOTALL)


def retired_in(text, retired):
    """What is said in a retired word; names in code marks keep theirs."""
    plain = " ".join(CODE.sub(" ", text).split())
    return [
        f"{found.group()!r} in {plain[max(0, found.start() - 40) : found.end() + 40]!r}, say: {instead}"
        for pattern, instead in retired.items()
        for found in re.finditer(pattern, plain, re.IGNORECASE)
    ]


def messages(source):
    """The strings of a file that are sentences, or parts of one: no docstrings, no names."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in joined for part in node.values}
    for node in joined:
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = [node.value for node in constants if id(node) not in docstrings | inside]
    yield from (text for text in texts if isinstance(text, str) and " " in text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_the_words_of_the_glossary(page):
    assert retired_in(page.read_text(encoding="utf-8"), EVERYWHERE) == []


@pytest.mark.parametrize("room", ROOMS)
def test_messages_use_the_words_of_the_glossary(room):
    files = sorted((ROOT / "src" / "backtracking" / room).rglob("*.py"))
    said = [text for file in files for text in messages(file.read_text(encoding="utf-8"))]
    assert said
    assert [line for text in said for line in retired_in(text, EVERYWHERE | IN_MESSAGES)] == []


def test_a_retired_word_is_found_and_a_name_is_not():
    source = """f("winner", f"the winner of {n} baseline rows", "`winner` it is")"""
    whole, plain = messages(source)
    assert len(retired_in(whole, EVERYWHERE | IN_MESSAGES)) == 2
    assert retired_in(plain, EVERYWHERE | IN_MESSAGES) == []
