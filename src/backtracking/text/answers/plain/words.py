"""The words of a plain statement: what states a number, and what may stand around it.

What stands next to a number is looked up in these closed lists, for any other word may change what it means.
"""

from backtracking.text.answers.plain.verbs import STATES, STATING, forms, gerunds
from backtracking.text.answers.stances.words import CHANGES
from backtracking.text.numbers.lexicon import DENOMINATORS, UNITS, word_set


def phrases(text: str) -> frozenset[str]:
    """Phrases between semicolons."""
    return frozenset(" ".join(phrase.split()) for phrase in text.split(";"))


BREAKS = frozenset(",;:—–-\n.←")
CORRECTS = word_set("no nope sorry oops correction meant mean rather")
"""Behind a break, words that replace what was said: "20? No, 18"."""
MISSTEPS = word_set("miscounted misread miscalculated misspoke misunderstood erred")
"""Before a break, words that take back what was said: "I miscounted: it is 18"."""
CONCLUDES = word_set("so therefore thus hence")
ANSWERS = word_set("answer answer's answers ans choice option")
FACTS = word_set("although though while whereas once after because since")
"""What opens a clause that tells what is so, and leaves the main clause as it is."""
WHOLES = word_set("both all everything everyone nothing nobody neither none")
LEADING_IDIOMS = phrases(
    """when all is said and done; all in all; all told; at the end of the day; in the final tally; at long
    last; taken together; taking everything together; putting it all together; adding it all up; per
    week; per day; per month; per year; per hour; no doubt about it; no doubt; long story short; in
    short; in a nutshell; bottom line; the bottom line; to sum up; to sum it all up; in brief; in sum;
    put simply; simply put; in other words; after all that; in the end; lo and behold; to answer the
    question"""
)
"""What may open a statement, whatever its words mean by themselves."""
OMITTING = gerunds(
    """ignore forget neglect omit skip overlook miss leave exclude discount disregard assume suppose pretend
    round estimate guess approximate misread confuse mistake imagine say claim believe think hope wish
    consider bar drop fail speak read judge look go allow grant depend vary barring"""
) | word_set("forgetting omitting according pending")
"""Participles that leave something out, or only assume it."""
PLACED_BY = word_set("in on at for from of with to by during after over between through into per within out")
OWNERS = word_set("his her their our my your its")
BRINGS = forms("reduce increase raise lower") | word_set("brings bring brought bringing cut cuts")
COPULAS = word_set(
    """is are was were be been it's that's there's there're he's she's they're equals equal totals total
    becomes became turns turned remain remains"""
)
GIVES = word_set("gives give gave yields yield leaves leave left shows produces returns means")
"""Verbs whose subject must be a calculation: "adding these gives 18"."""
BASE_SUBJECTS = word_set(
    """i we you they to can must should will would who and people men women children i'll we'll they'll
    both also each"""
)
HANDS = forms("hand offer award charge owe save serve mail grant") | word_set(
    "give gives gave given giving pay pays paid lend lends lent send sends sent bring brings brought feed "
    "feeds fed cost costs take takes took make makes made"
)
"""Verbs that somebody may stand behind, before the number: "gave the cashier 18"."""
PUTS_ASIDE = word_set("leave leaves left turn turns turned")
PARTICLES = word_set("in up down off away back over aside")
TELLING = word_set(
    """
    print prints printed write writes wrote written type typed get gets got find finds found read reads
    show shows see sees saw reach reaches reached sign signed post posted put puts"""
)
"""Verbs that may tell a number without stating it, unless they count something."""
REACHES = word_set("get obtain find reach make give leave")
"""Behind "to" and a calculation: "multiply 3 by 6 to get 18"."""
HAPPENS = forms("remain attend pass stay arrive return work play vote") | word_set(
    """came come comes went go goes be been fit fits is left will need needs needed sold eaten used make
    makes made ran run swam flew join joined joins took take takes it that can"""
)
"""What a counted thing does: "18 people came"."""
ACTS = STATES - GIVES - word_set("last own open clean live light total average")
"""What things and people may do besides, whatever follows: "18 people got on the bus"."""
TO_GOVERNORS = word_set(
    """has have had needs need needed able going get gets got managed manages left continues ends goes him
    her them it us"""
)
"""What may stand before "to" and such a verb: "he needs to read 18"."""
_SUMS = """
    total sum amount profit balance average loss change answer result value score number cost price
    difference product quotient count tally length width height area volume speed distance weight
    age income revenue discount commission capacity depth load deposit collection tip tax bill rate
    maximum minimum mean median perimeter savings earnings pay salary markup"""
COUNTING = word_set("count counts counted exist exists remain")
"""Verbs that say whether the things are some of those that are counted."""
SUMMING = word_set("combined grand total new final overall")
COMMON = word_set("least lowest smallest greatest largest highest common")
"""The least common multiple of."""
AMOUNTS = word_set(f"{_SUMS} percentage percent share") - word_set("answer result value change tip")
PREPOSITION_LEADS = {
    "of": word_set(_SUMS),
    "to": word_set(
        """comes come came equal amounts amounted amount adds add adding sums sum up rounds simplifies
    evaluates works reduces totals leads increases increased grows grew rises rose drops dropped falls
    fell down brings bring brought bringing"""
    ),
    "with": word_set("remained going left ends end ended up leaves leaving leave remains remained"),
    "at": word_set(
        """speed drives runs travels rides walks drove ran is are was were remains stays arrive arrives stands
    priced sells valued rate moves going traveling travelling driving running
        riding flying cycling moving pace sold bought comes ends"""
    ),
    "for": STATES | word_set("each gone"),
    "in": STATES | word_set("results resulting result total all bringing will"),
    "as": word_set("answer result total comes come came works"),
    "than": word_set("other"),
    "by": CHANGES | word_set("ahead intake"),
}
"""The words before a preposition that may stand right before the number."""
ADVERBS = word_set(
    """exactly precisely just only simply indeed thus therefore then hence so clearly also now still
    actually finally definitely certainly surely evidently obviously altogether together all the a an
    another additional total about approximately roughly around us him her them me you our his their its
    my both these those this overall already really eventually today back each out away home and
    surprisingly ergo extra worth combined currently himself herself itself themselves"""
)
"""What may stand between a verb and its number."""
OPENERS = ADVERBS | word_set(
    """ok okay alright right well great sure yes consequently accordingly conclusion summary sum it that in
    to conclude summarize get we i obtain find at last follows means by hand short put sorry morning
    afternoon evening night year oops think believe thereby wait up told"""
)
"""What may open a statement right before its number: "so it is 18", "altogether 18"."""
HEAD = (OPENERS | COPULAS | ANSWERS) - word_set("us him her them") | word_set(
    """which he she can got obtained found see know follow mean gives give implies show shows makes yields
    leads as result from here here's final correct exact numerical numeric whole full complete
    simplified required desired requested integer decimal solution value number problem question
    puzzle exercise tells for of your must should x y n m what asked want wanted looking seeking need
    needed have has i'm am confident let's box boxed dollars cents hours minutes days weeks months
    years simple plain using will would come comes with given above below combining end everything
    everyone arrive arrived step calculation calculations computation math per day week month hour
    minute no doubt hard easy difficult not because since simplification simplifying rounding after
    without any shadow there e gave concluded done works worked amounts ends being i'd none other
    than us"""
)
"""The words around "answer" in a plain announcement."""
LEADING_CLAUSES = word_set(
    """since because as given after with adding subtracting multiplying dividing combining putting using
    from based when having by summing without plugging substituting counting taking of out in on at for
    if every each correcting fixing totaling totalling"""
)
"""What may open a clause before a statement: "since 2 + 3 = 5, the answer is …"."""
DONE = word_set(
    """sold bought eaten used needed spent earned made paid saved given taken read driven walked baked
    planted picked collected donated owed won produced delivered served"""
)
OPERATING_BASES = word_set(
    """round double halve triple square add subtract multiply divide convert correct check verify confirm
    adjust revise negate invert reverse deduct prove see"""
)
TASKS = OPERATING_BASES | word_set("find calculate compute figure determine")
"""What is to be done before a colon: "add the two: 18"."""
ORDERS = word_set("so now first second third then next finally lastly also however similarly likewise")
"""What tells one step from another."""
LABELS = DONE | word_set(
    f"""{_SUMS} ans apples left remaining final x y n solution time conclusion therefore thus so hence
    follows have get is for in per and each to be her his their its our my all correct daily weekly
    monthly annual overall altogether summary this question step as today a day week month year an hour
    by are was were required corrected money the of"""
)
"""The words of a label before a colon, beside names and plurals."""
QUANTITIES = (
    LABELS
    | OPENERS
    | word_set(
        """circumference radius diameter base hypotenuse angle temperature pressure density share portion part
    percentage percent probability chance ratio fraction remainder quantity quota budget fee fare
    charge wage loan debt interest payment fund goal gap increase decrease gain coupon rent new old
    original mode largest smallest greatest highest lowest first second third other same full half
    entire current present regular there here they he she who which initial selling buying sale
    retail unit hourly yearly individual single double every one two three more most spending
    leftover rest has had got need needs must will would should being does did do on with from if
    when because since or than into what population membership attendance size net such least
    possible missing unknown between account plus minus times divided multiplied squared cubed less
    rounded after grand he'll she'll they'll i'm certain none anything can't applied included
    deducted subtracted added removed counted expression equation inequality integral series
    sequence polynomial determinant derivative slope intercept coefficient"""
    )
)
"""What may be said to be a number: "the total cost of the two shirts is 18"."""
TAIL = word_set(
    """left over remaining more total altogether combined overall daily weekly monthly yearly annually old
    long tall high wide deep away each apiece now today together also too back leftover extra
    additional exactly indeed profit change cash revenue income worth only per again already thick
    heavy faster slower shorter narrower lighter cheaper weaker stronger full empty late early
    colder warmer hotter richer sooner discount difference further farther longer older younger
    taller usd eur gbp mph kph wpm mb gb cal kcal square cubic metric money water milk bread juice
    gum sugar flour rice paint fruit food salt meat cheese candy chocolate corn grass hay sand gold
    silver time gas fuel oil cents percent degrees pieces whole in all and speed fabric paper wood
    clay soap work rent interest tax yen yuan won the this yarn soda gravel chicken turkey beef feed
    apart including obviously clearly definitely certainly even equally evenly correctly clothing clothes"""
)
"""Words behind a number that leave it as it is."""
PLACES = word_set(
    """total all end day week month year morning evening afternoon night hour minute trip way road market
    school class house home room farm field garden box basket bag jar tank pool store shop office
    bank park zoo library museum beach city town village street train bus car boat plane bike race
    game match team party wedding picnic dinner lunch breakfast baking meal concert movie book novel
    page test exam quiz homework project job shift weekend summer winter spring fall season lesson
    session set pack batch recipe cake pie pizza sandwich lot row column table shelf wall roof door
    window dog cat cow horse duck egg girl boy man woman child baby friend brother sister mother
    father mom dad uncle aunt family group person student teacher farmer baker worker customer her
    him them it each other second garden yard kitchen whole jacket shirt dress computer phone bill tip order
    purchase sale bakery restaurant cafe cinema station airport company factory warehouse charity fundraiser
    piggy neighbor neighbour grandmother grandfather grandma grandpa cousin wife husband same entire
    hand pocket herself himself themselves itself apple rest six two three four five seven eight
    nine ten both fence"""
)
"""Nouns of circumstances that change nothing: "at the market", "for the week"."""
CONNECTS = PLACED_BY | word_set(
    """a an each every and when because since that which who is are was were equals if or but than so as
    not rather instead i i'm i'd we my you your less without except though although until unless
    while before under above below beyond against inside outside whenever wherever whichever
    whatever however whoever"""
)
"""Words that end the name of what is counted."""
INSIDE_PHRASES = word_set("of a an each every per i we you")
INNOCENT_PHRASES = phrases(
    """in it; of it; on it; by himself; by herself; by themselves; by itself; in her account; in his
    account; in the account; in the bank account; in total; in all; in order; in the end; in cash; in
    profit; in sales; in revenue; in change; in tips; in savings; in earnings; in income; in addition; in
    advance; of profit; of change; of money; of income; at last; in return; of them; in hand; at home; at
    school; at work; to spare; on foot; of age; in length; in width; in height; in weight; in area; by
    bus; by car; of the rest; without any doubt; without a doubt; on board; in stock; on hand; on time;
    on sale; by hand; at night; in line; in class; on stage; in use; by train; by bike; by plane; on top;
    in place; at sea; in bed; in town; at noon; at midnight; on duty; on display"""
)
RESERVING = OMITTING | word_set(
    """if unless without except excepting until sans less plus minus nor never neither provided granted would
    might ought perhaps maybe otherwise instead rather nearly almost about approximately
    roughly despite notwithstanding regardless least most subject shy unlike versus against toward
    towards inclusive exclusive aside whichever whatever whenever overruled wait hmm scant few no not
    nobody none or once modulo gross cubed squared below while yet again prior net past unequal congruent"""
)
"""Words that may make a reserve of what they stand beside."""
LIKE_VERBS = word_set(
    "toy toys picture pictures test tests sample samples project projects report reports float floats "
    "pad pads state states"
)
"""Things that have the name of a verb that may not be so: "picture", "test"."""
NO_ADVERBS = word_set(
    "family early supply fly reply apply belly jelly bully ally rely july italy lily assembly butterfly"
)
NO_UNIT = word_set(
    """given granted provided considering assuming barring pending seldom rarely never save bar so had were
    should"""
)
"""Words that no name of what is counted begins with."""
PERSONS = word_set("i i'm i'd i've i'll we we're me my mine us our you your anyone someone anybody somebody")
VIEWS = word_set(
    """wrong ideal editions accounts luck laughs word words terms views eyes cases circumstances conditions
    assumptions estimates dreams versions standards reports sources rules odds chances sort sorts kind
    kinds yore outset surface abstract limit sake ballpark extreme main margin interim meantime moment
    draft version least max min judgment opinion view mind memory absence event assumption condition
    premise understanding hypothesis contrary grain pinch dose ending answer answers arrears theory principle
    scenario purposes reasons account bound bounds negative sense whim hunch dream alternate alternative"""
)
"""Things that are said or thought, or hold in a way: "in theory", "on good luck"."""
VAGUE = VIEWS | word_set(
    """it some most many other another certain old new different first bad good perfect best worst quotes
    units ways way late latest earliest record records beginning start past what being ending"""
)
"""Words that make a circumstance a reserve: "in some editions", "on a bad day"."""
NO_THINGS = word_set(
    """leads begs strains rings
    makes gives equals has does was gets takes keeps means becomes seems fails ignores assumes includes
    exceeds contains requires belongs covers misses yields comes goes remains brings sells spends earns
    eats writes sees knows says reaches owes pays sends wins builds teaches grows lends draws flies
    swims sleeps sits stands as whereas alas gas canvas christmas bias atlas overseas satisfies applies
    follows differs this always perhaps besides"""
)
"""Verbs that look like plurals."""
SUBJECT_OPENERS = OWNERS | word_set("i we you he she it they there the a an this that these those each every")
"""Words that a subject may begin with."""
DEFINITE = SUBJECT_OPENERS - word_set("i we you he she it they there a an")
"""Words that a phrase about certain things begins with."""
BEFORE_NOUN = DEFINITE | {"a", "an"}
"""Words that a noun stands behind, though it looks like a verb."""
CERTAIN = DEFINITE | word_set("he she they there")
"""Words that tell certain persons or things from any."""
SETTINGS = PLACED_BY - word_set("into per through within") | word_set("among")
"""What opens a clause that tells where, when or what for."""
LOOSE = word_set("some most many other another certain new old different first good worst best")
"""Adjectives that make no reserve of what something is for: "to buy the new camera"."""
NO_SUPERLATIVES = word_set(
    "rest west vest nest test chest guest forest contest request harvest interest quest"
)
UNDOING = OPERATING_BASES | word_set("""be begin start say put name summarize conclude recap sum""")
"""Behind "to" they make another number of it, or open a remark of their own: "18 to begin with"."""
PLACES_IT = PLACED_BY - word_set("of by after over per within out")
SUBJECTS = word_set("he she they it the her his their its this")
SCALES_BEHIND = frozenset(DENOMINATORS) - {"quarters"} | word_set(
    """thou score scores thousand million billion trillion gross dozen dozens lakh crore pairs pair couple
    couples myriad myriads squared cubed factorial tops max mille times fold powers roots odd
    something plus minus modulo mod point tens hundreds ish percentile ppm ppb bps basis bits short shy
    ago hence less sans multiples copies radicals logs exponents digits decimals primes factors
    divisors logarithms reams quires decades centuries fortnights"""
)
"""Words right behind a number that make another one of it."""
PREDICATES = word_set(
    f"""
    {_SUMS} the our my your its her his their final correct right solution left needed required
    remaining also indeed what how many much is are she he they it we have has had makes earns now
    therefore thus then so exactly simply just clearly sold eaten used all in day per each every a an of
    for to paid saved spent by at on requested desired asked question problem this boxed enough over
    picked given girls boys and minimum maximum possible that more less fewer apart get most them was
    were been looking wanted only one divisible still empty full unspent unsold unread uneaten unused
    unpaid unopened untouched unpainted unfilled"""
)
"""What a number may be said to be: "18 is the answer"."""
IN_BRACKETS = word_set(
    """correct or that is i e ie see step times plus minus checked verified namely equals equation above
    surprisingly and all each dozen half of by from to with per day week month year hour total left
    answer the her his in at for"""
)
GOES_ON = STATING | word_set("and thereby that which")
"""Words behind a comma that go on with what was said."""
IDENTIFIES = word_set("is are was means makes gives equals leaves matches")
"""Verbs behind "which" that give the same number another name."""
REASONS = word_set("not rather instead since because namely or as")
"""What a remark behind a comma begins with that gives reasons or other names."""
REMARKS = word_set(
    """obviously clearly exactly no without any a doubt more less fewer than twice half third times as many
    much same before and nothing else to be exact precise of the i am confident sure certain it is
    answer in total all altogether obtained by multiplying adding subtracting dividing she he they so
    each per rest"""
)
CLOSING_REMARKS = phrases(
    """does; it is; is the only possibility; is the only solution; that is the answer; that's the answer; is
    the answer; and nothing else; no doubt; and i am confident; without doubt; without a doubt; without
    any doubt; to be exact; to be precise; and nothing more; no more and no less; and no more; and this
    is the minimum possible; and that is the answer; and that is it; so far; and that's it; as required;
    as desired; as expected; as computed; as calculated; as shown; as found; as derived; as needed;
    that's my answer; that's my final answer; that is my answer; that is my final answer; that's the
    final answer; that is the final answer; and that's the answer; full stop; case closed; as requested;
    as above; and we're done; and we are done; nothing else fits; nothing else works; and nothing else
    fits; i hope it is correct; i hope it's correct; i hope this is correct; i hope that is correct"""
)
TIMES = word_set(
    """evening morning afternoon night noon midnight day week month year end weekend dinner lunch time bedtime
    dawn dusk sunrise sunset"""
)
"""By when: "by the evening"."""
FOLLOWS_COMMA = TAIL | PLACED_BY | word_set("every earning making leaving giving down up")
GREATER = word_set(
    "more farther further longer older younger taller faster higher heavier larger bigger wider deeper"
)
DAYS = word_set(
    """today tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday weekly daily"""
)
APART = word_set("after before early late later earlier ahead")
"""How a time is told that lies between two things: "18 minutes after the bus"."""
SETS = word_set("short ago times pairs pair couple couples")
"""What scales nothing right behind a unit: "18 days ago", "18 pairs of legs"."""
UNIT_WORDS = frozenset(UNITS) | word_set(
    """people children men women bacteria larvae fungi cacti sheep fish trout salmon deer mice teeth geese
    oxen dice l ml mb gb mph kph s liter litre gallon quart pint cup percent degrees c f am pm"""
)
