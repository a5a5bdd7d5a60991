"""Judges texts by rules alone: language, tone, topic, intent, flags, what to do. Pure and a first version."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from py3langid.langid import MODEL_FILE, LanguageIdentifier

MODEL = "rules-1"
LONGEST = 5_000  # characters looked at; what follows changes no verdict worth its time
PRIVATE_KINDS = frozenset({"direct_message", "email", "chat", "sms", "call", "fax"})
TONE_LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt")
WRITTEN_TO_US = PRIVATE_KINDS - {"sms"}  # advertising by SMS is as common as in public
LANGUAGES = ("de", "en", "es", "fr", "hi", "it", "nl", "pt")
MODEL_LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "nl", "pl", "pt", "ru", "tr")
UNKNOWN_LANGUAGE = "und"
NEGATIVE, POSITIVE = -0.1, 0.3  # where a score is called negative or positive
QUEUE_BY_TOPIC = {"billing": "billing", "technical": "technical", "account": "technical"}
ESCALATING = ("self_harm", "threat", "safety", "legal", "press")
FLAGS = (*ESCALATING, "personal_data")
URGENCY_BY_FLAG = {
    "self_harm": 1.0,
    "threat": 1.0,
    "safety": 1.0,
    "legal": 0.8,
    "press": 0.6,
    "personal_data": 0.5,
}
URGENCY_BY_INTENT = {"complaint": 0.4, "request": 0.3, "question": 0.25, "praise": 0.05, "noise": 0.0}
RESPOND_FROM = 0.45  # chance; below a half, as an unanswered customer costs more than a glance too many
SPAM_LIMIT, SPAM_LIMIT_TO_US = 2, 3  # a customer taken for spam costs more than spam read by a person

_LEXICONS = Path(__file__).parent / "lexicons"
_BINDER = "\u200b"  # every invisible format sign is folded to this one and then taken out of the words
_EMOTICONS = {
    ":)": 2,
    ":-)": 2,
    ":D": 2,
    ";)": 1.5,
    "<3": 2.5,
    ":(": -2,
    ":-(": -2,
    ":'(": -2.5,
    ":/": -1,
    ":-/": -1,
}
_ENGLISH_ENDINGS = ("n't", "'s", "'m", "'re", "'ve", "'ll", "'d")
_SCRIPTS = (  # first and last code point, language when nothing else is known
    (0x0370, 0x03FF, "el"), (0x0400, 0x052F, "ru"), (0x0590, 0x05FF, "he"), (0x0600, 0x06FF, "ar"),
    (0x0750, 0x077F, "ar"), (0x0900, 0x097F, "hi"), (0x0980, 0x09FF, "bn"), (0x0B80, 0x0BFF, "ta"),
    (0x0E00, 0x0E7F, "th"), (0x3040, 0x30FF, "ja"), (0x4E00, 0x9FFF, "zh"), (0xAC00, 0xD7A3, "ko"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """A text to judge, with what is known of its place and author."""

    text: str
    kind: str = "mention"
    lang: str | None = None
    followers: int | None = None
    likes: int = 0
    reposts: int = 0
    verified: bool = False
    addressed: bool | None = None  # our own handle is named; None: not known, any handle counts
    courtesy_possible: bool | None = None  # it follows an answer of ours; None: not known, possible


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules make of an item; spans are character offsets into its text."""

    language: str
    language_confidence: float
    sentiment: float | None
    sentiment_words: list
    topic: str
    topic_words: list
    queue_hint: str
    intent: str
    actionable: bool
    actionable_confidence: float  # chance that somebody should answer
    spam: bool
    spam_signs: int
    courtesy: bool
    urgency: dict
    verdict: str
    reasons: list
    parts: dict
    required_skills: list
    model: str = MODEL


# ---------------------------------------------------------------- reading


class _Fold(dict):
    """One sign to one sign: letters in lower case, everything else a blank; so offsets stay true."""

    def __missing__(self, code: int) -> str:
        sign = _fold_sign(chr(code))
        if len(self) < 20_000:  # a hostile text may hold any of a million signs
            self[code] = sign
        return sign


def _fold_sign(sign: str) -> str:
    if sign in "'’ʼ‘`´":
        return "'"
    if sign == "@":
        return "@"
    category = unicodedata.category(sign)
    if category == "Cf":
        return _BINDER
    if sign in ("\ufe0e", "\ufe0f"):
        return " "
    if category[0] not in "LNM":
        return " "
    plain = unicodedata.normalize("NFKC", sign).lower()
    return plain if len(plain) == 1 and plain.isalnum() else sign


_FOLD = _Fold()


@dataclass(slots=True)
class _Reading:
    """The words of a text with their offsets."""

    text: str
    words: list
    starts: list
    ends: list
    handles: int
    links: int


def _without_links(folded: str, text: str) -> tuple[str, int]:
    """Links blanked out in both; counted."""
    links, at = 0, 0
    while (mark := text.find("://", at)) >= 0:
        start = max(text.rfind(" ", 0, mark), text.rfind("\n", 0, mark)) + 1
        ends = [end for end in (text.find(" ", mark), text.find("\n", mark)) if end >= 0]
        end = min(ends, default=len(text))
        if mark - start < 12:  # "https", perhaps after a bracket
            folded = folded[:start] + " " * (end - start) + folded[end:]
            links += 1
        at = end
        if links >= 20:  # each one copies the text: a wall of links is known by now
            break
    return folded, links


def _pieces(token: str, start: int):
    """A token with an apostrophe: English endings stay, `l'attente` becomes two words."""
    offset = start + len(token) - len(token.lstrip("'"))
    token = token.strip("'")
    if not token:
        return
    if "'" not in token or token.endswith(_ENGLISH_ENDINGS):
        yield token, offset
        return
    for piece in token.split("'"):
        if piece:
            yield piece, offset
        offset += len(piece) + 1


def _read(text: str) -> _Reading:
    folded = text.translate(_FOLD)
    links = 0
    if "://" in text:
        folded, links = _without_links(folded, text)
    composed = text.isascii() or unicodedata.is_normalized("NFC", folded)
    words, starts, ends = [], [], []
    handles, at = 0, 0
    for token in folded.split():
        start = folded.find(token, at)
        at = start + len(token)
        if "@" in token:
            handles += token[0] == "@"
            continue
        if "'" in token:
            for piece, offset in _pieces(token, start):
                words.append(piece)
                starts.append(offset)
                ends.append(offset + len(piece))
            continue
        words.append(token)
        starts.append(start)
        ends.append(at)
    if _BINDER in folded or not composed:
        words = [unicodedata.normalize("NFC", word.replace(_BINDER, "")) for word in words]
    return _Reading(text, words, starts, ends, handles, links)


# ---------------------------------------------------------------- lexicons


@dataclass(slots=True)
class _Lexicon:
    """The tables of one language. `index`: first word → [(further words, section, value)]."""

    index: dict
    stopwords: frozenset
    negations: frozenset
    boosters: dict
    but: frozenset


def _sections(name: str) -> dict:
    """A lexicon file as {section: [(weight or None, entry as tuple of words)]}."""
    sections = defaultdict(list)
    current = ""
    for line in (_LEXICONS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = line[1:-1]
            continue
        weight = None
        if current in ("words", "boosters", "emoji"):
            number, _, line = line.partition(":")
            weight = float(number)
        for entry in line.split():
            key = (entry,) if current == "emoji" else tuple(_read(entry.replace("_", " ")).words)
            for form in _forms(key, name):
                if form:
                    sections[current].append((weight, form))
    return sections


def _forms(entry: tuple, language: str):
    """The entry, and as people type it: without accents, German with ae, oe, ue."""
    yield entry
    joined = " ".join(entry)
    if joined.isascii():
        return
    if language == "de":
        for umlaut, typed in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
            joined = joined.replace(umlaut, typed)
    else:
        parts = unicodedata.normalize("NFD", joined)
        joined = "".join(sign for sign in parts if unicodedata.category(sign) != "Mn")
    if (plain := tuple(joined.split())) and plain != entry:
        yield plain


def _vader_words():
    """The single words of the VADER lexicon (MIT), read from the installed package without running it."""
    spec = find_spec("vaderSentiment")
    if spec is None or not spec.submodule_search_locations:
        return
    path = Path(next(iter(spec.submodule_search_locations))) / "vader_lexicon.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition("\t")
        if word.replace("'", "").isalpha():
            yield float(rest.partition("\t")[0]), (word.lower(),)


def _tone_words(sections: dict, language: str) -> dict:
    tone = {}
    if language == "en":
        tone = {key: weight for weight, key in _vader_words()}
    tone.update({key: weight for weight, key in sections["words"]})
    return {key: weight for key, weight in tone.items() if weight}


_INDEXED = ("complaint", "question", "request", "self", "other", "urgent")


def _entries(sections: dict, language: str):
    """Everything that is looked for in a text, as (words, section, value)."""
    for key, weight in _tone_words(sections, language).items():
        yield key, "tone", weight
    for section in _INDEXED:
        for _, key in sections[section]:
            yield key, section, True
    yield from _named(sections, "topic")
    if language != "en":  # trade words are often English
        yield from _named(_sections("en"), "topic")
    yield from _named(sections, "flag")
    for _, key in _sections("any")["spam"]:
        yield key, "spam", True


def _named(sections: dict, family: str):
    """Entries of the sections called `family:<code>`; the code is their value."""
    for name, entries in sections.items():
        kind, _, code = name.partition(":")
        if kind == family:
            for _, key in entries:
                yield key, family, code


@cache
def _lexicon(language: str) -> _Lexicon:
    sections = _sections(language)
    index = defaultdict(dict)
    for key, section, value in _entries(sections, language):
        index[key[0]].setdefault((key[1:], section), value)
    rows = {
        word: tuple((list(rest), section, value) for (rest, section), value in entries.items())
        for word, entries in index.items()
    }
    return _Lexicon(
        index=rows,
        stopwords=frozenset(key[0] for _, key in sections["stopwords"] if len(key) == 1),
        negations=frozenset(key[0] for _, key in sections["negations"] if len(key) == 1),
        boosters={key[0]: weight for weight, key in sections["boosters"] if len(key) == 1},
        but=frozenset(key[0] for _, key in sections["but"]),
    )


@cache
def _everywhere() -> tuple[dict, frozenset, frozenset]:
    """Emoji weights, and the words of courtesy of all languages together."""
    emoji = {key[0]: weight for weight, key in _sections("any")["emoji"]}
    courtesy, core = set(), set()
    for language in LANGUAGES:
        sections = _sections(language)
        courtesy.update(word for _, key in sections["courtesy"] for word in key)
        core.update(word for _, key in sections["courtesy_core"] for word in key)
    return emoji, frozenset(courtesy), frozenset(core)


# ---------------------------------------------------------------- language


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(MODEL_LANGUAGES)
    return identifier


def warm_up() -> None:
    """Loads the language model and the tables now instead of at the first doubtful text (about a second)."""
    _everywhere()
    for language in LANGUAGES:
        _lexicon(language)
    _identifier()


def _script(text: str) -> str | None:
    """Language of the script when at least a third of the letters are of one that is not Latin."""
    if text.isascii():
        return None
    sample = [ord(sign) for sign in text[:400] if sign.isalpha()]
    counts = defaultdict(int)
    for code in sample:
        if code >= 0x0370:
            for first, last, language in _SCRIPTS:
                if first <= code <= last:
                    counts[language] += 1
                    break
    if not counts or sum(counts.values()) * 3 < len(sample):
        return None
    if "ja" in counts:  # kana beside Chinese signs is Japanese
        return "ja"
    return max(counts, key=counts.get)


@lru_cache(maxsize=4096)
def _by_model(text: str) -> tuple[str, float]:
    return _identifier().classify(text)


def _by_stop_words(words: list) -> tuple[str, int, int]:
    """Best language by its little words, how many of them, and how many the next best has."""
    seen = set(words)
    best, most, second = UNKNOWN_LANGUAGE, 0, 0
    for language in LANGUAGES:
        count = len(seen & _lexicon(language).stopwords)
        if count > most:
            best, most, second = language, count, most
        elif count > second:
            second = count
    return best, most, second


def _language(words: list, text: str, hint: str | None) -> tuple[str, float]:
    """The cheapest sure sign decides: script, little words, model, and last the network's hint."""
    script = _script(text)
    if script in ("ru", "ar"):  # scripts of several languages: the hint may know better
        return (hint, 0.8) if hint else (script, 0.7)
    if script:
        return script, 0.95
    if not words:
        return (hint, 0.5) if hint else (UNKNOWN_LANGUAGE, 0.0)
    best, most, second = _by_stop_words(words)
    if most - second >= 2 + (most > 8):
        return best, min(0.99, 0.8 + 0.03 * (most - second))
    if most > second and hint == best:
        return best, 0.85
    return _doubtful(words, best if most > second else None, hint)


def _doubtful(words: list, leaning: str | None, hint: str | None) -> tuple[str, float]:
    """The little words left it open: ask the model, and believe it as far as it is sure."""
    guess, confidence = _by_model(" ".join(words)[:300])
    if guess == leaning:
        return guess, max(0.75, confidence)
    if confidence >= 0.6 and len(words) > 1:
        return guess, confidence
    if hint:
        return hint, 0.5
    return (guess, confidence) if confidence >= 0.4 else (UNKNOWN_LANGUAGE, confidence)


# ---------------------------------------------------------------- tone


def _find(words: list, index: dict) -> dict:
    """Every hit by section: [(place, number of words, value)]."""
    hits = defaultdict(list)
    lookup = index.get
    for place, word in enumerate(words):
        entries = lookup(word)
        if entries is None:
            continue
        for rest, section, value in entries:
            if not rest or words[place + 1 : place + 1 + len(rest)] == rest:
                hits[section].append((place, 1 + len(rest), value))
    return hits


def _weigh(
    reading: _Reading, lexicon: _Lexicon, place: int, length: int, weight: float, shouting: bool
) -> float:
    words = reading.words
    sign = 1 if weight > 0 else -1
    if place:
        before = words[max(0, place - 3) : place]
        weight += sign * lexicon.boosters.get(before[-1], 0)
        if length == 1 and not lexicon.negations.isdisjoint(before):
            weight *= -0.6
    if shouting and reading.text[reading.starts[place] : reading.ends[place]].isupper():
        weight += sign * 0.7
    return weight


def _emoji_weights(text: str) -> list:
    if text.isascii():
        return []
    emoji = _everywhere()[0]
    if emoji.keys().isdisjoint(text):
        return []
    found = [(at, sign) for at, sign in enumerate(text) if sign in emoji]
    return [[at, at + 1, emoji[sign]] for at, sign in found[:5]]


def _emoticon_weights(text: str) -> list:
    if ":" not in text and ";" not in text and "<3" not in text:
        return []
    found = []
    for emoticon, weight in _EMOTICONS.items():
        at = text.find(emoticon)
        if at >= 0 and text[at : at + 3] != "://":
            found.append([at, at + len(emoticon), weight])
    return found


def _sentiment(reading: _Reading, lexicon: _Lexicon, hits: list, emoji: list) -> tuple[float, list]:
    """Score from -1 to 1 and the words that caused it (after Hutto and Gilbert's VADER, simplified)."""
    text, spans, total, covered = reading.text, [], 0.0, -1
    turn = -1
    if not lexicon.but.isdisjoint(reading.words):
        turn = max(place for place, word in enumerate(reading.words) if word in lexicon.but)
    shouting = not text.isupper() and not text.islower()
    for place, length, weight in sorted(hits, key=lambda hit: (hit[0], -hit[1])):
        if place <= covered:
            continue
        covered = place + length - 1
        weight = _weigh(reading, lexicon, place, length, weight, shouting)
        if turn > 0:
            weight *= 1.3 if place > turn else 0.6
        spans.append([reading.starts[place], reading.ends[covered], round(weight, 2)])
        total += weight
    for span in emoji or ():
        spans.append(span)
        total += span[2]
    for span in _emoticon_weights(text):
        spans.append(span)
        total += span[2]
    if total:
        total += math.copysign(0.3 * min(text.count("!"), 4), total)
    return round(total / math.sqrt(total * total + 15), 3), spans


# ---------------------------------------------------------------- content


def _topic(reading: _Reading, hits: list) -> tuple[str, list]:
    """The topic with most hits; phrases count double. No hit: general."""
    if not hits:
        return "general", []
    counts = defaultdict(int)
    for _, length, topic in hits:
        counts[topic] += length
    topic = max(counts, key=lambda name: (counts[name], name != "service"))
    spans = [[reading.starts[at], reading.ends[at + n - 1]] for at, n, name in hits if name == topic]
    return topic, spans[:20]


def _is_card(digits: str) -> bool:
    """Luhn's check over 13 to 19 digits."""
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_iban(sign_run: str) -> bool:
    """ISO 13616: country, two check digits, remainder 1 modulo 97."""
    if not 15 <= len(sign_run) <= 34 or not sign_run.isascii() or not sign_run.isalnum():
        return False
    turned = sign_run[4:] + sign_run[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _holds_numbers(words: list) -> bool:
    """A payment card or bank account number, also in groups."""
    for place, word in enumerate(words):
        if len(word) < 4 or not word.isascii():
            continue
        if word.isdigit() and _starts_with(words[place : place + 6], _is_card, str.isdigit, 19):
            return True
        iban = word[:2].isalpha() and word[2:4].isdigit()
        if iban and _starts_with(words[place : place + 9], _is_iban, str.isalnum, 34):
            return True
    return False


def _starts_with(parts: list, check: Callable, allowed: Callable, longest: int) -> bool:
    """Do the first parts, joined one after another, pass the check?"""
    run = ""
    for part in parts:
        run += part
        if len(run) > longest or not part.isascii() or not allowed(part):
            return False
        if check(run):
            return True
    return False


def _holds_address(text: str) -> bool:
    """An e-mail address: a sign before the @ and a dot after it."""
    at = text.find("@", 1)
    while at > 0:
        host = text[at + 1 : at + 64].partition(" ")[0]
        if text[at - 1].isalnum() and "." in host.rstrip("."):
            return True
        at = text.find("@", at + 1)
    return False


def _urgency_flags(item: Item, reading: _Reading, hits: list) -> dict:
    flags = dict.fromkeys(FLAGS, False)
    for _, _, flag in hits:
        flags[flag] = True
    text = reading.text
    if _holds_numbers(reading.words) or (
        item.kind not in PRIVATE_KINDS and "@" in text and _holds_address(text)
    ):
        flags["personal_data"] = True
    return flags


def _spam_signs(reading: _Reading, hits: list) -> int:
    """How many signs of advertising or flooding a text shows."""
    words, text = reading.words, reading.text
    score = len({(place, length) for place, length, _ in hits[:6]})
    if reading.links and (score or reading.links > 2):
        score += 1
    score += text.count("#") >= 8
    score += reading.handles >= 8
    return score + (len(words) >= 8 and len(set(words)) * 3 < len(words))


def _spam(item: Item, signs: int) -> bool:
    return signs >= (SPAM_LIMIT_TO_US if item.kind in WRITTEN_TO_US or item.addressed else SPAM_LIMIT)


def _courtesy(reading: _Reading, emoji: list) -> bool:
    """Thanks and the like, or nothing but emoji that are not angry."""
    words = reading.words
    if "?" in reading.text or reading.links or len(words) > 12:
        return False
    if not words:
        signs = [sign for sign in reading.text if ord(sign) > 0x2000]
        return bool(signs) and all(span[2] > 0 for span in emoji)
    _, courtesy, core = _everywhere()
    return courtesy.issuperset(words) and not core.isdisjoint(words)


def _intent(reading: _Reading, hits: dict, sentiment: float) -> str:
    complaints = len(hits["complaint"]) if "complaint" in hits else 0
    asks = "?" in reading.text
    if (complaints and sentiment < 0.4) or sentiment <= -0.35:
        return "complaint"
    if asks or ("question" in hits and hits["question"][0][0] < 2 and sentiment < 0.5):
        return "question"
    if sentiment >= 0.55:
        return "praise"
    if "request" in hits:
        return "request"
    return "praise" if sentiment >= 0.3 else "noise"


_INTENT_WEIGHT = {"complaint": 1.6, "question": 1.1, "request": 1.2, "praise": -1.2, "noise": -0.4}


def _addressed(item: Item, reading: _Reading) -> bool:
    if item.addressed is None:
        return reading.handles > 0 or item.kind in ("review", "comment", "reply")
    return item.addressed or item.kind == "review"


def _actionable(item: Item, reading: _Reading, hits: dict, intent: str, topic: str, score: float) -> float:
    """Chance that somebody should answer this public post; weights set by hand."""
    mine = "self" in hits
    z = -1.8 + 1.6 * _addressed(item, reading) + _INTENT_WEIGHT[intent]
    z += 0.5 * (topic != "general") + 0.6 * mine + 0.4 * ("other" in hits) + 0.8 * ("urgent" in hits)
    z += 0.6 * (score <= NEGATIVE and intent != "complaint")
    if reading.text.startswith("RT ") or item.kind == "repost":
        z -= 2
    if reading.links and not mine:
        z -= 1
    if len(reading.words) < 2:
        z -= 1
    return round(1 / (1 + math.exp(-z)), 2)


def _reach(item: Item) -> float | None:
    """Logarithmic and capped: a million followers or a post repeated 20,000 times is 1."""
    if item.followers is None and not item.likes and not item.reposts:
        return None
    audience = max(0, item.followers or 0) + 50 * max(0, item.reposts) + 5 * max(0, item.likes)
    return round(min(1.0, math.log10(1 + audience) / 6 + 0.1 * item.verified), 3)


def _urgency(flags: dict, hits: dict, intent: str) -> float:
    level = max([URGENCY_BY_INTENT[intent], *(URGENCY_BY_FLAG[name] for name, on in flags.items() if on)])
    if "urgent" in hits and intent not in ("praise", "noise"):
        level = min(1.0, level + 0.25)
    return round(level, 2)


# ---------------------------------------------------------------- verdict


@dataclass(slots=True)
class _Findings:
    sentiment: float | None
    intent: str
    chance: float
    flags: dict
    spam: bool
    courtesy: bool
    reach: float | None


def _verdict(item: Item, found: _Findings) -> tuple[str, str]:
    """One of the five verdicts and its reason."""
    if found.spam:
        return "spam", "looks like advertising or flooding"
    raised = [name for name in ESCALATING if found.flags[name]]
    if raised:
        return "escalate", "flag " + ", ".join(raised)
    if found.courtesy:
        return "no_answer_needed", "courtesy"
    if item.kind in PRIVATE_KINDS:
        return "respond", f"{item.kind} is written to us"
    if item.kind == "repost":
        return "no_answer_needed", "repost"
    if found.chance >= RESPOND_FROM:
        return "respond", f"{found.intent}, chance that it needs an answer {found.chance}"
    if (found.sentiment or 0) <= -0.3 or (found.reach or 0) >= 0.85:
        return "follow", "negative or far-reaching, but nothing is asked of us"
    return "no_answer_needed", f"{found.intent}, chance that it needs an answer {found.chance}"


def _hint(lang: str | None) -> str | None:
    """Main part of a language tag; the network's own "unknown" is none."""
    if not lang or not isinstance(lang, str):
        return None
    main = lang[:12].replace("_", "-").partition("-")[0].lower()
    return main if 2 <= len(main) <= 3 and main.isascii() and main.isalpha() and main != "und" else None


def _judge(item: Item) -> Judgement:
    text = (item.text or "")[:LONGEST]
    reading = _read(text)
    words = reading.words
    language, confidence = _language(words, text, _hint(item.lang))
    lexicon = _lexicon(language if language in LANGUAGES else "en")
    hits = _find(words, lexicon.index)
    emoji = _emoji_weights(text)
    score, tone_words = _sentiment(reading, lexicon, hits["tone"], emoji)
    known = tone_words or (words and language in TONE_LANGUAGES)
    sentiment = score if known else None  # unknown is not neutral
    topic, topic_words = _topic(reading, hits["topic"])
    intent = _intent(reading, hits, score)
    flags = _urgency_flags(item, reading, hits["flag"])
    private = item.kind in PRIVATE_KINDS
    spam_signs = _spam_signs(reading, hits["spam"])
    spam = _spam(item, spam_signs)
    courtesy = item.courtesy_possible is not False and not spam and _courtesy(reading, emoji)
    chance = 0.97 if private else _actionable(item, reading, hits, intent, topic, score)
    if spam or courtesy:
        chance = 0.05
    reach = _reach(item)
    found = _Findings(sentiment, intent, chance, flags, spam, courtesy, reach)
    verdict, why = _verdict(item, found)
    queue_hint = QUEUE_BY_TOPIC.get(topic, "general")
    actionable = verdict in ("respond", "escalate")
    return Judgement(
        language=language,
        language_confidence=round(confidence, 2),
        sentiment=sentiment,
        sentiment_words=tone_words,
        topic=topic,
        topic_words=topic_words,
        queue_hint=queue_hint,
        intent=intent,
        actionable=actionable,
        actionable_confidence=max(chance, 0.9) if verdict == "escalate" else chance,
        spam=spam,
        spam_signs=spam_signs,
        courtesy=courtesy,
        urgency=flags,
        verdict=verdict,
        reasons=[
            f"{MODEL}, first version",
            f"{verdict}: {why}",
            *_word_reasons("tone", text, tone_words),
            *_word_reasons(f"topic {topic}", text, topic_words),
        ],
        parts={
            "urgency": _urgency(flags, hits, intent),
            "sentiment": None if sentiment is None else max(0.0, -sentiment),
            "reach": reach,
            "value": None,
        },
        required_skills=[] if queue_hint == "general" else [queue_hint],
    )


def _word_reasons(what: str, text: str, spans: list) -> list:
    if not spans:
        return []
    return [f"{what} from: " + ", ".join([text[span[0] : span[1]][:40] for span in spans[:5]])]


def sentiment_class(score: float | None) -> str:
    """Negative, neutral or positive; no score is neutral."""
    if score is None or NEGATIVE < score < POSITIVE:
        return "neutral"
    return "negative" if score <= NEGATIVE else "positive"


def judge(items: list[Item]) -> list[Judgement]:
    """A list of items in, a judgement for each out, in the same order. Never raises on a text."""
    return [_judge(item) for item in items]
