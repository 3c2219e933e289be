"""Token positions: every span comes from the generated ids and goes both ways without loss."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from backtracking.errors import UserError
from backtracking.text.tokenization import TokenFamilies, TokenMap, decode
from tests.conftest import find_shared_data

PINNED = {" wait": 3783, "Wait": 14190, " Wait": 13824}
"""In the real vocabulary; the shipped one has ids of its own."""


def one(tokenizer, text):
    """The id of a text that is one token."""
    (token,) = tokenizer.encode(text, add_special_tokens=False)
    return token


def plain(tokenizer, numbers):
    """Any numbers as ids of tokens that show text: those before the first special one."""
    return [number % min(tokenizer.all_special_ids) for number in numbers]


@pytest.fixture(scope="session")
def r1_map(r1_tokenizer):
    return TokenMap(r1_tokenizer)


@pytest.fixture(scope="session")
def r1_stepwise(r1_tokenizer):
    """The same tokenizer mapped by decoding step by step."""
    stepwise = TokenMap(r1_tokenizer)
    stepwise._shown_bytes = None
    return stepwise


@pytest.fixture(scope="session")
def sentencepiece_like():
    """A tokenizer in the manner of SentencePiece: spaces as ▁, unknown characters as byte tokens."""
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words = ["▁", "▁Wait", "Wait", "▁wait", "▁so", "a", "i", "t", "W", ".", ",", "8", "▁8", "é"]
    vocab = {piece: k for k, piece in enumerate(pieces + words)}
    backend = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", unk_token="<unk>")


def char_boundary(mapped, position):
    """Whether no character is split between the tokens before and after a position."""
    return position in (0, len(mapped.starts)) or mapped.ends[position - 1] <= mapped.starts[position]


ANY_NUMBERS = st.lists(st.integers(0, 151642), max_size=40)


class TestRandomIds:
    @settings(max_examples=150)
    @given(numbers=ANY_NUMBERS)
    def test_text_equals_the_tokenizers_own_decoding(self, r1_tokenizer, r1_map, numbers):
        ids = plain(r1_tokenizer, numbers)
        assert r1_map(ids).text == decode(r1_tokenizer, ids)

    @settings(max_examples=150)
    @given(numbers=ANY_NUMBERS, data=st.data())
    def test_token_span_to_characters_and_back_is_the_identity(self, r1_tokenizer, r1_map, numbers, data):
        ids = plain(r1_tokenizer, numbers)
        mapped = r1_map(ids)
        first = data.draw(st.integers(0, len(ids)))
        stop = data.draw(st.integers(first, len(ids)))
        assume(first < stop and char_boundary(mapped, first) and char_boundary(mapped, stop))
        start, end = mapped.char_span(first, stop)
        assert mapped.token_span(start, end) == (first, stop)
        assert mapped.text[start:end] == decode(r1_tokenizer, ids[first:stop])

    @settings(max_examples=150)
    @given(numbers=ANY_NUMBERS.filter(bool), data=st.data())
    def test_character_span_gets_the_smallest_cover(self, r1_tokenizer, r1_map, numbers, data):
        ids = plain(r1_tokenizer, numbers)
        mapped = r1_map(ids)
        assume(mapped.text)
        start = data.draw(st.integers(0, len(mapped.text) - 1))
        end = data.draw(st.integers(start + 1, len(mapped.text)))
        first, stop = mapped.token_span(start, end)
        touching = [k for k in range(len(ids)) if mapped.starts[k] < end and mapped.ends[k] > start]
        assert list(range(first, stop)) == touching

    @settings(max_examples=60)
    @given(ids=st.lists(st.integers(2, 271), max_size=25), data=st.data())
    def test_stepwise_fallback_agrees_with_decoded_prefixes(self, sentencepiece_like, ids, data):
        mapped = TokenMap(sentencepiece_like)(ids)
        whole = decode(sentencepiece_like, ids)
        assert mapped.text == whole
        for k in range(len(ids)):
            prefix = decode(sentencepiece_like, ids[: k + 1])
            if whole.startswith(prefix) and "\ufffd" not in prefix:
                assert mapped.ends[k] == len(prefix)


class TestFallbackMatchesTables:
    """Both ways of mapping are independent implementations of the same thing."""

    @settings(max_examples=150)
    @given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
    def test_on_encoded_text(self, r1_tokenizer, r1_map, r1_stepwise, text):
        ids = r1_tokenizer.encode(text, add_special_tokens=False)
        assume(decode(r1_tokenizer, ids) == text and "\ufffd" not in text)
        by_table, by_steps = r1_map(ids), r1_stepwise(ids)
        assert by_table.text == by_steps.text == text
        assert list(by_table.starts) == list(by_steps.starts)
        assert list(by_table.ends) == list(by_steps.ends)


class TestOnsetShapes:
    @pytest.mark.parametrize(
        ("before", "trigger"),
        [(("8", "."), " Wait"), (("8", ".", "\n"), "Wait"), ((" right",), " wait"), ((), "Wait")],
    )
    def test_single_token_triggers(self, r1_tokenizer, r1_map, before, trigger):
        ids = [one(r1_tokenizer, text) for text in (*before, trigger, ",", " no")]
        mapped = r1_map(ids)
        phrase = trigger.strip()
        at = mapped.text.index(phrase)
        assert mapped.token_span(at, at + len(phrase)) == (len(before), len(before) + 1)

    @pytest.mark.parametrize("before", ["", "8. ", "👩‍👩‍👧 是八。", "naïve — ", "\n\n", "½ 𝟠. "])
    @pytest.mark.parametrize("phrase", ["Hold on", "Alternatively", "WAIT", "wAiT", "But wait"])
    def test_multi_token_triggers_after_any_text(self, r1_tokenizer, r1_map, before, phrase):
        ids = r1_tokenizer.encode(before + phrase + ", no", add_special_tokens=False)
        mapped = r1_map(ids, before + phrase + ", no")
        first, stop = mapped.token_span(len(before), len(before) + len(phrase))
        assert decode(r1_tokenizer, ids[first:stop]).strip() == phrase
        assert phrase[0] in decode(r1_tokenizer, [ids[first]])
        until = decode(r1_tokenizer, ids[:first])
        assert until.removesuffix(" ") == before.removesuffix(" ") or before[-1:] == "\n"

    def test_a_character_split_over_tokens_belongs_to_each_of_them(self, r1_tokenizer, r1_map):
        ids = r1_tokenizer.encode("a🦥b", add_special_tokens=False)
        mapped = r1_map(ids)
        assert len(ids) > 3
        assert mapped.token_span(1, 2) == (1, len(ids) - 1)
        assert mapped.token_span(2, 3) == (len(ids) - 1, len(ids))

    def test_bytes_that_never_become_a_character(self, r1_tokenizer, r1_map):
        emoji = r1_tokenizer.encode("🦥", add_special_tokens=False)
        ids = [*emoji[:-1], one(r1_tokenizer, " Wait")]
        mapped = r1_map(ids)
        at = mapped.text.index("Wait")
        assert mapped.token_span(at, at + 4) == (len(ids) - 1, len(ids))

    def test_special_tokens_show_nothing_and_shift_nothing(self, r1_tokenizer, r1_map):
        ids = [one(r1_tokenizer, "Wait"), r1_tokenizer.eos_token_id]
        mapped = r1_map(ids, "Wait")
        assert mapped.token_span(0, 4) == (0, 1)
        assert (list(mapped.starts), list(mapped.ends)) == ([0, 4], [4, 4])

    def test_text_with_special_tokens_is_recognised_too(self, r1_tokenizer, r1_map):
        ids = [one(r1_tokenizer, "Wait"), r1_tokenizer.eos_token_id]
        assert r1_map(ids, "Wait" + r1_tokenizer.eos_token).token_span(0, 4) == (0, 1)

    def test_a_text_without_its_end_token_may_show_other_special_tokens(self, r1_tokenizer, r1_map):
        bos, eos = r1_tokenizer.bos_token_id, r1_tokenizer.eos_token_id
        ids = [one(r1_tokenizer, "1"), bos, one(r1_tokenizer, " Wait"), eos]
        text = decode(r1_tokenizer, ids[:-1], skip_special=False)
        mapped = r1_map(ids, text)
        assert mapped.text == text
        assert mapped.text[slice(*mapped.char_span(2, 3))] == " Wait"
        assert mapped.char_span(3, 4) == (len(text), len(text))

    def test_text_of_another_tokenizer_is_refused(self, r1_tokenizer, r1_map):
        with pytest.raises(UserError, match="not what its token ids decode to"):
            r1_map([one(r1_tokenizer, "Wait")], "Hello")

    def test_padding_rows_of_the_embedding_decode_to_nothing(self, r1_tokenizer, r1_map):
        assert r1_map([one(r1_tokenizer, "Wait"), len(r1_tokenizer) + 200]).text == "Wait"

    def test_no_tokens(self, r1_map, sentencepiece_like):
        assert r1_map([]).text == TokenMap(sentencepiece_like)([]).text == ""


@pytest.fixture(scope="session")
def r1_families(r1_tokenizer):
    return TokenFamilies(r1_tokenizer)


class TestFamilies:
    def test_wait(self, r1_tokenizer, r1_families):
        family = r1_families("wait")
        spelled = {text: one(r1_tokenizer, text) for text in PINNED}
        assert spelled == PINNED or len(r1_tokenizer) < 1_000
        assert {token: text for text, token in spelled.items()}.items() <= family.items()
        assert all(text.strip().casefold() == "wait" for text in family.values())

    def test_a_word_of_several_pieces_gives_its_first(self, r1_tokenizer, r1_families):
        family = r1_families("alternatively")
        for form in ("Alternatively", " alternatively", " Alternatively"):
            assert r1_tokenizer.encode(form, add_special_tokens=False)[0] in family

    def test_only_the_first_word_counts(self, r1_families):
        assert r1_families("hold on") == r1_families("hold")

    def test_sentencepiece_space_is_no_member(self, sentencepiece_like):
        family = TokenFamilies(sentencepiece_like)("wait")
        assert set(family.values()) == {"Wait", "wait"}
        assert len(family) == 3


def test_spans_of_real_problem_text(r1_tokenizer, r1_map):
    """On problems as people write them every word's token span decodes back to that word."""
    lines = [
        '{"question": "Mara\\u2019s 3 hens lay 12 eggs…", "answer": "12 * 7 = <<12*7=84>>84\\n#### 84"}',
        "£1,250.50 were paid — “too much”, she said. What is the answer if 10% comes off?",
        "A naïve answer is ½ of 16; the café sold 1_000 crêpes (🥞×2)…\t end",
    ]
    if (shared := find_shared_data()) is not None:
        lines += (shared / "gsm8k_test.jsonl").read_text().splitlines()[:20]
    for line in lines:
        ids = r1_tokenizer.encode(line, add_special_tokens=False)
        mapped = r1_map(ids, line)
        assert (mapped.starts[0], mapped.ends[-1]) == (0, len(line))
        assert all(mapped.starts[k + 1] <= mapped.ends[k] for k in range(len(ids) - 1)), "no gaps"
        at = line.index("answer")
        first, stop = mapped.token_span(at, at + 6)
        assert "answer" in decode(r1_tokenizer, ids[first:stop])
