"""Prefixes sampled again: continuations from just before an onset, each with noise of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backtracking.config.onsets import StudiedOnsets
from backtracking.engine.executor.work import HERE, Executor
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows, none_failed
from backtracking.measurements.controls import Reading
from backtracking.measurements.stability import continuation_tokens
from backtracking.model.loading import LoadedModel
from backtracking.text.onsets import Detector
from backtracking.text.tokenization import TokenMap


@dataclass(frozen=True)
class Again:
    """How prefixes are sampled again."""

    samples: int
    window: int
    sampling: SamplingParams
    seed: int
    onsets: StudiedOnsets = "strict"


def sample_again(
    model: LoadedModel,
    wanted: Sequence[tuple[Reading, int]],
    detector: Detector,
    how: Again,
    executor: Executor = HERE,
) -> Iterator[tuple[int, int | None]]:
    """Per position and sample number how many tokens on the first onset begins; none without one.

    Continuations come as they end. Each position is an example of its own, so its noise is that of no row
    of the run, and neither order nor batch has a part in it.
    """
    token_map = TokenMap(model.tokenizer)
    rows = [
        Row(Prompt(f"{at.example_id}/{at.sample_id}/{at.pos}", "sampled again", "", at.seen), sample)
        for at, sample in wanted
    ]
    places = {row.id: place for place, row in enumerate(rows)}
    sampling = replace(
        how.sampling, max_new_tokens=continuation_tokens(how.window, how.onsets), logprobs=False
    )
    for record in none_failed(generate_rows(model, rows, sampling, seed=how.seed, executor=executor)):
        place = places[record.example_id, record.sample_id]
        at, _ = wanted[place]
        said = at.seen[at.prompt_tokens :]
        text = token_map([*said, *record.completion_ids])
        onsets = detector.of_kind(text.text, how.onsets)
        begins = (text.token_span(onset.start, onset.end)[0] - len(said) for onset in onsets)
        yield place, min((begin for begin in begins if begin >= 0), default=None)
