"""Rows that are on their way: what is kept of them, when, and what is taken up again; all by hand."""

from backtracking.engine.executor.work import Underway
from backtracking.engine.rows import Begun, Prompt, Row
from backtracking.engine.taking_up import Completed, finished, taken_up
from backtracking.interventions import BASELINE, Condition
from backtracking.model.ledger import Ledger
from backtracking.run.records import GenerationRecord
from backtracking.run.unfinished import Unfinished, UnfinishedRow

SOME = Condition(name="some")
TOKENS = (5, 6, 7)


def row(sample=0, condition=BASELINE, ids=(1, 2), **more):
    return Row(Prompt("p1", "v", "Hi", ids), sample, condition, **more)


def record(sample=0, condition="baseline", **more):
    return GenerationRecord(
        example_id="p1", sample_id=sample, variant="v", condition=condition, prompt="Hi", prompt_ids=[1, 2],
        completion="", completion_ids=[], finish_reason="stop", prompt_tokens=2, completion_tokens=0,
        gen_params={}, seed_key="0", **more,
    )  # fmt: skip


def places(tmp_path):
    return {name: Unfinished(tmp_path / f"{name}.jsonl", "made") for name in ("baseline", "some")}


def kept(tmp_path, one, readings):
    """Puts a row on its way, and takes it up again in another start."""
    begun = Begun(TOKENS, readings)
    on_its_way = Underway(Row(one.prompt, one.sample_id, one.condition, one.given, begun))
    assert list(finished([(0, on_its_way)], places(tmp_path))) == []
    (again,) = taken_up([one], places(tmp_path))
    return again


def test_rows_lie_in_a_folder_beside_their_file(tmp_path):
    kept(tmp_path, row(), ())
    (file,) = (tmp_path / "baseline.unfinished").iterdir()
    assert file.suffix == ".json"
    assert len(file.stem) == 16
    assert not (tmp_path / "some.unfinished").exists()


def test_a_row_goes_on_with_its_tokens_and_what_was_read_at_each(tmp_path):
    both = ((-0.5, 1.0), (-0.25, 0.5), (-2.0, 0.0))
    logprobs = tuple((logprob, None) for logprob, _ in both)
    none = ((None, None),) * 3
    for sample, readings in enumerate((both, logprobs, none)):
        again = kept(tmp_path, row(sample), readings)
        assert again == row(sample, begun=Begun(TOKENS, readings))


def test_only_the_same_row_is_taken_up(tmp_path):
    kept(tmp_path, row(), ())
    others = [row(1), row(condition=SOME), row(ids=(1, 3)), row(ids=(1,))]
    others.append(Row(Prompt("p2", "v", "Hi", (1, 2)), 0))
    others.append(Row(Prompt("p1", "w", "Hi", (1, 2)), 0))
    assert list(taken_up(others, places(tmp_path))) == others
    others_settings = {"baseline": Unfinished(tmp_path / "baseline.jsonl", "other")}
    assert list(taken_up([row()], others_settings)) == [row()]


def test_draws_of_a_condition_are_told_apart(tmp_path):
    first, second = (row(condition=Condition(name="some", draw=draw)) for draw in (0, 1))
    kept(tmp_path, first, ())
    again = list(taken_up([first, second], places(tmp_path)))
    assert [one.begun.tokens for one in again] == [TOKENS, ()]


def test_a_row_is_let_go_when_the_next_one_is_asked_for(tmp_path):
    """By then the caller has written it."""
    for sample in (0, 1):
        kept(tmp_path, row(sample), ())
    kept(tmp_path, row(condition=SOME), ())
    folder = tmp_path / "baseline.unfinished"
    done = [Completed(record(0), Ledger()), Completed(record(1), Ledger()), Completed(record(2), Ledger())]
    made = finished(enumerate([*done, Completed(record(condition="unknown"), Ledger())]), places(tmp_path))
    assert next(made) is done[0]
    assert len(list(folder.iterdir())) == 2
    assert next(made) is done[1]
    assert len(list(folder.iterdir())) == 1
    assert next(made) is done[2]
    assert not folder.exists()
    assert next(made).record.condition == "unknown"
    assert (tmp_path / "some.unfinished").exists()
    assert next(made, None) is None


def test_what_was_changed_or_lies_under_anothers_name_is_not_taken_up(tmp_path):
    place, other = places(tmp_path)["baseline"], ("another", 1)
    for whose in ("one", 0), other:
        place.keep(whose, UnfinishedRow(completion_ids=[5, 6]))
    files = {whose: place._file(whose) for whose in (("one", 0), other)}
    text = files["one", 0].read_text()
    assert place.find(("one", 0)).completion_ids == [5, 6]
    for broken in (text.replace("[5,6]", "[5,7]"), text.replace('"digest":', '"d":'), text[:20], "",
                   files[other].read_text()):  # fmt: skip
        files["one", 0].write_text(broken)
        assert place.find(("one", 0)) is None
    unsealed = UnfinishedRow(completion_ids=[5, 6], row=place._whose(("one", 0)))
    files["one", 0].write_text(unsealed.model_dump_json(exclude_none=True))
    assert place.find(("one", 0)) is None, "one without a digest was never written by keep"
    assert place.find(other) is not None


def test_all_are_cleared_at_once(tmp_path):
    place = places(tmp_path)["baseline"]
    place.clear()
    place.drop(("never", "kept"))
    place.keep(("one", 0), UnfinishedRow(completion_ids=[]))
    place.clear()
    assert not place.folder.exists()
    place.folder.write_text("a file in the folder's place")
    assert place.find(("one", 0)) is None
