"""The batched engine is exact: equal to `generate`, blind to arrangement, and true to naive interventions."""

import itertools
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import torch
import transformers
from tiny import FAMILIES, VOCAB, build, prompt, tiny

from backtracking.engine.generate import Row, SamplingParams, generate_rows
from backtracking.engine.sampling import noise_key
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.hooks import Ledger, intervene

VECTORS = {
    "direction": torch.randn(32, generator=torch.Generator().manual_seed(1)),
    "head": torch.randn(8, generator=torch.Generator().manual_seed(2)),
}
SAMPLED = SamplingParams(10, temperature=1.0, top_p=0.95, logprobs=True)
MILD = Condition(
    name="mild",
    interventions=(
        Intervention(component="mlp", layer=1, strength=0.5),
        Intervention(component="attn", layer=2, strength=0.25),
    ),
)
PROMPT_TOO = Condition(
    name="prompt too",
    interventions=(Intervention(component="attn", layer=0, mode="zero", when=When(phase="all")),),
)


def texts(records):
    return {
        (r.example_id, r.sample_id, r.condition): (r.completion_ids, r.finish_reason, r.logprobs)
        for r in records
    }


def run(model, rows, params=SAMPLED, **options):
    ledger = Ledger()
    records = list(generate_rows(model, rows, params, seed=3, ledger=ledger, vectors=VECTORS, **options))
    ledger.verify()
    return records


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(family):
    """Prompts of several lengths side by side; completions pass the sliding windows."""
    model = tiny(family)
    prompts = [prompt(i, length) for i, length in enumerate((3, 9, 14))]
    records = run(model, [Row(p, 0) for p in prompts], SamplingParams(16, do_sample=False), slots=4)
    for record in records:
        ids = torch.tensor([record.prompt_ids])
        with torch.no_grad():
            own = model.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, pad_token_id=0
            )
        assert own[0, ids.shape[1] :].tolist() == record.completion_ids


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_a_row_does_not_know_its_neighbours(family):
    """Tokens and log-probabilities, to the last bit, in every arrangement."""
    model = tiny(family)
    rows = [
        Row(prompt(i, 4 + 3 * i), s, c)
        for i in range(4)
        for s in range(2)
        for c in (BASELINE, MILD, PROMPT_TOO)
    ]
    together = texts(run(model, rows, slots=64))
    assert len(together) == len(rows)
    assert texts(run(model, rows[::-1], slots=7)) == together
    mixed = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    assert texts(run(model, mixed, slots=3)) == together
    for row in rows[4:7]:
        assert texts(run(model, [row], slots=1)).items() <= together.items()


def test_rows_of_very_different_lengths_through_few_slots():
    """Slots grow and shrink with the rows in them; a row that joins must not touch a longer neighbour."""
    model = tiny("llama")
    long = replace(SAMPLED, max_new_tokens=220)
    rows = [Row(prompt(i, 4 + 2 * i), s) for i in range(8) for s in range(3)]
    together = texts(run(model, rows, long, slots=64))
    lengths = [len(tokens) for tokens, _, _ in together.values()]
    assert min(lengths) < 30 and max(lengths) > 180
    for slots in (2, 5):
        assert texts(run(model, rows, long, slots=slots)) == together


def test_long_neighbours_change_no_bit_where_many_queries_share_a_key_head():
    """The shape of larger models: wide heads, four queries to a key head, a few hundred positions."""
    config = transformers.LlamaConfig(
        vocab_size=VOCAB, hidden_size=256, intermediate_size=128, num_hidden_layers=2, num_attention_heads=8,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=1, initializer_range=0.3,
    )  # fmt: skip
    model = build(config)
    short, long = Row(prompt(0, 110), 0), Row(prompt(1, 190), 0)
    alone = texts(run(model, [short], slots=1))
    assert alone.items() <= texts(run(model, [short, long], slots=2)).items()


def test_a_stopped_run_goes_on_to_the_same_rows():
    model = tiny("llama")
    rows = [Row(prompt(i, 5 + i), s, c) for i in range(4) for s in range(2) for c in (BASELINE, MILD)]
    whole = texts(run(model, rows, slots=4))
    stopped = generate_rows(model, rows, SAMPLED, seed=3, slots=4, vectors=VECTORS)
    kept = [next(stopped) for _ in range(5)]
    stopped.close()
    done = set(texts(kept))
    rest = [row for row in rows if (row.prompt.example_id, row.sample_id, row.condition.name) not in done]
    assert texts(kept) | texts(run(model, rest, slots=3)) == whole


def test_the_reference_path_gives_the_same_tokens():
    model = tiny("qwen2")
    rows = [
        Row(prompt(i, 5 + i), s, c) for i in range(2) for s in range(2) for c in (BASELINE, MILD, PROMPT_TOO)
    ]
    batched, reference = run(model, rows, slots=8), run(model, rows, engine="reference")
    key = attrgetter("example_id", "sample_id", "condition")
    for ours, theirs in zip(sorted(batched, key=key), sorted(reference, key=key), strict=True):
        assert ours.completion_ids == theirs.completion_ids
        assert np.allclose(ours.logprobs, theirs.logprobs, atol=1e-5)
        assert ours.model_dump(exclude={"logprobs"}) == theirs.model_dump(exclude={"logprobs"})


CHANGES = {
    "scale": {"component": "mlp", "layer": 1, "strength": 0.4},
    "zero": {"component": "attn", "layer": 1, "mode": "zero"},
    "mean": {"component": "mlp", "layer": 0, "mode": "mean", "vector": "direction"},
    "add": {"component": "resid", "layer": 1, "mode": "add", "strength": -1.5, "vector": "direction"},
    "project": {"component": "resid", "layer": 0, "mode": "project", "strength": 1.0, "vector": "direction"},
    "scale the stream": {"component": "resid", "layer": 2, "strength": 0.5},
    "scale a head": {"component": "attn", "layer": 1, "head": 2, "strength": 0.0},
    "mean of a head": {"component": "attn", "layer": 2, "head": 1, "mode": "mean", "vector": "head"},
}
SENTENCE_ENDS = frozenset(range(0, VOCAB, 3))
ONSETS = [(t,) for t in range(1, VOCAB, 12)]
SCHEDULES = {
    "decode": When(),
    "prefill": When(phase="prefill"),
    "all": When(phase="all"),
    "steps": When(phase="all", steps=(0, 2, 3, 7)),
    "after": When(phase="all", after_tokens=SENTENCE_ENDS),
    "from onset": When(onset="from_first"),
    "until onset": When(onset="until_first", after_tokens=SENTENCE_ENDS),
}
COMBINATIONS = list(itertools.product(CHANGES, SCHEDULES))


def condition(change: str, schedule: str) -> Condition:
    intervention = Intervention(**CHANGES[change], when=SCHEDULES[schedule])
    return Condition(name=f"{change}, {schedule}", interventions=(intervention,))


def positions_by_hand(schedule: str, prompt_ids: list[int], fed: list[int]) -> list[int]:
    """Where each schedule must act on prompt + fed tokens, spelled out case by case."""
    n = len(prompt_ids)
    ids = prompt_ids + fed
    first = next((i for i, token in enumerate(fed) if (token,) in ONSETS), len(fed))
    return {
        "decode": list(range(n, len(ids))),
        "prefill": list(range(n)),
        "all": list(range(len(ids))),
        "steps": [*range(n), *(n + i for i in (1, 2, 6) if i < len(fed))],
        "after": [i for i, token in enumerate(ids) if token in SENTENCE_ENDS],
        "from onset": list(range(n + first, len(ids))),
        "until onset": [n + i for i in range(first) if fed[i] in SENTENCE_ENDS],
    }[schedule]


def naive_logits(model, change: str, ids: list[int], at: list[int]) -> torch.Tensor:
    """One uncached pass with a hand-written hook."""
    spec = CHANGES[change]
    vector = VECTORS.get(spec.get("vector"))

    def changed(hidden):
        hidden = hidden.clone()
        for i in at:
            part = hidden[0, i]
            if "head" in spec:
                part = part[spec["head"] * 8 : spec["head"] * 8 + 8]
            if spec.get("mode", "scale") in ("scale", "zero"):
                part *= spec.get("strength", 0.0)
            elif spec["mode"] == "mean":
                part[:] = vector
            elif spec["mode"] == "add":
                part += spec["strength"] * vector
            else:
                unit = vector / vector.norm()
                part -= spec["strength"] * (part @ unit) * unit
        return hidden

    def after(module, args, output):
        return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

    block = model.blocks[spec["layer"]]
    if "head" in spec:
        handle = block.head_projection.register_forward_pre_hook(lambda m, args: (changed(args[0]),))
    else:
        module = {"attn": block.attn, "mlp": block.mlp, "resid": block.layer}[spec["component"]]
        handle = module.register_forward_hook(after)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0]
    handle.remove()
    return logits


@pytest.fixture
def seen_logits(monkeypatch):
    """Records every row's logits at every step, keyed by noise key, condition order and step."""
    from backtracking.engine import batched

    seen: dict[tuple[int, int], list[torch.Tensor]] = {}
    real = batched.Batch._choose

    def spy(self, logits, drafts, conditions):
        for draft, row in zip(drafts, logits, strict=True):
            seen.setdefault((draft.key, id(draft.row)), []).append(row.clone())
        real(self, logits, drafts, conditions)

    monkeypatch.setattr(batched.Batch, "_choose", spy)
    return seen


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt_neox"])
def test_every_change_at_every_time_equals_a_naive_hook(family, seen_logits):
    """All combinations run in one batch; each is then redone alone, uncached, by hand."""
    model = tiny(family)
    combinations = COMBINATIONS if family == "llama" else COMBINATIONS[::5]
    rows = [Row(prompt(7, 9), 0, condition(*names)) for names in combinations]
    ledger = Ledger()
    records = generate_rows(
        model, rows, SAMPLED, seed=3, slots=64, ledger=ledger, vectors=VECTORS, onset_phrases=ONSETS
    )
    by_name = {record.condition: record for record in records}
    ledger.verify()
    acted = 0
    for (change, schedule), row in zip(combinations, rows, strict=True):
        record = by_name[row.condition.name]
        ids, fed = record.prompt_ids, record.completion_ids[:-1]
        at = positions_by_hand(schedule, ids, fed)
        acted += bool(at)
        expected = naive_logits(model, change, ids + fed, at)[len(ids) - 1 :]
        got = torch.stack(seen_logits[noise_key(3, "7", 0), id(row)])
        assert torch.allclose(got, expected, atol=1e-5 * float(expected.abs().max())), row.condition.name
        key = (
            row.condition.name,
            row.condition.interventions[0].layer,
            row.condition.interventions[0].component,
        )
        passes = {0 if i < len(ids) else i for i in at}
        assert (ledger.called[key], ledger.applied[key]) == (1 + len(fed), len(passes))
    assert acted > len(combinations) * 0.7


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_teacher_forced_call_equals_decoding(schedule):
    """`intervene` on a whole sequence, several conditions side by side, equals the naive hook."""
    model = tiny("llama")
    ids = list(prompt(7, 18).ids)
    at = positions_by_hand(schedule, ids[:9], ids[9:])
    conditions = [condition(change, schedule) for change in CHANGES]
    with (
        intervene(model, conditions, prompt_lengths=[9], vectors=VECTORS, onset_phrases=ONSETS),
        torch.no_grad(),
    ):
        logits = model.model(torch.tensor([ids] * len(conditions))).logits
    for change, got in zip(CHANGES, logits, strict=True):
        expected = naive_logits(model, change, ids, at)
        assert torch.allclose(got, expected, atol=1e-5 * float(expected.abs().max())), change


def test_scale_one_changes_no_bit(seen_logits):
    model = tiny("llama")
    everything = tuple(
        Intervention(component=c, layer=layer, strength=1.0, when=When(phase="all"))
        for layer in range(3)
        for c in ("attn", "mlp", "resid")
    )
    half = Condition(name="half", interventions=(Intervention(component="mlp", layer=0, strength=0.5),))
    rows = [
        Row(prompt(1), 0),
        Row(prompt(1), 0, Condition(name="ones", interventions=everything)),
        Row(prompt(1), 0, half),
    ]
    run(model, rows, slots=3)
    plain, ones, halved = (torch.stack(seen_logits[noise_key(3, "1", 0), id(row)]) for row in rows)
    assert torch.equal(plain, ones)
    assert not torch.equal(plain, halved)


def test_order_of_interventions_on_one_module_is_kept():
    model = tiny("llama")
    add = Intervention(
        component="resid", layer=1, mode="add", strength=1.0, vector="direction", when=When(phase="all")
    )
    scale = Intervention(component="resid", layer=1, strength=0.5, when=When(phase="all"))
    pair = [Condition(name="a", interventions=(add, scale)), Condition(name="s", interventions=(scale, add))]
    states = []
    handle = model.blocks[2].layer.register_forward_pre_hook(
        lambda m, args, kwargs: states.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    ids = torch.tensor([list(prompt(1).ids)] * 2)
    with torch.no_grad(), intervene(model, pair, vectors=VECTORS):
        model.model(ids)
    with torch.no_grad():
        model.model(ids)
    handle.remove()
    changed, plain = states
    assert torch.allclose(changed[0], (plain[0] + VECTORS["direction"]) * 0.5, atol=1e-5)
    assert torch.allclose(changed[1], plain[1] * 0.5 + VECTORS["direction"], atol=1e-5)


def test_two_conditions_share_noise_until_they_part(seen_logits):
    """Where two rows part, it is by their logits under the same noise."""
    model = tiny("llama")
    weak = Condition(name="weak", interventions=(Intervention(component="mlp", layer=1, strength=0.9),))
    records = {
        r.condition: r
        for r in run(model, [Row(prompt(5), 0), Row(prompt(5), 0, weak)], SamplingParams(40, 1.0, 0.95))
    }
    a, b = records["baseline"].completion_ids, records["weak"].completion_ids
    assert a[0] == b[0]  # the prompt is untouched by a decode-only condition
    from backtracking.engine.sampling import gumbels

    parting = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    assert parting is None or parting > 0
    if parting is not None:
        noise = gumbels(
            torch.tensor([noise_key(3, "5", 0)]),
            torch.tensor([parting]),
            torch.tensor([[a[parting], b[parting]]]),
        )
        logits = [seen[parting].double() for seen in seen_logits.values()]
        gaps = [float(x[a[parting]] - x[b[parting]]) for x in logits]
        gap_of_noise = float(noise[0, 1] - noise[0, 0])
        assert gaps[0] > gap_of_noise > gaps[1]
