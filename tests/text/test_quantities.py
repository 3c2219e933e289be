"""Quantities: what a value is rendered as reads back as that value, and words around it flip or void it."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtracking.text.answers import extract_answer, grade, judge_answer
from backtracking.text.answers.grading import parse_number

quick = settings(max_examples=25)
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
ONES = [*ONES.split(), "seventeen", "eighteen", "nineteen"]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = [(10**9, "billion"), (10**6, "million"), (1000, "thousand")]
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
VULGAR = {Fraction(1, 2): "½", Fraction(1, 4): "¼", Fraction(3, 4): "¾", Fraction(1, 3): "⅓"}


def spelled(value: int, *, joint: str = " ", hyphen: str = "-") -> str:
    """A number in English, by another way than the reader's."""
    for size, name in SCALES:
        if value >= size:
            rest = value % size
            small = joint if rest < 100 else " "
            head = f"{spelled(value // size, joint=joint, hyphen=hyphen)} {name}"
            return head + (small + spelled(rest, joint=joint, hyphen=hyphen) if rest else "")
    if value >= 100:
        rest = value % 100
        return f"{ONES[value // 100]} hundred" + (joint + spelled(rest, hyphen=hyphen) if rest else "")
    if value >= 20:
        return TENS[value // 10] + (hyphen + ONES[value % 10] if value % 10 else "")
    return ONES[value]


def grouped(value: int, separator: str) -> str:
    return f"{value:,}".replace(",", separator)


WHOLE_FORMS = {
    "plain": str,
    "commas": lambda v: grouped(v, ","),
    "spaces": lambda v: grouped(v, " "),
    "thin spaces": lambda v: grouped(v, "\u2009"),
    "latex thin spaces": lambda v: grouped(v, "\\,"),
    "latex spaces": lambda v: grouped(v, "\\ "),
    "latex commas": lambda v: grouped(v, "{,}"),
    "ties": lambda v: grouped(v, "~"),
    "apostrophes": lambda v: grouped(v, "'"),
    "dollars": lambda v: f"${v:,}",
    "escaped dollars": lambda v: f"\\${v}",
    "dollars and no cents": lambda v: f"${v}.00",
    "dollar words": lambda v: f"{v:,} dollars",
    "units": lambda v: f"{v} apples",
    "latex units": lambda v: f"{v}\\,\\text{{km/h}}",
    "square units": lambda v: f"{v} m^2",
    "degrees": lambda v: f"{v}^\\circ",
    "emphasis": lambda v: f"**{v}**",
    "text": lambda v: f"\\text{{{v}}}",
    "words": spelled,
    "words with and": lambda v: spelled(v, joint=" and "),
    "words without hyphens": lambda v: spelled(v, hyphen=" "),
    "decimal point": lambda v: f"{v}.0",
    "plus": lambda v: f"+{v}",
    "power of ten": lambda v: f"{Fraction(v, 1000).numerator / Fraction(v, 1000).denominator} \\times 10^3",
    "fraction": lambda v: f"\\frac{{{2 * v}}}{{2}}",
}
NEGATIVE = ["-{}", "−{}", "–{}", "- {}", "minus {}", "negative {}", "-\\${}", "$-{}", "\\text{{minus }}{}"]
ANNOUNCED = [
    "The answer is {}.",
    "**Final answer:** {}",
    "Answer: {}",
    "\\boxed{{{}}}",
    "So the total is {}.",
]


@pytest.mark.parametrize("form", WHOLE_FORMS)
@quick
@given(value=st.one_of(st.integers(0, 10**4), st.integers(0, 10**10)))
def test_whole_numbers_read_back_from_every_form(form, value):
    if form == "power of ten":
        assume(value < 10**8)
    assert value in parse_number(WHOLE_FORMS[form](value)).readings


@pytest.mark.parametrize("frame", ANNOUNCED)
@pytest.mark.parametrize("form", WHOLE_FORMS)
@quick
@given(value=st.integers(13, 10**6), off=st.sampled_from([0, 1, -1, 10]))
def test_announced_numbers_are_graded_as_what_they_are(frame, form, value, off):
    text = frame.format(WHOLE_FORMS[form](value))
    assert judge_answer(text, str(value + off)).correct is (off == 0)


@pytest.mark.parametrize("sign", NEGATIVE)
@quick
@given(value=st.integers(1, 10**6))
def test_signs_in_every_dash_and_word(sign, value):
    assert parse_number(sign.format(value)).value == -value
    assert grade(extract_answer(f"The answer is {sign.format(value)}.").text, str(-value)) is True
    assert grade(extract_answer(f"The answer is {sign.format(value)}.").text, str(value)) is False


@quick
@given(st.integers(0, 999), st.sampled_from(sorted(VULGAR)))
def test_mixed_numbers(whole, part):
    forms = [
        f"{whole}{VULGAR[part]}",
        f"{whole} {VULGAR[part]}",
        f"{whole} {part}",
        f"{whole}\\frac{{1}}{{2}}",
    ]
    for text in forms[:3]:
        assert parse_number(text).value == whole + part
    assert parse_number(forms[3]).value == whole + Fraction(1, 2)
    assert parse_number(f"{spelled(whole)} and a half").value == whole + Fraction(1, 2)


@quick
@given(st.integers(0, 10**5), st.integers(1, 99))
def test_dollars_and_cents(dollars, cents):
    value = dollars + Fraction(cents, 100)
    for text in (
        f"${dollars}.{cents:02}",
        f"{dollars} dollars and {cents} cents",
        f"${dollars} and {cents} cents",
        f"{dollars} dollars {cents} cents",
        f"{dollars}\\text{{ dollars and }}{cents}\\text{{ cents}}",
    ):
        assert parse_number(text).readings == (value,)


@quick
@given(st.integers(1, 23), st.integers(1, 59))
def test_hours_and_minutes_are_either(hours, minutes):
    number = parse_number(f"{hours} hours and {minutes} minutes")
    assert set(number.readings) == {hours + Fraction(minutes, 60), Fraction(60 * hours + minutes)}


@quick
@given(st.integers(1, 999), st.integers(-9, 9))
def test_powers_of_ten(digits, power):
    value = digits * Fraction(10) ** power
    raised = str(power).translate(RAISED)
    for text in (
        f"{digits} \\times 10^{{{power}}}",
        f"{digits} × 10^{{{power}}}",
        f"{digits} · 10{raised}",
        f"{digits}e{power}",
        f"{digits} \\cdot 10^{{{power}}}",
    ):
        assert parse_number(text).value == value


@quick
@given(
    st.integers(1, 999), st.sampled_from([("k", 3), ("M", 6), ("B", 9), (" thousand", 3), (" million", 6)])
)
def test_magnitudes(value, magnitude):
    name, power = magnitude
    assert parse_number(f"{value}{name}").value == value * 10**power
    assert parse_number(f"${value}{name}").value == value * 10**power
    assert parse_number(f"{value} dozen").value == 12 * value


DENIALS = [
    "The answer is not {}.",
    "The answer isn't {}.",
    "It is not {}.",
    "{}? No. It is 1.",
    "It can't be {}.",
    "{} is wrong.",
    "The answer is {}. No, that's wrong.",
    "\\boxed{{\\text{{not }}{}}}",
    "The answer is not \\boxed{{{}}}.",
    "The answer is 1, not {}.",
    "It is not true that the answer is {}.",
]
HEDGES = [
    "The answer is at least {}.",
    "The answer is more than {}.",
    "\\boxed{{\\text{{at most }}{}}}",
    "\\boxed{{\\ge {}}}",
    "Answer: {} or more",
    "Answer: between {} and 99999",
    "Answer: {} or 99999",
    "Answer: about {}",
    "The answer might be {}.",
    "The answer cannot be determined from {} eggs.",
    "Is it {}?",
    "Answer: {}+",
]
SCALINGS = [
    "Answer: {} dozen",
    "Answer: {}k",
    "Answer: ${}M",
    "Answer: {}½",
    "Answer: {}²",
    "Answer: √{}",
    "Answer: {} thousand",
    "Answer: twice {}",
    "Answer: half of {}",
    "Answer: {} squared",
    "Answer: 10% of {}",
    "\\boxed{{\\sqrt{{{}}}}}",
    "\\boxed{{{}^2}}",
    "\\boxed{{{}\\pi}}",
    "Answer: minus {}",
]


@pytest.mark.parametrize("frame", DENIALS + HEDGES + SCALINGS)
@quick
@given(value=st.integers(2, 9999))
def test_denying_hedging_and_scaling_words_flip_or_void(frame, value):
    assert judge_answer(frame.format(value), str(value)).correct is not True


@quick
@given(value=st.integers(2, 9999), other=st.integers(2, 9999))
def test_a_denial_leads_on_to_what_is_said_instead(value, other):
    assume(value != other)
    for frame in (
        "The answer is not {other}. It is {value}.",
        "It is not {other} but {value}.",
        "{other}? No. It is {value}.",
        "The answer is {value}, not {other}.",
        "\\boxed{{{value}}}. (Not \\boxed{{{other}}}.)",
        "The answer is {other}. Wait, that's wrong. It is {value}.",
    ):
        text = frame.format(value=value, other=other)
        assert judge_answer(text, str(value)).correct is True
        assert judge_answer(text, str(other)).correct is not True


@quick
@given(st.integers(1, 999))
def test_a_verdict_carries_the_rule_and_the_span(value):
    verdict = judge_answer(f"She sells 9 eggs and makes ${value} a day.", str(value))
    assert (verdict.correct, verdict.answer.rule, verdict.answer.text) == (True, "last_number", f"${value}")
    assert verdict.answer.start == 27
    assert verdict.answer.end == 28 + len(str(value))
