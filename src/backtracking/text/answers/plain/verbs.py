"""Verbs that state how many, what they leave out or assume aside, and their forms.

A verb that is not here may mean anything ("forgoes", "disputes"), so it states nothing.
"""

import re

from backtracking.text.numbers.lexicon import word_set

_DOUBLES = re.compile(r"[^aeiou]*[^aeiou\W]?u?[aeiou][^aeiouwxy]")
"""Drop, dropped; knit, knitted: one syllable that ends in one consonant."""


def _stem(base: str) -> str:
    """What "ed" and "ing" are put to."""
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1]
    return base + base[-1] if _DOUBLES.fullmatch(base) else base


def _third(base: str) -> str:
    if base.endswith("y") and base[-2] not in "aeou":
        return f"{base[:-1]}ies"
    return f"{base}es" if base.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{base}s"


def _past(base: str) -> str:
    if base.endswith("y") and base[-2] not in "aeou":
        return f"{base[:-1]}ied"
    return f"{base}d" if base.endswith("e") else f"{_stem(base)}ed"


def forms(bases: str) -> frozenset[str]:
    """Regular verbs in their present and past forms."""
    return frozenset(form(base) for base in bases.split() for form in (str, _third, _past))


def gerunds(bases: str) -> frozenset[str]:
    """Verbs in -ing."""
    return frozenset(f"{_stem(base)}ing" for base in bases.split())


_REGULAR = """
    own possess afford arrive chip contain earn receive gain collect gather obtain need require use
    consume charge purchase save donate share bake cook paint walk travel cover climb jump hike
    cycle bike carry lift weigh measure score last produce plant pick harvest watch count complete
    finish solve serve deliver load pack fill pour return total rent hire employ type print scan
    wash clean mow shovel attend play practice study work stay store stock supply borrow invest
    deposit raise mail distribute peel chop slice order deserve reach burn visit pass recycle repair
    sign arrange place owe turn reduce increase average skip post add ship export import transport
    haul move house accommodate host include welcome publish record perform examine treat adopt
    rescue wrap decorate assemble manufacture create design develop wait craft carve stitch iron
    fold display sort process dial call text greet train coach interview water rake stack tow
    replace install drill mine pump drain boil roast brew mix jog sprint skate sail row fish hunt
    kick toss roll sketch photograph film download upload open pocket inherit acquire accumulate
    retrieve trim prune sip chew swallow repay hatch groom edit translate supervise occupy operate
    maintain inspect assist fetch grill squeeze sew crochet fertilize transplant accept allocate
    allot assign award bag bottle bounce box bundle bury bathe camp cash cater chase climb clip
    collect color combine commute compose conduct contribute copy crack crank crawl cross crush
    cultivate cure dance date dedicate dip dispense dispose divide dock drag dress dump dust dye
    educate empty end enroll enter exchange exercise expand farm fasten file finance fix flush frame
    fry fundraise generate glue grab grade grate graze guard hammer hand handle head heat help hoist
    hug identify ingest insert invent issue juggle kiss knot label land launch leak learn lease lick
    light line list listen live locate lock lug march mark marry meet mint mop mount mourn nail name
    nibble note nurse offer organize outnumber outscore paddle park paste patch patrol pave perch
    phone photocopy pilot pitch plate plow plug poach pop pound prepare press program pull punch
    quilt race rack raid ram reap reclaim recover recruit refill refund register rehearse release
    relocate remove render renovate repaint replant reserve restock restore retire reuse reward
    rinse rob rotate save saw scatter scoop scout scrape scrub seal search season secure select
    separate shave shell shelve shop shuffle skim slaughter slip smash smoke snap sow spare spill
    spot spray sprinkle stamp staple stash step stitch stop stretch string strip stroll stuff submit
    subscribe surf swap switch tackle tag tan tap taste tend tie tip tour trace trade trap tune
    twist unload unpack unwrap update vaccinate vacuum voyage wax weed weight whip wire yell zip
    enjoy breed meditate speak outgrow involve span cost support sponsor devote spar stain tile type
    volunteer whittle"""
_IRREGULAR = """
    make made; get got gotten; spend spent; sell sold; buy bought; give gave given; eat ate eaten; drink
    drank drunk; write wrote written; draw drew drawn; run ran; drive drove driven; ride rode ridden;
    fly flew flown; swim swam swum; win won; take took taken; keep kept; grow grew grown; catch caught;
    find found; see saw seen; send sent; build built; knit; sew sewn; teach taught; sleep slept; lay
    laid; fit; seat; feed fed; hold held; bring brought; lend lent; leave left; go went gone; pay paid;
    dig dug; throw threw thrown; shoot shot; steal stole stolen; break broke broken; hit; set; light
    lit; hide hid hidden; bite bit; blow blew; freeze froze; sing sang sung; ring rang rung; spin spun;
    sweep swept; tear tore torn; wear wore worn; weave wove; wind wound; shed; slay slew; sink sank;
    stick stuck; swing swung; speak spoke spoken; spread; sit sat; rise rose; fall fell; split; bend
    bent; bleed bled; breed bred; meet met; burn burnt; learn learnt; undergo underwent; withdraw
    withdrew withdrawn; put; cut; cost; read; babysat"""
"""Base, past and participle, where they differ."""
_ROWS = [row.split() for row in _IRREGULAR.split(";")]
_BASES = [*_REGULAR.split(), *(row[0] for row in _ROWS)]
STATES = (
    forms(_REGULAR)
    | {form for row in _ROWS for form in (*row, _third(row[0]))}
    | frozenset(("have", "has", "had", "having", "do", "does", "did"))
)
"""Verbs that state how many right before a number."""
BASES = frozenset(_BASES) - frozenset(("cost", "total", "average", "cut", "put", "read", "hit", "set"))
"""Those that need a subject right before them: "they save 18", not "anything save 18"."""
STATING = gerunds(" ".join(_BASES)) | frozenset(("having", "totalling"))
"""The same behind a comma: "leaving 18"."""
UNREAL = forms(
    """forecast predict project surmise posit postulate fabricate feign simulate assert mutter whisper
        recite ponder consider entertain envision beg bargain clamor gamble fumble garble scribble
        plagiarize renounce waive shirk snub test try sample picture dream want hope plan intend attempt
        remember recall advertise promise quote seem appear rank masquerade pose defy covet crave yearn pine
        haggle petition pledge vow propose squander forfeit relinquish surrender decline spurn repel
        avert evade dodge lag exceed eclipse toy challenge veto scorn belittle exaggerate inflate
        botch fudge pad float bet budget fear expect demand ask top surpass aim squawk lack miss refuse
        reject deny dispute estimate guess suspect believe claim state suppose assume imagine doubt wonder
        wish prefer deserve threaten tend fail approach near rumor argue suggest mention report announce
        declare insist swear alternate blurt repel"""
) - STATES | word_set(
    """undershot overshot outdid outdo forget forgets forgot forgotten think thinks thought say says said
        tell tells told foresee foresees foresaw foreseen understand understands understood seek seeks sought
        hear hears heard beat beats forgo forgoes forgoing forwent longs longed questioned"""
)
"""Verbs whose object need not be so: what is thought, wanted, refused or missed."""
