"""What words make of the numbers around them: deny, hedge, scale, only mention."""

import re

from backtracking.text.numbers.lexicon import word_set

BREAKS = frozenset(",;:()—–\n.")
JOINTS = word_set("but because so and since then it's")
"""Where a denial or a guess ends."""
NEGATING_PAIRS = {
    "rather": "than",
    "other": "than",
    "instead": "of",
    "none": "of",
    "no": "one",
    "false": "that",
    "wrong": "that",
    "deny": "that",
    "doubt": "that",
    "rule": "out",
    "rules": "out",
    "ruled": "out",
    "ruling": "out",
    "impossible": "to",
}
LOOSENING_PAIRS = frozenset(
    {
        ("at", "least"),
        ("at", "most"),
        ("or", "so"),
        ("or", "more"),
        ("or", "less"),
        ("or", "fewer"),
        ("give", "or"),
    }
)
UNDENIED = word_set("no without none anything nothing")
"""No wrong …, none other than: before a pair that would deny."""
BEFORE_ONE = word_set("no this that each every any which another last the only first")
BEHIND_ONE = word_set("might can could should must who would has needs may of day gets is")
REJECTS = word_set(
    "reject rejects rejected exclude excludes excluded eliminate eliminates eliminated discard discards "
    "discarded refute refutes refuted disprove disproves disproved dismiss dismisses dismissed disregard "
    "disregards"
)
"""Verbs whose object is thrown out, an equation too: "we discard x = 18"."""
NEGATORS = REJECTS | word_set(
    "not never nobody neither nor without except cannot hardly scarcely nowhere unlike no-one "
    "fail fails failed failing lack lacks lacked lacking avoid avoids avoided dispute disputes disputed"
)
BENIGN = word_set("hard difficult only surprising surprisingly mistaken counting including clear just")
TRUTH = word_set(
    "true case correct right so say claim mean follow false think believe suppose expect imagine agree "
    "accept trust buy convinced"
)
LESSER = word_set(
    "more less fewer greater higher lower larger smaller bigger over under above below exceeds exceeding"
)
BOUNDS = word_set("than least most minimum maximum between beyond over under above below exceeds exceeding")
ABOUT = word_set(
    "about around roughly approximately approx nearly almost near circa ≈ ≃ ~ \\approx \\sim \\simeq"
)
GUESSES = word_set(
    "maybe perhaps possibly probably presumably might unsure guessing estimate reckon suspect supposedly "
    "allegedly hopefully tentatively tentative sometimes usually normally typically often seldom "
    "rarely occasionally surprised ballpark rough placeholder draft distractor decoy bound"
)
GUESSERS = word_set("i i'd i'll we we'd would my our best a educated")
SUPPOSES = word_set("suppose supposing imagine pretend")
NUMBER_KINDS = word_set(
    "prime primes odd even composite square cube power multiple root fibonacci triangular perfect natural"
)
"""The 18th of these is another number than 18."""
SCALING = word_set(
    "twice double triple thrice log ln sin cos tan \\log \\ln \\sin \\cos \\tan "
    "root square cube quarter half third"
)
ASIDE = word_set(
    "by from of for in after per at each with than every on within during before since until out because "
    "over under through among between into when while if only other using despite"
)
MISTAKES = word_set("naive careless hasty tempting mistake mistakenly wrongly incorrectly trap")
MENDS = word_set("correcting fixing mending removing corrected fixed")
BRINGS_IN = word_set("bring brings brought take takes took rake rakes raked")
ATTEMPTS = word_set("answer guess attempt claim")
ALL_THINGS = word_set("anything everything all anyone")
OTHERS = word_set("many some most others people students someone one you you'd")
SAY = word_set("think say believe answer claim guess expect thought write wrote writes")
DETERMINERS = word_set(
    "the a an his her its their all these those both about exactly just last next first my your original "
    "initial"
)
NEEDS = word_set("has have had need needs needed able going must manages managed manage")
"""Before "to" and a verb they say how many it is about: "has to read 18"."""
TAKES_RESULT = word_set("be get equal have make pay earn spend")
UNREACHING = word_set(
    "from of off on about without before against at toward towards up stop stops stopped stopping quit quits "
    "quitting miss misses missed avoid avoids avoided risk risks risked resist resists resisted escape "
    "escapes escaped delay delays delayed postpone postpones postponed consider considers considered imagine "
    "imagines"
)
"""Before "earning 18" they leave it undone, or say nothing of it."""
GOES_ON_DOING = frozenset(
    (verb, particle)
    for particle, verbs in {
        "off": "start starts started",
        "on": "keep keeps kept go goes went spend spends spent",
        "up": "end ends ended ending wind winds wound finish finishes finished",
        "of": "sure",
    }.items()
    for verb in verbs.split()
)
"""Starts off earning, keeps on earning, ends up earning."""
MEANS = word_set(
    "by with from using if for when because since after given at out enough so then thus hence means"
)
"""What tells how something could be done, or that it was worked out."""
REQUIRES = word_set("need needs needed require requires required takes took")
"""Before a number and "to" they say what something is done with."""
CHANGES = word_set(
    "reduce reduces reduced increase increases increased outnumber outnumbers outweigh outweighs "
    "win wins won beat beats "
    "cut cuts rose delayed drops rises separated discount discounts discounted"
)
"""What "by" and a number tell the size of."""
SUBJECTS = word_set("he she it they we so that this the with")
SUMS = word_set("total sum amount maximum minimum profit answer result")
REACHES = word_set("get obtain find got obtained found arrive reach")
TOTALS = word_set("total sum altogether overall together")
SUMS_UP = word_set("add adds sum sums come comes total totals tally adding added")
NO_AMOUNTS = word_set(
    "multiple factor divisor power fraction root third quarter half percentage pair box bag pack group set "
    "dozen price cost rest each out one some none any most number"
)
LABELS = word_set(
    "step problem question part example case equation line section figure table chapter page exercise option "
    "note method day item nr version attempt level grade room round week row column channel gate lane "
    "seat verse volume position apt apartment appendix footnote iteration trial highway route flight psalm"
)
"""What a number behind it only tells apart from others."""
TIMES_NUMBERED = word_set("day week month year hour round")
MONTHS = word_set("January February March April May June July August September October November December")
CLOSE_TO = word_set(
    "close closer closest near nearer nearest compared relative next prior due opposed limited restricted "
    "contrary addition"
)
ANYWHERE = word_set("anything anywhere something somewhere ranging")
"""Before "from … to …" they leave open which."""
LOSES = word_set(
    "gives gave loses lost eats ate spends spent sells sold uses used drops dropped breaks broke removes "
    "removed throws threw pays paid returns returned adds added donates donated burns burned"
)
"""Behind "but" they change what was said before."""
CAPS = word_set("capped capping cap caps limited maxes maxed peaks peaked")
IS = word_set("is are was were equals makes")
CONTRASTS = word_set(
    "but however instead actually so together altogether therefore thus edit scratch correction sorry oops "
    "er erm um uh"
)
OPENERS = word_set("so then thus therefore hence finally now and consequently overall")
CONDITIONS = word_set("because since if when as after with given using")
KEEPS = word_set(
    "leave leaves left leaving end ends ended remain remains remained start starts started begin began"
)
"""With before a number they say how many there are: she is left with 18."""
PLACED = word_set("after before beyond past behind above below between under over following preceding from")
"""Before a number they make another one of it: the next prime after 18."""
SUBORDINATORS = word_set("after before because since when while by")
YIELDS = word_set("is are gives makes yields leaves totals was costs becomes takes took cost lasts weighs")
EVALUATES = word_set("equals equal")
RATES = word_set("a an per each every apiece")
"""Behind a number and its unit they say for what it is told: 3 per child, $5 an hour."""
RESTATES = re.compile(
    r"\bi\.e\.|\b(?:that is|namely|in other words|rounds? (?:\w+ )?to|rounded to|yielding"
    r"|which (?:is|means|makes|gives|leaves|equals|comes to|amounts to)|resulting in|bringing the \w+ to"
    r"|(?:for|making|giving) a (?:\w+ )?total (?:\w+ )?of|totall?ing|leaving (?:\w+ )?with)\b"
    r"|, for (?=\d[\d,.]* [a-z]+\W*$)|, or (?=\W{0,3}\d)"
    r"|, (?:giving|making)\b|\b(?:sold|gave|ate|lost|used|spent|broke)\b[^.:]*, leaving\b"
    r"|(?<!so )\bto (?:get|obtain) (?=\W{0,3}\d)|, for (?=[^,.]* (?:in all|in total|altogether))",
    re.IGNORECASE,
)
