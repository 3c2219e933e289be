"""Between generated token ids and characters: exact spans both ways, and the tokens that begin a phrase.

Positions always come from the ids that the model wrote. A decoded text is never encoded again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from backtracking.errors import UserError
from backtracking.text.arithmetic.expressions import Span

Integers = npt.NDArray[np.signedinteger[Any]]
_REPLACEMENT = "\ufffd"
_MIN_FAMILY_LETTERS = 3


class Tokenizer(Protocol):
    """What the text modules ask of a tokenizer; every Hugging Face tokenizer has it."""

    @property
    def all_special_ids(self) -> Any:
        """Ids of tokens that are no text."""

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> Any:
        """The token ids of a text."""

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = ..., **kwargs: Any) -> Any:
        """The text of token ids."""

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """The vocabulary's own spelling of each id."""

    def __len__(self) -> int: ...


def decode(tokenizer: Tokenizer, ids: Sequence[int], *, skip_special: bool = True) -> str:
    """The text of ids exactly as written, without the clean-up of spaces that some tokenizers do."""
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=skip_special, clean_up_tokenization_spaces=False)
    )


@dataclass(frozen=True)
class TokenText:
    """A text with the characters that each token touches.

    A character that several tokens share (a split emoji) belongs to each of them; a token that shows
    nothing (a skipped special token) has an empty span.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def token_span(self, start: int, end: int) -> Span:
        """The smallest run of tokens that covers characters start..end."""
        return bisect_right(self.ends, start), bisect_left(self.starts, end)

    def char_span(self, first: int, stop: int) -> Span:
        """The characters that tokens first..stop touch."""
        return (self.starts[first], self.ends[stop - 1]) if first < stop else (0, 0)

    def pieces(self) -> list[str]:
        """The text that each token touches."""
        return [self.text[start:end] for start, end in zip(self.starts, self.ends, strict=True)]


class TokenMap:
    """Maps ids to characters: by table lookups for byte-level BPE, else by step-by-step decoding."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._all_bytes = _bytes_of(tokenizer) if _is_byte_level(tokenizer) else None
        self._shown_bytes = self._all_bytes and self._all_bytes.without(tokenizer.all_special_ids)

    def __call__(self, ids: Sequence[int], text: str | None = None) -> TokenText:
        """Map ids; when `text` is given it must be what the ids decode to, with or without special tokens.

        An end token that closes the ids may be missing from a text that shows all other special tokens.
        """
        for mapped in self._readings(ids):
            if text is None or mapped.text == text:
                return mapped
        raise UserError(
            "a stored completion is not what its token ids decode to",
            f"the text begins {str(text)[:60]!r}, the ids decode to {mapped.text[:60]!r}",
            "check that model.hf_id names the model (and revision) that wrote these generations",
        )

    def _readings(self, ids: Sequence[int]) -> Iterator[TokenText]:
        yield self._map(ids, True)
        if ids:
            shown = self._map(ids[:-1], False)
            end = len(shown.text)
            yield TokenText(shown.text, [*shown.starts, end], [*shown.ends, end])
        yield self._map(ids, False)

    def _map(self, ids: Sequence[int], skip_special: bool) -> TokenText:
        table = self._shown_bytes if skip_special else self._all_bytes
        if table is not None:
            return _from_bytes(*table.read(ids))
        return _from_steps(self._tokenizer, ids, skip_special)

    def words(self) -> Iterator[str]:
        """What every token of the vocabulary says by itself, special ones nothing."""
        for token in range(len(self._tokenizer)):
            if self._shown_bytes is None:
                yield self._map([token], True).text
            else:
                yield self._shown_bytes[token].decode(errors="replace")


def _is_byte_level(tokenizer: Tokenizer) -> bool:
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    return type(decoder).__name__ == "ByteLevel"


def _byte_alphabet() -> dict[str, int]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + k): byte for k, byte in enumerate(others)}


class _ByteTable:
    """The bytes of every id, end to end: read thousands at a time, they are near each other in memory."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._data = np.frombuffer(b"".join(pieces), np.uint8)
        # small integers stay in the processor's cache; the last length is for ids that the vocabulary lacks
        self._lengths = np.array([*map(len, pieces), 0], np.int32)
        self._starts = (np.cumsum(self._lengths) - self._lengths).astype(np.int32)

    def __getitem__(self, token: int) -> bytes:
        start = self._starts[token]
        return self._data[start : start + self._lengths[token]].tobytes()

    def without(self, tokens: Iterable[int]) -> "_ByteTable":
        """The same, where some ids say nothing."""
        other = copy(self)
        other._lengths = self._lengths.copy()
        other._lengths[[token for token in map(int, tokens) if token < len(self._lengths)]] = 0
        return other

    def read(self, ids: Sequence[int]) -> tuple[bytes, Integers]:
        """What ids say together, and how many bytes each of them says."""
        places = np.minimum(np.fromiter(ids, np.int64, len(ids)), len(self._lengths) - 1)
        lengths = self._lengths[places]
        shifts = self._starts[places] - np.cumsum(lengths) + lengths
        taken = np.repeat(shifts, lengths) + np.arange(lengths.sum())
        return self._data[taken].tobytes(), lengths


def _bytes_of(tokenizer: Any) -> _ByteTable:
    """What each id says; a vocabulary is looked through once."""
    return _byte_table(tokenizer, len(tokenizer))


@lru_cache(maxsize=2)
def _byte_table(tokenizer: Any, size: int) -> _ByteTable:
    alphabet = _byte_alphabet()
    pieces = []
    for piece in tokenizer.convert_ids_to_tokens(list(range(size))):
        try:
            pieces.append(bytes([alphabet[char] for char in piece or ""]))
        except KeyError:  # an added token, written in plain characters
            pieces.append(piece.encode())
    return _ByteTable(pieces)


def _from_bytes(data: bytes, lengths: Integers) -> TokenText:
    text = data.decode(errors="replace")
    behind = np.cumsum(lengths)
    if len(text) != len(data) and _REPLACEMENT not in text:
        return _from_characters(data, text, behind - lengths, behind)
    starts, stops = (behind - lengths).tolist(), behind.tolist()
    if len(text) == len(data):
        return TokenText(text, starts, stops)
    char_at = _char_of_byte(data, text)
    first = [char_at[byte] if byte < len(data) else len(text) for byte in starts]
    last = [
        char_at[stop - 1] + 1 if stop > start else begin
        for start, stop, begin in zip(starts, stops, first, strict=True)
    ]
    return TokenText(text, first, last)


def _from_characters(data: bytes, text: str, begin: Integers, end: Integers) -> TokenText:
    """The spans where all bytes are whole characters: each begins with the one byte that continues none."""
    continues = np.frombuffer(data + b"\n", np.uint8) & 0xC0 == 0x80
    begun = np.concatenate([[0], np.cumsum(~continues)])  # characters that begin before each byte
    first = begun[begin] - continues[begin]
    last = np.where(begin == end, first, begun[end])
    return TokenText(text, first.tolist(), last.tolist())


def _char_of_byte(data: bytes, text: str) -> list[int]:
    """For every byte the index of the character it is part of, invalid bytes included."""
    owners: list[int] = []
    for index, char in enumerate(text):
        width = _replaced_width(data, len(owners)) if char == _REPLACEMENT else len(char.encode())
        owners.extend([index] * width)
    return owners


def _replaced_width(data: bytes, at: int) -> int:
    """How many bytes one U+FFFD stands for: three if it was written as such, else the invalid stretch."""
    try:
        data[at : at + 4].decode()
    except UnicodeDecodeError as error:
        return error.end if error.start == 0 else 3
    return 3


def _from_steps(tokenizer: Tokenizer, ids: Sequence[int], skip_special: bool) -> TokenText:
    """Spans by decoding: piece by piece inside a sliding window, or whole prefixes where that fails."""
    whole = decode(tokenizer, ids, skip_special=skip_special)
    pieces, halves = _windowed_pieces(tokenizer, ids, skip_special)
    lengths = list(accumulate(map(len, pieces)))
    if "".join(pieces) != whole:
        prefixes = [decode(tokenizer, ids[: k + 1], skip_special=skip_special) for k in range(len(ids))]
        lengths = list(accumulate((_shared_prefix(prefix, whole) for prefix in prefixes[:-1]), max))
        lengths.append(len(whole))
        halves = [prefix.endswith(_REPLACEMENT) for prefix in prefixes]
    return _from_prefix_lengths(whole, lengths, halves)


def _windowed_pieces(
    tokenizer: Tokenizer, ids: Sequence[int], skip_special: bool
) -> tuple[list[str], list[bool]]:
    """The characters that each token settles, and whether it leaves a half-written one."""
    pieces: list[str] = []
    halves: list[bool] = []
    window = read = shown = 0
    for k in range(len(ids)):
        known = decode(tokenizer, ids[window:read], skip_special=skip_special)
        grown = decode(tokenizer, ids[window : k + 1], skip_special=skip_special)
        shown = max(shown, len(known))
        half = len(grown) > len(known) and grown.endswith(_REPLACEMENT) and k < len(ids) - 1
        piece = grown.rstrip(_REPLACEMENT)[shown:] if half else grown[shown:]
        pieces.append(piece)
        halves.append(half)
        shown += len(piece)
        if len(grown) > len(known) and not half:
            window, read, shown = read, k + 1, 0
    return pieces, halves


def _shared_prefix(prefix: str, whole: str) -> int:
    """Length of the settled part of a decoded prefix."""
    prefix = prefix.rstrip(_REPLACEMENT)
    if whole.startswith(prefix):
        return len(prefix)
    return next(k for k, (a, b) in enumerate(zip(prefix, whole + "\0", strict=False)) if a != b)


def _from_prefix_lengths(whole: str, lengths: Sequence[int], halves: Sequence[bool]) -> TokenText:
    """Spans from settled lengths; a token that begins a character shares it with the one that ends it."""
    starts = [0, *lengths][: len(lengths)]
    ends = [min(length + half, len(whole)) for length, half in zip(lengths, halves, strict=True)]
    return TokenText(whole, starts, ends)


def token_pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Every token's own text, special tokens included."""
    return [decode(tokenizer, [token], skip_special=False) for token in ids]


def phrase_forms(phrase: str) -> list[str]:
    """The spellings of a phrase that may begin it: with and without a space, in the usual cases."""
    cases = dict.fromkeys([phrase.lower(), phrase.capitalize(), phrase.title(), phrase.upper()])
    return [space + form for form in cases for space in ("", " ")]


class TokenFamilies:
    """Which token ids begin a phrase, derived from a tokenizer's vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._words: dict[str, list[int]] = {}
        for token, text in enumerate(TokenMap(tokenizer).words()):
            word = text.strip().casefold()
            if word.isalpha():
                self._words.setdefault(word, []).append(token)

    def __call__(self, phrase: str) -> dict[int, str]:
        """Ids that begin the phrase with their texts: its whole first word, or how its spellings are cut.

        A first piece shorter than three letters ("W" + "AIT") says too little about the phrase to belong.
        """
        word = phrase.split(maxsplit=1)[0].casefold()
        family = set(self._words.get(word, []))
        for form in phrase_forms(phrase):
            family.update(self._first_piece(form, word))
        return {token: decode(self._tokenizer, [token], skip_special=False) for token in sorted(family)}

    def whole(self, word: str) -> frozenset[int]:
        """The tokens that are a word by themselves, in any case and with or without space around them."""
        return frozenset(self._words.get(word.casefold(), ()))

    def _first_piece(self, form: str, word: str) -> list[int]:
        for token in self._tokenizer.encode(form, add_special_tokens=False):
            piece = decode(self._tokenizer, [token], skip_special=False).strip().casefold()
            if piece:
                enough = len(piece) >= min(_MIN_FAMILY_LETTERS, len(word))
                return [int(token)] if enough and word.startswith(piece) else []
        return []

    def of_all(self, phrases: Sequence[str]) -> Mapping[str, dict[int, str]]:
        """The family of every phrase."""
        return {phrase: self(phrase) for phrase in phrases}


def families_of(tokenizer: Any) -> TokenFamilies:
    """The families of a tokenizer, whose vocabulary is looked through once."""
    return _families(tokenizer, len(tokenizer))


@lru_cache(maxsize=2)
def _families(tokenizer: Tokenizer, _size: int) -> TokenFamilies:
    return TokenFamilies(tokenizer)
