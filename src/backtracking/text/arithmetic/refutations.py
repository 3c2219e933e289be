"""Equalities that nobody claims: refuted, somebody else's, or meant in another arithmetic."""

import re

_REACH_BACK, _REACH_ON = 300, 80
_CLAUSE = re.compile(r"[.;!?](?=\s)|\n")
_BEFORE = re.compile(
    r"\b(?:can['’]?t|cannot|couldn['’]t|can not) (?:have|say|write|claim|be) (?:that )?\W{0,3}$"
    r"|\b(?:isn['’]t|not) (?:true )?that \W{0,3}$"
    r"|(?<!/)\b(?:wrong|false|mistaken|erroneous|incorrect)(?:ly)?\b"
    r"|\b(?:a |common |usual |frequent |typical )(?:mistake|error)\b|\btempt(?:ed|ing)\b|\bnaive(?:ly)?\b"
    r"|\b(?!i\b|we\b)\w+ (?:thinks?|says|claims?|claimed|believes?|answered) (?:that )?\W{0,3}$"
    r"|\b(?:students|people|many|some|others) (?:\w+ )?(?:write|think|say|get|believe|claim) \W{0,3}$"
    r"|\btrap is (?:that )?\W{0,3}$"
    r"|\b(?:student|pupil|teacher|book|friend|someone) (?:wrote|writes) (?:that )?\W{0,3}$"
    r"|\b(?:riddle|matchstick|one match|boolean|gf ?\(|modulo|mod|modular|operation)\b|\bz_\{?\d|\{z\}"
    r"|\b(?:clock|hour time|binary|octal|hexadecimal)\b|\bbase[- ]?\d",
    re.IGNORECASE,
)
"""What makes the rest of a clause hearsay, a mistake or another arithmetic."""
_BEHIND = re.compile(
    r"(?:[ ]?[%°]|[ ][a-z]+)?[ ,–—-]{0,3}(?:which )?(?:"
    r"(?:is|was|would be|seems|looks) (?:\w+ ){0,2}?"
    r"(?:wrong|false|incorrect|untrue|impossible|absurd|nonsense|mistaken|mistake|error|contradiction)\b"
    r"|(?:isn|wasn|doesn)['’]t\b|(?:does|is|was) ?not\b|(?:can['’]t|cannot|can not|couldn['’]t) be\b"
    r"|(?:with a )?(?:carry|borrow)\b|contradicts\b|fails\b|has no\b"
    r"|in (?:boolean|binary|base|hex|octal|mod|z_|gf)"
    r"|\( ?(?:wrong|incorrect|false|no\b|not\b|next\b)|[✗✘❌])",
    re.IGNORECASE,
)
"""3 + 4 = 8 is wrong; … doesn't hold; … (wrong); … ✗."""
_DEFINES_SIGN = re.compile(r"\b[a-z] ?(?:[*∗@⊕⊗∘⋆#]|\\(?:ast|star|oplus|circ)) ?[a-z]\)? ?=", re.IGNORECASE)
"""a ∗ b = 2a + b: signs that mean something of their own."""


def is_nobodys(text: str, start: int, end: int) -> bool:
    """Whether the text around an equality says that it does not hold, or not for numbers as we count."""
    if _BEHIND.match(text, end, min(len(text), end + _REACH_ON)):
        return True
    back = max(0, start - _REACH_BACK)
    clause = max((match.end() for match in _CLAUSE.finditer(text, back, start)), default=back)
    if _BEFORE.search(text, clause, start):
        return True
    return _DEFINES_SIGN.search(text, back, min(len(text), end + _REACH_ON)) is not None
