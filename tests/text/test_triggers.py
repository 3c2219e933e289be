"""How tokenizers of each kind spell trigger phrases, and which first pieces are distinctive."""

import re

import pytest
from transformers import AutoTokenizer

from backtracking.config.schema import ModelConfig
from backtracking.interventions import Condition
from backtracking.model.bans import Bans
from backtracking.model.loading import load_tokenizer
from backtracking.text.onsets.triggers import Pieces, Triggers, shortest
from backtracking.text.tokenization import decode
from tests.conftest import shared_data

STRICT = ("wait", "hold on", "actually", "but wait")
TEXTS = ("So 4. But wait, no", "It is 16.\nWait. 17", "Hold on! That", "Is it 3? Actually, it", "7 BUT WAIT")


@pytest.fixture(scope="module", params=["bundled", "r1_tokenizer", "tokenizers/deepseek_v3", "tokenizers/yi"])
def tokenizer(request):
    if request.param == "bundled":
        return load_tokenizer(ModelConfig(hf_id="bundled"))
    return AutoTokenizer.from_pretrained(shared_data() / request.param)


@pytest.fixture(scope="module")
def triggers(tokenizer):
    return Triggers.of(tokenizer, STRICT)


def _read(tokenizer, ids):
    return decode(tokenizer, ids, skip_special=False).strip().casefold()


def test_every_sequence_says_its_phrase(tokenizer, triggers):
    for phrase, spelled in triggers.spelled.items():
        assert len(spelled) > 3
        for ids in spelled:
            assert _read(tokenizer, ids) == phrase
            assert all(_read(tokenizer, ids[:k]) != phrase for k in range(1, len(ids)))


def test_whole_words_are_distinctive_and_beginnings_are_not(tokenizer, triggers):
    assert {_read(tokenizer, [token]) for token in triggers.distinctive} == {"wait", "actually"}
    begun = {_read(tokenizer, [token]) for token in triggers.tokens - triggers.distinctive}
    assert {"but", "hold"} <= begun


@pytest.mark.parametrize("text", TEXTS)
def test_triggers_are_found_in_running_text(tokenizer, triggers, text):
    ids = tokenizer.encode(text, add_special_tokens=False)
    said = decode(tokenizer, [ids[place] for place in sorted(triggers.places(ids))]).casefold()
    assert "".join(said.split()) in {"butwait", "wait", "holdon", "actually"}
    plain = tokenizer.encode("But 4 is not enough to hold. So we go on.", add_special_tokens=False)
    assert not triggers.places(plain), "a bare 'But' is none"


def test_what_goes_on_from_a_phrase_is_that_phrase():
    assert shortest([(1, 2, 3), (1, 2), (2,), (4, 2), (2, 1)]) == ((1, 2), (2,), (4, 2))


def test_pieces_put_together_are_the_text(tokenizer):
    pieces = Pieces(tokenizer)
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert pieces.end_of(ids, 1000).strip() == decode(tokenizer, ids).lower().strip()
        assert pieces.end_of(ids, 5) == pieces.end_of(ids, 1000)[-len(pieces.end_of(ids, 5)) :]
        assert len(pieces.end_of(ids, 5)) >= 5


@pytest.mark.parametrize("text", ["So 4. But", "So 4. W", "Hold", "A threshold", "No. A", "So 4.", "ho"])
def test_what_would_complete_a_phrase_is_banned_however_it_is_cut(tokenizer, text):
    """Against every token put behind the text, and the text read as the detector reads it."""
    bans = Bans(Condition(name="mute", suppress_phrases=frozenset(STRICT)), tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False)
    before = decode(tokenizer, ids).lower()
    said = re.compile(r"(?<![^\W\d_])(?:wait|hold on|actually)$")
    expected = {
        token
        for token in range(len(tokenizer))
        if (grown := decode(tokenizer, [*ids, token]).lower()) != before and said.search(grown)
    }
    assert set(bans.after(ids)) == expected
    assert len(expected) >= 3
