"""Where statements of arithmetic begin and end and what is let pass, each rule at its edge."""

from fractions import Fraction

import pytest

from backtracking.text.arithmetic.expressions import Operand
from backtracking.text.arithmetic.judge import _agrees, _is_conversion, _slack, find_steps

STATEMENTS = {
    # What is read as a number may be wrong by what rounding makes of it.
    "1000 / 3 = 332.9": [False],
    "1000 / 3 = 332": [False],
    "201 / 2 = 100": [],
    "101 / 2 = 50": [],
    "100 / 3 = 33": [False],
    "0.333 + 1 = 1.334": [False],
    "0.333 * 3 = 0.9975": [],
    "0.333 * 30 = 10": [],
    "1.125 + 2 = 4": [False],
    "5 + 3 = .08": [False],
    # A hyphen for "to".
    "pages 10 - 20 = 11 pages": [],
    "From day 3 - 7 = 5 days": [],
    "9 - 17 = 8 hours": [],
    "from 9 - 5 = 8 hours": [],
    "ages 4 - 9 = 6 years": [],
    "ages 4 - 9 = 7 years": [False],
    "20 - 10 = 9": [False],
    "20 - 10 = 11": [False],
    "9 - 5 = 8": [False],
    "9 - 5 = 7 hours": [False],
    "9 - 17 = -8": [True],
    "9 - 17 = 8": [False],
    "3 + 9 = 6": [False],
    "9 hours - 17 hours = 8 hours": [False],
    # Names and units of things.
    "3 apples + 4 oranges = 7 oranges": [],
    "3 apples + 4 oranges = 7": [],
    "3 feet * 2 = 6 inches": [],
    "3 feet + 2 feet = 5 inches": [],
    "5 - 9 = -4 + 2 = -2": [True, True],
    "5k + 3m = 8k": [],
    "5k * 3k = 8k": [],
    "5k + 3 = 8k": [],
    "5ab + 3ab = 8ab": [],
    "5cm + 3cm = 8cm": [True],
    "5abc + 3abc = 8abc": [True],
    "$4 + $3 = $7": [True],
    "$4 + 35 cents = 39 cents": [],
    "40 cents + 35 cents = 75 cents": [True],
    "5 apples + 3 = 8": [True],
    "5 apples + 3 km = 8": [],
    "√15 + 3 = 7": [],
    "2 5/5 + 1 = 4": [],
    "1/2 + 1/2 = 1": [True],
    # What follows a result.
    "364 / 7 = 52 weeks and 1 day": [],
    "364 / 7 = 52 weeks and 1 + 1 = 2": [True, True],
    "6 * 2 = 12 and 3 * 2 = 6": [True, True],
    "5 + 7 = 12 is false": [],
    "5 + 7 = 12, which is wrong": [],
    "5 + 7 = 12, which is right": [True],
    "5 + 7 = 12 is": [True],
    "17 / 5 = 3.4 with 2 left over": [],
    "6 * 2 = 12 with some left over": [True],
    "6 * 2 = 12, left 5": [True],
    "5 + 3 = 8, right?": [],
    "5 + 3 = 8, is it?": [True],
    "3 * 4 = 12 ≡ 2": [],
    "5 + 3 = 8. A remainder is left": [True],
    "5 + 3 = 8\nA remainder is left": [True],
    "5 + 3 = 8; a remainder is left": [True],
    "5 + 3 = 8 (mod 10)": [],
    "5 + 3 = 8 (eggs)": [True],
    "5 + 3 = 8 ($8)": [True],
    "5 + 3 = 8 (x)": [],
    "5 + 3 = 8 (we)": [True],
    "5 + 3 = 8 (2)": [],
    "5 + 3 = 8(eggs)": [],
    "5 + 3 = 8 \\pi": [],
    "5 + 3 = 8!": [],
    "5 + 3 = 8 !": [True],
    "5 + 3 = 8 |": [True],
    "5 + 3 = 8:30": [],
    "5 + 3 = 8 : 30": [True],
    "5 + 3 = 8 years 2 months": [],
    "5 + 3 = 8 eggs 2 pans": [True],
    "5 + 3 = 8 of 20": [],
    "5 + 3 = 8 10": [],
    "5 + 3 = (4 + 4)": [True],
    "5 + 3 = ((4) + 4)": [True],
    "5 + 3 = 2 * (2 + 2)": [True],
    "5 + 3 = (4 + 4": [],
    "5 + 3 = (2 + 2) * 2": [True],
    "(5 + 3 = 8)": [True],
    "5 + 3 = 8) + 1": [True],
    "5 + 3 = -$2": [False],
    "3 - 5 = -$2": [True],
    "3 - 5 = $-2": [True],
    "5 + 3 = two": [],
    "5 + 3 = ": [],
    "3 * 4 = 12 red toy cars": [True],
    "3 * 4 = 12 red toy cars 2": [True],
    "3 * $4/hour = $12/day": [True],
    # What goes before it.
    "(b) 5 + 3 = 9": [False],
    "f(b) 5 + 3 = 9": [],
    "(ab) 5 + 3 = 9": [],
    "(2) 5 + 3 = 8": [True],
    "(2) 5 + 3 = 9": [False],
    "so (2) 5 + 3 = 8": [],
    "1) 3 + 4 = 7": [True],
    "1) 3 + 4 = 8": [False],
    "(2) (5) = 10": [],
    "½ × 8 = 4": [True],
    "½ × 8 = 5": [False],
    "2½ + 1½ = 4": [True],
    "2½ + 1½ = 5": [False],
    "⅓ × 9 = 3": [True],
    "x½ + 1 = 2": [],
    "[b] 5 + 3 = 9": [False],
    "- 5+3 = 8": [True],
    "- 5 + 3 = 8.": [True],
    "is - 5 + 3 = 8": [],
    "is -5 + 3 = -2": [True],
    "the product of 3 and 4 - 2 = 2": [],
    "he has 3 and 4 - 2 = 2": [True],
    "the sum of apples and 4 - 2 = 2": [True],
    "25 friends + his 1 teacher + 2 = 3": [],
    "3 |4 + 2 = 6": [],
    "x | 4 + 2 = 6": [True],
    "1:4 + 2 = 6": [],
    "1 : 4 + 2 = 6": [True],
    "a_4 + 2 = 6": [],
    "log 4 + 2 = 6": [],
    "x 4 + 2 = 6": [],
    "3 years 4 + 2 = 6": [],
    "years 4 + 2 = 6": [True],
    "3 of the 4 + 2 = 6": [],
    "some of the 4 + 2 = 6": [True],
    "of the 4 + 2 = 6": [True],
    "(3) of 4 + 2 = 6": [],
    "10% of the 4 + 2 = 6": [],
    "divided by 4 + 2 = 6": [],
    "twice the 4 + 2 = 6": [],
    "If x = 2, 3 * 2 = 6": [True],
    "If so, 3 * 2 = 6": [True],
    "If 3 * 2 = 6": [],
    "If, as he said 3 * 2 = 6": [],
    "Suppose it is. 3 * 2 = 6": [True],
    "Suppose it is! Now 3 * 2 = 6": [True],
    "Suppose it is so; we get 3 * 2 = 6": [],
    "Suppose it is\n3 * 2 = 6": [True],
    "By the modulo rule, 3 * 2 = 6": [],
    'He said "3 * 2 = 6"': [],
    'He said "that 3 * 2 = 6"': [True],
    "day 2 = 5 - 3": [],
    "and 2 = 5 - 3": [True],
    "2 = 5 - 3": [True],
    "2 = 5 - 3 = 2": [True],
    "1/n = 5 - 3 = 2": [True],
    "(2 + 3 = 5": [True],
    "2 + 3) = 5": [],
    "(2 + (3 - 1)) = 4": [True],
    # Words for signs.
    "5 + 3 which is 8": [True],
    "5 + 3, which is 8": [True],
    "5+3 is 8": [],
    "5 times 3 is 15": [True],
    "It is 8": [],
    "5 - 3 is 2": [True],
    "5-3 is 2": [],
    "5 + 3 = 8 is 8": [True],
    "12 divided by 3 + 1 = 5": [],
    "12 plus 3 + 1 = 16": [True],
    "2 * 3 plus 4 = 10": [],
    "2 + 3 plus 4 = 9": [True],
    "2 plus 3 * 4 = 14": [],
    "12 plus 3 and 4 + 1 = 5": [True],
    "1/3 of 12 = 4": [True],
    "3 of 12 = 36": [],
    "5 plus (3) = 8": [True],
    "5 plus x = 8": [],
    "6 multiplied by 7 is 42": [True],
    # LaTeX.
    "5 + \\(3\\) = 8": [True],
    "5 + \\[3\\] = 8": [True],
    "\\frac{6}{2} + \\text{3} = 6": [True],
    "\\frac{6 + 2}{2} = 4": [True],
    "\\frac{6 + 2}{2 + 2} = 2": [True],
    "\\frac{6 + 2} 2 = 4": [],
    "2^{1 + 1} = 4": [True],
    "{5 + 3} = 8": [True],
    "{(5 + 3)} = 8": [True],
    "5 + 3} = 8": [True],
    "5 + 3}{ = 8": [],
    "2x + 3 = 7": [],
    "x 3 + 4 = 7": [],
    "5\\,000 + 1 = 5\\,001": [True],
    "180^\\circ - 60^\\circ = 120^\\circ": [True],
    "5 + 3\n= 8": [True],
    "5 + 3 \\\\ &= 8": [True],
    "end. 5 + 3 = 8": [True],
    "x = 1. 5 + 3 = 8": [True],
    "3²² = 9": [False],
    "10 - \\frac{6 + 2}{2} = 6": [True],
    "3 * {(5 + 3) + 1} = 27": [True],
    "3 * {[5 + 3] + 1} = 27": [True],
    # Names of up to three words, roots and portions.
    "3 red toy cars + 2 = 5": [True],
    "3 big red toy cars + 2 = 5": [],
    "5 + 3 = 4 big red toys + 4": [True],
    "5 + 3 = 4 big red toy cars + 4": [False],
    "2 * -3 = -6": [True],
    "(-3) * 2 = -6": [True],
    "so he earns 3 * $4/hour = $12": [True],
    "we have now 3 + 10/n = 7": [],
    "5-3 is 2 and 4 + 1 = 5": [True],
    "5*3 is 15 and 4 + 1 = 5": [True, True],
    "so there we have 2 plus 3 * 4 = 14": [],
    "between 3 and 4 - 2 = 2": [],
    "5 apples + 3 km = 8 things": [],
    "5 n + 3 n = 8 n": [],
    "√16 = 4": [True],
    "√16 = 5": [False],
    "5 + 3.04 = √64": [False],
    "5 + 3.04 = \\frac{16}{2}": [False],
    "3 feet + 4 feet = $7": [],
    "2 times 4 = 8 times": [True],
    "plus 2 times 3 = 6": [],
}  # fmt: skip


@pytest.mark.parametrize("text", STATEMENTS)
def test_what_is_read_of_a_text(text):
    assert [step.correct for step in find_steps(text)] == STATEMENTS[text]


@pytest.mark.parametrize(
    ("shown", "slack"),
    [
        ("0.33", "1/66"),
        ("0.14", "1/28"),
        ("0.09", "1/18"),
        ("0.17", "1/34"),
        ("0.08", "1/16"),
        ("3.14", "1/628"),
        ("0.125", "1/250"),
        ("-0.125", "1/250"),
        ("0.25", "0"),
        ("0.3", "0"),
        ("3", "0"),
        ("0.00", "0"),
        ("0.000", "0"),
    ],
)
def test_how_far_a_rounded_number_may_be_from_what_was_meant(shown, slack):
    """Half a unit of the last of its decimals, of those that are thirds, sevenths, elevenths or known."""
    operand = Operand(Fraction(shown), (0, 1), len(shown.partition(".")[2]), percent=False)
    assert _slack(operand) == Fraction(slack)
    assert _slack(operand._replace(percent=True)) == 0


@pytest.mark.parametrize(
    ("expected", "claimed", "decimals", "agrees"),
    [
        ("10/3", "3.33", 2, True),
        ("10/3", "3.34", 2, True),
        ("10/3", "3.35", 2, False),
        ("1.5", "1.4", 1, False),
        ("1.595", "1.5", 1, True),
        ("0.18", "0.1", 1, True),
        ("0.05", "0.1", 1, True),
        ("0.04", "0.1", 1, False),
        ("2.5", "2", 0, False),
        ("2", "2", 0, True),
    ],
)
def test_a_claim_may_be_rounded_or_cut_to_its_decimals_but_to_no_half_of_itself(
    expected, claimed, decimals, agrees
):
    found = _agrees(Fraction(expected), Fraction(claimed), decimals, approximate=False)
    assert found is agrees


@pytest.mark.parametrize(
    ("expected", "claimed", "converts"),
    [
        (180, 3, True),
        (3, 180, True),
        (0, 5, True),
        (5, 0, True),
        (7, 3, False),
        (1, 1800, False),
        (-60, 1, True),
    ],
)
def test_values_that_may_be_the_same_in_other_units(expected, claimed, converts):
    assert _is_conversion(Fraction(expected), Fraction(claimed)) is converts


def test_a_statement_that_begins_with_its_result():
    text = "8 = 5 + 3"
    (step,) = find_steps(text)
    assert [text[slice(*span)] for span in step.operands] == ["5", "3"]
    assert text[slice(*step.result)] == "8"
    assert (step.start, step.end) == (0, len(text))
    (step,) = find_steps("7 = 5 + 3")
    assert (step.expected, step.claimed) == (8, 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("so (5 + 3) * 2 = 16 eggs, then", "(5 + 3) * 2 = 16"),
        ("so 5k + 3k = 8k, then", "5k + 3k = 8k"),
        ("so 8 = (5 + 3), then", "8 = (5 + 3)"),
        ("so $5 + $3 = $8.", "$5 + $3 = $8"),
        ("so -5 + 3 = -2.", "-5 + 3 = -2"),
        ("so 20% * 50 = 10 of it", "20% * 50 = 10"),
        ("so 3 * $4/hour = $12/day", "3 * $4/hour = $12"),
    ],
)
def test_where_a_statement_begins_and_ends(text, said):
    (step,) = find_steps(text)
    assert text[step.start : step.end] == said
