"""Sentences that tell zero in words: "none of the eggs are left", "she is left with no money"."""

import re

_IS = r"(?:is|are|was|were|will be)"
_HAS = r"(?:has|have|had|will have|he'll have|she'll have|they'll have|ends? up with|ended up with)"
_NO_THING = (
    r"no (?!doubt|way|idea|choice|chance|question|reason|information|answer|errors?|mistakes?|need|time to)"
)
_THINGS = r"[a-z'-]+(?: [a-z'-]+){0,2}"
_SOMEBODY = r"(?:(?!(?:if|when|unless|never|not|hardly|rarely|nobody|who|may|might)\b)[a-z'-]+ ?){1,2}(?<! )"
_AFTER_ALL = r"(?:at all|over|behind|in (?:the|her|his|their) [a-z]+|on (?:the|her|his|their) [a-z]+)"
_REASON = (
    r"(?:(?:since|because|as|after) (?![^,]*(?:\b(?:not|if|only|almost|nearly)\b|n't))[^,;:.?!\n]{3,60}, )"
)
_LONGEST = 120
_CONCLUDES = r"(?:so|thus|therefore|hence|in the end|at the end|as a result)"
_TOLD = re.compile(
    rf"\W*(?P<concludes>(?:and )?{_CONCLUDES}\b,? |{_REASON})?(?:(?:then|finally|now|and|after that),? )*"
    rf"(?:none(?: of (?:the|her|his|their|its|them|these|those)(?: {_THINGS})?)? (?:{_IS} left|remains?)"
    rf"|there(?:'s| {_IS}) (?:nothing|none|{_NO_THING}{_THINGS}) left"
    rf"|(?:nothing|nobody|no one|{_NO_THING}{_THINGS}) (?:{_IS} left|remains?)"
    rf"|{_SOMEBODY} (?:{_IS} left|ends? up|ended up) with (?:nothing|none|{_NO_THING}{_THINGS})"
    rf"|{_SOMEBODY} {_HAS} (?:nothing|none|{_NO_THING}{_THINGS}) left)"
    rf"(?: {_AFTER_ALL}){{0,2}}(?: of the [a-z]+)?[.!]?\W*",
    re.IGNORECASE,
)


def tells_nothing(text: str, start: int = 0, end: int | None = None) -> bool:
    """Whether a whole sentence says that nothing is left."""
    return _match(text, start, end) is not None


def concludes_nothing(text: str, start: int, end: int) -> bool:
    """Whether it says so as a conclusion: "so none of the eggs are left"."""
    match = _match(text, start, end)
    return match is not None and match.group("concludes") is not None


def _match(text: str, start: int, end: int | None) -> re.Match[str] | None:
    stop = len(text) if end is None else end
    if stop - start > _LONGEST or text[stop : stop + 1] == "?":
        return None
    return _TOLD.fullmatch(text, start, stop)
