"""Answers: what counts as the final answer, and when it is right."""

import json
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtracking.answers import extract_answer, grade
from backtracking.quantities import parse_number

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "completions.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def answer_of(case):
    return extract_answer(case["completion"], think_close=case["think_close"], truncated=case["truncated"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["completion"][-40:])
def test_corpus_of_answer_shapes(case):
    answer = answer_of(case)
    assert (answer.rule, grade(answer.text, case["gold"])) == (case["rule"], case["correct"])


def test_corpus_is_large_and_mixed():
    assert len(CASES) >= 150
    assert {case["correct"] for case in CASES} == {True, False, None}


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case["truncated"]], ids=lambda c: c["completion"][-40:]
)
def test_spans_point_at_what_was_read(case):
    answer = answer_of(case)
    if answer.text is not None:
        assert answer.text in case["completion"][answer.start : answer.end].strip()


class TestRegexOverride:
    def test_first_group_of_the_last_match(self):
        answer = extract_answer("ans=3 ans=18 \\boxed{5}", answer_regex=r"ans=(\d+)")
        assert (answer.text, answer.rule) == ("18", "regex")

    def test_whole_match_without_groups(self):
        assert extract_answer("a 3 b 18", answer_regex=r"\d+").text == "18"

    def test_no_match_means_no_answer(self):
        assert extract_answer("\\boxed{18}", answer_regex=r"ans=(\d+)").rule == "none"

    def test_a_cut_match_is_none(self):
        assert extract_answer("ans=1", answer_regex=r"ans=(\d+)", truncated=True).rule == "cut"

    def test_catastrophic_patterns_give_up(self):
        started = time.process_time()
        answer = extract_answer("a" * 100_000, answer_regex=r"(a+)+b")
        assert answer.rule == "regex_timeout"
        assert time.process_time() - started < 2


HOSTILE = [
    "{" * 100_000,
    "}" * 100_000,
    "\\boxed{" * 15_000,
    "\\boxed{" + "{" * 100_000,
    "\\boxed{" + "{}" * 50_000 + "}",
    "answer is " * 10_000,
    "Final: " + "9" * 100_000,
    "1," * 50_000,
    "1." * 50_000,
    "- " * 50_000 + "3",
    "$" * 100_000,
    "\\frac{" * 20_000,
    " " * 100_000 + "x",
    "=" * 100_000,
    "Final:" + " " * 100_000,
    "\\boxed{9^{9^{9^9}}}",
    "\\boxed{10^{999}}",
    "\\boxed{" + "(" * 90 + "1" + ")" * 90 + "}",
    "\\boxed{99999!}",
    "\\boxed{\\int_0^1 x dx}",
    "\\boxed{" + "1/" * 90 + "7}",
    "\\boxed{" + "\\sqrt{" * 30 + "2" + "}" * 30 + "}",
    "\\boxed{\\binom{1000000}{500000}}",
    "\\boxed{(2+3)^{99}*(7+x)^{99}}",
    "\\boxed{(a+b+c+d+e+f+g)^{99}}",
    "\\boxed{sin(cos(tan(9^{99})))^{99}}",
    "\\boxed{\x00\ud800}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
@pytest.mark.parametrize("close", ["", "</think>"])
@pytest.mark.parametrize("gold", ["18", "x^2"])
def test_hostile_text_returns_quickly(text, close, gold):
    grade("\\sqrt{2}", "\\sqrt{2}")  # the first symbolic comparison loads its grammar
    started = time.process_time()
    answer = extract_answer(text, think_close=close)
    assert grade(answer.text, gold) is not True
    assert time.process_time() - started < 1


def test_grading_works_outside_the_main_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(grade("\\sqrt{50}", "5\\sqrt{2}")))
    thread.start()
    thread.join()
    assert verdicts == [True]


class TestNumbers:
    @given(st.integers(-(10**12), 10**12))
    def test_integers_in_any_dress(self, value):
        for text in (
            str(value),
            f"{value:,}",
            f"**{value}**",
            f"{value} apples",
            f"\\text{{{value}}}",
            f"{value}.",
        ):
            assert parse_number(text).value == value

    @given(st.decimals(-(10**6), 10**6, places=3))
    def test_decimals(self, value):
        assert parse_number(f"\\${value}").value == Fraction(str(value))
        assert grade(str(value), str(value)) is True

    @given(st.integers(-999, 999), st.integers(1, 999))
    def test_fractions(self, top, bottom):
        expected = Fraction(top, bottom)
        sign = "-" if top < 0 else ""
        assert parse_number(f"{top}/{bottom}").value == expected
        assert parse_number(f"{sign}\\frac{{{abs(top)}}}{{{bottom}}}").value == expected

    @given(st.integers(0, 99))
    def test_spelled_out_numbers(self, value):
        ones = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        ones = [*ones.split(), "sixteen", "seventeen", "eighteen", "nineteen"]
        tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
        if value < 20:
            words = ones[value]
        else:
            words = tens[value // 10] + ("-" + ones[value % 10] if value % 10 else "")
        assert parse_number(words).value == value

    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_grading_integers_is_equality(self, given_value, gold):
        assert grade(str(given_value), str(gold)) is (given_value == gold)

    @given(st.text(max_size=60))
    def test_any_text_is_survived(self, text):
        assert grade(text, "18") in (True, False, None)
        extract_answer(text, think_close="</think>", truncated=True)
