"""One table of what number words, magnitudes and units are worth."""

from fractions import Fraction


def word_set(words: str) -> frozenset[str]:
    """The words of a line, for looking them up."""
    return frozenset(words.split())


_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL_NUMBERS = {word: value for value, word in enumerate(_SMALL.split())}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
POWERS_OF_TEN = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
SCALES = POWERS_OF_TEN | {
    "hundreds": 10**2,
    "thousands": 10**3,
    "millions": 10**6,
    "billions": 10**9,
    "trillions": 10**12,
    "dozen": 12,
    "dozens": 12,
    "tens": 10,
    "gross": 144,
    "lakh": 10**5,
    "lakhs": 10**5,
    "crore": 10**7,
    "crores": 10**7,
    "grand": 10**3,
}
"""Words that multiply the number before them."""
SUFFIXES = {
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "mn": 10**6,
    "mil": 10**6,
    "MM": 10**6,
    "B": 10**9,
    "bn": 10**9,
    "Bn": 10**9,
    "T": 10**12,
    "tn": 10**12,
}
"""Letters that do the same right behind a number; beside a currency sign in any case."""

DENOMINATORS = {
    "half": 2,
    "halves": 2,
    **dict.fromkeys(("third", "thirds"), 3),
    **dict.fromkeys(("quarter", "quarters", "fourth", "fourths"), 4),
    **dict.fromkeys(("fifth", "fifths"), 5),
    **dict.fromkeys(("sixth", "sixths"), 6),
    **dict.fromkeys(("seventh", "sevenths"), 7),
    **dict.fromkeys(("eighth", "eighths"), 8),
    **dict.fromkeys(("ninth", "ninths"), 9),
    **dict.fromkeys(("tenth", "tenths"), 10),
    **dict.fromkeys(("hundredth", "hundredths"), 100),
    **dict.fromkeys(("thousandth", "thousandths"), 1000),
}
COUNTED_DENOMINATORS = frozenset(word for word in DENOMINATORS if word.endswith(("rds", "ths")))
"""What makes a fraction of figures too: 2 thirds; 3 quarters may be coins or parts of a game."""
SEVERAL_PARTS = COUNTED_DENOMINATORS | {"halves"}
"""What also makes an improper fraction: five halves, 18 fifths."""
ORDINAL_ENDINGS = word_set("th st nd rd")
VULGAR = {
    "½": Fraction(1, 2),
    "⅓": Fraction(1, 3),
    "⅔": Fraction(2, 3),
    "¼": Fraction(1, 4),
    "¾": Fraction(3, 4),
    "⅕": Fraction(1, 5),
    "⅖": Fraction(2, 5),
    "⅗": Fraction(3, 5),
    "⅘": Fraction(4, 5),
    "⅙": Fraction(1, 6),
    "⅚": Fraction(5, 6),
    "⅐": Fraction(1, 7),
    "⅛": Fraction(1, 8),
    "⅜": Fraction(3, 8),
    "⅝": Fraction(5, 8),
    "⅞": Fraction(7, 8),
    "⅑": Fraction(1, 9),
    "⅒": Fraction(1, 10),
}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
POWER_WORDS = {"squared": 2, "cubed": 3}

UNITS: dict[str, tuple[str, Fraction]] = {}
"""What is written together: unit to (dimension, size in the dimension's smallest unit)."""
for _dimension, _sizes in {
    "money": {
        "dollar dollars buck bucks usd euro euros eur pound pounds gbp rupee rupees": 100,
        "cent cents penny pence": 1,
    },
    "time": {
        "week weeks": 604_800,
        "day days": 86_400,
        "hour hours hr hrs h": 3_600,
        "minute minutes min mins": 60,
        "second seconds sec secs": 1,
    },
    "age": {"year years": 12, "month months": 1},
    "imperial length": {"mile miles": 63_360, "yard yards yd": 36, "foot feet ft": 12, "inch inches": 1},
    "metric length": {
        "kilometer kilometers kilometre kilometres km": 1_000_000,
        "meter meters metre metres m": 1_000,
        "centimeter centimeters centimetre centimetres cm": 10,
        "millimeter millimeters millimetre millimetres mm": 1,
    },
    "mass": {
        "tonne tonnes": 1_000_000_000,
        "kilogram kilograms kg": 1_000_000,
        "gram grams g": 1_000,
        "milligram milligrams mg": 1,
    },
    "metric volume": {"liter liters litre litres l": 1_000, "milliliter milliliters millilitre ml": 1},
    "volume": {"gallon gallons": 16, "quart quarts": 4, "pint pints": 2, "cup cups": 1},
    "weight": {"lb lbs": 16, "ounce ounces oz": 1},
    "number": {"dozen dozens": 12},
}.items():
    for _names, _size in _sizes.items():
        for _name in _names.split():
            UNITS[_name] = (_dimension, Fraction(_size))
WEIGHTS = dict.fromkeys(("pound", "pounds"), (("weight", Fraction(16)),))
"""What else a unit may measure."""

MAJOR_MONEY = word_set(
    "dollar dollars buck bucks usd euro euros eur gbp rupee rupees yen yuan pesos peso francs franc cad aud"
)
MINOR_MONEY = word_set("cent cents penny pennies pence")
GLUED_UNITS = word_set(
    "yd yr cm mm km kg ml mg ft Mb MB GB Gb in lb oz hr min mph kph m g h s L l J N W V A Hz th st nd rd"
)
"""Short units that may stand right behind a number."""

NUMBER_WORDS = frozenset((*SMALL_NUMBERS, *TENS, *SCALES, *DENOMINATORS)) | word_set(
    "twice thrice double triple"
)
"""Words that are numbers themselves, never units."""
