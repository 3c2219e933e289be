"""What rules are compiled to, and how tokens are taken apart, piece by piece."""

import re

import pytest

from backtracking.text import tokenization
from backtracking.text.onsets import rules

WORDS = ["wait", "wa", "was", "no", "n.o", "nobody"]


def test_a_pattern_for_any_of_some_words():
    pattern = re.compile(rules._any_of([*WORDS, "wait"]))
    for word in [*WORDS, "", "w", "wai", "waits", "nxo", "nob", "o", "wasno"]:
        assert bool(pattern.fullmatch(word)) == (word in WORDS), word
    assert re.compile(rules._any_of(["a"])).fullmatch("a")
    assert not re.compile(rules._any_of([])).match("a")


@pytest.mark.parametrize(
    ("phrase", "openings"),
    [
        ("wait", [("wait", None)]),
        ("Hold on", [("hold", "on")]),
        ("hold on there", [("hold", "on")]),
        ("hold * there", [("hold", None)]),
        ("hold on?", [("hold", "on"), ("hold", None)]),
        ("hold on? there", [("hold", "on"), ("hold", "there")]),
        ("so? hold on", [("so", "hold"), ("hold", "on")]),
        ("hold|wait on|up", [("hold", "on"), ("hold", "up"), ("wait", "on"), ("wait", "up")]),
        ("hold_on there", [("hold", "on")]),
        ("double-check it", [("double", "check")]),
        ("100% sure", [("100", None)]),
        ("not 100% sure", [("not", "100")]),
    ],
)
def test_the_first_two_words_that_a_phrase_may_begin_with(phrase, openings):
    assert list(rules._openings(phrase)) == openings


def test_a_pattern_for_what_phrases_begin_with():
    pattern = re.compile(rules._begins([("hold", "on"), ("hold", "up"), ("wait", None), ("was", "it")]))
    for text in ("hold on", "hold, up", "hold-on", "wait", "wait no", "was it"):
        assert pattern.match(text), text
    for text in ("hold", "hold it", "holds on", "waits", "was", "was on", "h"):
        assert not pattern.match(text), text
    assert not re.compile(rules._begins([])).match("wait")


@pytest.mark.parametrize(
    ("phrase", "texts", "others"),
    [
        (
            "hold on",
            ["hold on", "hold, on", "hold-on", "hold  on"],
            ["holdon", "hold", "hold. on", "hold    on"],
        ),
        ("so? hold on?", ["so hold on", "hold on", "so hold", "hold"], ["so", "so on", "on"]),
        ("hold|wait_up", ["hold", "wait up"], ["wait", "hold up"]),
        ("not * sure", ["not so sure", "not that-bad sure"], ["not sure", "not so very sure"]),
        ("3.5 km", ["3.5 km"], ["3x5 km"]),
    ],
)
def test_a_phrase_as_a_pattern(phrase, texts, others):
    pattern = re.compile(rules._words(phrase))
    assert [text for text in (*texts, *others) if pattern.fullmatch(text)] == texts


def test_a_pattern_for_any_of_some_phrases():
    pattern = re.compile(rules._choice(["hold on", "wait"]))
    assert [
        text for text in ("hold on", "wait", "hold", "waits", "hold ons", "on") if pattern.match(text)
    ] == [
        "hold on",
        "wait",
    ]
    assert re.compile(rules._choice(["* on", "wait"])).match("so on")


class Bytes:
    """Stands for a tokenizer whose tokens are bytes; what is not whole shows as U+FFFD."""

    all_special_ids = ()

    def decode(self, token_ids, **_):
        return b"".join(token_ids).decode(errors="replace")

    def __len__(self):
        return 0


SLOTH = "🦥".encode()


@pytest.mark.parametrize(
    ("ids", "pieces", "halves"),
    [
        ([b"a", b"bc", b""], ["a", "bc", ""], [False, False, False]),
        ([b"a", SLOTH[:2], SLOTH[2:], b"b"], ["a", "", "🦥", "b"], [False, True, False, False]),
        ([b"a" + SLOTH[:1], SLOTH[1:] + b"c", b"d"], ["a", "🦥c", "d"], [True, False, False]),
        ([SLOTH[:1], SLOTH[1:2], SLOTH[2:]], ["", "", "🦥"], [True, True, False]),
        ([b"a", SLOTH[:2]], ["a", "\ufffd"], [False, False]),
    ],
)
def test_what_each_token_settles(ids, pieces, halves):
    assert tokenization._windowed_pieces(Bytes(), ids, True) == (pieces, halves)
    mapped = tokenization.TokenMap(Bytes())(ids)
    assert mapped.text == "".join(pieces)
    assert list(mapped.ends)[-1] == len(mapped.text)


def test_a_token_that_begins_a_character_shares_it_with_the_one_that_ends_it():
    mapped = tokenization.TokenMap(Bytes())([b"a", SLOTH[:2], SLOTH[2:], b"b"])
    assert (list(mapped.starts), list(mapped.ends)) == ([0, 1, 1, 2], [1, 2, 2, 3])
    assert mapped.token_span(1, 2) == (1, 3)


@pytest.mark.parametrize(
    ("data", "owners"),
    [
        (b"ab", [0, 1]),
        ("é!".encode(), [0, 0, 1]),
        ("\ufffd".encode() + SLOTH[:1], [0, 0, 0, 1]),
        ("\ufffd".encode() + b"a", [0, 0, 0, 1]),
        (SLOTH[:3] + b"a", [0, 0, 0, 1]),
        (b"\xff\xffa", [0, 1, 2]),
        (b"a" + SLOTH[:2], [0, 1, 1]),
    ],
)
def test_the_character_that_each_byte_is_part_of(data, owners):
    assert tokenization._char_of_byte(data, data.decode(errors="replace")) == owners


def test_the_settled_part_of_a_decoded_prefix():
    assert tokenization._shared_prefix("ab\ufffd", "abc") == 2
    assert tokenization._shared_prefix("abx", "abc") == 2
    assert tokenization._shared_prefix("abcd", "abc") == 3
    assert tokenization._shared_prefix("", "abc") == 0


def test_spans_from_settled_lengths():
    mapped = tokenization._from_prefix_lengths("abc", [1, 1, 3], [False, True, True])
    assert (list(mapped.starts), list(mapped.ends)) == ([0, 1, 1], [1, 2, 3])
    empty = tokenization._from_prefix_lengths("", [], [])
    assert (list(empty.starts), list(empty.ends)) == ([], [])


class Tidied:
    """Stands for a tokenizer that makes one character of three points, once it sees all of them."""

    all_special_ids = ()

    def decode(self, token_ids, **_):
        return "".join(token_ids).replace("...", "…")

    def __len__(self):
        return 0


def test_tokens_whose_text_changes_as_more_of_them_are_read():
    mapped = tokenization.TokenMap(Tidied())(["a", ".", ".", ".", "b"])
    assert mapped.text == "a…b"
    assert mapped.pieces() == ["a", "", "", "…", "b"]
