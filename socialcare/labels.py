"""How people write the answers that triage gives: `2`, `pos`, `Positive` are one. Pure."""

from collections import Counter
from collections.abc import Iterable

SENTIMENTS = ("negative", "neutral", "positive")
UNKNOWN = "unknown"
YES, NO = "yes", "no"

_SENTIMENT_WORDS = {
    "negative": "negative neg negativ negativo bad -1 very_negative",
    "neutral": "neutral neu none mixed neutro neutre",
    "positive": "positive pos positiv positivo good very_positive",
}
_SENTIMENT_SCALES = (  # the numbers that occur tell the scale
    {"0": "negative", "1": "positive"},
    {"0": "negative", "1": "neutral", "2": "positive"},
    {"-1": "negative", "0": "neutral", "1": "positive"},
    {"0": "negative", "2": "neutral", "4": "positive"},
    {"1": "negative", "2": "negative", "3": "neutral", "4": "positive", "5": "positive"},
)
_YES = {"1", "yes", "y", "true", "t", "on", "positive"}
_NO = {"0", "no", "n", "false", "f", "off", "none", "negative", "-1"}
_OWN_YES = {
    "complaint": {"complaint", "complaints", "is_complaint"},
    "spam": {"spam", "junk", "is_spam"},
}
_OWN_NO = {
    "complaint": {"not_complaint", "no_complaint", "non_complaint", "not_a_complaint", "other"},
    "spam": {"ham", "not_spam", "no_spam", "non_spam", "legit", "legitimate", "ok"},
}
_OUT_OF_SCOPE = {"unknown", "oos", "out_of_scope", "ood", "out_of_domain", "outofscope", "no_intent"}
_LANGUAGES = {
    "ar": "arabic ara", "bg": "bulgarian bul", "bn": "bengali ben bangla", "ca": "catalan cat", "cs": "czech ces cze",
    "da": "danish dan", "de": "german deu ger deutsch", "el": "greek ell gre modern_greek", "en": "english eng",
    "es": "spanish spa español espanol castilian", "et": "estonian est", "fa": "persian fas per farsi", "fi": "finnish fin",
    "fr": "french fra fre français francais", "he": "hebrew heb iw", "hi": "hindi hin", "hr": "croatian hrv",
    "hu": "hungarian hun", "id": "indonesian ind", "it": "italian ita italiano", "ja": "japanese jpn", "ko": "korean kor",
    "lt": "lithuanian lit", "lv": "latvian lav", "nl": "dutch nld dut nederlands", "no": "norwegian nor nb nn nob nno",
    "pl": "polish pol", "pt": "portuguese por português portugues", "ro": "romanian ron rum", "ru": "russian rus",
    "sk": "slovak slk slo", "sl": "slovenian slv", "sr": "serbian srp", "sv": "swedish swe", "sw": "swahili swa",
    "ta": "tamil tam", "th": "thai tha", "tr": "turkish tur", "uk": "ukrainian ukr", "ur": "urdu urd",
    "vi": "vietnamese vie", "zh": "chinese zho chi mandarin zh_cn zh_tw",
    "und": "undefined unknown",
}  # fmt: skip
_LANGUAGE_BY_NAME = {name: code for code, names in _LANGUAGES.items() for name in names.split()}


class UnknownLabel(ValueError):
    """Labels that are no answers of the task."""


def _plain(label: str) -> str:
    return "_".join(label.lower().split())


def language(name: str) -> str:
    """The code of a language given as a code, a tag (`pt-BR`) or a name (`Portuguese`); others come back as given."""
    plain = _plain(name).replace("-", "_")
    if plain in _LANGUAGE_BY_NAME:
        return _LANGUAGE_BY_NAME[plain]
    main = plain.partition("_")[0]
    return _LANGUAGE_BY_NAME.get(main, main if len(main) == 2 else plain)


def _number(plain: str) -> str:
    """`1.0` and `+1` as `1`; what is no whole number as it is."""
    try:
        value = float(plain)
    except ValueError:
        return plain
    return str(int(value)) if value == value and abs(value) < 1e6 and value == int(value) else plain


def _sentiments(found: set[str]) -> dict[str, str]:
    words = {word: sense for sense, many in _SENTIMENT_WORDS.items() for word in many.split()}
    numbers = {label for label in found if label.lstrip("-").isdigit()}
    scale = next((one for one in _SENTIMENT_SCALES if numbers and numbers <= one.keys()), {})
    return {**words, **scale}


def _yes_or_no(task: str) -> dict[str, str]:
    return {
        **dict.fromkeys(_YES | _OWN_YES[task], YES),
        **dict.fromkeys(_NO | _OWN_NO[task], NO),
    }


def _meanings(task: str, found: set[str]) -> dict[str, str]:
    """Spelling → answer, for the spellings that occur."""
    if task == "language":
        return {label: language(label) for label in found}
    if task == "intent":
        return {label: UNKNOWN if label.replace("-", "_") in _OUT_OF_SCOPE else label for label in found}
    known = _sentiments(found) if task == "sentiment" else _yes_or_no(task)
    meant = {label: known.get(label.replace("-", "_"), known.get(label)) for label in found}
    strange = sorted(label for label, sense in meant.items() if sense is None)
    if strange:
        accepted = "negative, neutral, positive or 0, 1, 2" if task == "sentiment" else "0, 1, yes, no"
        raise UnknownLabel(
            f"{', '.join(repr(one[:40]) for one in strange[:5])}{' and others' if len(strange) > 5 else ''}: "
            f"not a label of the task {task} (known are {accepted})"
        )
    return meant


class Labels:
    """The labels of one file: what each means, and how this file spells an answer."""

    def __init__(self, task: str, written: Iterable[str], also: Iterable[str] = ()) -> None:
        """`also`: labels of another file on the same scale; they mean something here and are never written."""
        counts = Counter(written)
        plain = {label: self._spelling(task, label) for label in {*counts, *also}}
        meant = _meanings(task, set(plain.values()))
        self.meaning = {label: meant[spelling] for label, spelling in plain.items()}
        self._written: dict[str, str] = {}
        for label, _ in counts.most_common():
            self._written.setdefault(self.meaning[label], label)

    @staticmethod
    def _spelling(task: str, label: str) -> str:
        # Intents are a centre's own codes: only their surrounding blanks mean nothing.
        if task == "intent":
            plain = _plain(label)
            return plain if plain.replace("-", "_") in _OUT_OF_SCOPE else label.strip()
        return _number(_plain(label))

    def written(self, answer: str) -> str:
        """An answer in this file's words, or as it is when the file knows no word for it."""
        return self._written.get(answer, answer)
