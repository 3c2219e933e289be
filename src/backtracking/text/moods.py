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
    r"|\bnot (?:given|specified|stated|known)\b"
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
    r"|\bfor (?:the sake of|example|instance)\b|\be\.g\b|^\W*(?:say|try|consider|test|testing)\b|\blet's call it\b"
    r"|\bnot (?:\w+ )?(?:sure|certain|confident|convinced|persuaded)\b|\bno guarantee\b|\bor something\b"
    r"|\bto be (?:checked|verified|confirmed|seen|proved|proven|shown)\b|\brang(?:es?|ing)\b|\bvar(?:y|ies)\b"
    r"|\bsee (?:whether|if)\b|\b(?:something|number|numbers) like\b|\bsuch as\b"
)
_SUPPOSED = (
    r"^\W*let(?:'s| us| me)? (?:try|assume|suppose|say|[a-z] (?:=|be))|^\W*assume\b|\bif only\b"
    r"|\bonly (?:if|when)\b|\bunless\b|\bif\b.*\botherwise\b|\bsuch that\b"
    r"|(?:'d|\b(?:would|could|might)) have (?:had|been|made|got)\b.*\b(?:had|but)\b"
    r"|^\W*(?:were|had) (?:it|he|she|they|there|we|i)\b"
)
_WISHED = (
    r"\bi wish\b|\bwould that\b|\b(?:hoped|hoping) (?:for|to)\b|\bi (?:hope|expected)\b"
    r"|^\W*(?:expected|target|goal|planned|budget)\b(?! (?:value|number))"
)
_HEARSAY = (
    r"\baccording to\b|\b(?!i\b|we\b|you\b|to\b|first\b|then\b|initially\b)\w+ (?:says|said|thinks|thought|claims|claimed|believes|believed"
    r"|told|reckons|insists)\b|\b(?:problem|question|text|book) states\b|\b(?:we are|we were|you are) given\b"
    r"|\bwe (?:start|started|begin|began) with\b"
    r"|\b(?!problem|question|today|it|that|here|there|what)\w+'s (?:answer|guess)\b"
)
_MISTAKEN = (
    r"\bmis(?:read|typed?|counted|calculated|took|understood|heard|placed|added)\b|\bby (?:mistake|accident)\b"
    r"|\b(?:at|on my) first (?:glance|try|sight|attempt|look)\b|\b(?:check|test) fails\b"
    r"|\b(?:one|all|they) (?:is|are) wrong\b"
)
_SAID_OF_IT = (
    r"\b(?:answer|result|solution) (?:ha[sd](?! to)|have(?! to)|contains?|includes?|involves?|starts?|begins?|ends?"
    r"|lies|lay|falls?|needs?|uses?|requires?|differs?|divides?|consists|used to)\b"
    r"|\bused to be\b|\bno longer\b|\b(?:approaches|approaching|nearing|tends to|ending in|ends in)\b"
    r"|^\W*(?:the |an? |my )?(?:wrong|incorrect|false|naive|not|old|previous|initial|first|rough|upper|lower|estimated?"
    r"|tentative(?:ly)?|distractor|decoy|trap|draft|placeholder|ballpark|non-?)\b[^=\d]{0,20}[:=,]"
    r"|\bis wrong\W*$"
)
"""Something of the answer, or what it was."""
_UNSURE = re.compile("|".join((_GUESSED, _SUPPOSED, _WISHED, _HEARSAY, _MISTAKEN, _SAID_OF_IT)))
_COUNTERFACTUAL = re.compile(
    r"\b(?:if|unless|had|without)\b.*\b(?:would|could)\b|\b(?:would|could)\b.*\b(?:if|unless)\b"
)


def says_unknown(lowered: str) -> bool:
    """Whether a sentence, in small letters, says that nothing can be said."""
    return _UNKNOWN.search(lowered) is not None


def is_unsure(lowered: str) -> bool:
    """Whether a sentence, in small letters, states nothing: a guess, a supposition, hearsay, a mistake."""
    if _UNSURE.search(lowered) is not None:
        return True
    return "=" not in lowered and _COUNTERFACTUAL.search(lowered) is not None


def taken_back(lowered: str) -> int:
    """Where a sentence, in small letters, takes back what it said before; -1 if it does not."""
    match = _TAKEN_BACK.search(lowered)
    return match.start() if match else -1
