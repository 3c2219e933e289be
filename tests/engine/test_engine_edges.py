"""The engine at its edges: endings, failures, memory, refusals, laziness."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from tiny import NumberTokenizer, prompt, tiny

from backtracking.config.generation import LoopDetection
from backtracking.engine import batched, cache, graphs, prompts, threads
from backtracking.engine.generate import Prompt, Row, SamplingParams, generate_rows
from backtracking.engine.rows import LoopWatch, long_first
from backtracking.errors import UserError
from backtracking.interventions import BASELINE, Condition, Intervention, When
from backtracking.model.hooks import Ledger
from backtracking.model.loading import LoadedModel

GREEDY = SamplingParams(12, do_sample=False)
SAMPLED = SamplingParams(12, 1.0, 0.95)


BLOWUP = Condition(
    name="blow up",
    interventions=(Intervention(component="mlp", layer=0, strength=1e38, when=When(steps=(4,))),),
)


def generate(model, rows, params=SAMPLED, **options):
    ledger = Ledger()
    records = list(generate_rows(model, rows, params, seed=0, ledger=ledger, **options))
    ledger.verify()
    return {(r.example_id, r.sample_id, r.condition): r for r in records}


def without_end(model):
    """The same model, whose rows end at the cap alone."""
    model = copy.copy(model)
    object.__setattr__(model, "eos_token_ids", frozenset())
    return model


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_endings(engine):
    base = tiny("llama")
    rows = [Row(prompt(i), 0) for i in range(4)]
    free = generate(base, rows, GREEDY, engine=engine, slots=4)
    first, second = free["0", 0, "baseline"].completion_ids[2], free["1", 0, "baseline"].completion_ids[4]
    model = copy.copy(base)
    object.__setattr__(model, "eos_token_ids", frozenset({first, second}))
    stopped = generate(model, rows, GREEDY, engine=engine, slots=4)
    assert stopped["0", 0, "baseline"].finish_reason == "stop"
    assert stopped["0", 0, "baseline"].completion_ids[-1] in (first, second)
    assert len(stopped["0", 0, "baseline"].completion_ids) <= 3
    assert str(first) not in stopped["0", 0, "baseline"].completion.split()
    object.__setattr__(model, "eos_token_ids", frozenset())
    endless = generate(model, rows, GREEDY, engine=engine, slots=4)
    assert all(r.finish_reason == "length" and r.completion_tokens == 12 for r in endless.values())
    one = generate(base, rows, SamplingParams(1), engine=engine, slots=2)
    assert all(r.completion_tokens == 1 and r.finish_reason in ("length", "stop") for r in one.values())


def test_the_context_bounds_a_row_and_refuses_a_prompt():
    model = tiny("gpt2")  # learned positions: a step past the context would be an index error
    records = generate(model, [Row(prompt(0, 250), 0)], SamplingParams(50))
    assert records["0", 0, "baseline"].finish_reason == "length"
    assert records["0", 0, "baseline"].completion_tokens == 6
    with pytest.raises(UserError, match=r"(?s)example '0'.*256 tokens, the model's context 256"):
        generate(model, [Row(prompt(0, 256), 0)])
    with pytest.raises(UserError, match="prompt is empty"):
        generate(model, [Row(Prompt("e", "v", "", ()), 0)])
    with pytest.raises(UserError, match="outside the vocabulary"):
        generate(model, [Row(Prompt("e", "v", "?", (4, 320)), 0)])


def test_special_tokens_in_a_prompt_are_ordinary_tokens():
    """Two BOS, pads on either side: the ids are read as they stand, whatever else is in the batch."""
    model = tiny("llama")
    variants = {"bos": (2, 2, 9, 8), "left": (0, 0, 9, 8), "right": (9, 8, 0, 0)}
    rows = [Row(Prompt(name, "v", name, ids), 0) for name, ids in variants.items()]
    for name, record in generate(model, rows, GREEDY).items():
        ids = torch.tensor([variants[name[0]]])
        own = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        assert own[0, 4:].tolist() == record.completion_ids
        assert tuple(record.prompt_ids) == variants[name[0]]


def test_a_row_whose_logits_fail_is_named_and_harms_no_other():
    model = copy.deepcopy(tiny("llama"))
    with torch.no_grad():
        model.model.get_input_embeddings().weight[77] = float("nan")
        model.model.lm_head.weight[77] = 0.0
    good = [Row(prompt(i, 6 + i), 0) for i in range(6)]
    bad = Row(Prompt("bad", "v", "?", (5, 77, 9)), 0)
    late = Row(prompt(9), 0, BLOWUP)
    alone = generate(model, good, slots=2)
    mixed = generate(model, [good[0], bad, late, *good[1:]], slots=2)
    assert {k: mixed[k].completion_ids for k in alone} == {k: r.completion_ids for k, r in alone.items()}
    assert mixed["bad", 0, "baseline"].finish_reason == "error"
    assert mixed["bad", 0, "baseline"].completion_ids == []
    failed = mixed["9", 0, "blow up"]
    assert failed.finish_reason == "error"
    assert failed.completion_tokens == 4
    assert failed.error == "example '9', sample 0, condition 'blow up', step 4: the logits are not finite"


def test_what_a_failed_row_leaves_behind_reaches_no_row_after_it():
    """A short row moves into a failed, longer row's slot, and grows over what was there."""
    model = without_end(tiny("llama"))
    rows = [Row(prompt(0, 30), 0, BLOWUP), Row(prompt(1, 5), 0)]
    params = SamplingParams(40, 1.0, 0.95)
    mixed, alone = generate(model, rows, params, slots=2), generate(model, rows[1:], params, slots=2)
    assert mixed["0", 0, "blow up"].finish_reason == "error"
    assert mixed["1", 0, "baseline"].completion_ids == alone["1", 0, "baseline"].completion_ids


def test_a_checkpoints_own_penalties_stay_out_of_the_reference_path():
    model = LoadedModel.wrap(copy.deepcopy(tiny("llama").model), NumberTokenizer())
    model.model.generation_config.repetition_penalty = 5.0
    rows = [Row(prompt(i), 0) for i in range(3)]
    batched, reference = (generate(model, rows, GREEDY, engine=engine) for engine in ("batched", "reference"))
    assert {k: r.completion_ids for k, r in batched.items()} == {
        k: r.completion_ids for k, r in reference.items()
    }
    assert model.model.generation_config.repetition_penalty == 5.0


def test_suppressed_tokens_are_never_drawn():
    model = tiny("llama")
    free = generate(model, [Row(prompt(i), 0) for i in range(6)])
    common = frozenset(t for r in free.values() for t in r.completion_ids[:6])
    muted = Condition(name="muted", suppress_tokens=common)
    for engine in ("batched", "reference"):
        rows = [Row(prompt(i), 0, c) for i in range(3) for c in (BASELINE, muted)]
        mixed = generate(model, rows, engine=engine)
        for (example, _, name), record in mixed.items():
            if name == "muted":
                assert not common & set(record.completion_ids)
            else:
                assert record.completion_ids == free[example, 0, "baseline"].completion_ids


def test_a_phrase_is_never_completed_and_its_pieces_stay():
    """Token for token as in the reference engine, and as each row alone."""
    model, params = without_end(tiny("llama")), SamplingParams(24, 1.3, 1.0)
    rows = [Row(prompt(i), sample) for i in range(4) for sample in range(3)]
    alone = generate(model, rows, params)
    free = [alone[row.prompt.example_id, row.sample_id, "baseline"].completion_ids for row in rows]
    pairs = {tuple(ids[k : k + 2]) for ids in free for k in range(0, len(ids) - 1, 2)}
    single, longer = {(ids[5],) for ids in free[:2]}, {tuple(ids[3:7]) for ids in free}
    phrases = frozenset(" ".join(map(str, ids)) for ids in pairs | single | longer)
    muted = Condition(name="muted", suppress_phrases=phrases)
    mixed = [Row(row.prompt, row.sample_id, c) for row in rows for c in (muted, BASELINE)]
    found = {
        engine: {
            key: record.completion_ids
            for key, record in generate(model, mixed, params, engine=engine).items()
        }
        for engine in ("batched", "reference")
    }
    assert found["batched"] == found["reference"]
    one_by_one = {}
    for row in mixed:
        one_by_one |= {key: r.completion_ids for key, r in generate(model, [row], params, slots=1).items()}
    assert found["batched"] == one_by_one
    assert [found["batched"][row.prompt.example_id, row.sample_id, "baseline"] for row in rows] == free
    said = [ids for (_, _, name), ids in found["batched"].items() if name == "muted"]
    for ids in said:
        for phrase in pairs | single | longer:
            assert not any(tuple(ids[k : k + len(phrase)]) == phrase for k in range(len(ids)))
    last_pieces = {phrase[-1] for phrase in pairs} - {token for (token,) in single}
    assert any(token in last_pieces for ids in said for token in ids), "elsewhere they may be said"


def test_conditions_without_phrases_are_written_as_before():
    plain = Condition(name="plain", suppress_tokens=frozenset({3}))
    assert "suppress_phrases" not in plain.model_dump(mode="json")
    muted = Condition(name="muted", suppress_phrases=frozenset({"wait", "hold on"}))
    written = muted.model_dump(mode="json")
    assert written["suppress_phrases"] == ["hold on", "wait"] and Condition.model_validate(written) == muted


def test_loops_are_found_at_any_period_up_to_the_window():
    watch = LoopWatch(window=4, repeats=3)
    assert not any(watch.push(t) for t in [9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2])
    assert watch.push(3)  # twelve tokens of period three
    for period in (1, 2, 4):
        watch = LoopWatch(4, 3)
        assert [watch.push(i % period) for i in range(12)] == [False] * 11 + [True]
    watch = LoopWatch(4, 3)
    assert not any(watch.push(i % 5) for i in range(60))
    naive = np.random.default_rng(0).integers(0, 2, 400).tolist()
    watch = LoopWatch(3, 2)
    for i, token in enumerate(naive):
        tail = naive[max(i - 5, 0) : i + 1]
        expected = len(tail) == 6 and any(tail[p:] == tail[:-p] for p in (1, 2, 3))
        assert watch.push(token) == expected


def test_a_looping_row_ends_as_loop():
    model = tiny("gemma3")  # its random weights repeat themselves under greedy choice
    params = SamplingParams(60, do_sample=False, loop=LoopDetection(window=8, repeats=2))
    record = generate(model, [Row(prompt(0), 0)], params)["0", 0, "baseline"]
    assert record.finish_reason == "loop"
    assert record.completion_tokens < 60
    assert record.gen_params["loop"] == {"window": 8, "repeats": 2}


def test_prompts_are_read_once_for_all_samples_and_decode_only_conditions(monkeypatch):
    model = tiny("llama")
    read: list[int] = []
    real = prompts.prompt_pass
    monkeypatch.setattr(
        prompts, "prompt_pass", lambda m, packed: read.append(len(packed.segments)) or real(m, packed)
    )
    arms = [
        Condition(
            name=f"arm {i}", interventions=(Intervention(component="mlp", layer=i % 3, strength=i / 10),)
        )
        for i in range(6)
    ]
    whole = Condition(
        name="whole", interventions=(Intervention(component="mlp", layer=0, when=When(phase="all")),)
    )
    generate(
        model, [Row(prompt(i), s, c) for i in range(2) for s in range(3) for c in (*arms, whole)], slots=8
    )
    assert sum(read) == 4  # two prompts, each once for the six arms and once for the arm that changes it


def test_rows_are_taken_only_as_slots_become_free():
    model = tiny("llama")
    taken = []

    def source():
        for i in range(50):
            taken.append(i)
            yield Row(prompt(i), 0)

    records = generate_rows(model, source(), SAMPLED, seed=0, slots=4)
    next(records)
    assert len(taken) <= 10
    records.close()


def test_rows_that_finished_come_out_before_an_error_in_a_later_row():
    model = tiny("llama")
    rows = [Row(prompt(i, 5), 0) for i in range(6)] + [Row(prompt(6, 256), 0), Row(prompt(7, 5), 0)]
    for params in (SamplingParams(1), SAMPLED):
        finished = []
        with pytest.raises(UserError, match="the prompt has 256 tokens"):
            finished.extend(
                record.example_id for record in generate_rows(model, iter(rows), params, seed=0, slots=4)
            )
        assert sorted(finished) == list("012345")
    with pytest.raises(UserError, match="the prompt has 256 tokens"):
        generate_rows(model, rows, SAMPLED, seed=0)  # a list is refused before it starts


PLACES = {"decode_pass": graphs, "prompt_pass": prompts, "choose": batched, "_resized": cache}


@pytest.mark.parametrize("where", PLACES)
def test_out_of_memory_halves_the_slots_and_changes_no_row(monkeypatch, where):
    model = tiny("llama")
    half = Condition(name="half", interventions=(Intervention(component="mlp", layer=1, strength=0.5),))
    rows = [Row(prompt(i, 5 + i), 0, c) for i in range(6) for c in (BASELINE, half)]
    long = SamplingParams(40, 1.0, 0.95)
    expected = generate(model, rows, long, slots=8)
    module = PLACES[where]
    real, calls = getattr(module, where), []

    def short_of_memory(*args):
        calls.append(1)
        if len(calls) in {"prompt_pass": (1, 3), "_resized": (8, 9)}.get(where, (3, 4)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*args)

    monkeypatch.setattr(module, where, short_of_memory)
    found = generate(model, rows, long, slots=8)
    assert {k: r.completion_ids for k, r in found.items()} == {
        k: r.completion_ids for k, r in expected.items()
    }


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_memory_that_never_suffices_ends_in_words(monkeypatch, error):
    def none_left(*args):
        raise error

    monkeypatch.setattr(batched, "choose", none_left)
    with pytest.raises(UserError, match="does not suffice for one row alone"):
        generate(tiny("llama"), [Row(prompt(i, 5), 0) for i in range(6)], SAMPLED, slots=4)


def test_the_model_is_left_as_it_was():
    model = tiny("llama")
    before = model.model.config._attn_implementation
    generate(model, [Row(prompt(0), 0, removed(0))])
    assert model.model.config._attn_implementation == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.model.modules())


def removed(layer):
    return Condition(name="removed", interventions=(Intervention(component="mlp", layer=layer),))


def test_runs_that_live_side_by_side_do_not_feel_each_other():
    """Two runs in turns, a plain call between records, a run left unfinished: each as if it were alone."""
    model = without_end(tiny("llama"))
    plain, changed = [Row(prompt(i), 0) for i in range(6)], [Row(prompt(i), 0, removed(1)) for i in range(6)]
    expected = [generate(model, rows, slots=4) for rows in (plain, changed)]
    ids = torch.tensor([prompt(3).ids])
    with torch.no_grad():
        logits = model.model(ids).logits
    runs = [generate_rows(model, rows, SAMPLED, seed=0, slots=4) for rows in (plain, changed)]
    for a, b in zip(*runs, strict=True):
        for record, alone in zip((a, b), expected, strict=True):
            assert record.completion_ids == alone[record.example_id, 0, record.condition].completion_ids
        with torch.no_grad():
            assert torch.equal(model.model(ids).logits, logits)
    unfinished = generate_rows(model, changed, SAMPLED, seed=0, slots=4)
    next(unfinished)
    for engine in ("batched", "reference"):
        found = generate(model, plain[:2], engine=engine)
        assert all(found[key].completion_ids == expected[0][key].completion_ids for key in found)


def test_rows_of_long_problems_come_first_and_stay_together():
    rows = [Row(prompt(i), sample) for i in range(4) for sample in range(2)]
    known = {("1", 0): 90, ("1", 1): 10, ("3", 0): 60, ("3", 1): 60, ("0", 0): 7}
    ordered = [(row.prompt.example_id, row.sample_id) for row in long_first(rows, known)]
    assert ordered == [(i, sample) for i in "3102" for sample in range(2)]
    assert long_first(rows, {}) == rows


def test_rows_are_the_same_on_any_number_of_threads_and_the_callers_come_back(monkeypatch, two_threads):
    model, seen, real = tiny("llama"), [], batched.choose
    rows, params = [Row(prompt(i), 0) for i in range(9)], SamplingParams(24, 1.0, 0.95, logprobs=True)
    monkeypatch.setattr(batched, "choose", lambda *args: seen.append(torch.get_num_threads()) or real(*args))

    def made(worth, slots):
        monkeypatch.setattr(threads, "_WORTH_SHARING", worth)
        seen.clear()
        records = {}
        for record in generate_rows(model, rows, params, seed=0, slots=slots):
            assert torch.get_num_threads() == 2
            records[record.id] = (record.completion_ids, record.logprobs)
        return records, set(seen)

    shared, used = made(0, 4)
    assert used == {2}
    assert made(1 << 40, 4) == (shared, {1, 2})
    torch.set_num_threads(1)
    assert {
        r.id: (r.completion_ids, r.logprobs) for r in generate_rows(model, rows, params, seed=0)
    } == shared


def test_small_products_are_made_by_as_many_threads_as_took_less_time_lately(monkeypatch, two_threads):
    """On a clock of its own: one thread is the quicker one at first, two are after the second trial."""
    clock, used = [0.0], []
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clock[0])
    trying = threads.Threads(tiny("llama"), rows=4)
    for number in range(3 * threads._EVERY):
        alone, both = (1.0, 2.0) if number < threads._EVERY else (2.0, 1.5)
        with trying.turn():
            used.append(torch.get_num_threads())
            # Turns that read prompts take longer, whichever they fall on.
            clock[0] += (alone if used[-1] == 1 else both) + (20.0 if number % threads._EVERY == 0 else 0.0)
        assert torch.get_num_threads() == 2
    trial = 2 * threads._TRIED
    by_trial = [used[start : start + threads._EVERY] for start in range(0, len(used), threads._EVERY)]
    assert all(part[:trial] == [1, 2] * threads._TRIED for part in by_trial)
    assert [set(part[trial:]) for part in by_trial] == [{1}, {2}, {2}]


def test_large_products_are_always_shared(two_threads):
    large = dataclasses.replace(tiny("llama"), model=torch.nn.Linear(1024, 1024))
    for rows, expected in ((32, {2}), (16, {1, 2})):
        used, those = set(), threads.Threads(large, rows)
        for _ in range(threads._TRIED):
            with those.turn():
                used.add(torch.get_num_threads())
        assert used == expected


def test_a_record_keeps_what_was_asked_for_of_every_choice():
    """The first token's readings are those of the model's own logits behind the prompt."""
    model, row = tiny("llama"), Row(prompt(3), 0)
    logits = model.model(torch.tensor([prompt(3).ids])).logits[0, -1].detach().double()
    chances = logits.softmax(-1)
    kept = {}
    for asked in (False, True, "with_entropy"):
        params = SamplingParams(4, logprobs=asked)
        (kept[asked],) = generate_rows(model, [row], params, seed=0)
    assert (kept[False].logprobs, kept[False].entropies) == (None, None)
    assert kept[True].entropies is None
    whole = kept["with_entropy"]
    assert len(whole.logprobs) == len(whole.entropies) == len(whole.completion_ids)
    assert whole.logprobs == kept[True].logprobs
    assert whole.logprobs[0] == pytest.approx(float(chances[whole.completion_ids[0]].log()), abs=1e-4)
    assert whole.entropies[0] == pytest.approx(float(-(chances * chances.log()).sum()), abs=1e-4)
