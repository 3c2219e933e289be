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
_SUBJECT = r"(?=$| [.,;:!]| (?:she|he|it|they|we|the)\b)"
_AT_TIMES = (
    r"(?:on|in|during) (?:an? |some |most |many |certain |very |really )*(?:good|bad|great|lucky|unlucky"
    r"|sunny|rainy|warm|hot|cold|busy|slow|nice|ideal|perfect|dry|wet|fine|clear|windy|snowy|better|best|worse"
    r"|worst|other|special|rare|quiet|strong|weak) (?:\w+ )?(?:days?|nights?|mornings?|afternoons?|evenings?"
    r"|weeks?|weekends?|months?|years?|seasons?|times|weather|conditions|circumstances)\b"
    r"|when (?:it (?:rains?|snows?|pours|shines)|it(?:'s| is) (?:\w+ing|sunny|hot|cold|dry|wet|warm)|things"
    r"|business|luck|(?:the|her|his|their) (?:weather|sun|wind|mood|luck|market|stars))\b"
    r"|whenever\b|permitting\b"
)
"""On a good day; when it rains; weather permitting."""
_IN_FICTION = (
    r"in (?:(?<!\ws in )(?<!people in )(?<!children in )|(?<=dollars in )|(?<=cents in ))"
    r"(?:the|an?|her|his|their|this|that|my|our) (?:\w+ )?(?:tales?|fable|dreams?|myth|fantas(?:y|ies)"
    rf"|parable|anecdote|daydreams?|fairytale|story|novel|movie|film|cartoon|simulation){_SUBJECT}"
    r"|(?<!.)in (?:the|an?|her|his|their) (?:\w+ )?(?:tale|fable|dream|myth|story|novel|film)\b(?! book)"
    r"|in (?:the|an) example (?:from|in|of)\b"
    r"|(?:parallel|other|another|alternate|imaginary|perfect) (?:universe|world|reality)\b"
)
"""In the fairy tale; in her dreams."""
_FOR_SHOW = (
    rf"on (?:paper|the books?|the record|the surface|the face of it|its face){_SUBJECT}"
    r"|for (?:show|appearances?|the cameras?)\b"
    r"|(?:theoretical|potential|notional|nominal|imaginary|projected|promised) (?:[$€£] )?\d"
    r"|to (?:the|an?) (?:(?:\w+ )?(?:eye|ear|observer|onlooker|outsider|layman|reader|viewer|bystander)"
    r"|naked|untrained|casual|careless|unwary|innocent)\b"
)
"""On paper; to the naked eye."""
_BROKEN_OFF = (
    r"lo(?:st|ses?|sing) (?:count|track|(?:her|his|their) place)\b|(?:nodd|doz)(?:ed|ing) off\b"
    r"|(?:stuck|stalled) (?:at|on)\b"
    r"|(?:interrupted|distracted|disturbed|bored) (?:at|after)\b"
    r"|g(?:ave|ives?|iving|iven) up (?:on|at|after|\w+ing)\b"
    r"|as (?:i|we) (?:recall|remember)|(?:from|if) memory"
)
"""Lost count at 18."""
RESERVES = re.compile(
    r"\b(?:unsure|reject|discard|den(?:y|ies|ied|ying)\b|revis(?:e|ed|ion|ing)\b|struck|refus|pretend"
    r"|imagin"
    r"|suppos|wish|envie|laugh|swear|swore|insist|claim|contrary|as if\b|opin"
    r"|foret(?:old|ell)|prophe|guess|gut\b|unless"
    r"|whether|never"
    r"|hardly|scarcely|barely|nearly|almost|used to(?! (?:[$€£¥] )?[\d.])|fails? to|failed to"
    r"|cheat|trap\b|trick|lies?\b"
    r"|lied\b|off by"
    r"|falls? (?:flat|short)|misses\b|hast(?:y|ily)\b|fake|faulty|joke|less (?:a|the)\b|some say|"
    r"hard to (?:believe|say|accept)|not so that|has it that|disregard|seldom"
    r"|rarely"
    r"|ought\b|formerly|(?<!at )(?<!^)once\b(?! a| ,)|no longer|had (?:she|he|they|it|we|i)\b|none of\b"
    r"|neither\b|if only|in (?:base|binary|octal|hexadecimal)\b"
    r"|for now\b|apart from|aside from|other than the|one in\b|as (?:low|high) as|please check|as far as"
    r"|(?:i|we) (?:first|initially|originally|earlier|once|previously)\b|at first\b"
    rf"|{_AT_TIMES}|{_IN_FICTION}|{_FOR_SHOW}|{_BROKEN_OFF})"
)
"""Spoil a number that no calculation leads to."""
