"""Labelled traces from a file: each text with the places and labels of its sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backtracking.config.onsets import Label
from backtracking.sources.labels import place_sentences
from backtracking.sources.rows import read_rows
from backtracking.sources.trace import Columns


@dataclass(frozen=True)
class LabelledTrace:
    """A trace, the question it answers, and start, end and label of its sentences."""

    question: str
    text: str
    spans: tuple[tuple[int, int, Label], ...]


def read_labelled_traces(source: str, mapping: Mapping[str, Label]) -> Iterator[LabelledTrace]:
    """The traces of a source that hold labels; those of one prompt, or else one id, share a question."""
    columns = Columns().found(read_rows(source)) or Columns()
    for number, row in enumerate(read_rows(source)):
        trace = columns.trace(row)
        if trace is not None and trace.sentences:
            placed, _ = place_sentences(trace.text, trace.sentences, mapping)
            spans = tuple((one.start, one.end, one.label) for one in placed)
            yield LabelledTrace(trace.prompt or trace.id or str(number), trace.text, spans)
