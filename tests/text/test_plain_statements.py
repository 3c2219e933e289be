"""Statements in prose: what may stand around a number, and what leaves it ungraded."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtracking.text.answers import judge_answer
from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain_words

PAIRS = [
    ("He threw 18 punches.", "He forgoes 18 punches."),
    ("She dug 18 holes on the fourth day.", "She dug 18 holes in theory."),
    ("For the whole journey, Mason drove 18 miles.", "In jest, Mason drove 18 miles."),
    ("In those 3 hours, Vince stapled 18 reports.", "In principle, Vince stapled 18 reports."),
    ("To hold all of her books, she needs 18 boxes.", "To begin with, she needs 18 boxes."),
    ("After buying the can, Kelly will have 18 cents left.", "Ignoring the can, Kelly will have 18 cents."),
    ("Her mother gave the cashier 18 dollars.", "Her mother denied the cashier 18 dollars."),
    ("She picked up 18 shells.", "She turned down 18 shells."),
    ("She needs 18 more dollars to buy the new camera.", "She needs 18 dollars to begin with."),
    ("It takes 18 hours to fill the 400-gallon tank.", "It takes 18 hours, to be halved."),
    ("There are 18 students who were enrolled this year.", "There are 18 students who don't count."),
    ("18 people got on the bus at the terminal.", "18 people seems right."),
    (
        "She ran 5 laps and 13 laps, for a combined total of 18 laps.",
        "She ran 5 laps, 18 short of a total of 23.",
    ),
    (
        "The total number of cards that had the letter D on them is 18.",
        "The last number of cards is under 18.",
    ),
    ("5 and 13 make 18 so the total is 18.", "They say so that the total is 18."),
    ("Subtract the cost to find the profit: $18", "Subtract the cost: 18 is not the profit."),
    ("If each of the 6 friends pays $3, they would pay $18.", "If she had 6 friends, they would pay $18."),
    ("(B) 18", "(B) 20, not 18"),
    ("The answer is B, 18.", "The answer is B, not 18."),
    ("There are exactly 18 seats.", "There are 18 rows with 4 seats each."),
    ("He is 18 minutes late.", "He is 18 minutes short of 30."),
    ("His alarm rang 18 times.", "His alarm rang 18 times as long."),
    ("The bill, including the tip, is $18.", "The bill, before the tip, is $18."),
    ("It takes 18 days in all to make 6 tables.", "It takes 6 days to make 18 tables."),
    ("The final answer is that Ann earns 18 dollars.", "The final answer is that nobody earns 18 dollars."),
    ("The price falls by 25% to $18.", "The price falls by 18% to $25."),
    ("\\begin{align*}\n2x &= 36 \\\\\nx &= 18\n\\end{align*}", "\\begin{align*}\nx &\\neq 18\n\\end{align*}"),
    ("The answer is 18.\n\nWould you like me to explain it?", "The answer is 18.\n\nWould it be 20?"),
    (
        "Without the last row it would be 12, but with it there are 18 seats.",
        "I'm not sure about the 18, but there are 20 seats.",
    ),
    ("The answer is 18: 6 rows of 3.", "Her pay is 18: with the tips she has 25."),
    ("The answer is 18.", "The answer is 18! = 6.4e15."),
    ("They counted 18 jellyfish in four tanks.", "They counted 18 jellyfish on a whim."),
    ("The answer is 18.", "The answer is 18th."),
    ("She moved up one spot, which is 19 - 1 = 18th place.", "She is 18th in line."),
    ("\\[ \\boxed{18^{\\text{th}}} \\]", "Answer: 18th"),
    ("He reduced his daily intake by 18 cups.", "He divided it by 18."),
    ("Together the three fields yield 18 pounds.", "Reportedly the three fields yield 18 pounds."),
    ("The rope was cut into 18 pieces.", "The rope was, in theory, cut into 18 pieces."),
    ("The two sisters frosted 18 cupcakes.", "The two sisters craved 18 cupcakes."),
    ("18 lanterns were glowing there.", "18 lanterns weren't all of them."),
    ("9 * 2 = 18\n\nAnn's lap count stood at 18.", "9 * 2 = 18\n\nAnn's lap count hardly stood at 18."),
    ("9 × 2 = 18, not 20 minus 3.", "9 × 2 = 18, minus the 3 she gave away."),
    ("9 × 2 = 18 dollars, which is less than he has.", "9 × 2 = 18 dollars, less a fee of three dollars."),
    ("9 × 2 = 18, since 9 plus 9 is 18.", "9 × 2 = 18, plus the 3 from yesterday."),
    ("So 9 × 2 = 18, and then we are done.", "So 9 × 2 = 18, and then 18 × 7 gives the weekly amount."),
    ("She plays 9 × 2 = 18 times a day.", "She makes 9 × 2 = 18 a day, which times 7 is the weekly amount."),
    ("9 × 2 = 18, which is half of 36.", "9 × 2 = 18, which still has to be halved."),
    (
        "She makes 9 × 2 = 18 before noon.",
        "The answer is 9 × 2 = 18, before we take the fee of 3 dollars off.",
    ),
    ("9 × 2 = 18, and that is the answer.", "9 × 2 = 18, and half of that is the answer."),
    ("9 × 2 = 18 dollars, and Ann keeps them.", "9 × 2 = 18 dollars, and she spends 3 of them."),
    ("Tom, who has 5 fewer apples than Ann, has 18.", "Tom has 5 fewer apples than Ann, who has 18."),
    ("Tom has 18 marbles, twice as many as Ann.", "Tom earns twice as much as Ann, and Ann earns $18."),
    ("Ann has 9 and Tom earns $18.", "Tom earns twice as much as Ann, who earns $18."),
    ("It takes Tim 18 minutes.", "It takes Tim 18 minutes and Tom half as long."),
    ("The first train covers 18 miles.", "The first train covers 18 miles and the second one as much again."),
    ("20-2=18 \\boxed{18}", "20-2=18 \\boxed{20}"),
    ("\\[20-2=18\\] \\boxed{18}", "\\[20-2=18\\] times \\boxed{18}"),
    ("**Answer:** Weng earned **\\$18** for 50 minutes of babysitting.", "**Answer:** 18 in days gone by"),
    ("So it takes 18 minutes, including the restart.", "So it takes 18 minutes, not including the restart."),
    ("It takes half a day, that is, 18 hours.", "It takes half a day, that is, 18 hours less a nap."),
    ("That is, 18 hours.", "That is, not 18 hours."),
]


@pytest.mark.parametrize(("right", "wrong"), PAIRS, ids=lambda text: text[:40])
def test_minimal_pairs(right, wrong):
    assert judge_answer(right, "18").correct is True
    assert judge_answer(wrong, "18").correct is not True


@pytest.mark.parametrize(
    ("base", "forms"),
    [
        ("drop", "drops dropped"),
        ("knit", "knits knitted"),
        ("carry", "carries carried"),
        ("play", "plays played"),
        ("wash", "washes washed"),
        ("bake", "bakes baked"),
        ("mix", "mixes mixed"),
        ("row", "rows rowed"),
        ("quit", "quits quitted"),
        ("repaint", "repaints repainted"),
        ("heat", "heats heated"),
        ("agree", "agrees agreed"),
    ],
)
def test_regular_verbs(base, forms):
    assert verbs.forms(base) == {base, *forms.split()}


def test_every_verb_has_all_its_forms_once():
    assert {"ship", "shipped", "shipping"} <= verbs.STATES | verbs.STATING
    assert {"threw", "thrown", "throws", "swimming"} <= verbs.STATES | verbs.STATING
    assert not re.search(r"([a-z])\1\1", " ".join(verbs.STATES))
    assert verbs.BASES <= verbs.STATES
    assert not verbs.STATES & plain_words.OMITTING


SUBJECTS = ("She", "Each child", "The two friends", "Tom's sister", "Uncle Ben")
VERBS = ("has baked", "will need", "can carry", "must deliver", "sold", "therefore packed", "would each get")
THINGS = ("cakes", "small red boxes", "jars of jam", "people", "dollars")
TAILS = ("", " in the end", " on that day", " to fill the new shelf", " for her friends", " in 3 weeks")
RESERVES = (" or so", " at most", " if all goes well", " before tax", " in theory", " less the broken ones")


@given(
    *map(st.sampled_from, (SUBJECTS, VERBS, THINGS, TAILS)),
    st.integers(20, 5_000).filter(lambda value: not 1_000 <= value <= 2_100),
)
def test_who_does_what_how_many_times_is_read_with_any_circumstance(subject, verb, things, tail, value):
    assert judge_answer(f"{subject} {verb} {value} {things}{tail}.", str(value)).correct is True


@given(*map(st.sampled_from, (SUBJECTS, VERBS, THINGS, RESERVES)), st.integers(20, 900))
def test_a_reserve_behind_it_voids_it(subject, verb, things, reserve, value):
    assert judge_answer(f"{subject} {verb} {value} {things}{reserve}.", str(value)).correct is not True
