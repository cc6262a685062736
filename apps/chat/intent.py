"""Tells greetings and small talk from questions, by rules on English phrases; it asks no model and reads nothing."""

import re
from enum import StrEnum


class SmallTalk(StrEnum):
    """What kind of small talk a message is."""

    GREETING = "GREETING"
    HOW_ARE_YOU = "HOW_ARE_YOU"
    THANKS = "THANKS"
    FAREWELL = "FAREWELL"
    ABOUT = "ABOUT"
    PRAISE = "PRAISE"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    JOKE = "JOKE"


# A message is small talk only when phrases and fillers use it up: "Hi, how many days of leave?" is a question.
# Longer phrases stand first. Within a message the first kind of this order wins.
_PHRASES: tuple[tuple[SmallTalk, str], ...] = (
    (
        SmallTalk.ABOUT,
        (
            r"who (?:are|r) (?:you|u)|what(?: (?:are|r) (?:you|u)|'?s your name| is your name)"
            r"|what can (?:you|i)(?: do| ask| help)(?: (?:you|me))?(?: about| with)?(?: for me| here)?"
            r"|what do you do|how (?:do|can) (?:you|i) (?:work|help|use (?:this|you))(?: me)?|how does this work"
            r"|(?:are|r) (?:you|u) (?:a |an )?(?:bot|robot|human|ai|real|person|real person|there|chatgpt)"
            r"|tell me about yourself|introduce yourself"
        ),
    ),
    (
        SmallTalk.JOKE,
        (
            r"(?:can you |could you )?(?:please )?tell me a(?:nother)? joke|make me laugh|do you know a joke"
        ),
    ),
    (
        SmallTalk.HOW_ARE_YOU,
        (
            r"how (?:are|r) (?:you|u|things)(?: doing| feeling| going)?|how(?:'?s| is) (?:it going|everything|life|your day)"
            r"(?: going)?|how do you do|what'?s (?:up|new)|sup|(?:are )?you (?:ok|okay|well|alright)"
            r"|hope you(?:'?re| are) (?:well|doing well|ok)|(?:nice|good|pleased|great) to (?:meet|see) you"
        ),
    ),
    (
        SmallTalk.FAREWELL,
        (
            r"good ?bye|bye(?: ?bye)?|good ?night|see (?:you|ya|u)(?: (?:later|soon|tomorrow|around|next time|monday))?"
            r"|farewell|take care|cheerio|ciao|have a (?:nice|good|great|lovely) (?:day|evening|night|weekend|one|afternoon)"
            r"|(?:talk|speak) to you (?:later|soon)|that(?:'?s| is| was| will be)? all(?: for (?:today|now))?"
            r"|until (?:next time|tomorrow)|i'?m (?:off|done)(?: (?:for today|now))?|later"
        ),
    ),
    (
        SmallTalk.THANKS,
        (
            r"(?:many |no )?thank(?:s| you| u)(?: (?:so|very) much| a (?:lot|million|bunch)| again| for (?:your|the|all your)"
            r"(?: quick)? (?:help|answer|time|reply|assistance)| for that| for (?:helping|answering)(?: me)?)*"
            r"|(?:that|this|it)(?: has)? (?:really )?helped(?: me)?(?: a lot)?|thx|ty|cheers|much appreciated|(?:i )?(?:really )?appreciate (?:it|that|your help)|ta"
        ),
    ),
    (
        SmallTalk.GREETING,
        (
            r"hi+|hello+|hey+|hiya|howdy|greetings|yo|good (?:morning|afternoon|evening|day)|morning|evening|afternoon"
            r"|happy (?:[a-z]+day|new year|weekend|easter|christmas|holidays)|g'?day|welcome back|anyone there|(?:is )?(?:anybody|anyone|somebody) (?:there|here|home)|hola|bonjour|ahoy"
        ),
    ),
    (
        SmallTalk.PRAISE,
        (
            r"(?:you(?:'?re| are) |that(?:'?s| is| was) |this is |it(?:'?s| is| was) |very |really |so |how )*"
            r"(?:great|awesome|amazing|cool|nice|perfect|excellent|fantastic|wonderful|brilliant|helpful|good|lovely|neat"
            r"|impressive|clever|smart|the best)(?: (?:job|work|one|answer|bot|stuff))?|well done|good (?:job|work)"
            r"|i (?:like|love) (?:it|this|that|you)|love it|wow|haha+|lol"
        ),
    ),
    (
        SmallTalk.ACKNOWLEDGED,
        (
            r"ok(?:ay)?|k|alright|all right|got it|i see|understood|makes sense|sure|yes|yep|yeah|no|nope|never ?mind"
            r"|fine|right|sounds good|no worries|no problem|sorry|my bad|oops|test|testing|just testing|hm+"
        ),
    ),
    # Last: "thanks for your help" is thanks.
    (SmallTalk.ABOUT, r"(?:can|could) you help(?: me)?|help(?: me)?|i need (?:some )?help"),
)
_FILLER = (
    r"(?:there|parley|again|all|everyone|everybody|team|folks|guys|friend|buddy|mate|dear|bot|assistant|and|but|so|oh"
    r"|ah|well|now|please|today|then|man|sir|to you|you too|for now|just saying|(?:i )?just wanted to say)"
)
_PATTERNS = tuple((kind, re.compile(rf"\b(?:{pattern})(?![\w'])")) for kind, pattern in _PHRASES)
_FILLERS = re.compile(rf"\b{_FILLER}\b")
_MAX_CHARACTERS = 120


def small_talk(text: str) -> SmallTalk | None:
    """Return the kind of small talk the whole message is, None when it asks or tells anything more."""
    if len(text) > _MAX_CHARACTERS:
        return None
    rest = re.sub(r"[^\w\s']", " ", text.lower().replace("’", "'"))
    rest = f" {' '.join(rest.split())} "
    found: SmallTalk | None = None
    if not rest.strip():
        # Only an emoji or punctuation: a wave, not a question.
        return SmallTalk.GREETING if text.strip() else None
    for kind, pattern in _PATTERNS:
        rest, count = pattern.subn(" ", rest)
        if count and found is None:
            found = kind
    if found is None or _FILLERS.sub(" ", rest).strip():
        return None
    return found


_ANAPHORA = re.compile(
    r"\b(?:it|its|they|them|their|those|these|that|this|he|she|his|her|him|there|then|one|ones|same|else|other"
    r"|others|more|also|too|instead|both)\b"
)
_CONTINUES = re.compile(
    r"^\s*(?:and|but|or|so|what about|how about|what if|why|why not|for|then|also|only|even)\b"
)
_SHORT_WORDS = 4
_LONG_WORDS = 16


def is_follow_up(text: str) -> bool:
    """Say whether a question leans on the one before it: short, or pointing back."""
    words = text.lower().split()
    if len(words) > _LONG_WORDS:
        return False
    lowered = text.lower()
    return (
        len(words) <= _SHORT_WORDS
        or bool(_CONTINUES.match(lowered))
        or bool(_ANAPHORA.search(lowered))
    )


def search_text(question: str, previous_question: str | None) -> str:
    """Return what to look for in the documents: the question, with the previous one before it if it leans on it."""
    if previous_question and is_follow_up(question) and small_talk(previous_question) is None:
        return f"{previous_question}\n{question}"
    return question
