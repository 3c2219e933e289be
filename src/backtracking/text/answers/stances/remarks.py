"""What the words behind a number say of it: that it is wrong, open, of another size, or for another case.

A remark is the text behind a number, words in small letters and one space between tokens. What a number
"is" is read as a closed world: "is the answer", "is how many she has" state it; "is a lower bound" and
whatever else is not known do not.
"""

import re

_UNIT = r"(?!(?:which|that|so|and|but|because|since|who|where|when|while|if|as|to|for|or)\b)[a-z'-]+"
_FEW = rf"(?:{_UNIT} ){{0,3}}?"
_SURE = (
    r"(?:(?:indeed|therefore|thus|then|also|exactly|simply|just|clearly|definitely|now|still|actually|hence"
    r"|really|in fact|precisely|certainly|of course) )*"
)
_NOT_THE = (
    r"(?!\w+ (?:first|initial|previous|old|original|naive|wrong|other|usual|upper|lower|minimum|maximum"
    r"|least|most|limit|opposite|intermediate|incorrect|mistaken|bound|result of (?:forgetting"
    r"|ignoring))\b)"
)
_NOT_YET = (
    r"(?!.*\b(?:if|when|without|before|unless|after|expect\w*|forget\w*|first|others?|started|began|got)\b)"
)
_THE_ANSWER = (
    r"(?:the|our|my|your) (?:\w+ )?answer"
    r"(?! ?(?:[.,;!:)]|\*|$|to (?:the|this|our|your) (?:question|problem)))"
)
_STATED = (
    rf"(?!{_THE_ANSWER})(?:{_NOT_THE}(?:the|our|my|your|its|her|his|their) |correct\b|right\b|it\b|all\b"
    rf"|(?:how|what)\b{_NOT_YET}"
    r"|[-−–]? ?\\?[$€£¥₹]?\\?[$]? ?(?:\d|\.\d|[½⅓⅔¼¾]|\\[dt]?frac)(?!.* than the answer)"
    r"|(?:one|two|three|four|five|six|seven|eight|nine|ten) "
    r"|(?:half|twice)\b(?! (?:of )?(?:the answer|it\b|that\b|what\b|as\b))"
    r"|equal|less\b|more\b|fewer\b|greater\b|lower\b|higher\b|smaller\b|larger\b"
    r"|empty\b|un(?:spent|sold|read|eaten|used|paid|opened|touched|painted|filled)\b"
    r"|left\b|needed\b|required\b|also\b|\()"
)
_IS_OPEN = (
    rf"{_FEW}(?:is|was) {_SURE}(?!{_SURE}{_STATED})\S",
    rf"{_FEW}(?:would|could|might|may|can|must|should|will) (?:\w+ )?be (?:a|an|too|my|enough|possible|if)\b",
    rf"{_FEW}(?:would|could|might|may|can) (?:\w+ )?be (?:the|our|right|correct)\b",
    rf"{_FEW}(?:seems?|seemed|appears?|appeared|looks?|looked|sounds?|feels?)\b",
    rf"{_FEW}(?:won't|wouldn't|would (?:not|need|require)|doesn't|does not)\b",
    rf"{_FEW}(?:can't|cannot|could not|couldn't)\b",
    rf"{_FEW}(?:only counts|counts (?:only|each)|double counts|overshoots|undershoots|overcounts|makes no)\b",
)
"""18 is a lower bound; 18 was my first thought; 18 would be the answer to something else."""

_ALTERED = tuple(
    rf"(?:, )?(?:[a-z']+ ){{0,2}}?(?:{altered})"
    for altered in (
        r"times (?:as|more|less|larger|bigger|greater|smaller|that|the|its|his|her)\b",
        r"(?:- )?fold\b|- odd\b|something\b|remainder\b|rem\b|r \d|with (?:a |some )?remainder\b",
        r"and (?:change|counting|then some|some change|a (?:bit|little|fraction))\b",
        r"too (?:many|few|much|little|high|low)\b",
        r"(?:short|shy|away|off|ahead|behind) (?:of|from) [$€£\\]{0,2} ?\d|shy\b",
        r"(?:which is |when |if )?(?:increased|decreased|reduced|raised|halved|multiplied) (?:by|to)\b",
        r"in base\b|\(? ?base \d|in (?:hexadecimal|octal|binary)\b",
        r"(?:behind|poorer) ?\.?$",
        r"away from (?:the|her|his|its|their) (?:\w+ )?(?:goal|target|quota|aim|limit)\b",
        r"out of (?:the|her|his|their|a) (?:required|needed|necessary|requested|promised|planned|expected)\b",
        r"in debt\b|in the (?:red|hole)\b|overdrawn\b",
        r"tops\b|at the outside\b|and (?:up|above|over|under|below|older|younger)\b",
        r"in the worst case\b|on average\b|at a guess\b|perhaps\b|presumably\b|possibly\b|probably\b",
        r"(?:once |after |when |if )?(?:doubl|halv|tripl|quadrupl|squar)(?:ed|ing)\b",
        r"rounded (?:up |down )?from\b",
        r"(?:take|taken|takes) away\b|with \d+ (?:more|less|taken|added|removed)\b",
        r"when \d+ (?:is|are) added\b",
        r"and some (?:cents|odd|extra)\b|(?:grows|shrinks|rises|falls|increases|decreases) by\b",
        r"approximately\b|roughly\b|supposedly\b|allegedly\b|apparently\b|more or less\b|give or take\b",
        r"reversed\b|(?:with|after) (?:the |its )?digits\b|written (?:back|in)|backwards?\b|in reverse\b",
        r"by \d[\d.,]* ?\.?$|into \d|shared (?:by|among|between|equally)\b|split\b",
        r"to the (?:second|third|fourth|n)\b",
    )
)
"""18 times as large; 18 remainder 2; 18 and change; 18 short of 20; 18, increased by 10%."""

_NO_TIME = "".join(
    f"(?<!{unit} )" for unit in ("seconds", "minutes", "hours", "days", "weeks", "months", "years")
)
"""What is told before something is told in full: "10 days before the deadline"."""

_PARTLY = tuple(
    rf"(?:, )?(?:[a-z']+ ){{0,2}}?(?:{partly})"
    for partly in (
        rf"{_NO_TIME}before\b(?! (?:\w+day|noon|dawn|lunch|dinner|she|he|they|it|we)\b(?!'))",
        r"without\b(?! (?:any |a )?doubt)|excluding\b|except\b",
        r"less (?:\\?[$] ?)?\d|with \d+ ?\\?% off",
        r"and then\b|then (?:\w+ )?\d|pending\b|for (?:now|the moment)\b",
        rf"{_NO_TIME}until\b",
        r"(?:must|should|still|needs?|ha(?:s|ve)) (?:\w+ ){0,2}?be (?:\w+ )?"
        r"(?:add|subtract|deduct|remov|taken|multipl|divid|halv|doubl)",
        r"to be (?:halved|doubled|tripled|added|rounded|[a-z]+ected)\b",
        r"as an? (?!result\b|whole\b)|to an? (?:first|rough)\b|on paper\b|according to\b",
        r"in (?:theory|practice|principle)\b|half the time\b|twice over\b|again and\b|only (?:on|in|for)\b",
        r"in (?:some|most|many|one|that|this|the (?:first|second|other|best|worst|ideal)) cases?\b",
        r"(?:minimum|maximum|max)(?: ?\.?$|\b(?= of))|at (?:the )?(?:minimum|maximum|first)\b",
        r"under (?:par\b|\d)",
        r"(?:short|(?<!got )(?<!get )(?<!gets )off) ?\.?$|still (?:has|have|needs?)\b",
        r"includes?\b|excludes?\b|per \d|parts per\b|digits? long\b|(?:through|thru) \d|to begin with\b",
        r"that (?:we|she|he|they) (?:start|began|begin)|on the dollar\b|' worth\b",
        r"(?:each|apiece) (?:for|to|with) (?:the |her |his |their |all )?\d",
    )
)
"""18 before the discount; 18 for now; 18 in theory; 18 has to be halved."""

_RESERVED = tuple(
    rf", (?:{reserve})"
    for reserve in (
        r"(?:although|though|ignoring|neglecting|forgetting|perhaps|presumably|possibly|probably|maybe)\b",
        r"an? contradiction\b|(?:but|yet) (?:that|this|it|only|not|don't|i'm not|which) |(?:to"
        r"|from) which\b",
        r"i (?:guess|suppose|think)\b|(?:and|then) (?:then )?(?:add|subtract|multiply|divide|double"
        r"|halve)\b",
        r"which (?:we|i|one|you|then|would|could|should|must|has to|needs|can't|cannot|contradicts"
        r"|counts)\b",
        r"which (?:isn't|is not)\b(?! the same)",
    )
)
"""18, but that ignores the tax; 18, which we then double."""

_OF_ANOTHER = re.compile(r"(?:in|of) \d[\d.,]*(?: ?[.,;)]|$)")
"""18 of 20, 18 in 20."""

_CONDITION = (
    rf"(?:, |\( ?)?{_FEW}(?:only )?(?:if|unless|provided|assuming|supposing|as long as|in case)\b",
    r"\( (?:before|without|excluding|except|when|not counting|assuming|if|unless|under|old)\b",
)
"""18 if she works on Sunday; 18 (before tax)."""

_BRACKETED_DOUBT = (
    r"\( [^)]*?\b(?:approx(?:imat\w+)?|est|estimated?|roughly|guess(?:ed)?|tentative|unverified|unconfirmed"
    r"|uncertain|unsure|max|maximum|min|minimum|maybe|possibly|perhaps|probably|rejected|invalid"
    r"|impossible|no)\b",
    r"\( [^)]*\?|[([] (?:upper|lower|an? upper|an? lower|at most|at least|rounded|formerly)\b",
    r"\( (?:[$€£\\] ?)*\d[\d.,]* (?:with|without|if|before|after|including|excluding)\b",
)
"""18 (approx.), 18 (rejected)."""

_SMALL = "two|three|four|five|six|seven|eight|nine|ten"
_SEVERAL = rf"(?:\d[\d.,]*|{_SMALL})"
_RATE_OF_SEVERAL = (
    rf"(?:[a-z]+ ){{0,2}}?(?:for|to|from|per|by|with) (?:each|every|one) of (?:[a-z]+ ){{0,2}}?{_SEVERAL}",
    rf"{_FEW}(?:with|of|holding|containing|having) {_SEVERAL} (?:[a-z]+ ){{1,3}}(?:each|apiece)\W*$",
    r"(?:[a-z]+ ){0,2}?(?:an?|per|each|every|for each|for every|/) ([a-z]{2,})(?: [^\d.]*?)?"
    rf" (?:for|on|over|in|and|,|times|×|\*)(?: [a-z]+){{0,4}} {_SEVERAL} (?:[a-z]+ )?\1(?:s|es)?\b",
)
"""18 dollars for each of her 5 customers; 18 dollars an hour for 8 hours."""


def _any_of(*tables: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(shape for table in tables for shape in table))


_OPEN = _any_of(_IS_OPEN, _ALTERED, _RESERVED, _BRACKETED_DOUBT, _RATE_OF_SEVERAL)
_OPEN_UNLESS_RESULT = _any_of(_CONDITION, _PARTLY)

_NEGATIVE = (
    "excluded|ruled out|rejected|discarded|eliminated|dismissed|disregarded|discounted|disproved|disproven"
    "|refuted|contradicted|crossed out|thrown out|struck|invalid|invalidated|unacceptable|inadmissible"
    "|untenable|absurd|nonsense|ridiculous|out of the question|out"
)
_SUBJECT_IS = r"(?:is|was|would be|seems|looks|must be|it's)"
_DENIES = re.compile(
    r"(?:[([—–!-] ?)?(?:wrong|incorrect|false)\b|[✗✘❌🚫⛔👎]"
    r"|[—–,(-] (?:nope|nah|no(?= ?(?:$|[.,;!—–)]|wait|sorry|it|that|scratch))"
    r"|not (?:at all|quite|right|correct|really)|never|impossible)\b"
    r"|(?:\w+ ){0,3}?(?:, )?(?:which |that |this )?"
    rf"(?:{_SUBJECT_IS} (?:\w+ )?"
    r"(?:wrong|incorrect|false|mistaken|too|impossible|unlikely|ruled out|a (?:common )?mistake|a typo"
    r"|an error"
    r"|not (?:the(?! same)|right|correct|it|true|what|possible|an? ))"
    r"|(?:isn't|wasn't|can't be|cannot be|can not be|couldn't be|won't be)"
    r"(?: (?:the|right|correct|it|true|what|possible)\b|$)"
    r"|(?:does|do|did)(?:n't| not) (?:work|fit|check|hold|make sense|satisfy|solve|match|agree|qualify"
    r"|add up)"
    r"|(?:is|are|was|were|can|could|must|should|has|have|had|gets?|got)(?: be| been| \w+ be)? "
    rf"(?:{_NEGATIVE})\b"
    r"|fails\b|violates\b|contradicts\b|overlooks\b|ignores\b|overestimates\b|underestimates\b)"
)


def denies(remark: str) -> bool:
    """18 is wrong; 18 isn't the answer; 18 dollars would be too much; 18 (incorrect)."""
    return _DENIES.match(remark) is not None


def leaves_open(remark: str, *, bare: bool, result: bool) -> bool:
    """18 is a lower bound; 18 times as large; 18 dollars an hour for 8 hours.

    What stands by itself may also be a part of something (18 of 20); what is no result may be conditional
    or partial.
    """
    if bare and _OF_ANOTHER.match(remark):
        return True
    if not result and _OPEN_UNLESS_RESULT.match(remark):
        return True
    return _OPEN.match(remark) is not None
