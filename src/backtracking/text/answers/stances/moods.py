"""What a whole sentence is: a statement, or a guess, a supposition, hearsay, a mistake, the unknown."""

import re

_CAN_TELL = (
    "determined?|tell|say|known?|answer(?:ed)?|found?|find|computed?|calculated?|solved?|decided?|figured?|"
    "inferr?(?:ed)?|deduced?|worked|concluded?|given?"
)
_UNKNOWN = re.compile(
    r"\b(?:can't|cannot|can not|couldn't) be done\b"
    rf"|\b(?:cannot|can't|can not|could not|couldn't|unable to|impossible to|not possible to|no way to)\s"
    rf"(?:\w+\s){{0,2}}?(?:be\s)?(?:{_CAN_TELL})\b"
    r"|\binsufficient\b|\bundefined\b|\b(?:doesn't|does not) exist\b|\bnobody (?:can|could)\b"
    r"|\bnot enough (?:info|data|detail)|\bindetermina|\bdepends on\b|\bambiguous\b"
    r"|(?:\b(?:is|are|remains?|stays?)\s|^\W*|[:=]\s?)un(?:known|determined|clear|answerable)\b"
    r"|\b(?:price|information|data|detail|number) is missing\b"
    r"|\black(?:s|ing)? (?:the |any |enough )?(?:info|data|detail)"
    r"|\bno (?:unique |single |real |valid |definite )?(?:answer|solution)\b"
    r"|\bno idea\b|\b(?:don't|do not|doesn't|does not) (?:know|say|tell)\b"
    r"|\bnot (?:given|specified|stated|known|determined)\b"
)
"""Nothing can be said."""
_TAKEN_BACK = re.compile(
    r"\b(?:that|this|it|which|those)(?:'s| is| was| would be) (?:\w+ )?"
    r"(?:wrong|incorrect|false|mistaken|a mistake|an error|not (?:right|correct|true|it)\b)"
    r"|\b(?:but|yet|and|which|that|it|this) (?:that |it |this )?(?:can't|cannot|can not|couldn't) be\b(?! \w)"
    r"|\b(?:which|that|it|this) (?:doesn't|does not|didn't) (?:work|match|fit|check|hold|agree|make sense)\b"
    r"|\b(?:but|yet|and) the \w+ fails\b"
)
"""Denies what stands before it in the sentence."""
_GUESSED = (
    r"\b(?:a|one) possible\b|\bif i (?:had|have) to\b|\bi'd be surprised\b|\bi(?:'d| would) bet\b"
    r"|\bfor (?:the sake of|example|instance)\b|\be\.g\b|^\W*(?:say|try|consider|test|testing)\b"
    r"|\blet's call it\b"
    r"|\bnot (?:\w+ )?(?:sure|certain|confident|convinced|persuaded)\b|\bno guarantee\b|\bor something\b"
    r"|\bto be (?:checked|verified|confirmed|seen|proved|proven|shown)\b|\brang(?:es?|ing)\b|\bvar(?:y|ies)\b"
    r"|\b(?:it's|is|are|most|very) likely\b|\bin all likelihood\b|\bup to and including\b"
    r"|^\W*(?:at (?:worst|best|a guess)|with luck|on a (?:good|bad))\b"
    r"|\bsee (?:whether|if)\b|\b(?:something|number|numbers) like\b|\bsuch as\b"
)
_SUPPOSED = (
    r"^\W*let(?:'s| us| me)? (?:try|assume|suppose|say|[a-z] (?:=|be))|^\W*assume\b|\bif only\b"
    r"|\bonly (?:if|when)\b|\bunless\b|\bif\b.*\botherwise\b|\bsuch that\b"
    r"|(?:'d|\b(?:would|could|might)) have (?:had|been|made|got)\b.*\b(?:had|but)\b"
    r"|^\W*(?:were|had) (?:it|he|she|they|there|we|i)\b"
)
_WISHED = (
    r"\bi wish\b|\bwould that\b|\b(?:hoped|hoping) (?:for|to)\b"
    r"|\bi (?:hope(?! (?:it|this|that)(?:'s| is) (?:correct|right)\b)|expected)\b"
    r"|^\W*(?:(?:the|her|his|their|its|our|my) )?(?:expected|target|goal|planned|plan|budget|quota|aim)\b"
    r"(?! (?:value|number|costs?|takes?|lasts?|includes?))"
)
_HEARSAY = (
    r"\baccording to\b|\b(?!i\b|we\b|you\b|to\b|all\b|first\b|then\b|initially\b)\w+ (?:says"
    r"|said(?! and done)|thinks|thought(?! of)"
    r"|claims|claimed|believes|believed|told|reckons|insists)\b|\b(?:problem|question|text|book) states\b"
    r"|\b(?:we are|we were|you are) given\b|\bwe (?:start|started|begin|began) with\b"
    r"|\b(?!problem|question|today|it|that|here|there|what)\w+'s (?:answer|guess)\b"
)
_MISTAKEN = (
    r"\bmis(?:read|typed?|counted|calculated|took|understood|heard|placed|added)\b(?! ?[:,;.—–-])"
    r"|\bby (?:mistake|accident)\b|\b(?:check|test) fails\b|\b(?:one|all|they) (?:is|are) wrong\b"
    r"|\b(?:at|on my) first (?:glance|try|sight|attempt|look)\b"
    r"|\bif (?:we|you|one|i) (?:forget|ignore|neglect|omit|overlook|don't)\b"
)
_MAY_FOLLOW = (
    r"is|isn't|are|was|wasn't|equals?|equal|comes|turns|works|ends|amounts|to|for|in|that|we|i|you|he|she|it"
    r"|they|here|then|of"
    r"|as|at|by|from|therefore|thus|and|which|because|since|so|but|should|would|will|could|can|can't|cannot|may"
    r"|might|must (?:\w+ )?(?:be|equal)|has to be|found|given|obtained|above|below|being|now|again|with|or"
    r"|if|on|not|line"
)
_SAID_OF_ANSWER = (
    rf"\b(?!(?<=\bto )answer the question\b)answer (?!(?:{_MAY_FOLLOW})\b)[a-z]"
    r"|\banswer's|\banswer ?[+*/×·÷^] ?\d"
    r"|\d ?[-−–+*/×·÷^] ?(?:the )?answer\b|^[-−]answer\b"
    r"|\b(?:half|twice|double|thrice|third|part|square|cube|root|reciprocal|negative|inverse|digits?)"
    r" (?:of )?(?:the|my|our) answer\b|\b(?:result|solution) (?:has|had|contains?|involves?|exceeds?|lies)\b"
)
"""Something of the answer, not the answer: it has 18 digits, half of it is 18."""
_SAID_OF_ANOTHER = (
    r"\b(?:wrong|incorrect|naive|tempting|previous|common|usual) (?:answer|guess|result)\b(?!.*\bbut\b)"
    r"|\banswer to (?:the (?:first|previous|other|last|next|second)|a similar|another|last|part)\b"
    r"|\bused to be\b|\bno longer\b|\b(?:approaches|approaching|nearing|tends to|ending in|ends in)\b"
    r"|^\W*(?:the |an? |my )?(?:wrong|incorrect|false|naive|not|old|previous|initial|first\b(?!,)|rough|upper"
    r"|lower|estimated?|tentative(?:ly)?|distractor|decoy|trap|draft|placeholder|ballpark|non-?)\b[^=\d]{0,20}[:=,]"
    r"|^\W*(?:the )?(?:sub-?total|intermediate|partial|interim|running|preliminary|step result)\b"
    r"[^.]{0,20}(?:is|[:=])|\bis wrong\W*$"
)
_COMMANDED = (
    r"(?:^\W*(?:(?:now|next|then|first|so),? )?(?:we )?"
    r"|\b(?:we|you|i) (?:\w+ )?(?:must|need to|have to|should) (?:\w+ )?)"
    r"(?:add|remove|subtract|divide|multiply|halve|double"
    r"|take away|plug|substitute|carry|borrow)\b(?!.*(?:=|:|\bget|\bgives?\b|\bis\b|\bto (?:obtain|find)\b))"
)
"""Add 18."""
_UNSURE = re.compile(
    "|".join(
        (_GUESSED, _SUPPOSED, _WISHED, _HEARSAY, _MISTAKEN, _SAID_OF_ANSWER, _SAID_OF_ANOTHER, _COMMANDED)
    )
)
_COUNTERFACTUAL = re.compile(
    r"\b(?:if|unless|had|without)\b.*(?:\b(?:would|could)\b|'d\b)|(?:\b(?:would|could)\b|'d\b).*\b(?:if|unless)\b"
)
_ASKS_FOR_NUMBER = re.compile(
    r".{0,200}\b(?:how (?:many|much|long|far|old|tall|fast)|what)\b[^?]*\Z", re.IGNORECASE | re.DOTALL
)
_CONTRAST = re.compile(r"[^,]*\d[^,]*, but ([^,]*\d.*)\Z", re.DOTALL)
_PREMISE = re.compile(
    r"^\W*(?:(?:so|then|thus|now),? )?if (?!.*\b(?:were|was|had|could|did|instead|only"
    r"|held|sold|bought|made|got|paid|came|went|took|gave|ate)\b)"
    r"(?![^,]*\bwould\b)[^,]*,"
)
"""If she charges $3 a day, she would earn …: a condition that the problem states."""


def asks_for_number(question: str) -> bool:
    """Whether a question, without its mark, asks how many or what."""
    return _ASKS_FOR_NUMBER.match(question) is not None


def says_unknown(lowered: str) -> bool:
    """Whether a sentence, in small letters, says that nothing can be said."""
    return _UNKNOWN.search(lowered) is not None


def is_unsure(lowered: str) -> bool:
    """Whether a sentence, in small letters, states nothing: a guess, a supposition, hearsay, a mistake.

    What "but" leads from one number to another takes the mood with it.
    """
    if contrast := _CONTRAST.match(lowered):
        lowered = contrast.group(1)
    if _UNSURE.search(lowered) is not None:
        return True
    if "=" in lowered or _PREMISE.search(lowered):
        return False
    return _COUNTERFACTUAL.search(lowered) is not None


def taken_back(lowered: str) -> int:
    """Where a sentence, in small letters, takes back what it said before; -1 if it does not."""
    match = _TAKEN_BACK.search(lowered)
    return match.start() if match else -1
