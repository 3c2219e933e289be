"""What words make of the equalities around them: join their numbers, end them, suppose or refute them."""

from backtracking.text.numbers.lexicon import NUMBER_WORDS, word_set

LINKS = word_set("of by the")
FUNCTIONS = word_set("log ln lg sin cos tan cot sec csc exp sqrt max min gcd lcm arcsin arccos arctan")
OPERATIONS = word_set("times plus minus over than mod divided multiplied r rem remainder")
"""Words that join the numbers on their two sides."""
VALUES = NUMBER_WORDS | word_set("percent squared cubed pair pairs")
"""Words that change the value of the number before them."""
COMPOUND = word_set(
    "year month week day hour hr h minute min mile yard foot feet ft meter m kilometer km pound lb kilogram "
    "kg gallon quart dollar buck"
)
"""Units that are written before smaller ones: 5 feet 6 inches."""
SHORT_UNITS = word_set("cm mm km kg mg ml lb oz ft in yd mi hr hp am pm")
UNIT_LETTERS = word_set("m h s g l L")
CONNECTIVES = word_set(
    "and or so then is are was which that because since with if when where but let thus hence we i it he she "
    "they gives give get gets makes means leaving leaves wait now therefore have has total step first next "
    "also"
)
"""Words that end one statement and begin the next, never units."""
SUPPOSES = word_set(
    "claim claims claimed if suppose supposing assume assuming whether not need want should instead"
)
MODULAR = word_set(
    "mod modulo am pm o'clock base binary octal hexadecimal clock remainder remainders rem leftover modular"
)
NEVER_UNITS = CONNECTIVES | MODULAR
OTHER_RULES = word_set("pattern patterns operation operator")
"""What gives signs a meaning of their own: "the pattern 2 + 3 = 10"."""
FALSE = word_set("false wrong incorrect impossible untrue absurd not")
REFUTES = word_set("contradiction contradicts contradictory absurd impossible")
JOINS_NUMBERS = word_set("sum product difference between quotient ratio average gcd lcm of")
