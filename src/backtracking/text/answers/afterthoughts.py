"""What the sentences behind an answer do to it: let it stand, take it back, or put another in its place.

A sentence that talks about the answer ("that …", "this …", "I …", a fragment) must be known to let it stand;
one about other things must only be free of words that take back.
"""

import re

from backtracking.text.answers.plain import verbs
from backtracking.text.answers.plain import words as plain
from backtracking.text.answers.plain.things import is_plural
from backtracking.text.answers.stances.doubts import DOUBTS
from backtracking.text.numbers.lexicon import NUMBER_WORDS

_RETRACTS = re.compile(
    r"\W*(?:(?:wait|hm+|oh|hold on|actually|sorry)\W{1,3}){0,2}(?:no|nope)\s*(?:[.,;:!—–-]|\Z|wait\b"
    r"|sorry\b)"
    r"|.{0,40}\b(?:that|this|it|which)(?:['’]s| is| was| can['’]?t| cannot)\s(?:\w+\s)?"
    r"(?:not (?:right|correct|true|it)|be (?:right|correct|true)|wrong|incorrect|false|mistaken|a mistake"
    r"|an error)\b"
    r"|.{0,40}\b(?:that|this|it|which) (?:isn|wasn)['’]t (?:right|correct|true|it)\b"
    r"|.{0,40}\bi (?:was|am|made) (?:wrong|a mistake|an error)\b|.{0,10}\bscratch that\b"
    r"|.{0,40}\b(?:is|are|was|were) (?:wrong|mistaken|incorrect)\W*\Z"
    r"|.{0,40}\b(?:that|this|it)(?:['’]s| is| was) ?(?:n['’]t|not) (?:one of|among|an option|possible)\b"
    r"|\W*(?:(?:wait|hm+|oh|actually|but|however|oops)\W{1,3}){1,2}.{0,60}\b(?:forgot|overlook|missed"
    r"|missing"
    r"|misread|misunder|misinter|neglect|ignored|double[- ]count|miscount|miscalculat)"
    r"|.{0,40}\b(?:check|test|verification) fails\b|\W*just kidding\b"
    r"|.{0,20}\b(?:that|this|it)(?:['’]s| is| was) (?:only |just |still )?(?:without|before|excluding"
    r"|not counting|the (?:old|wrong))\b"
    r"|.{0,10}\bi (?:disagree|(?:don['’]t|do not) (?:agree|think so|believe (?:that|it)))\b",
    re.IGNORECASE,
)
_RECONSIDERS = re.compile(
    r"\W*(?:on (?:second thoughts?|reflection)|wait|actually|correction|hm+|oops|sorry|i mean"
    r"|(?:or )?rather"
    r"|edit|update|er+|um+|(?:or )?make (?:that|it)|revised|just kidding|never ?mind|then again|my bad|or\b"
    r"|erratum|better\b|in(?: actual)? (?:fact|truth|reality)|in hindsight|come to think)\b",
    re.IGNORECASE,
)
_WORKS_OUT_AGAIN = re.compile(
    r"\W*(?:so |now )?(?:let me|let['’]s|i['’]ll) (?:re(?:compute|calculate|count|do|work|consider|think)\b"
    r"|try again|correct|fix)",
    re.IGNORECASE,
)
_HAS_NUMBER = re.compile(r"[\d½⅓⅔¼¾]")
_TAKES_BACK = re.compile(
    r"\b(?:scratch|strike|cancel|delete|erase|drop|ditch|undo|void|withdraw|ignore|disregard"
    r"|forget|discard|reject|replace|redo|amend|take (?:that|it|this) back"
    r"|takes? it all back)\b(?! (?:the|her|his))"
    r"|\bi (?:take|took) (?:that|it|this|everything)\b|\bdon't (?:quote|trust|believe|rely|use|write"
    r"|take)\b"
    r"|\b(?:my bad|on reflection|then again|never ?mind|if only|in hindsight|second thoughts?)\b"
    r"|\b(?:it|that|this|the \w+) (?:should|ought|would|could|might|may) (?:have|be|not|to)\b"
    r"|\b(?:true|real|actual|correct|right|proper) (?:answer|value|result|number|figure|total)\b"
    r"|\b(?:unfortunately|alas|regrettably|however|sadly)\b|\bi (?:forgot|missed|overlooked|ignored"
    r"|neglected)\b"
    r"|\b(?:can't|cannot|couldn't|isn't|wasn't|won't|wouldn't|doesn't|don't) (?:be (?:true|right|trust"
    r"|correct)"
    r"|bet|hold|stand|work|fit|match|add up|count|check|square|make sense|think|believe|sound|seem)\b"
    r"|\bat (?:any|least)\b|\bnot (?:right|correct|true|so|it|really|quite|yet|the answer)\b"
    r"|^(?:or|if|less|plus|minus|unless|but|though|although|except|assuming|supposing|provided|yet|not|nah|nope"
    r"|no[,.!;:]|well,|h+m+)\b"
    r"|\b(?:asked|asks|wants|wanted|problem|question)\b|\b(?:twice|too (?:many|much|few|high|low|large"
    r"|big|small|little))\b"
    r"|\b(?:mismatch|discrepancy|off\b(?! (?:the|her|his|work|to)))"
)
_OPERATES = re.compile(
    r"^(?:(?:now|then|next|finally|and|so|also|still|first)\b,? ?)*(?:we |you |please |must |need to "
    r"|have to )*"
    r"(?:halve|double|triple|quadruple|add|subtract|multiply|divide|square|take|deduct|remove|round"
    r"|convert|apply"
    r"|increase|decrease|reduce|raise|split|negate|invert|swap|reverse|cut)\b"
)
_FIRST_PERSON = re.compile(r"^(?:\w+,? )?(?:i|i'm|i'd|i've|we|we've)\b")
_SURE = re.compile(
    r"\b(?:hope|checked|verified|(?:am|'m) (?!not)(?:\w+ )?(?:confident|sure|certain)|multiplied|added"
    r"|subtracted|divided|verify"
    r"|check|confirm|conclude|can see|solved|computed|calculated|will now|will (?:explain|show)|used"
    r"|get|got|found|know)\b"
    r"(?! (?:carried|away|lost|confused|stuck|it|that|this))"
)
_POINTS_BACK = re.compile(
    r"^(?:(?:and|so|thus|indeed|yes|also|in fact),? )*(?:that|this|it|these|those|which)(?:'s)?\b"
)
_LETS_STAND = re.compile(
    r"\b(?:makes sense|matches|checks out|agrees|fits|confirms|adds up"
    r"|(?:is|(?<=that)'s) (?:correct|right|consistent|reasonable"
    r"|because|since|as|exactly)|follows|shows|means|works|completes|uses)\b"
)
_CONFIRMS = re.compile(
    r"(?:and |so )?(?:this|that|it|which) (?:also )?(?:matches|confirms|agrees|checks out|fits)\b"
)
_ASKED_FOR = re.compile(
    r"(?:and |so )?(?:that|this|it|which)(?:'s| is) (?:exactly |precisely |just )?(?:what|the \w+(?: that)?)"
    r" (?:the|this|our) (?:question|problem|exercise|puzzle|task) (?:asks|asked|wants|wanted|is asking)"
    r"(?: for| about| us to find| to find)?$"
)
"""That's the total the question wants."""
_NOT_ASKED = re.compile(
    r"(?:the \w+|\w+) (?:isn't|wasn't|aren't|weren't|(?:is|was|are|were) not) (?:asked(?: for| about)?|needed"
    r"|required|relevant)(?: here)?$"
)
"""The area wasn't asked for."""
_REMARK = re.compile(
    r"\W*(?:(?:note|recall|remember)(?: that|:)|(?:sanity |quick |double[- ]?)?check(?:ing)?\b|verif\w+"
    r"|(?:to|let me|let['’]s|i will|i['’]ll|we can|we)(?: now| also| quickly)?"
    r" (?:double[- ]?)?(?:check|verify)\b|(?:please )?(?:let me know|feel free)\b)",
    re.IGNORECASE,
)
_REJECTS = re.compile(r"\W*not \W{0,3}\d", re.IGNORECASE)
"""Not 20, since she eats 3."""
_COMPARES = re.compile(
    r"\W*(?:that|this|it|which|she|he|they)\b.{0,40}\b(?:more|less|fewer|greater|higher|lower)\b",
    re.IGNORECASE,
)
_SMALL_RATE = re.compile(
    r"\W*(?:so |and )?(?:that|this|it|which)(?:['’]s| is) (?:only |just |exactly |over |about )?"
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?: [a-z]+){0,3}?"
    r" (?:an?|per|each|every|apiece)\b",
    re.IGNORECASE,
)
_BARE_NUMBER = re.compile(r"[$€£]?\d[\d.,]*%?")
_OPENS = re.compile(r"\s*\(")
_CLOSES = re.compile(r"\)[*_]*\s*(?:\n|\Z)")
_NAMES_IT = re.compile(
    r"(?:and |so )*(?:that|this|it|which)(?:'s| is) (?:what|the \w+|all|a lot of"
    r"|how (?:much|many|long|far|old))\b"
)
"""That's what Lena spends; that is the amount Clara owes."""
_A_LOT = re.compile(r"\ba lot of \w+")
_UNSURE = re.compile(r"\b(?:should|could|may|might|need|ought|not|never|twice|instead)\b|n't\b")
_OFFERS = re.compile(
    r"(?:please )?(?:let me know|feel free|would you like|do you want|shall i)\b"
    r"|if you have\b.*\bquestions?\b|i hope\b(?!.*\bi (?:am|got"
    r"|did))"
)
_TAG = re.compile(r"</?[A-Za-z][\w:-]{0,30}>|\\(?:begin|end)\{[a-z*]{1,20}\}")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_FRAGMENT = 3
_UNKNOWN_IN = 8
"""One word in about so many may be unknown."""
_STATES_IT = frozenset(
    ("is", "are", "means", "makes", "gives", "equals", "leaves", "works", "includes", "took", "takes")
)
_HEADINGS = frozenset(
    ("explanation", "reason", "reasoning", "proof", "because", "working", "steps", "solution")
)
_SPEAKERS = frozenset(("i", "we", "this", "that", "it", "these", "those", "which"))
_NARROWS = frozenset(("not", "half", "only", "per", "before", "without", "last"))
_AT_THE_START = frozenset(("start", "starts", "started", "begin", "began", "had", "originally", "initially"))
_REFERS = frozenset(
    (
        "it",
        "that",
        "this",
        "mine",
        "nobody",
        "above",
        "otherwise",
        "right",
        "may",
        "might",
        "could",
        "should",
        "would",
    )
)
_CLOSERS = plain.phrases(
    """done; great; good; yes; yes it is; right; correct; thanks; thank you; qed; good luck; that's it;
    that is it; final answer; cheers; perfect; nice; excellent; easy; simple; so there; problem solved;
    answer; solution; explanation; end; the end; that's all; that's that; hope this helps; hope that
    helps; exactly; of course; and done; all done; we're done; i'm done; i am sure; i'm sure; no doubt;
    enjoy; voila; congratulations; well done; okay; ok; no eggs left; verified; checked; confirmed;
    hence proved; as required; as desired; nothing else fits; nothing else works;
    there you go; there you have it; there we go; there we have it; full stop; case closed; end of story;
    and that's that; that's my answer; that's my final answer; that is my answer; that is my final answer;
    that's the answer; that's the final answer; that is the answer; that is the final answer; voilà;
    no more no less; no more and no less; hooray; phew; simple as that"""
)


def replaces(text: str, start: int, stop: int) -> bool:
    """Whether a sentence behind an answer takes it back, works it out again or names another number."""
    if _RETRACTS.match(text, start, stop) or _WORKS_OUT_AGAIN.match(text, start, stop):
        return True
    thinks_again = _RECONSIDERS.match(text, start, stop) is not None
    return thinks_again and "=" not in text[start:stop] and _HAS_NUMBER.search(text, start, stop) is not None


def retracts(text: str, start: int, stop: int) -> bool:
    """Whether a sentence without a number takes back what came before."""
    return _RETRACTS.match(text, start, stop) is not None and not _HAS_NUMBER.search(text, start, stop)


def confirms(text: str, start: int, stop: int) -> bool:
    """Whether a sentence says that the answer before it matches: "this matches the 7 boxes"."""
    small = text[start:stop].lower().replace("’", "'").strip()
    if DOUBTS.search(small) or _UNSURE.search(small):
        return False
    return _CONFIRMS.match(small) is not None or (_names_it(small) and not _HAS_NUMBER.search(small))


def is_remark(text: str, start: int, stop: int) -> bool:
    """Whether a sentence only checks, reminds of something or offers help."""
    return _REMARK.match(text, start, stop) is not None


def rejects(text: str, start: int, stop: int) -> bool:
    """Whether a sentence begins with what the answer is not."""
    return _REJECTS.match(text, start, stop) is not None


def compares(text: str, start: int, stop: int) -> bool:
    """Whether a sentence tells how much more or less something is: "that is 3 more than Tom"."""
    return _COMPARES.match(text, start, stop) is not None


def is_small_rate(text: str, start: int, stop: int) -> bool:
    """Whether a sentence may only tell the answer before it as a rate: "that's two a week"."""
    return _SMALL_RATE.match(text, start, stop) is not None


def is_in_brackets(text: str, start: int, stop: int) -> bool:
    """Whether a sentence stands in brackets and takes nothing back: "(Flights 320, hotel 180.)"."""
    if not _OPENS.match(text, start, stop) or not _CLOSES.match(text, text.find(")", start)):
        return False
    small = text[start:stop].lower().replace("’", "'").strip(" (.!\n\t")
    spoils = DOUBTS.search(small) or _TAKES_BACK.search(small) or _RECONSIDERS.match(small)
    return not spoils and _makes_no_reserve(_WORD.findall(small)) and not _OPERATES.match(small)


def lets_stand(sentence: str, *, broken_off: bool = False) -> bool:
    """Whether a sentence behind an answer leaves it as it is, as far as it is understood."""
    small = _TAG.sub(" ", sentence).lower().replace("’", "'").strip(' \t\n*_#>"“”()[]\\$.!')
    words = _WORD.findall(small)
    if _BARE_NUMBER.fullmatch(small):
        return False
    if not words or "\\" in small or " ".join(words) in _CLOSERS:
        return not DOUBTS.search(small)
    if _ASKED_FOR.match(small) or _NOT_ASKED.match(small):
        return True
    if DOUBTS.search(small) or _TAKES_BACK.search(small) or _OPERATES.match(small):
        return _OFFERS.match(small) is not None
    return _is_known_kind(small, words) or (broken_off and len(words) >= _FRAGMENT) or _is_about_things(words)


def _is_known_kind(small: str, words: list[str]) -> bool:
    """A heading, a calculation, an offer, the writer's assurance, what the answer stands for."""
    if small.endswith(":") or "=" in small or words[0] in _HEADINGS or _OFFERS.match(small):
        return True
    if _FIRST_PERSON.match(small):
        return _SURE.search(small) is not None and _UNSURE.search(small) is None
    if not _POINTS_BACK.match(small):
        return False
    if _names_it(small):
        return True
    explains = _NARROWS.isdisjoint(words) and words[1:2] != [] and words[1] in _STATES_IT
    return _LETS_STAND.search(small) is not None or (explains and all(map(_is_said, words)))


def _names_it(small: str) -> bool:
    words = _WORD.findall(_A_LOT.sub("", small))
    named = _NAMES_IT.match(small) is not None
    return named and _makes_no_reserve(words) and _AT_THE_START.isdisjoint(words)


def _makes_no_reserve(words: list[str]) -> bool:
    reserves = (_NARROWS, plain.RESERVING, plain.VIEWS, verbs.UNREAL)
    return all(table.isdisjoint(words) for table in reserves) and not any(w.endswith("n't") for w in words)


def _is_about_things(words: list[str]) -> bool:
    """She sells the rest: nothing that the answer could be meant by, hardly an unknown word."""
    if "not" in words and words[0] not in ("he", "she", "they", "of"):
        return False
    if words[0].partition("'")[0] in _SPEAKERS or not _REFERS.isdisjoint(words):
        return False
    if len(words) <= _FRAGMENT and words[0] not in ("he", "she", "they"):
        return all(word in plain.UNIT_WORDS or word in plain.TAIL for word in words)
    return sum(not _is_said(word) for word in words) <= (len(words) + 3) // _UNKNOWN_IN


def _is_said(word: str) -> bool:
    if word in NUMBER_WORDS:
        return True
    known = (
        plain.PREDICATES,
        verbs.STATES,
        plain.TAIL,
        plain.PLACES,
        plain.HEAD,
        plain.PLACED_BY,
        plain.HAPPENS,
    )
    return any(word in words for words in known) or is_plural(word)
