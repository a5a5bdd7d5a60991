"""`manage.py judge`: any labelled CSV in any column names; files that cannot be read are refused clearly."""

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from socialcare import labels
from socialcare.services import trials

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
TONES = [
    ("@acme the WORST service ever, my order is broken and nobody answers", "negative"),
    ("@acme terrible, I hate waiting for hours", "negative"),
    ("@acme opens at nine tomorrow", "neutral"),
    ("@acme which gate is it?", "neutral"),
    ("@acme I love it, great job, thank you so much!", "positive"),
    ("@acme awesome crew, excellent flight", "positive"),
]


@pytest.fixture
def table(tmp_path):
    """Writes rows as a CSV and says where."""

    def write(
        rows: list[tuple], header: tuple[str, ...] = ("what was said", "tone"), name="own.csv", **style
    ):
        path = tmp_path / name
        with path.open("w", newline="", encoding=style.pop("encoding", "utf-8")) as file:
            writer = csv.writer(file, **style)
            writer.writerows([header, *rows])
        return path

    return write


def judge(path: Path, *options: str, text: str = "what was said") -> dict:
    out = StringIO()
    call_command("judge", str(path), "--text", text, *options, "--json", stdout=out)
    return json.loads(out.getvalue())


def refused(path: Path, *options: str, text: str = "what was said") -> str:
    with pytest.raises(CommandError) as error:
        judge(path, *options, text=text)
    return str(error.value)


# ---------------------------------------------------------------- answers and figures


def test_without_labels_every_text_gets_an_answer_and_how_sure_it_is(table):
    result = judge(table(TONES))
    assert result["n"] == len(TONES) == len(result["answers"])
    assert [one["answer"] for one in result["answers"]] == [tone for _, tone in TONES]
    assert all(0 <= one["confidence"] <= 1 for one in result["answers"])
    assert result["texts_per_second"] > 0


@pytest.mark.parametrize(
    "spelling",
    [
        {"negative": "0", "neutral": "1", "positive": "2"},
        {"negative": "-1", "neutral": "0", "positive": "1"},
        {"negative": "Neg", "neutral": "NEU", "positive": "Pos"},
        {"negative": "1.0", "neutral": "3.0", "positive": "5.0"},
    ],
)
def test_labels_are_understood_in_any_usual_spelling_and_come_back_as_written(table, spelling):
    result = judge(table([(text, spelling[tone]) for text, tone in TONES]), "--label", "tone")
    assert result["accuracy"] == result["macro_f1"] == 1
    assert set(result["per_class"]) == set(spelling.values())
    assert all(one["n"] == 2 for one in result["per_class"].values())


def test_figures_are_those_of_the_definition():
    truth = ["a", "a", "a", "b", "b", "c"]
    answers = ["a", "a", "b", "b", "unknown", "a"]
    result = trials.score(truth, answers)
    assert result["n"] == 6
    assert result["accuracy"] == 0.5
    # By hand: a has precision 2/3 and recall 2/3, b 1/2 and 1/2, c none; `unknown` is wrong, and no class.
    assert [result["per_class"][one]["f1"] for one in "abc"] == [0.6667, 0.5, 0.0]
    assert result["macro_f1"] == round((0.6667 + 0.5 + 0.0) / 3, 4)


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        ("complaint", [("my parcel is broken, I am so disappointed", "1"), ("hello there", "0")]),
        (
            "spam",
            [("Get free followers! Click here http://spam.example", "spam"), ("see you at noon", "ham")],
        ),
        (
            "language",
            [("Der Service ist leider nicht gut und ich warte noch", "German"), ("نعم شكرا لكم", "ar")],
        ),
        ("intent", [("how do I reset my password?", "question"), ("asdf", "oos")]),
    ],
)
def test_every_task_has_an_answer_before_any_correction(table, task, rows):
    result = judge(table(rows), "--label", "tone", "--task", task)
    assert result["accuracy"] == 1
    assert set(result["per_class"]) == {label for _, label in rows}


def test_intents_out_of_scope_are_counted_apart(table):
    result = judge(
        table([("how do I pay?", "question"), ("asdf", "oos")]), "--label", "tone", "--task", "intent"
    )
    assert result["in_scope"] == {"n": 1, "accuracy": 1}
    assert result["out_of_scope"] == {"n": 1, "recall": 1}


def test_rows_without_a_label_are_left_out_and_counted(table):
    result = judge(table([*TONES, ("whatever", " ")]), "--label", "tone")
    assert (result["n"], result["unlabelled"]) == (len(TONES), 1)


def test_a_language_column_holds_codes_tags_or_names(table):
    path = table([("x", "Portuguese"), ("x", "pt-BR"), ("x", "deu"), ("x", "")])
    found = trials.read(path, trials.Columns("what was said", language="tone"))
    assert found.languages == ["pt", "pt", "de", None]


def test_the_label_of_the_language_task_is_not_whispered_to_triage(table):
    result = judge(table([("ok", "xx")]), "--label", "tone", "--lang", "tone", "--task", "language")
    assert result["accuracy"] == 0


@pytest.mark.parametrize(
    "style", [{"delimiter": ";"}, {"delimiter": "\t"}, {"encoding": "utf-16"}, {"encoding": "utf-8-sig"}]
)
def test_tables_of_spreadsheets_are_read(table, style):
    assert judge(table(TONES, **style), "--label", "tone")["accuracy"] == 1


def test_long_cells_line_breaks_and_nul_signs_are_texts(table):
    result = judge(
        table([("a" * 400_000, "neutral"), ("two\nlines \x00 \ufeff", "neutral"), ("", "neutral")]),
        "--label",
        "tone",
    )
    assert result["accuracy"] == 1


# ---------------------------------------------------------------- what is refused


def test_what_cannot_be_read_is_refused_with_the_reason(table, tmp_path):
    assert "No such file" in refused(tmp_path / "none.csv")
    assert "Is a directory" in refused(tmp_path)
    (empty := tmp_path / "empty.csv").write_text("")
    assert "is empty" in refused(empty)
    (binary := tmp_path / "binary.csv").write_bytes(b"what was said\n\xff\xfe\x00")
    assert "is not UTF-8: invalid start byte at byte 14" in refused(binary)
    assert "holds no row" in refused(table([]))
    assert "holds no row with a label" in refused(table([("x", "")]), "--label", "tone")
    (ragged := tmp_path / "ragged.csv").write_text("what was said,tone\na,b\nc\n")
    assert "record 3: 1 cells, but the header names 2" in refused(ragged)
    (huge := tmp_path / "huge.csv").write_text("what was said\n" + "x" * (trials.LONGEST_CELL + 1))
    assert "line 2: field larger than field limit" in refused(huge)


def test_a_column_that_is_missing_or_named_twice_is_refused(table):
    assert "no column 'nope'; its first line names 'what was said', 'tone'" in refused(
        table(TONES), text="nope"
    )
    assert "the column 'what was said' twice" in refused(
        table(TONES, header=("what was said", "what was said"))
    )


def test_labels_that_are_no_answers_of_the_task_are_refused(table):
    message = refused(table([("x", "furious"), ("y", "positive")]), "--label", "tone")
    assert message.startswith("'furious': not a label of the task sentiment")


def test_a_binary_scale_of_sentiment_is_bad_and_good():
    assert labels.Labels("sentiment", ["0", "1"]).meaning == {"0": "negative", "1": "positive"}


def test_it_runs_without_services_and_without_a_database(table, tmp_path):
    command = [
        sys.executable,
        "manage.py",
        "judge",
        str(table(TONES)),
        "--text",
        "what was said",
        "--label",
        "tone",
        "--json",
    ]
    home = tmp_path / "home"
    environ = {"PATH": "/usr/bin:/bin", "EARSHOT_HOME": str(home)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == len(TONES)
    assert not (home / "postgres").exists()


# ---------------------------------------------------------------- learning


def lesson(count: int) -> list[tuple]:
    """Sentences of a centre whose codes no first model can know."""
    parcels = [
        "where is my parcel {}",
        "parcel {} has not come",
        "the courier lost package {}",
        "track order {} please",
    ]
    money = [
        "refund invoice {} please",
        "you charged card {} twice",
        "I was billed {} euros too much",
        "bill {} is wrong",
    ]
    rows = [(text.format(n), "PARCEL-7") for n in range(count) for text in parcels]
    return rows + [(text.format(n), "MONEY-2") for n in range(count) for text in money]


QUESTIONS = [("when does the parcel arrive", "PARCEL-7"), ("my card was billed twice", "MONEY-2")]


def test_answers_are_learned_from_another_table_of_the_same_columns(table):
    taught = table(lesson(5), name="taught.csv")
    result = judge(table(QUESTIONS), "--label", "tone", "--task", "intent", "--learn", str(taught))
    assert result["accuracy"] == 1
    assert judge(table(QUESTIONS), "--label", "tone", "--task", "intent")["accuracy"] == 0


def test_what_looks_like_nothing_learned_is_unknown_in_the_words_of_the_file(table):
    strange = [("what is the capital of peru", "oos"), ("sing me a song", "oos"), ("is it raining", "oos")]
    more = [(f"tell me a joke about {animal}", "oos") for animal in ("cats", "dogs", "cows", "bees")]
    taught = table([*lesson(5), *strange, *more], name="taught.csv")
    asked = [
        *QUESTIONS,
        ("sing me another song", "out_of_scope"),
        ("what is the capital of chile", "out_of_scope"),
    ]
    result = judge(table(asked), "--label", "tone", "--task", "intent", "--learn", str(taught))
    assert result["out_of_scope"] == {"n": 2, "recall": 1}
    assert result["in_scope"] == {"n": 2, "accuracy": 1}
    assert set(result["per_class"]) == {"PARCEL-7", "MONEY-2", "out_of_scope"}


def test_both_files_may_spell_their_labels_differently(table):
    taught = table(
        [("quasi splendid", "2"), ("quasi dreadful", "0"), ("quasi there", "1")] * 4, name="taught.csv"
    )
    result = judge(table(TONES), "--label", "tone", "--learn", str(taught))
    assert set(result["per_class"]) == {"negative", "neutral", "positive"}


def test_a_few_examples_do_not_outvote_the_first_model(table):
    taught = table([("grey weather", "positive"), ("a table", "negative")], name="taught.csv")
    assert judge(table(TONES), "--label", "tone", "--learn", str(taught))["accuracy"] == 1


def test_learning_is_refused_without_right_answers(table):
    path = table(TONES)
    assert "--learn needs --label" in refused(path, "--learn", str(path))
    same = table([("a", "positive"), ("b", "positive")], name="same.csv")
    assert "at least two different labels" in refused(path, "--label", "tone", "--learn", str(same))
    assert "No such file" in refused(path, "--label", "tone", "--learn", str(path.parent / "none.csv"))
