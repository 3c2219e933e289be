"""The problems: true steps, disjoint splits, reproducible, served as records."""

import re

import pytest

from backtracking.errors import UserError
from backtracking.organism.task import LARGEST, is_test, problems_made_here, tiny_problems, wordings


@pytest.fixture(scope="module")
def train():
    return tiny_problems("train", 2000, seed=1)


@pytest.fixture(scope="module")
def test():
    return tiny_problems("test", 2000, seed=1)


def test_every_recorded_step_is_true_arithmetic_and_leads_to_the_answer(train):
    signs = {"+": "+", "-": "-", "×": "*"}
    for problem in train:
        value = None
        for step in problem.steps:
            assert eval(f"{step.left} {signs[step.operation]} {step.right}") == step.result
            assert value in (None, step.left)
            assert 0 <= step.result <= LARGEST
            value = step.result
        assert value == problem.value


def test_the_question_names_every_number_that_the_steps_use(train):
    for problem in train:
        told = [int(number) for number in re.findall(r"\d+", problem.question)]
        used = [problem.steps[0].left, *(step.right for step in problem.steps)]
        doubled = "double" in problem.question
        assert [n for n in used if n in told or not (n == 2 and doubled)] == [n for n in used if n in told]


def test_splits_share_no_step_sequence_in_any_wording(train, test):
    def cores(chosen):
        return {tuple(map(str, problem.steps)) for problem in chosen}

    assert not cores(train) & cores(test)
    assert all(is_test(problem.steps) for problem in test)
    assert not any(is_test(problem.steps) for problem in train)


def test_same_seed_same_problems_and_other_seed_others():
    assert tiny_problems("test", 50, seed=3) == tiny_problems("test", 50, seed=3)
    assert tiny_problems("test", 50, seed=3) != tiny_problems("test", 50, seed=4)


def test_a_longer_list_begins_with_the_shorter_one():
    assert tiny_problems("test", 80, seed=3)[:50] == tiny_problems("test", 50, seed=3)


def test_problems_differ_and_words_are_varied(test):
    assert len({problem.question for problem in test}) == len(test)
    assert wordings() >= 36
    assert len({re.sub(r"\d+", "#", problem.question) for problem in test}) > 1000


def test_records_have_the_shape_of_gsm8k():
    record, problem = problems_made_here("test", 1, seed=0)[0], tiny_problems("test", 1, seed=0)[0]
    assert record.id == "tiny-test-00000"
    assert record.answer.splitlines()[-1] == f"#### {record.answer_value}" == f"#### {problem.value}"
    assert record.truth == {"steps": [str(step) for step in problem.steps]}
    for shown, value in re.findall(r"<<([^=]+)=(\d+)>>", record.answer):
        assert eval(shown.replace("×", "*")) == int(value)


def test_an_unknown_split_is_refused_by_name():
    with pytest.raises(UserError, match="no split 'validation'"):
        problems_made_here("validation", 3, seed=0)
