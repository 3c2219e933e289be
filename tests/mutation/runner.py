"""Runs mutmut on a sample of mutants, in a copy of the project: `python runner.py SAMPLE SEED`.

A script, and nothing of the package or its tests may be imported before mutmut has changed it.
"""

import json
import os
import random
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from mutmut import __main__ as mutmut
from mutmut.mutation import mutators
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd

UNCHANGED = (mutators.operator_string, mutators.operator_arg_removal)
"""Words may be put otherwise, and what an argument left out falls back to is mostly the same."""

READ = ("survived", "no tests", "timeout")
"""What a person has to read: a test that took too long hung over the change, or waited for others."""


def cheapest_first(tests: list[str]) -> list[str]:
    """By what they took without a change: the first that notices ends the trial."""
    seconds = state().duration_by_test
    of_file: dict[str, float] = defaultdict(float)
    for test in tests:
        of_file[test.partition("::")[0]] += seconds[test]
    return sorted(tests, key=lambda test: (of_file[file := test.partition("::")[0]], file, seconds[test]))


class Chosen:
    """Lets these tests run, in this order. On a command line some would not be found by their names."""

    def __init__(self, tests: list[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Takes out all others."""
        chosen = [item for item in items if item.nodeid in self._places]
        items[:] = sorted(chosen, key=lambda item: self._places[item.nodeid])


def run_chosen(runner: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
    """Run the tests that reach a mutant; all where none are named."""
    chosen = cheapest_first(list(tests))
    files = list(dict.fromkeys(test.partition("::")[0] for test in chosen))
    with change_cwd("mutants"):
        return runner.execute_pytest(
            runner._pytest_args_regular_run(files), plugins=[Chosen(chosen)] if chosen else []
        )


def in_the_copy(sample: int, seed: int) -> None:
    """Try the sample and write what was found."""
    mutators.mutation_operators[:] = [
        (node, operator) for node, operator in mutators.mutation_operators if operator not in UNCHANGED
    ]
    PytestRunner.run_tests = run_chosen
    collect, drawn = mutmut.collect_source_file_mutation_data, {}

    def collect_sample(*, mutant_names):
        mutants, by_path = collect(mutant_names=mutant_names)
        mutants.sort(key=lambda mutant: mutant[1])
        drawn["of"] = len(mutants)
        drawn["mutants"] = random.Random(seed).sample(mutants, min(sample, len(mutants)))
        return drawn["mutants"], by_path

    mutmut.collect_source_file_mutation_data = collect_sample
    mutmut._run((), os.cpu_count())
    found = []
    for data, name, _ in drawn["mutants"]:
        state = mutmut.status_by_exit_code[data.exit_code_by_key[name]]
        shown = mutmut.get_diff_for_mutant(name, path=data.path) if state in READ else ""
        found.append({"name": name, "state": state, "difference": shown})
    Path("found.json").write_text(json.dumps({"of": drawn["of"], "mutants": found}))


if __name__ == "__main__":
    in_the_copy(int(sys.argv[1]), int(sys.argv[2]))
