"""Trials: triage over a file of anybody's texts, and how often it is right."""

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from socialcare import labels, learning, triage
from socialcare.labels import NO, UNKNOWN, YES, Labels, UnknownLabel
from socialcare.learning import CannotLearn

TASKS = ("sentiment", "complaint", "intent", "spam", "language")
LEANING = ("sentiment", "complaint", "spam", "language")  # whose answers are the same words in every centre
BATCH = 1_000
LONGEST_CELL = 10_000_000  # signs; the csv module's own limit is smaller than some mails
MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


class BadTable(ValueError):
    """A file that cannot be read as asked; the message says what is wrong and where."""


@dataclass(slots=True)
class Table:
    """The columns asked for, row by row; `labels` and `languages` are empty when no such column was named."""

    name: str
    texts: list[str]
    labels: list[str] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    unlabelled: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a table."""

    text: str
    label: str | None = None
    language: str | None = None

    @property
    def named(self) -> list[str]:
        """Those that were asked for."""
        return [one for one in (self.text, self.label, self.language) if one]


# ---------------------------------------------------------------- reading


def read(path: Path, columns: Columns) -> Table:
    """A CSV (UTF-8 or UTF-16 with mark, comma, semicolon or tab) as a table; rows without a label are left out.

    Raises BadTable for what cannot be opened, decoded or understood.
    """
    rows = _rows(path, columns)
    header = next(rows)
    places = [header.index(one) for one in columns.named]
    table = Table(path.name, [])
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise BadTable(
                f"{path.name}, record {number}: {len(row)} cells, but the header names {len(header)}"
            )
        _take(table, columns, dict(zip(columns.named, [row[place] for place in places], strict=True)))
    if not table.texts:
        raise BadTable(f"{path.name} holds no row{' with a label' if table.unlabelled else ''}")
    return table


def _take(table: Table, columns: Columns, cells: dict[str, str]) -> None:
    if columns.label:
        if not cells[columns.label].strip():
            table.unlabelled += 1
            return
        table.labels.append(cells[columns.label].strip())
    if columns.language:
        name = cells[columns.language].strip()
        table.languages.append(labels.language(name) if name else None)
    table.texts.append(cells[columns.text])


def _decoded(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadTable(f"{path}: {error.strerror or error}") from error
    coding = next((coding for mark, coding in MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(coding)
    except UnicodeDecodeError as error:
        raise BadTable(
            f"{path.name} is not {coding.upper()}: {error.reason} at byte {error.start}"
        ) from error


def _rows(path: Path, columns: Columns) -> Iterator[list[str]]:
    """The header, with blanks around names taken off, then the rows."""
    text = _decoded(path).replace("\x00", "")
    first = text.lstrip("\r\n").partition("\n")[0]
    if not first.strip():
        raise BadTable(f"{path.name} is empty")
    for delimiter in (",", ";", "\t"):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        csv.field_size_limit(LONGEST_CELL)
        header = [name.strip() for name in _next(reader, path)]
        if set(columns.named) <= set(header):
            break
    else:
        _refuse_header(path, columns, first)
    twice = [name for name, count in Counter(header).items() if count > 1 and name in columns.named]
    if twice:
        raise BadTable(f"{path.name} names the column {twice[0]!r} twice")
    yield header
    while (row := _next(reader, path)) is not None:
        yield row


def _next(reader: Iterator[list[str]], path: Path) -> list[str] | None:
    try:
        for row in reader:
            return row
    except csv.Error as error:
        raise BadTable(f"{path.name}, line {getattr(reader, 'line_num', '?')}: {error}") from error
    return None


def _refuse_header(path: Path, columns: Columns, first: str) -> None:
    header = [name.strip() for name in next(csv.reader([first]), [])]
    missing = [one for one in columns.named if one not in header]
    found = ", ".join(repr(one[:40]) for one in header[:20])
    raise BadTable(f"{path.name} has no column {missing[0][:60]!r}; its first line names {found}")


# ---------------------------------------------------------------- answering

Answer = tuple[str, float]  # and how sure, 0 to 1
Judge = Callable[[list[str], list[str | None]], list[Answer]]


def _of_sentiment(said: triage.Judgement) -> Answer:
    score = said.sentiment
    return triage.sentiment_class(score), min(1.0, 0.5 + abs(score or 0.0) / 2)


def _of_complaint(said: triage.Judgement) -> Answer:
    return (YES if said.intent == "complaint" else NO), 0.5


def _of_intent(said: triage.Judgement) -> Answer:
    return (said.intent if said.intent != "noise" else UNKNOWN), 0.5


def _of_spam(said: triage.Judgement) -> Answer:
    return (YES if said.spam else NO), 0.5


def _of_language(said: triage.Judgement) -> Answer:
    return said.language, said.language_confidence


_OF_TASK = {
    "sentiment": _of_sentiment,
    "complaint": _of_complaint,
    "intent": _of_intent,
    "spam": _of_spam,
    "language": _of_language,
}


def shipped(task: str) -> Judge:
    """Triage as it is delivered, before any correction."""
    of_task = _OF_TASK[task]
    triage.warm_up()

    def judge(texts: list[str], languages: list[str | None]) -> list[Answer]:
        items = [triage.Item(text, lang=lang) for text, lang in zip(texts, languages, strict=True)]
        return [of_task(said) for said in triage.judge(items)]

    return judge


def _examples(task: str, texts: list[str], languages: list[str | None]) -> list[learning.Example]:
    items = [triage.Item(text, lang=lang) for text, lang in zip(texts, languages, strict=True)]
    of_task = _OF_TASK[task]
    return [
        learning.Example(item.text[: triage.LONGEST], said, of_task(said) if task in LEANING else None)
        for item, said in zip(items, triage.judge(items), strict=True)
    ]


def learned(table: Table, task: str, also: list[str]) -> Judge:
    """Triage after learning from a labelled table; the model is gone with its judge.

    `also`: labels of the file that will be judged, so that one scale is read for both. Raises CannotLearn.
    """
    triage.warm_up()
    words = Labels(task, table.labels, also)
    examples = _examples(task, table.texts, _languages(table, task))
    model = learning.fit(task, examples, [words.meaning[label] for label in table.labels])

    def judge(texts: list[str], languages: list[str | None]) -> list[Answer]:
        return model.answer(_examples(task, texts, languages))

    return judge


def _languages(table: Table, task: str) -> list[str | None]:
    """What the columns say of the language; never for the task that asks for it."""
    return table.languages if table.languages and task != "language" else [None] * len(table.texts)


# ---------------------------------------------------------------- scoring


def score(truth: list[str], answers: list[str]) -> dict:
    """`n, accuracy, macro_f1, per_class` of answers against the truth.

    A class counts in macro-F1 if it occurs in the truth; answers outside of it are wrong, and no class of their own.
    """
    right = Counter(one for one, answer in zip(truth, answers, strict=True) if one == answer)
    wanted, given = Counter(truth), Counter(answers)
    per_class = {}
    for one in sorted(wanted):
        precision = right[one] / given[one] if given[one] else 0.0
        recall = right[one] / wanted[one]
        f1 = 2 * right[one] / (given[one] + wanted[one])
        per_class[one] = {
            "n": wanted[one],
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "f1": round(f1, 4),
        }
    return {
        "n": len(truth),
        "accuracy": round(sum(right.values()) / len(truth), 4),
        "macro_f1": round(sum(one["f1"] for one in per_class.values()) / len(per_class), 4),
        "per_class": per_class,
    }


def _scope(truth: list[str], answers: list[str]) -> dict:
    """For intents with rows out of scope: both halves of the bargain."""
    inside = [one == answer for one, answer in zip(truth, answers, strict=True) if one != UNKNOWN]
    outside = [answer == UNKNOWN for one, answer in zip(truth, answers, strict=True) if one == UNKNOWN]
    if not inside or not outside:
        return {}
    return {
        "in_scope": {"n": len(inside), "accuracy": round(sum(inside) / len(inside), 4)},
        "out_of_scope": {"n": len(outside), "recall": round(sum(outside) / len(outside), 4)},
    }


def run(
    table: Table, task: str, judge: Judge, progress: Callable[[int], object], also: Sequence[str] = ()
) -> dict:
    """Judge a table in batches; with labels how often it was right, without what was answered."""
    words = Labels(task, table.labels, also)
    languages = _languages(table, task)
    answers: list[Answer] = []
    seconds = processor = 0.0
    for at in range(0, len(table.texts), BATCH):
        started, worked = time.perf_counter(), time.process_time()
        answers += judge(table.texts[at : at + BATCH], languages[at : at + BATCH])
        seconds += time.perf_counter() - started
        processor += time.process_time() - worked
        progress(min(BATCH, len(table.texts) - at))
    result: dict = {"task": task, "n": len(answers)}
    if table.labels:
        truth = [words.meaning[label] for label in table.labels]
        given = [answer for answer, _ in answers]
        result |= score([words.written(one) for one in truth], [words.written(one) for one in given])
        result |= _scope(truth, given) if task == "intent" else {}
        result["unlabelled"] = table.unlabelled
    else:
        result["answers"] = [
            {"row": row, "answer": answer, "confidence": round(sure, 3)}
            for row, (answer, sure) in enumerate(answers, start=1)
        ]
        result["counts"] = dict(Counter(answer for answer, _ in answers).most_common())
    return result | {
        "seconds": round(seconds, 3),
        "texts_per_second": round(len(answers) / max(seconds, 1e-9)),
        "texts_per_processor_second": round(len(answers) / max(processor, 1e-9)),
    }


__all__ = [
    "TASKS",
    "BadTable",
    "CannotLearn",
    "Columns",
    "Table",
    "UnknownLabel",
    "learned",
    "read",
    "run",
    "score",
    "shipped",
]
