"""A model that learns answers from examples: words, pieces of words, the encoder and what the first model saw.

Two logistic regressions, one over n-grams and one over the encoder's numbers, are averaged in their logarithms; they err
differently. A task with few examples leans on the first model, `FIRST_COUNTS` examples weigh as much as it. Fitting needs
scikit-learn, answering only numpy. Pure.
"""

import io
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from socialcare import encoder, triage
from socialcare.labels import NO, SENTIMENTS, UNKNOWN, YES

FORMAT = 1
FIRST_COUNTS = 100  # examples; as much as the first model is worth
FEW_CLASSES = 12  # up to here rare classes are weighed up
MOST_GRAMS = 120_000
LEAST_OUTSIDE = 5  # examples out of scope from which a threshold can be read
OUTSIDE_FOUND = 0.82  # share of the examples out of scope that the threshold holds back
LONGEST = 2_000  # signs that are read

ANSWERS = {"sentiment": SENTIMENTS, "complaint": (NO, YES), "spam": (NO, YES)}
_NEVER = -30.0

_LINK = re.compile(r"(?:https?://|www\.)\S+")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,30})+")
_HANDLE = re.compile(r"@\w+")
_DIGITS = re.compile(r"\d(?:[ .-]?\d){4,}")
_MASK = re.compile(r"@user|@mail|http")  # says nothing to the encoder and costs it time
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[!?]+|[^\w\s]")
_PIECES = (2, 3, 4, 5)


class CannotLearn(ValueError):
    """The examples, or this installation, do not allow it; the message says why."""


def masked(text: str) -> str:
    """The text without what could name a person: addresses, handles, links and long numbers become signs."""
    text = _ADDRESS.sub("@mail", text[:LONGEST])
    text = _LINK.sub("http", text)
    return _HANDLE.sub(lambda hit: hit[0] if hit[0] == "@mail" else "@user", _DIGITS.sub("00000", text))


# ---------------------------------------------------------------- features


@lru_cache(maxsize=100_000)
def _pieces(word: str) -> tuple[str, ...]:
    """Pieces of 2 to 5 signs of a word with its blanks."""
    padded = f" {word[:40]} "
    return tuple(padded[at : at + size] for size in _PIECES for at in range(len(padded) - size + 1))


def _grams(text: str) -> tuple[Counter, Counter]:
    """Words and pairs of words; pieces of words."""
    words = _WORD.findall(text.lower())[:400]
    pairs = [f"{one} {other}" for one, other in zip(words, words[1:], strict=False)]
    pieces: Counter = Counter()
    for word in words:
        pieces.update(_pieces(word))
    return Counter([f"={word}" for word in words] + pairs), pieces


_INTENTS = ("complaint", "question", "praise", "request")


def _seen(said: triage.Judgement, text: str) -> list[float]:
    """What the first model saw, as numbers of about the same size."""
    score = said.sentiment or 0.0
    letters = sum(map(str.isalpha, text)) or 1
    return [
        score,
        abs(score),
        float(said.sentiment is None),
        *(float(said.intent == one) for one in _INTENTS),
        float(said.spam),
        min(3, said.spam_signs) / 3,
        said.actionable_confidence,
        float(any(said.urgency.values())),
        float(said.topic != "general"),
        float("?" in text),
        float("!" in text),
        min(3, text.count("http") + text.count("www.")) / 3,
        min(3, text.count("#")) / 3,
        min(3, text.count("@")) / 3,
        min(1.0, math.log1p(len(text)) / 7),
        sum(map(str.isupper, text)) / letters,
    ]


SEEN = 19


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what the first model saw in it, and what it would answer and how sure."""

    text: str
    said: triage.Judgement
    first: tuple[str, float] | None = None


def _dense(examples: Sequence[Example], texts: Sequence[str], encoded: bool) -> np.ndarray:
    seen = (
        np.array([_seen(one.said, one.text) for one in examples], np.float32).reshape(len(examples), SEEN) / 3
    )
    return np.hstack([encoder.encoder().encode(texts), seen]) if encoded else seen


# ---------------------------------------------------------------- model


@dataclass(slots=True)
class Model:
    """What was learned; `threshold` is the score under which an intent is unknown."""

    task: str
    labels: list[str]
    grams: dict[str, int]
    weights: np.ndarray  # of grams: one row each, inverse document frequency included in `rarity`
    rarity: np.ndarray
    bias: np.ndarray
    dense_weights: np.ndarray
    dense_bias: np.ndarray
    encoded: bool
    examples: int
    threshold: float | None = None
    about: dict = field(default_factory=dict)

    def chances(self, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        """Chance of each label, and how familiar each text looks (the score that `threshold` is held against)."""
        texts = [masked(one.text) for one in examples]
        by_grams = np.array([self._by_grams(text) for text in texts]) + self.bias
        by_meaning = _dense(examples, texts, self.encoded) @ self.dense_weights + self.dense_bias
        familiar = ((by_grams + by_meaning) / 2).max(axis=1)
        learned = _normalised((_log_chances(by_grams) + _log_chances(by_meaning)) / 2)
        share = self.examples / (self.examples + FIRST_COUNTS)
        for row, one in enumerate(examples):
            if one.first and one.first[0] in self.labels:
                learned[row] = share * learned[row] + (1 - share) * self._first(*one.first)
        return learned, familiar

    def _first(self, label: str, sure: float) -> np.ndarray:
        """The first model's answer as chances."""
        chances = np.full(len(self.labels), (1 - sure) / max(1, len(self.labels) - 1))
        chances[self.labels.index(label)] = sure
        return chances

    def answer(self, examples: Sequence[Example]) -> list[tuple[str, float]]:
        """The likeliest label of each with its chance; `unknown` for what looks like nothing learned."""
        if not examples:
            return []
        chances, familiar = self.chances(examples)
        best = chances.argmax(axis=1)
        return [
            (UNKNOWN, 0.5)
            if self.threshold is not None and familiar[row] < self.threshold
            else (self.labels[one], float(chances[row, one]))
            for row, one in enumerate(best)
        ]

    def _by_grams(self, text: str) -> np.ndarray:
        total = np.zeros(len(self.labels), np.float32)
        for counts in _grams(text):
            places, values = _row(counts, self.grams, self.rarity)
            if places:
                total += np.asarray(values, np.float32) @ self.weights[places]
        return total

    def dump(self) -> bytes:
        """As bytes without code: numbers and JSON."""
        head = {
            "format": FORMAT, "task": self.task, "labels": self.labels, "encoded": self.encoded,
            "examples": self.examples, "threshold": self.threshold, "about": self.about,
            "grams": list(self.grams),
        }  # fmt: skip
        file = io.BytesIO()
        np.savez_compressed(
            file,
            head=np.frombuffer(json.dumps(head).encode(), np.uint8),
            weights=self.weights.astype(np.float16),
            rarity=self.rarity.astype(np.float16),
            bias=self.bias,
            dense_weights=self.dense_weights,
            dense_bias=self.dense_bias,
        )
        return file.getvalue()


def load(stored: bytes) -> Model:
    """A model from `dump`; ValueError for bytes that are none or of another format."""
    with np.load(io.BytesIO(stored), allow_pickle=False) as parts:
        head = json.loads(parts["head"].tobytes())
        if head.pop("format") != FORMAT:
            raise ValueError("a model of another format: learn again")
        grams = {gram: place for place, gram in enumerate(head.pop("grams"))}
        return Model(
            grams=grams,
            weights=parts["weights"].astype(np.float32),
            rarity=parts["rarity"].astype(np.float32),
            bias=parts["bias"],
            dense_weights=parts["dense_weights"],
            dense_bias=parts["dense_bias"],
            **head,
        )


def _row(counts: Counter, grams: dict[str, int], rarity: np.ndarray) -> tuple[list[int], list[float]]:
    """Places and values of length 1 of the known grams: 1 + log of the count, times rarity."""
    places, values, length = [], [], 0.0
    for gram, count in counts.items():
        place = grams.get(gram)
        if place is None:
            continue
        value = float(rarity[place]) * (1 + math.log(count) if count > 1 else 1.0)
        places.append(place)
        values.append(value)
        length += value * value
    if not length:
        return [], []
    length = math.sqrt(length)
    return places, [value / length for value in values]


def _log_chances(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _normalised(logs: np.ndarray) -> np.ndarray:
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- learning


def fit(task: str, examples: Sequence[Example], labels: Sequence[str]) -> Model:
    """Learn from examples with their right labels; rows labelled `unknown` only set the threshold.

    Raises CannotLearn without scikit-learn or with fewer than two different labels.
    """
    if find_spec("sklearn") is None:
        raise CannotLearn("learning needs scikit-learn: pip install scikit-learn")
    inside = [place for place, label in enumerate(labels) if label != UNKNOWN]
    outside = [place for place, label in enumerate(labels) if label == UNKNOWN]
    names = sorted({labels[place] for place in inside})
    if len(names) < 2:
        raise CannotLearn("learning needs examples of at least two different labels")
    model = _fit(task, [examples[place] for place in inside], [labels[place] for place in inside], names)
    _complete(model)
    if len(outside) >= LEAST_OUTSIDE:
        _, familiar = model.chances([examples[place] for place in outside])
        model.threshold = float(np.quantile(familiar, OUTSIDE_FOUND))
    return model


def _fit(task: str, examples: list[Example], labels: list[str], names: list[str]) -> Model:
    texts = [masked(one.text) for one in examples]
    counted = [_grams(text) for text in texts]
    grams, rarity = _vocabulary(counted)
    few = len(names) <= FEW_CLASSES
    encoded = encoder.available()
    wanted = np.array([names.index(label) for label in labels])
    weights, bias = _regress(
        _matrix(counted, grams, rarity), wanted, 3 if few else 10, "balanced" if few else None
    )
    dense_weights, dense_bias = _regress(_dense(examples, texts, encoded), wanted, 5 if few else 30, None)
    return Model(
        task,
        names,
        grams,
        weights,
        rarity,
        bias,
        dense_weights,
        dense_bias,
        encoded=encoded,
        examples=len(examples),
    )


def _complete(model: Model) -> None:
    """Answers of the task without an example stay possible: the first model may give them."""
    for label in ANSWERS.get(model.task, ()):
        if label not in model.labels:
            model.labels.append(label)
            model.weights = np.pad(model.weights, ((0, 0), (0, 1)))
            model.dense_weights = np.pad(model.dense_weights, ((0, 0), (0, 1)))
            model.bias = np.append(model.bias, np.float32(_NEVER))
            model.dense_bias = np.append(model.dense_bias, np.float32(_NEVER))


def _vocabulary(counted: list[tuple[Counter, Counter]]) -> tuple[dict[str, int], np.ndarray]:
    """Grams that occur in two texts (one, when there are few), with their rarity: log((1 + n) / (1 + texts)) + 1."""
    spread: Counter = Counter()
    for words, pieces in counted:
        spread.update(words.keys())
        spread.update(pieces.keys())
    least = 2 if len(counted) > 200 else 1
    kept = [(gram, texts) for gram, texts in spread.most_common(MOST_GRAMS) if texts >= least]
    rarity = [math.log((1 + len(counted)) / (1 + texts)) + 1 for _, texts in kept]
    return {gram: place for place, (gram, _) in enumerate(kept)}, np.array(rarity, np.float32)


def _matrix(counted: list[tuple[Counter, Counter]], grams: dict[str, int], rarity: np.ndarray):
    places: list[int] = []
    values: list[float] = []
    ends = [0]
    for words, pieces in counted:
        for counts in (words, pieces):
            row_places, row_values = _row(counts, grams, rarity)
            places += row_places
            values += row_values
        ends.append(len(places))
    sparse = import_module("scipy.sparse")
    shape = (len(counted), len(grams))
    return sparse.csr_matrix((np.array(values, np.float32), np.array(places), np.array(ends)), shape=shape)


def _regress(
    features, wanted: np.ndarray, softness: float, weighing: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (features x labels) and biases of a logistic regression."""
    linear = import_module("sklearn.linear_model")
    fitted = linear.LogisticRegression(C=softness, class_weight=weighing, max_iter=200, tol=1e-3)
    fitted.fit(features, wanted)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:  # two labels: one row of scores, for the second
        weights = np.hstack([-weights / 2, weights / 2])
        bias = np.array([-bias[0] / 2, bias[0] / 2])
    return weights.astype(np.float32), bias.astype(np.float32)
