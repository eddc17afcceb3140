"""Pages that stand before an article, or give less of it than the feed: told by what they say.

Security news is about log-ins, captchas and cookies, and its headlines change. So no phrase is enough by itself: the
page must be short, and either little is left of it without the sentences in question, or there are several of them
under titles that have nothing of the article's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

ROBOT = "the page asks whether we are a robot"
SCRIPTS = "the page is empty without its scripts"
CONSENT = "the page asks for consent before it shows the article"
LOGIN = "the page asks to log in before it shows the article"
THIN = "the page says little more than its title or menu"

_LONGEST_WALL = 1_500
_FEWEST_WORDS = 25
_FEWEST_CHARACTERS = 200
# From this many characters on, what the feed gives is a measure of what the article must have.
_TELLING_FEED = 200
# A page that says nearly all of what the feed says, in the same words, is the article without the feed's own footer.
_NEARLY_ALL = 0.8

# Chinese and Japanese set no spaces: each character counts.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n|(?<=[。！？])")


def _phrases(*alternatives: str) -> re.Pattern[str]:
    # Without IGNORECASE, which takes three times as long: what is searched is casefolded.
    return re.compile("|".join(alternatives))


_WALLS = (
    (
        ROBOT,
        _phrases(
            r"checking (?:if the site connection is secure|your browser)",
            r"verif(?:y|ying) (?:that )?you(?:'re| are) (?:a |not a ro)?(?:human|bot)",
            r"(?:are you|you are|you're|i'm|i am|and|that) (?:not )?a robot",
            r"enable javascript and cookies to continue",
            r"(?:complete|solve|enter) the (?:captcha|security check)",
            r"(?:security|human|robot|captcha|browser) (?:check|verification|challenge)\b",
            r"ddos protection by",
            r"unusual (?:traffic|activity) from your",
            r"press (?:&|and) hold",
            r"pardon our interruption",
            r"^(?:# )?(?:just a moment|one moment, please|please wait|access denied|attention required!)",
            r"you don't have permission to access",
            r"incapsula incident id",
        ),
    ),
    (
        SCRIPTS,
        _phrases(
            r"(?:enable|activate|allow|turn on|switch on|needs?|requires?|without) java ?script",
            r"java ?script (?:is|to be|must be|has to be|seems to be|support is|appears to be) \w+",
            r"java ?script (?:aktivieren|einschalten)",
            r"activ(?:er|ez|ar|a) (?:le )?java ?script",
        ),
    ),
    (
        CONSENT,
        _phrases(
            r"before you continue to",
            r"we (?:value|respect|care about) your privacy",
            r"(?:we and )?our (?:\d[\d,.]* )?(?:partners|vendors) (?:store|process|use)",
            r"(?:accept|reject|allow|agree to) (?:all|our|the use of|optional|additional)? ?cookies",
            r"(?:cookie|privacy|consent) (?:consent|preferences|settings|choices|policy and)\b",
            r"(?:accept|agree) and (?:continue|close)",
            r"(?:you|we) (?:must|need|have to|need you to|need your)(?: give)?(?: your)? consent",
            r"wir benötigen ihre zustimmung|alle (?:cookies )?akzeptieren|mit werbung weiterlesen",
            r"nous et nos (?:\d+ )?partenaires|tout accepter|aceptar (?:todo|y continuar)|accetta e continua",
        ),
    ),
    (
        LOGIN,
        _phrases(
            r"(?:log|sign)[ -]?in (?:to|or|with|using|below|for)\b",
            r"(?:please|you must|must|need to|have to|be) (?:log|sign|logged|signed)[ -]?in\b",
            r"forgot(?:ten)? (?:your )?password|log-?in (?:is )?required",
            r"already (?:a|have an?) (?:subscriber|member|account|subscription)",
            r"(?:create|register for|sign up for) an? (?:free )?account",
            r"(?:subscribe|register|sign up|join)(?: now| today)? to (?:continue|read|unlock|view|access|keep)",
            r"to (?:continue|keep) reading|(?:continue|keep) reading (?:this|with)",
            r"(?:for|to) (?:paid |paying |premium )?(?:subscribers|members)\b|(?:subscribers|members)[ -]only",
            r"(?:subscriber|member|premium)[ -](?:exclusive|only)|unlock this (?:article|story)",
            r"bitte (?:melden sie sich|loggen sie sich)|passwort vergessen|nur für abonnenten|jetzt weiterlesen",
            r"connectez-vous|réservé (?:aux|à nos) abonnés|mot de passe oublié",
            r"inici(?:a|ar|e) sesión|(?:sólo|solo|exclusivo) para suscriptores",
        ),
    ),
)


def wall_of(text: str, titles: Sequence[str], title: str) -> str | None:
    """Why a page that says `text` is a wall before the article called `title`, None where it is none.

    `titles` are the page's own. A page called something else than the article is a wall if it has two phrases of one,
    any page if it has a phrase and is thin without it. Never raises.
    """
    if len(text) > _LONGEST_WALL:
        return None
    text, *names = (written.casefold().replace("’", "'") for written in (text, *titles))
    stranger = not _shares(title, "\n".join(names))
    for reason, phrases in _WALLS:
        said = {
            match[0] for part in ((text, *names) if stranger else (text,)) for match in phrases.finditer(part)
        }
        if (stranger and len(said) > 1) or (said and is_thin(_without(phrases, text))):
            return reason
    return None


def shortfall(text: str, titles: Sequence[str], feed_text: str) -> str | None:
    """Why a page that says `text` gives too little to be kept beside `feed_text`, what the feed says; None where it is
    enough. Never raises."""
    if is_thin(text) and (not 0 < len(feed_text) < len(text) or _shares(text, "\n".join(titles), of=1.0)):
        return THIN
    if len(feed_text) < _TELLING_FEED or len(text) >= len(feed_text):
        return None
    if len(text) >= _NEARLY_ALL * len(feed_text) and _shares(text, feed_text, of=_NEARLY_ALL):
        return None
    return f"the page gives less of the article than the feed: {len(text)} of {len(feed_text)} characters"


def is_thin(text: str) -> bool:
    """Whether `text` has fewer than 25 words and fewer than 200 characters."""
    return len(text) < _FEWEST_CHARACTERS and len(_WORD.findall(text)) < _FEWEST_WORDS


def _without(phrases: re.Pattern[str], text: str) -> str:
    """`text` without the sentences that have one of `phrases`; but the long ones are an author's."""
    sentences = _SENTENCE_END.split(text)
    return "\n".join(part for part in sentences if not phrases.search(part) or not is_thin(part))


def _shares(text: str, other: str, of: float = 0.5) -> bool:
    """Whether so much of the words of `text` stands in `other`."""
    words, there = (Counter(_WORD.findall(part.casefold())) for part in (text, other))
    return (words & there).total() >= of * words.total()
