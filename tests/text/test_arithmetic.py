"""Arithmetic statements: found where they stand, judged exactly, left alone when unclear."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtracking.organism.task import tiny_problems
from backtracking.organism.traces import TracePiece, write_trace
from backtracking.text.arithmetic import find_steps

RIGHT = [
    "5 + 3 makes 8",
    "So that's 5 + 3 which is 8.",
    "So 5 times 3 is 15",
    "5 plus 3 plus 2 equals 10",
    "12 divided by 4 is 3",
    "20% of 50 is 10",
    "20% of 50 = 10",
    "1/4 of 12 = 3",
    "\\sqrt{16} + 3 = 7",
    "√16 + 3 = 7",
    "2 * [3 + (4 - 1)] = 12",
    "| pens | 3 × 4 = 12 | ok |",
    "5k + 3k = 8k",
    "3 apples + 4 oranges = 7 fruits",
    "2\\cdot3=6",
    "72 km/h = 72 / 3.6 = 20 m/s",
    "5(3 + 2) = 25",
    "2(4) + 3 = 11",
    "(2)(3) + 1 = 7",
    "5² + 3 = 28",
    "\\left(2 + 1\\right)\\left(3 + 1\\right) = 12",
    "half of 10 = 5 and 5 + 5 = 10",
    "5 + 3 = 8",
    "5+3=8",
    "So he has 16 - 3 - 4 = 9 eggs left.",
    "$1,200 - $200 = $1,000",
    "\\$18.50 + \\$1.50 = \\$20",
    "5 apples + 3 apples = 8 apples",
    "4 boxes × 6 apples = 24 apples",
    "3 hours * $4/hour = $12",
    "3 x 4 = 12",
    "3 · 4 = 12",
    "12 ÷ 4 = 3",
    "\\(3 \\times 4 = 12\\)",
    "\\[ 12 \\div 4 = 3 \\]",
    "$5 \\cdot 3 = 15$",
    "\\frac{1}{2} * 8 = 4",
    "(5 + 3) * 2 = 16",
    "2 * (3 + (4 - 1)) = 12",
    "2 + 3 * 4 = 14",
    "10 / 3 = 3.33",
    "10 / 3 = 3.333",
    "10 / 3 ≈ 3",
    "2 / 3 = 0.66",
    "2^3 = 8",
    "-5 + 3 = -2",
    "- 5 + 3 = 8",
    "1. 5 + 3 = 8",
    "Day 3: 5 - 2 = 3",
    "3 - 5 = −2",
    "3 - 5 = -2",
    "x = 5 + 3 = 8",
    "8 = 5 + 3",
    "**5 + 3 = 8**",
    "20% * 50 = 10",
    "5/20 = 25%",
    "0.2 * 100 = 20%",
    "1,000,000 / 4 = 250,000",
    ".5 * 4 = 2",
    "7 days * 3 = 21 days",
    "so -5 + 3 = -2",
    "* 5 + 3 = 8",
    "7/2 = 3 1/2",
    "1 1/2 * 4 = 6",
    "2\\frac{1}{2} + 1 = 3.5",
    "10 / 1/2 = 20",
    "24 / 4 / 2 = 3",
    "2/3 = 4/6",
    "32 / 96 * 100% = 33.333...%",
    "a total of 5 + 3 = 8",
    "5 + 3 = 8 (not 9)",
    "5 + 3 = 8... wait",
    "3*$4 + 2*$5 = $22",
    "3 * 4 = 12 times",
    "\\frac{10 \\times 4}{2} = 20",
    "m = \\frac{7-3}{5-1} = 1",
    "\\frac{4}{4} = 1",
    "2^{3+1} = 16",
    "2^{10} = 1024",
    "180° - 60° = 120^\\circ",
    "1{,}250 + 750 = 2{,}000",
    "100% - 35% = 65%",
    "So 29 = 4*7 + 1",
    "\\(9 \\times 2\\) = 18",
    "5 + \\(3\\) = \\(8\\)",
    "2 ⋅ 3 = 6",
    "If x = 2, then 3 * 2 + 1 = 7",
]
WRONG = [
    "0.1 × 0.1 = 0.1",
    "So he writes 6*5 = 31 pages a week.",
    "She says hello and then 3 + 4 = 8.",
    "Check: 3(4) + 2 = 15.",
    "(2 + 1)(1 + 1) = 5",
    "13² + 1 = 160",
    "half of 10 = 5 and 5 + 5 = 11",
    "6 + 4\n= 11",
    "6 + 4 \\\\ &= 11 \\end{aligned}",
    "5 + 3 = 9",
    "$1,200 - $200 = $900",
    "4 boxes × 6 apples = 25 apples",
    "(5 + 3) * 2 = 11",
    "2 + 3 * 4 = 20",
    "10 / 3 = 3",
    "10 / 3 = 3.5",
    "5 \\cdot 2 = 11",
    "-5 + 3 = 2",
    "\\frac{1}{2} * 8 = 5",
    "9 = 5 + 3",
    "\\frac{10 \\times 4}{2} = 25",
    "m = \\frac{7-3}{5-1} = 2",
    "\\frac{4}{4} = 2",
    "2^{3+1} = 9",
    "1{,}250 + 750 = 2{,}100",
    "100% - 35% = 55%",
    "So 29 = 4*7 + 2",
    "60 mph * 2.5 h = 140 miles",
    "3 hours × 60 = 190 minutes",
    "500 * .25 = 126",
    "100 / 8 = 12",
    "\\(9 \\times 2\\) = 19",
]
NOT_CHECKABLE = [
    "3 + 4 = 8 doesn't hold.",
    "Can't have 3 + 4 = 8.",
    "The student wrote 12 + 5 = 18.",
    "A common mistake is 3 + 4 = 8.",
    "In Z_7, 4 + 5 = 2.",
    "Define a * b = a + 2b. Then 3 * 4 = 11.",
    "0x10 + 1 = 17",
    "log 100 + 1 = 3",
    "1 - 35 cents = 65 cents",
    "20 km/h × 15 min = 5 km",
    "1.000 + 500 = 1.500",
    "17/5 = 3 full boxes",
    "That would mean 3 + 5 = 9, a contradiction.",
    "11 + 4 = 3 pm",
    '"3 + 5 = 9" is what the student wrote.',
    "6 / 2(3) = 9",
    "5 + 7 = 13 is false.",
    "He claims that 5 + 7 = 13, which is wrong.",
    "101 + 11 = 1000 in binary",
    "11 + 2 = 1 on a clock",
    "Given the pattern 2 + 3 = 10, 3 + 4 = 21",
    "total = 8",
    "x = 5",
    "8 = 8",
    "x + 3 = 8",
    "60 minutes * 3 = 3 hours",
    "100 - 20% = 80",
    "1 / 0 = 3",
    "5 + = 3",
    "5 + 3 =\n8",
    "2^999 = 5",
    "5 + (3 = 8",
    "1234567890123456789012345 + 1 = 3",
    "x + 3 + 5 = 20",
    "2y + 3 = 7",
    "2x + 3 = 7",
    "3n = 4 + 5",
    "4x-13 = 7",
    "42 = 8 - y",
    "14 = 2(s + 5)",
    "v0 + 5 + 3 = 10",
    "a_1 + 2 + 3 = 10",
    "250 = (5/2)x",
    "2**3 + 1 = 9",
    "floor(7/2) + 1 = 4",
    "\\frac{5}{0} + 1 = 1",
    "1 hour + 30 minutes = 90 minutes",
    "$5 + 25 cents = $5.25",
    "2 dozen + 6 = 30",
    "5 feet 6 inches + 2 = 68",
    "20% of 50 + 3 = 13",
    "half of 10 + 5 = 10",
    "12 divided by 3 + 1 = 5",
    "17 / 5 = 3 remainder 2",
    "10:30 + 2 = 12:30",
    "$350 000 x 5/100 = $17500",
    "100 * 120 = 12 000",
    "the remaining 3/4 = 12",
    "day 2 = 5 + 3",
    "p - 1 = 1 and q - 1 = 101",
    "\\( p - 1 = 1 \\) and \\( q - 1 = 101 \\)",
    "1/a + 1/6 = 1/3",
    "10/n + 5 = 7",
    "\\( 100 \\div 8 = 12 \\) with a remainder of 4",
    "100 / 8 = 12 remainder 4",
    "17/5 = 3 with 2 left over",
    "365 / 7 = 52 weeks and 1 day",
    "365 / 7 = 52",
    "5 + 7 = 1Wait",
    "7 * 3 = 1 (mod 10)",
    "In base 5, 13 + 4 = 22",
    "13_5 + 4_5 = 22_5",
    "Is 7 * 8 = 54? No",
    "Suppose 2 + 2 = 5",
    "3 * 4\\pi = 12\\pi",
    "2 * 3 = 6\\sqrt{2}",
    "9^{1/2} + 1 = 4",
    "0.333 * 3 = 1",
    "1.414^2 = 2",
    "the product of 3 and 4 - 2 = 10",
    "5! + 3! = 126",
    "3 + 99 12/9 = 102",
    "(((((((9^12)^12)^12)^12)^12)^12)^12) = 1",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_statements(text):
    assert [step.correct for step in find_steps(text)] == [True]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_statements(text):
    assert [step.correct for step in find_steps(text)] == [False]


@pytest.mark.parametrize("text", NOT_CHECKABLE)
def test_unclear_statements_are_left_out(text):
    assert find_steps(text) == []


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("2 * 3 * 4 = 6 * 4 = 24", [True, True]),
        ("2 * 3 * 4 = 6 * 4 = 25", [True, False]),
        ("2 * 3 * 4 = 7 * 4 = 28", [False, True]),
        ("5 + 3 = 8 + 2 = 10", [True, True]),
        ("5 + 3 = 9 - 2 = 7", [False, True]),
        ("2 pens = 2 * 3 = 6", [True]),
        ("3n = 2 * 3 = 6", [True]),
        ("5 + 3 = 8, and 8 - 9 = 1. Wait, 8 - 9 = -1.", [True, False, True]),
    ],
)
def test_chains_and_sequences(text, verdicts):
    assert [step.correct for step in find_steps(text)] == verdicts


def test_spans():
    text = "Tom: 5 apples + 3 = 1,009 apples. Wait"
    (step,) = find_steps(text)
    assert text[step.start : step.end] == "5 apples + 3 = 1,009"
    assert text[slice(*step.result)] == "1,009"
    assert (step.expected, step.claimed) == (8, 1009)


NUMBERS = st.integers(0, 9999)
OPERATIONS = st.sampled_from(["+", "-", "*", "/"])


@given(
    first=NUMBERS,
    more=st.lists(st.tuples(OPERATIONS, st.integers(1, 999)), min_size=1, max_size=5),
    off=st.integers(-2, 2),
)
def test_flat_expressions_against_pythons_evaluation(first, more, off):
    expression = f"{first}" + "".join(f" {operation} {number}" for operation, number in more)
    exact = eval(
        "Fraction("
        + str(first)
        + ")"
        + "".join(f"{operation}Fraction({number})" for operation, number in more)
    )
    claimed = exact + off
    if claimed.denominator != 1:
        return
    (step,) = find_steps(f"so {expression} = {claimed}.")
    assert step.expected == exact
    assert step.correct is (off == 0)


@given(
    st.recursive(
        st.integers(1, 50).map(str),
        lambda inner: st.tuples(inner, OPERATIONS, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        max_leaves=7,
    )
)
def test_nested_expressions_against_pythons_evaluation(expression):
    if "(" not in expression:
        return
    wrapped = "".join(
        f"Fraction({part})" if part.isdigit() else part
        for part in expression.replace("(", " ( ").replace(")", " ) ").split()
    )
    try:
        exact = eval(wrapped, {"Fraction": Fraction})
    except ZeroDivisionError:
        assert find_steps(f"{expression} = 1") == []
        return
    found = find_steps(f"{expression} = 123456.5")
    assert [step.expected for step in found] == [exact]


@given(st.text(alphabet="0123456789+-*/=().,$% xapples\n", max_size=200))
def test_any_text_is_survived(text):
    for step in find_steps(text):
        assert "=" in text[step.start : step.end]
        assert step.correct or step.claimed != step.expected


def test_a_long_line_gives_the_same_statements_as_its_parts():
    filler = "and then some more words about apples and pears follow here " * 5
    text = f". {filler}".join(RIGHT[:8] + WRONG[:3])
    assert [step.correct for step in find_steps(text)] == [True] * 8 + [False] * 3


def test_a_sum_longer_than_the_window_is_not_misread():
    text = " + ".join(["100"] * 60) + " = 6000"
    assert find_steps("word " * 50 + text) == []


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("So 3 times 4 = 12.", [True]),
        ("So 3 times 4 = 13.", [False]),
        ("12 divided by 3 = 4, and 5 minus 2 = 4.", [True, False]),
        ("6 multiplied by 7 = 42", [True]),
        ("x plus 4 = 7", []),
        ("3 times as many = 12", []),
    ],
)
def test_operations_in_words_before_a_sign(text, verdicts):
    assert [step.correct for step in find_steps(text)] == verdicts


@pytest.mark.parametrize(
    "bait",
    [
        "1 + " * 25_000,
        "(" * 50_000 + "=",
        "1 a " * 25_000 + "=",
        "= " * 50_000,
        "1=" * 50_000,
        "(1+" * 20_000 + "=1",
        "1+1=" * 20_000,
        "1/7*" * 5_000 + "1=1",
        ("123456789012345678/" * 19 + "3=") * 280,
        "(((((((9^12)^12)^12)^12)^12)^12)^12)=1 " * 1_000,
        "(9^99*9^99*9^99*9^99)^99=1 " * 1_000,
    ],
)
def test_hostile_text_is_read_to_its_end(bait):
    """That time grows no faster than the text is measured by benchmarks/hostile.py."""
    assert all(0 <= step.start < step.end <= len(bait) for step in find_steps(bait))


@pytest.mark.parametrize("variant", ["baseline_think_newline", "no_think_tags"])
def test_planted_mistakes_of_the_small_reasoner_are_found(variant):
    """Every statement of its traces is known to be right or wrong when it is written."""
    rng = random.Random(0)
    for problem in tiny_problems("train", 80, 0):
        trace = write_trace(problem, variant, rng)
        results = [
            piece for _, piece in trace.pieces if piece in (TracePiece.RESULT, TracePiece.WRONG_RESULT)
        ]
        planted = [piece is TracePiece.RESULT for piece in results]
        assert planted
        assert [step.correct for step in find_steps(trace.text)] == planted
