"""The English words and phrases that the signs of a question are read from; data, with no rule of its own."""

import re

TIME = re.compile(
    r"\b(?:now|nowadays|today|tonight|tomorrow|yesterday|currently|current|latest|newest|recent|recently|lately"
    r"|upcoming|so far|to date|up to date|at the moment|at present|these days|already|yet|ago"
    r"|(?:this|next|last|past|previous|coming) (?:\w+ )?(?:morning|afternoon|evening|night|week|weekend|month|quarter"
    r"|semester|season|year|days|weeks|months|quarters|years|monday|tuesday|wednesday|thursday|friday|saturday"
    r"|sunday|january|february|march|april|may|june|july|august|september|october|november|december))\b"
)
# What points to something said elsewhere: the question does not stand alone.
POINTS = re.compile(
    r"^(?:and|but|or|so|also|then|what about|how about|what else|why not|why|more)\b|\b(?:above|earlier|aforementioned"
    r"|as before|you said|you mentioned|your (?:last|previous) answer|same one|the former|the latter)\b"
)

NEGATORS = {
    "no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "cannot", "except",
    "excluding", "unless", "instead", "un", "non", "lacking", "exclude", "excludes", "excluded", "forbidden",
    "prohibited", "banned", "illegal", "ineligible", "exempt", "denied", "refused", "rejected", "invalid",
    "impossible", "wrong", "fail", "fails", "failed",
}  # fmt: skip
NEGATING_PREFIXES = ("non-", "non‑")

# Words of one class ask for the same thing, words of two classes for different things.
DIRECTIONS = {
    word: name
    for name, words in {
        "BEFORE": "before prior until till preceding earlier",
        "AFTER": "after following since later afterwards",
        "LEAST": "minimum min least lowest smallest shortest fewest earliest cheapest slowest",
        "MOST": "maximum max most highest largest biggest longest latest greatest fastest",
        "MORE": "more greater above exceed exceeds exceeding higher larger longer bigger",
        "LESS": "less fewer under below lower smaller shorter beneath",
        "START": "start starts starting begin begins beginning open opens opening commence join joining",
        "END": "end ends ending finish finishes close closes closing stop stops expire expires quit",
        "UP": "increase increases increased raise raises raised rise grow grows gain upgrade",
        "DOWN": "decrease decreases decreased reduce reduces reduced drop drops shrink lose downgrade",
        "IN": "incoming inbound inside internal domestic indoor import income deposit buy receive hire enable",
        "OUT": "outgoing outbound outside external foreign outdoor export expense withdraw sell send fire disable",
        "FIRST": "first", "LAST": "last final",
        "OR": "or", "ONLY": "only",
        "GIVER": "lend lends sender employer landlord seller",
        "TAKER": "borrow borrows recipient employee tenant buyer",
        "OPTIONAL": "optional voluntary",
        "BEST": "best better advantage advantages benefit benefits pros strength strengths",
        "WORST": "worst worse disadvantage disadvantages risk risks cons weakness weaknesses",
        "GROSS": "gross", "NET": "net", "PART": "part-time", "FULL": "full-time",
        "TEMPORARY": "temporary fixed-term contractor contractors intern interns", "PERMANENT": "permanent",
        "DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly", "QUARTERLY": "quarterly",
        "YEARLY": "yearly annually",
    }.items()
    for word in words.split()
}  # fmt: skip
MODALS = (
    ("MAY", re.compile(r"\b(?:can|could|may|might|able|allowed|permitted)\b")),
    (
        "MUST",
        re.compile(
            r"\b(?:must|should|shall|needs?|requires?|required|obliged|mandatory|ha(?:ve|s) to)\b"
        ),
    ),
)


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


DATES = _set_of(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december jan feb mar apr jun jul aug sep sept oct nov dec weekend weekday spring "
    "summer autumn winter christmas easter"
)
MONTH_AFTER = _set_of(
    "in of during since until till by before after early late mid every each for to from and"
)
QUANTITIES = {
    word: name
    for name, words in {
        "0": "zero", "1": "one once single", "2": "two twice double couple", "3": "three thrice triple", "4": "four",
        "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine", "10": "ten", "11": "eleven",
        "12": "twelve dozen", "13": "thirteen", "14": "fourteen", "15": "fifteen", "16": "sixteen",
        "17": "seventeen", "18": "eighteen", "19": "nineteen", "20": "twenty", "30": "thirty", "40": "forty",
        "50": "fifty", "60": "sixty", "70": "seventy", "80": "eighty", "90": "ninety", "100": "hundred",
        "1000": "thousand", "1000000": "million", "1000000000": "billion", "1/2": "half", "1/4": "quarter",
        "2.": "second", "3.": "third", "4.": "fourth", "5.": "fifth",
    }.items()
    for word in words.split()
}  # fmt: skip
UNITS = {
    word: name
    for name, words in {
        "SECOND": "seconds", "MINUTE": "minute minutes min", "HOUR": "hour hours hrs", "DAY": "day days",
        "WEEK": "week weeks", "MONTH": "month months", "YEAR": "year years", "EURO": "euro euros eur €",
        "DOLLAR": "dollar dollars usd $", "POUND": "pound pounds gbp £", "PERCENT": "percent % per-cent",
        "KM": "km kilometre kilometres kilometer kilometers", "MILE": "mile miles", "M": "metre metres meter meters",
        "KG": "kg kilogram kilograms kilo kilos", "CELSIUS": "celsius", "FAHRENHEIT": "fahrenheit",
    }.items()
    for word in words.split()
}  # fmt: skip

# "2nd", "5pm", "10k", "3b".
SUFFIX_CHARACTERS = 2

# A question for a person is no question for a time. "What", "which" and "how" go with all of them.
ASKS = (
    ("WHO", re.compile(r"\b(?:who|whom|whose)\b")),
    ("WHEN", re.compile(r"\b(?:when|what time|what date|which date|which day|how soon)\b")),
    ("WHERE", re.compile(r"\b(?:where|which (?:place|room|office|building|floor))\b")),
    ("WHY", re.compile(r"\b(?:why|what for|what reason|how come)\b")),
    ("HOW OFTEN", re.compile(r"\bhow (?:often|frequently|regularly)\b")),
    ("HOW LONG", re.compile(r"\bhow long\b")),
    ("HOW MUCH", re.compile(r"\bhow (?:much|expensive|costly)\b")),
    ("HOW MANY", re.compile(r"\bhow many\b")),
)
# Words a sentence begins with, capitalised only for that.
OPENERS = _set_of(
    "a an the what which who whom whose when where why how is are was were be am do does did has have had can could may "
    "might must shall should will would if in on at by for from to of with without and or but as please tell show give "
    "explain describe list name find summarise summarize compare i we you they he she it my our your their his her its "
    "there this that these those not no any all every each some many much more most let say does whats hi hello hey "
    "dear after before during under over about between until since per need want looking does cannot isn't aren't don't "
    "doesn't who's what's where's when's how's i'm we're"
)
NEGATED = re.compile(
    r"un(?!i|der|til|less$)[a-z]{4,}|in(?:eligible|valid|complete|correct|active|secure|sufficient)|im(?:possible|proper)"
    r"|ir(?:regular|relevant)|il(?:legal|legible)|dis(?:able|allow|approv|agree|connect|continu|qualif)[a-z]*"
)
