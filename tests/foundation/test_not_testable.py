"""A question that the data cannot answer is a result: recorded, shown, never mixed with an earlier one."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from backtracking.config.load import load_config
from backtracking.errors import NotTestable
from backtracking.run.inputs import Whole
from backtracking.run.meta import RunMeta
from backtracking.run.paths import RunPaths
from backtracking.stages.base import Result, RunContext, Stage
from backtracking.stages.execute import execute, status_of
from backtracking.stages.init_run import init_run

CONFIG = Path(__file__).parents[2] / "configs" / "demo.yaml"
NEEDED = 3


@dataclass(frozen=True)
class Count(Stage):
    """Counts the letters of a file, of which it needs three."""

    name: ClassVar[str] = "count"
    phase: ClassVar[int] = 1
    config_keys: ClassVar[tuple[str, ...]] = ("run.seed",)

    def inputs(self, ctx):
        return [Whole(ctx.paths.root / "letters.txt", made_by="writing letters")]

    def outputs(self, ctx):
        return [ctx.paths.table("count.json"), ctx.paths.figure("count")]

    def run(self, ctx):
        letters = len((ctx.paths.root / "letters.txt").read_text())
        if letters < NEEDED:
            raise NotTestable(f"{letters} letters, {NEEDED} needed")
        for path in self.outputs(ctx):
            path.parent.mkdir(exist_ok=True)
            path.write_text(str(letters))
        return Result(rows=letters)


@dataclass(frozen=True)
class Behind(Stage):
    """Reads what `Count` makes."""

    name: ClassVar[str] = "behind"
    phase: ClassVar[int] = 1
    config_keys: ClassVar[tuple[str, ...]] = ()

    def inputs(self, ctx):
        return [Whole(ctx.paths.table("count.json"), made_by="count")]

    def outputs(self, ctx):
        return [ctx.paths.table("behind.json")]

    def run(self, ctx):
        self.outputs(ctx)[0].write_text(ctx.paths.table("count.json").read_text())
        return Result()


PIPELINE = (Count(), Behind())


def opened(paths):
    return RunContext(load_config(CONFIG), paths, RunMeta.load(paths.meta), pipeline=PIPELINE)


@pytest.fixture
def ctx(tmp_path):
    loaded = load_config(CONFIG, [f"run.output_dir={tmp_path / 'runs'}"])
    paths = RunPaths(tmp_path / "runs", "some")
    init_run(loaded, paths)
    return opened(paths)


def write(ctx, letters):
    (ctx.paths.root / "letters.txt").write_text(letters)


def states(ctx):
    return [status_of(stage, ctx).state for stage in PIPELINE]


def test_it_is_recorded_with_its_reason_and_stays_fresh(ctx):
    write(ctx, "ab")
    found = execute(Count(), ctx)
    assert found.not_testable == "2 letters, 3 needed"
    again = opened(ctx.paths)
    assert status_of(Count(), again).state == "not testable"
    assert status_of(Count(), again).reason == "2 letters, 3 needed"
    assert execute(Count(), again).skipped


def test_what_is_behind_it_is_not_testable_for_that_reason(ctx):
    write(ctx, "ab")
    execute(Count(), ctx)
    found = execute(Behind(), ctx)
    assert found.not_testable == "count is not testable: 2 letters, 3 needed"
    assert states(ctx) == ["not testable", "not testable"]


def test_a_chain_of_them_names_the_first_cause_once(ctx):
    @dataclass(frozen=True)
    class Last(Behind):
        name: ClassVar[str] = "last"

        def inputs(self, ctx):
            return [Whole(ctx.paths.table("behind.json"), made_by="behind")]

        def outputs(self, ctx):
            return [ctx.paths.table("last.json")]

    write(ctx, "ab")
    reasons = [execute(stage, ctx).not_testable for stage in (Count(), Behind(), Last())]
    assert reasons == ["2 letters, 3 needed", *["count is not testable: 2 letters, 3 needed"] * 2]


def test_earlier_results_are_set_aside_and_come_again(ctx):
    write(ctx, "abc")
    for stage in PIPELINE:
        execute(stage, ctx)
    write(ctx, "a")
    assert states(ctx) == ["stale", "done"]
    for stage in PIPELINE:
        assert execute(stage, ctx).not_testable
    assert not any(path.exists() for stage in PIPELINE for path in stage.outputs(ctx))
    assert ctx.paths.table("count.previous.json").read_text() == "3"
    assert ctx.paths.figure("count.previous").exists()
    write(ctx, "abcd")
    assert states(ctx) == ["stale", "not testable"]
    for stage in PIPELINE:
        assert not execute(stage, ctx).not_testable
    assert ctx.paths.table("behind.json").read_text() == "4"
    assert states(ctx) == ["done", "done"]


def test_a_file_put_in_its_place_is_noticed(ctx):
    write(ctx, "a")
    execute(Count(), ctx)
    ctx.paths.analysis.mkdir()
    ctx.paths.table("count.json").write_text("7")
    assert status_of(Count(), ctx).state == "stale"
    execute(Count(), ctx)
    assert ctx.paths.table("count.previous.json").read_text() == "7"


def test_tables_made_elsewhere_are_known_and_kept(ctx):
    ctx.paths.analysis.mkdir()
    ctx.paths.table("count.json").write_text("theirs")
    assert states(ctx) == ["made elsewhere", "missing"]
    write(ctx, "abc")
    execute(Count(), ctx)
    assert ctx.paths.table("count.json").read_text() == "3"
    assert ctx.paths.table("count.previous.json").read_text() == "theirs"


def test_a_phase_1_question_blocks_phase_2(ctx, tmp_path):
    write(ctx, "a")
    execute(Count(), ctx)
    loaded = load_config(CONFIG, [f"run.output_dir={tmp_path / 'runs'}"])
    second = RunPaths(tmp_path / "runs", "second")
    init_run(loaded, second)

    @dataclass(frozen=True)
    class Later(Behind):
        name: ClassVar[str] = "later"

        def inputs(self, ctx):
            return [Whole(ctx.phase1.table("count.json"), made_by="count")]

    other = RunContext(loaded, second, RunMeta.load(second.meta), phase1=RunPaths(tmp_path / "runs", "some"))
    assert "1 letters, 3 needed" in execute(Later(), other).not_testable
