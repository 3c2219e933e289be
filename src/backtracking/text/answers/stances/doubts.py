"""The words that show doubt, hearsay or a mistake, whatever else a sentence says."""

import re

DOUBTS = re.compile(
    r"\b(?:rumou?r|legend|myths?\b|alleg|purport|ostensib|reputed|arguab|conceiv|plausib|hypothe|speculat"
    r"|conjectur|hearsay|gossip|supposedly|presum"
    r"|(?<!no )(?<!without )(?<!without a )(?<!without any )doubt(?!fire)"
    r"|dubious|uncertain|unclear|unverif|unconfirm|unproven|unlikely|questionable|naive|fool|idiot|careless"
    r"|sloppy|tempt|decoy|red herring|jest\b|kidding|joking|psych\b|sarcas|mistak|erroneous|an error\b"
    r"|erratum"
    r"|typo\b|misprint|misread|misquot|miscalc|miscount|mislead|misunder|misinter|misjudg|misheard|mistook"
    r"|wrong|false|incorrect|inaccura|imprecis|invalid|flaw|bogus|untrue|absurd|nonsens|ridiculous|fishy\b"
    r"|suspicio|refut|debunk|disprov|disput|disagree|dismiss|retract|rescind|recant|revok"
    r"|(?:scratch|strike) (?:that|this|it)|cross(?:ed|ing)? (?:it |that )?out|outdated|obsolete|superseded"
    r"|contend|verdict|hunch|wager|i bet|i reckon|i suspect|so-called|in no way|under no|never been"
    r"|liar|fiction"
    r"|imposs|infeas|contradict|inconsist|incompat|violat|unfounded|baseless|unreliab|untrust|placeholder"
    r"|overestim|underestim|overstat|understat|overshoot|undershoot|overcount|undercount|not quite"
    r"|by no means|sic\b)"
)
"""Spoil a number wherever they stand."""
MENDED = re.compile(
    r"\b(?:correct|fix|mend|repair|remov)(?:ing|ed) (?:the|that|this|my|our|an?)"
    r" (?:mistake|error|slip|typo)s?\b"
)
"""Mistakes that are none any more: "after correcting the mistake, the answer is 18"."""
RESERVES = re.compile(
    r"\b(?:unsure|reject|discard|den(?:y|ies|ied|ying)\b|revis(?:e|ed|ion|ing)\b|struck|refus|pretend"
    r"|imagin"
    r"|suppos|wish|envie|laugh|swear|swore|insist|claim|contrary|as if\b|opin|guess|gut\b|unless"
    r"|whether|never"
    r"|hardly|scarcely|barely|nearly|almost|used to(?! (?:[$€£¥] )?[\d.])|fails? to|failed to"
    r"|cheat|trap\b|trick|lies?\b"
    r"|lied\b|off by"
    r"|falls? (?:flat|short)|misses\b|hast(?:y|ily)\b|fake|faulty|joke|less (?:a|the)\b|some say|"
    r"hard to (?:believe|say|accept)|not so that|has it that|disregard|seldom"
    r"|rarely"
    r"|ought\b|formerly|(?<!at )(?<!^)once\b(?! a)|no longer|had (?:she|he|they|it|we|i)\b|none of\b"
    r"|neither\b|if only|in (?:base|binary|octal|hexadecimal)\b"
    r"|for now\b|apart from|aside from|other than the|one in\b|as (?:low|high) as|please check|as far as"
    r"|(?:i|we) (?:first|initially|originally|earlier|once|previously)\b|at first\b)"
)
"""Spoil a number that no calculation leads to."""
