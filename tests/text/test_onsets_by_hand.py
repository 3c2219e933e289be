"""Rules of onsets one by one, and tokens by character, on texts short enough to count."""

import pytest

from backtracking.config.onsets import OnsetRule
from backtracking.config.schema import DetectionConfig
from backtracking.text.onsets import (
    Detector,
    first_onset,
    onset_words,
    reasoning_end,
    stands_at_clause_start,
)
from backtracking.text.onsets.rules import lone_words, sentence_end
from backtracking.text.tokenization import TokenFamilies, TokenMap, TokenText, phrase_forms, token_pieces

RULES = [
    ({"phrases": ("zut alors?",)}, "Zut alors, no.", ["Zut alors"]),
    ({"phrases": ("zut alors?",)}, "Zut, no.", ["Zut"]),
    ({"phrases": ("zut alors?",)}, "Zutalors. Zuts. Zut's. Zut-out.", []),
    ({"phrases": ("zut alors? donc?",)}, "Zut, donc. Zut alors donc.", ["Zut, donc", "Zut alors donc"]),
    ({"phrases": ("bon? zut",)}, "Bon, zut! Zut. Bon.", ["Bon, zut", "Zut"]),
    ({"phrases": ("bon? ah? zut",)}, "Ah zut. Bon ah zut. Bon zut.", ["Ah zut", "Bon ah zut", "Bon zut"]),
    ({"phrases": ("zut|bof alors",)}, "Zut alors. Bof alors. Zut.", ["Zut alors", "Bof alors"]),
    ({"phrases": ("zut_oh",)}, "Zut oh. Zut, oh. Zut-oh. Zut!", ["Zut oh", "Zut, oh", "Zut-oh"]),
    ({"phrases": ("zut|bof_bof non",)}, "Zut non. Bof bof non. Bof non.", ["Zut non", "Bof bof non"]),
    ({"phrases": ("pas * zut",)}, "Pas du zut. Pas zut. Pas du tout zut.", ["Pas du zut"]),
    ({"phrases": ("pas *? zut",)}, "Pas du zut. Pas zut.", ["Pas du zut", "Pas zut"]),
    ({"phrases": ("zut",), "next": ("non",)}, "Zut, non. Zut... non! Zut oui. Zut nonne.", ["Zut", "Zut"]),
    ({"phrases": ("zut",), "next": ("non", "* non")}, "Zut, oh non. Zut oh.", ["Zut"]),
    ({"phrases": ("zut",), "not_next": ("non",)}, "Zut, non. Zut oui.", ["Zut"]),
    ({"phrases": ("zut",), "later": ("non",)}, "Zut, it is a non. Zut. A non. Zut non.", ["Zut", "Zut"]),
    ({"phrases": ("zut",), "not_later": ("non",)}, "Zut, it is a non. Zut it. Non.", ["Zut"]),
    ({"phrases": ("zut",), "question": True}, "Zut? Zut. Zut it is? Zut", ["Zut", "Zut"]),
    ({"phrases": ("zut",), "question": False}, "Zut? Zut. Zut it is? Zut", ["Zut", "Zut"]),
    ({"phrases": ("zut",)}, "Zut, zut. Zut! The zut.", ["Zut", "Zut"]),
    ({"phrases": ("zut",), "position": "anywhere"}, "The zut is a zut. Zut!", ["zut", "Zut"]),
    ({"phrases": ("zut", "zut alors")}, "Zut alors.", ["Zut"]),
    ({"phrases": ("zut alors", "zut")}, "Zut alors. Zut.", ["Zut alors", "Zut"]),
    ({"phrases": ("zut",)}, "So, and then zut.", ["zut"]),
    ({"phrases": ("zut",)}, "So and then now zut.", []),
    ({"phrases": ("zut",)}, "It is zut. It is but zut. It is, zut.", ["zut", "zut"]),
    ({"phrases": ("but zut",)}, "It is but zut.", ["but zut"]),
    ({"phrases": ("zut",)}, "- zut\n1. zut\n(zut) zut\na-zut\n“zut”\nit — zut", ["zut"] * 5),
    ({"phrases": ("100% zut",)}, "100% zut.", ["100% zut"]),
    ({"phrases": ("zut",)}, "  zut", ["zut"]),
    ({"phrases": ("c'est zut",)}, "C’est zut. C'est zut.", ["C’est zut", "C'est zut"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "found"), RULES)
def test_a_rule_alone(rule, text, found):
    detector = Detector(DetectionConfig(redo=(OnsetRule(**rule),), doubt=()))
    assert [text[onset.start : onset.end] for onset in detector.turns(text)] == found


def test_of_two_kinds_each_has_its_onset_in_a_sentence_and_the_last_one_is_tried_first():
    two = Detector(
        DetectionConfig(
            redo=(OnsetRule(phrases=("zut",)), OnsetRule(phrases=("bof",), position="anywhere")),
            doubt=(
                OnsetRule(phrases=("zut", "zut alors")),
                OnsetRule(phrases=("hein",), position="anywhere"),
            ),
        )
    )
    found = [(onset.kind, onset.phrase) for onset in two.turns("Zut alors, hein. It is bof, hein.")]
    assert found == [("redo", "zut"), ("doubt", "hein"), ("redo", "bof"), ("doubt", "hein")]


def test_where_a_sentence_ends():
    assert sentence_end("so it. is", 0) == (5, False)
    assert sentence_end("so? it", 0) == (2, True)
    assert sentence_end("3.5 is", 0) == (6, False)
    assert sentence_end("abc", 1) == (3, False)
    assert sentence_end("a" * 1000, 10) == (310, False)
    assert sentence_end("是吗？是", 0) == (2, True)
    assert sentence_end("a\nb", 0) == (1, False)


def test_words_that_are_whole_phrases():
    rules = [
        OnsetRule(phrases=("zut|bof alors?", "so? hein", "non oui", "no_way|nope")),
        OnsetRule(phrases=("quoi",), question=True),
        OnsetRule(phrases=("bah",), question=False),
        OnsetRule(phrases=("ici",), position="anywhere"),
    ]
    assert lone_words(rules) == ["zut", "bof", "hein", "nope", "bah"]


def detector(**config):
    return Detector(DetectionConfig(**config))


def test_regions_by_either_mark():
    one = detector(redo=(OnsetRule(phrases=("zut",)),), doubt=())
    for mark in ("", "[end]"):
        text = f"Zut. Wait.{mark or '</think>'}\nZut. Wait."
        for found in (one.turns(text, mark), one.all_matches(text, mark)):
            assert [onset.region for onset in found] == ["think", "answer"], mark
    assert reasoning_end("ab[end]", "[end]") == 2
    assert reasoning_end("ab[end]") is None
    assert reasoning_end("</think>") == 0


def test_places_and_policies():
    text = "The wait. Wait, hmm."
    everywhere = detector().all_matches(text)
    assert [(onset.phrase, onset.start, onset.end, onset.clause_start) for onset in everywhere] == [
        ("wait", 4, 8, False),
        ("wait", 10, 14, True),
        ("hmm", 16, 19, True),
    ]
    assert [onset.start for onset in detector().find(text)] == [10, 16]
    assert [onset.start for onset in detector(position_policy="anywhere").find(text)] == [4, 10, 16]
    assert first_onset(everywhere[2:]).phrase == "hmm"
    assert first_onset([everywhere[2], everywhere[0]]).phrase == "wait"


def test_letters_outside_of_ascii_change_no_place():
    text = "İ is. Wait, é. Wait."
    assert [onset.start for onset in detector().all_matches(text)] == [6, 15]
    found = detector(redo=(OnsetRule(phrases=("wait",)),), doubt=()).turns(text)
    assert [onset.start for onset in found] == [6, 15]


def test_words_that_stand_for_a_kind():
    config = DetectionConfig(
        triggers_strict=("wait",), triggers_relaxed=("hmm",), redo=(OnsetRule(phrases=("zut",)),),
        doubt=(OnsetRule(phrases=("bof",)),),
    )  # fmt: skip
    words = {kind: onset_words(config, kind) for kind in ("strict", "relaxed", "redo", "doubt")}
    assert words == {"strict": ("wait",), "relaxed": ("wait", "hmm"), "redo": ("zut",), "doubt": ("bof",)}
    assert set(onset_words(config, "doubt_or_redo")) == {"zut", "bof"}


@pytest.mark.parametrize(
    ("before", "opens"),
    [
        ("", True), ("8. ", True), ("8.", True), ("8 ", False), ("the ", False), ("so ", True),
        ("and so ", True), ("the and so ", False), ("It is so ", False), ("oh ", True), ("it is oh ", True),
        ("= 8 ", False),
        ("a-", False), ("a - ", True), ("- ", True), ("\n2) ", True), ("it 2) ", False), ("> ", True),
        ("a > ", False), ("<b> ", True), ("“", True), ("it “", False), ("🙂 ", True), ("é ", False),
    ],
)  # fmt: skip
def test_what_a_clause_may_open_behind(before, opens):
    assert stands_at_clause_start(f"{before}wait", len(before)) is opens


@pytest.mark.parametrize(
    ("before", "opens"),
    [("= 8 ", True), ("\\(8\\) ", True), ("the ", False), ("8 so ", False), ("8 So ", True)],
)
def test_a_capital_opens_one_behind_a_formula(before, opens):
    assert stands_at_clause_start(f"{before}Wait", len(before)) is opens


# Tokens


def test_tokens_and_characters():
    mapped = TokenText("abcd", [0, 2, 2, 3], [2, 2, 3, 4])
    assert mapped.pieces() == ["ab", "", "c", "d"]
    assert mapped.char_span(0, 3) == (0, 3)
    assert mapped.char_span(2, 2) == (0, 0)
    assert mapped.char_span(2, 3) == (2, 3)
    assert mapped.token_span(2, 3) == (2, 3)
    assert mapped.token_span(1, 4) == (0, 4)


class Spelled:
    """Stands for a tokenizer: tokens are the given words, and texts are cut into the longest of them."""

    all_special_ids = (0,)

    def __init__(self, *words):
        self.words = ["<s>", *words]

    def encode(self, text, *, add_special_tokens=True):
        ids = [0] if add_special_tokens else []
        while text:
            token = max(
                (k for k, word in enumerate(self.words) if k and text.startswith(word)),
                key=lambda k: len(self.words[k]),
                default=None,
            )
            if token is None:
                text = text[1:]
            else:
                ids.append(token)
                text = text[len(self.words[token]) :]
        return ids

    def decode(self, token_ids, *, skip_special_tokens=False, **_):
        return "".join(self.words[token] for token in token_ids if token or not skip_special_tokens)

    def __len__(self):
        return len(self.words)


def test_the_tokens_that_begin_a_phrase():
    words = Spelled("Wait", " wait", "wa", "alter", "natively", " ", "Hold", "on", "W", "waited", "ho", " so")
    families = TokenFamilies(words)
    assert families("wait") == {1: "Wait", 2: " wait"}
    assert families("alternatively") == {4: "alter"}
    assert families("hold on") == {7: "Hold"}
    assert families("so") == {12: " so"}
    assert families("nowhere") == {}
    assert families.whole("WAIT") == frozenset({1, 2})
    assert families.whole("hold on") == frozenset()
    assert families.of_all(["so", "hold on"]) == {"so": {12: " so"}, "hold on": {7: "Hold"}}
    assert token_pieces(words, [0, 2]) == ["<s>", " wait"]
    assert phrase_forms("hold on") == ["hold on", " hold on", "Hold on", " Hold on", "Hold On", " Hold On",
                                       "HOLD ON", " HOLD ON"]  # fmt: skip


def test_tokens_by_steps_and_special_ones():
    words = Spelled("Wait", ", ", "no")
    mapped = TokenMap(words)([0, 1, 2, 0, 3])
    assert (mapped.text, list(mapped.starts), list(mapped.ends)) == (
        "Wait, no",
        [0, 0, 4, 6, 6],
        [0, 4, 6, 6, 8],
    )
    shown = TokenMap(words)([1, 0, 3], "Wait<s>no")
    assert shown.pieces() == ["Wait", "<s>", "no"]
    assert list(TokenMap(words).words()) == ["", "Wait", ", ", "no"]


@pytest.fixture(scope="module")
def shipped():
    from transformers import AutoTokenizer

    from tests.conftest import REASONER_TOKENIZERS

    return AutoTokenizer.from_pretrained(REASONER_TOKENIZERS["shipped"])


def test_a_byte_vocabulary_is_read_from_its_table(shipped, monkeypatch):
    mapped = TokenMap(shipped)
    emoji = shipped.encode("🦥", add_special_tokens=False)
    end = shipped.eos_token_id
    letters = shipped.encode("é", add_special_tokens=False)
    monkeypatch.setattr(type(shipped), "decode", None)
    broken = mapped([*emoji[:-1], end])
    assert (broken.text, broken.ends[-2], broken.starts[-1], broken.ends[-1]) == ("\ufffd", 1, 1, 1)
    behind = mapped([*letters, *emoji[:-1], *letters])
    assert (behind.text, behind.starts[0], behind.ends[-1]) == ("é\ufffdé", 0, 3)
    assert mapped(emoji, "🦥").pieces() == ["🦥"] * len(emoji)
    assert mapped([*letters, end, *letters], "éé").char_span(len(letters), len(letters) + 1) == (1, 1)
    assert mapped([*letters, len(shipped) + 5]).pieces()[-1] == ""
    words = list(mapped.words())
    assert len(words) == len(shipped)
    assert words[end] == ""
