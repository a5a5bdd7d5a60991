"""Who is the same person: worked examples, properties, foreign files, and FEBRL where it is at hand."""

import csv
import io
import json
import random
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import matching
from crm.matching import Person, Population, Reader, Role, dates, likeness, linking, people
from crm.matching.likeness import Level
from crm.tables import UnreadableError, decoded, table_of

FEBRL = Path(__file__).resolve().parents[3] / "shared" / "data" / "febrl"
has_febrl = pytest.mark.skipif(not FEBRL.is_dir(), reason="../shared/data/febrl is absent")


# --- Normalisation


@pytest.mark.parametrize(
    ("said", "folded"),
    [
        ("  Müller-LÜDENSCHEIDT", "muller ludenscheidt"), ("O’Brien", "obrien"), ("Łukasz", "lukasz"),
        ("STRAßE", "strasse"), ("N/A", ""),
    ],
)  # fmt: skip
def test_names_are_folded_for_comparison(said, folded):
    assert people.fold(said) == folded


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("Dr. Anna Maria von Trapp", ("anna maria", "von trapp")),
        ("Trapp, Anna Maria", ("anna maria", "trapp")),
        ("Herr Prof. Klaus Kinski", ("klaus", "kinski")),
        ("Cher", ("", "cher")),
        ("", ("", "")),
    ],
)
def test_a_whole_name_is_taken_apart(said, parts):
    assert people.split_name(said) == parts


@pytest.mark.parametrize(
    ("said", "region", "key"),
    [
        ("+49 30 1234567", "", "+49301234567"),
        ("0049 (30) 123 45 67", "", "+49301234567"),
        ("030/1234567", "DE", "+49301234567"),
        ("030/1234567", "", "301234567"),
        ("000000", "", ""),
        ("call me", "DE", ""),
    ],
)
def test_phones_become_e164(said, region, key):
    assert people.phone_key(said, region) == key


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Bob.Smith+news@GoogleMail.com", "bobsmith@gmail.com"),
        ("BOB+x@example.org", "bob@example.org"),
        ("bob.smith@example.org", "bob.smith@example.org"),
        ("nobody", ""),
        ("a@b", ""),
    ],
)
def test_mail_has_one_spelling(said, key):
    assert people.email_key(said) == key


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("19800504", "19800504"), ("1980-05-04", "19800504"), ("04.05.1980", "19800504"), ("4 May 1980", "19800504"),
        ("May 4, 1980", "19800504"), ("05/24/1980", "19800524"), ("1980-05-04T00:00:00", "19800504"), ("1980", "19800000"),
    ],
)  # fmt: skip
def test_birth_dates_are_read_in_any_usual_order(said, digits):
    assert dates.read_date(said).digits == digits


def test_a_broken_date_keeps_its_digits_and_words_are_no_date():
    assert dates.read_date("19729518") == dates.Date(0, 0, 0, "19729518")
    assert dates.read_date("soon") is None


def test_a_column_with_a_day_in_second_place_is_read_month_first():
    reader = Reader(["name", "dob"], [Role.NAME, Role.BIRTH], [["a", "05/24/1980"], ["b", "05/04/1980"]])
    assert reader.read("1", ["b", "05/04/1980"]).birth.digits == "19800504"


# --- Likeness


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("william", "william", Level.SAME), ("william", "bill", Level.NICKNAME), ("sondergeld", "sondergld", Level.CLOSE),
        ("anna maria", "anna", Level.PART), ("j", "john", Level.INITIAL), ("ann", "bob", Level.DIFFERENT),
        ("lachlan john", "lachlanjohn", Level.SAME),
    ],
)  # fmt: skip
def test_names_are_alike_by_levels(one, other, level):
    assert likeness.names(one, other) == likeness.names(other, one) == level


def test_swapped_day_and_month_is_seen():
    assert likeness.births(dates.read_date("1980-05-04"), dates.read_date("1980-04-05")) == Level.SWAPPED
    assert likeness.births(dates.read_date("1980-05-04"), dates.read_date("1980-05-24")) == Level.CLOSE
    assert likeness.births(dates.read_date("1980-05-04"), dates.read_date("1961-11-30")) == Level.DIFFERENT


words = st.text("abcdefghij klmnö", max_size=12)


@given(words, words)
def test_likeness_does_not_depend_on_the_side(one, other):
    one, other = people.fold(one), people.fold(other)
    if one and other:
        assert likeness.names(one, other) == likeness.names(other, one)
        assert likeness.words(one, other) == likeness.words(other, one)
        assert likeness.names(one, one) == Level.SAME


@given(st.text(max_size=80))
def test_no_cell_breaks_the_reader(cell):
    row = [cell] * len(Role)
    person = Reader([str(role) for role in Role], list(Role), [row]).read("1", row)
    weighed = Population([person]).weigh(person, person)
    assert 0 <= weighed.score <= 1
    assert linking.keys(person) == linking.keys(person)


# --- Weighing


def someone(key: str = "1", **said: object) -> Person:
    return Person(key, **{"given": "zebediah", "surname": "trevorrow", **said})


def test_a_rare_name_counts_for_more_than_a_common_one():
    crowd = [Person(str(n), given="john", surname="smith") for n in range(50)] + [
        someone("50"),
        someone("51"),
    ]
    population = Population(crowd)
    assert population.weigh(crowd[50], crowd[51]).bits > population.weigh(crowd[0], crowd[1]).bits + 5


def test_swapped_names_still_agree_at_a_price():
    population = Population([])
    straight = population.weigh(someone(), someone())
    swapped = population.weigh(someone(), Person("2", given="trevorrow", surname="zebediah"))
    assert straight.bits > swapped.bits > 0
    assert any("swapped" in reason.says for reason in swapped.reasons)


def test_a_missing_field_says_nothing():
    population = Population([])
    with_mail = population.weigh(someone(emails=("z@example.org",)), someone())
    assert with_mail == population.weigh(someone(), someone())


def test_people_of_one_home_are_not_one_person():
    home = {
        "surname": "trevorrow",
        "number": "6",
        "lines": ("dumas st",),
        "postcode": "2281",
        "phones": ("+49301234567",),
    }
    one = Person("1", given="anna", birth=dates.read_date("1960-01-02"), **home)
    other = Person("2", given="bernard", birth=dates.read_date("1958-11-30"), **home)
    assert Population([one, other]).weigh(one, other).score < 0.1


def test_an_address_everybody_writes_from_is_no_person():
    population = Population([])
    shared = population.weigh(
        Person("1", emails=("info@example.org",)), Person("2", emails=("info@example.org",))
    )
    own = population.weigh(Person("1", emails=("zeb@example.org",)), Person("2", emails=("zeb@example.org",)))
    assert shared.score < 0.5 < own.score


def test_reasons_name_fields_and_the_weightiest_comes_first():
    found = Population([]).weigh(someone(city="bern", postcode="3000"), someone(city="bern", postcode="3001"))
    assert {reason.field for reason in found.reasons} == {"given name", "surname", "city", "postcode"}
    bits = [abs(reason.bits) for reason in found.reasons]
    assert bits == sorted(bits, reverse=True)


# --- Roles


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("given_name", Role.GIVEN), ("FirstName", Role.GIVEN), ("Vorname", Role.GIVEN), ("last name", Role.SURNAME),
        ("surname", Role.SURNAME), ("Full Name", Role.NAME), ("E-Mail", Role.EMAIL), ("Email ID", Role.EMAIL),
        ("Mobile No.", Role.PHONE), ("street_number", Role.NUMBER), ("address_1", Role.LINE), ("Straße", Role.LINE),
        ("suburb", Role.CITY), ("zip", Role.POSTCODE), ("state", Role.STATE), ("date_of_birth", Role.BIRTH),
        ("Geburtsdatum", Role.BIRTH), ("country", Role.COUNTRY), ("soc_sec_id", Role.KEY), ("rec_id", Role.KEY),
        ("SSN", Role.KEY), ("Customer Number", Role.KEY), ("passport", Role.KEY), ("favourite colour", Role.TEXT),
    ],
)  # fmt: skip
def test_columns_are_recognised_by_name(header, role):
    assert matching.guess([header], [["x"]]) == [role]


def test_columns_without_names_are_recognised_by_what_stands_in_them():
    rows = [
        ["william", "trevorrow", "w@example.org", "+49 30 123456", "1960-02-03", "7364009"],
        ["sarah", "bruhn", "s@example.org", "+49 30 123457", "1985-02-03", "7315516"],
        ["thomas", "lanyon", "t@example.org", "+49 30 123458", "1999-02-03", "9497788"],
    ]
    assert matching.guess(list("abcdef"), rows) == [
        Role.GIVEN, Role.SURNAME, Role.EMAIL, Role.PHONE, Role.BIRTH, Role.KEY,
    ]  # fmt: skip


# --- Linking


def test_a_block_of_any_size_costs_no_more_than_its_length():
    crowd = [Person(str(n), given="ann", surname="lee", postcode="1") for n in range(2000)]
    assert len(linking.candidates(crowd)) <= 2000 * linking.WINDOW * 3


def test_a_person_with_many_records_is_one_group_and_two_namesakes_stay_two():
    birth = dates.read_date("1960-02-03")
    records = [someone(str(n), birth=birth, postcode="2281") for n in range(4)]
    stranger = someone(
        "9", birth=dates.read_date("1999-12-24"), postcode="9999", emails=("other@example.org",)
    )
    found = {frozenset((match.one, match.other)) for match in matching.find([*records, stranger])}
    assert found == {frozenset((str(a), str(b))) for a in range(4) for b in range(a)}


def test_between_two_lists_only_pairs_across_are_reported():
    found = matching.find(
        [someone("a", postcode="1"), someone("b", postcode="1")], [someone("c", postcode="1")]
    )
    assert {(match.one, match.other) for match in found} == {("a", "c"), ("b", "c")}


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(order):
    crowd = self_made(seed=3, size=60)
    shuffled = list(crowd)
    order.shuffle(shuffled)
    pairs = [
        {frozenset((m.one, m.other)) for m in matching.find([one for one, _ in rows])}
        for rows in (crowd, shuffled)
    ]
    assert pairs[0] == pairs[1]


# --- Self-made data of other shapes

GIVEN = [
    "anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ida", "jonas", "karla", "leo", "mia", "noah",
    "olga", "paul", "rosa", "simon", "tina", "viktor",
]  # fmt: skip
SURNAMES = [
    "abel", "bruhn", "castro", "dittmar", "evers", "falk", "gruber", "hansen", "ibsen", "jansen", "kessler", "lindner",
    "moser", "nowak", "oswald", "petersen", "quast", "reuter", "sommer", "thiele", "ulrich", "vogt", "winter", "xander",
    "yilmaz", "zander",
]  # fmt: skip
SHAPES = {
    "name, mail, phone": ["name", "mail", "phone"],
    "one address": ["Full Name", "Address", "Birthday"],
    "german": ["Vorname", "Nachname", "Straße", "PLZ", "Geburtsdatum"],
}


def _slip(source: random.Random, word: str) -> str:
    at = source.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _facts(source: random.Random, number: int) -> dict[str, str]:
    given_name, surname = (
        source.choice(GIVEN),
        source.choice(SURNAMES) + source.choice(["", "mann", "berg", "er"]),
    )
    return {
        "given": given_name, "surname": surname, "mail": f"{given_name}.{surname}{number}@example.org",
        "phone": f"+49 30 {source.randrange(1_000_000, 9_999_999)}", "number": str(source.randrange(1, 200)),
        "street": f"{source.choice(SURNAMES)}weg", "postcode": f"{source.randrange(10_000, 99_999)}",
        "birth": f"{source.randrange(1940, 2005)}-{source.randrange(1, 13):02}-{source.randrange(1, 29):02}",
    }  # fmt: skip


def _again(source: random.Random, facts: dict[str, str]) -> dict[str, str]:
    copy = dict(facts)
    for name in source.sample(["given", "surname", "street", "mail", "phone", "birth"], source.randrange(3)):
        copy[name] = (
            _slip(source, copy[name])
            if name in ("surname", "street")
            else ""
            if name != "given"
            else copy[name][0]
        )
    return copy


def _row(facts: dict[str, str], shape: str) -> list[str]:
    name = f"{facts['given']} {facts['surname']}".strip()
    birth = ".".join(reversed(facts["birth"].split("-")))
    return {
        "name, mail, phone": [name, facts["mail"].upper(), facts["phone"]],
        "one address": [
            name,
            f"{facts['street']} {facts['number']}, {facts['postcode']} Berlin",
            facts["birth"],
        ],
        "german": [
            facts["given"],
            facts["surname"],
            f"{facts['street']} {facts['number']}",
            facts["postcode"],
            birth,
        ],
    }[shape]


def self_made(seed: int, size: int, shape: str = "german") -> list[tuple[Person, int]]:
    """People, half of them twice with slips and gaps, each with the number of who it really is."""
    source = random.Random(seed)
    facts = [(_facts(source, number), number) for number in range(size)]
    facts += [(_again(source, one), number) for one, number in facts if number % 2]
    source.shuffle(facts)
    rows = [_row(one, shape) for one, _ in facts]
    reader = Reader(SHAPES[shape], matching.guess(SHAPES[shape], rows), rows)
    return [(reader.read(str(at), row), facts[at][1]) for at, row in enumerate(rows)]


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_are_matched_with_caution(shape):
    crowd = self_made(seed=11, size=600, shape=shape)
    whose = {person.key: number for person, number in crowd}
    found = matching.find([person for person, _ in crowd])
    right = sum(whose[match.one] == whose[match.other] for match in found)
    assert right / len(found) >= 0.99
    assert right / 300 >= 0.85


# --- The command, and hostile files


def run(*args: object) -> str:
    out = io.StringIO()
    call_command("match", *map(str, args), stdout=out)
    return out.getvalue()


def written(tmp_path: Path, content: bytes, name: str = "people.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


GOOD = "Name;Mail;entity\nZebediah Trevorrow;zeb@example.org;1\nZeb Trevörrow;ZEB@example.org;1\nIda Quast;ida@example.org;2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_encodings_are_recognised(tmp_path, encoding):
    found = json.loads(run(written(tmp_path, GOOD.encode(encoding)), "--truth", "entity", "--json"))
    assert {name: found[name] for name in ("pairs", "found", "precision", "recall")} == {
        "pairs": 1, "found": 1, "precision": 1.0, "recall": 1.0,
    }  # fmt: skip
    (match,) = found["matches"]
    assert (match["a"], match["b"]) == ("line 2", "line 3")
    assert match["score"] >= matching.THRESHOLD
    assert {"e-mail", "surname", "given name"} <= {reason["field"] for reason in match["reasons"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"name,mail\n", "no rows"),
        (b"name,name\na,b\n", "stands there twice"),
        (b"name,mail\na,b,c\n", "line 2: has 3 cells"),
        (b"name,mail\na\x00,b\n", "line 2: holds a NUL"),
        (b'name,mail\n"a,b\n', "line 2"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\xff\xfea", "not valid utf-16"),
        (b"id,ssn\n1,2\n", "no column says anything"),
    ],
)
def test_a_hostile_file_is_refused_with_its_place(tmp_path, content, said):
    with pytest.raises(CommandError, match=re.escape(said)):
        run(written(tmp_path, content))


def test_an_absent_file_or_column_is_named(tmp_path):
    with pytest.raises(CommandError, match="no such file"):
        run(tmp_path / "nowhere.csv")
    with pytest.raises(CommandError, match="no column 'who'"):
        run(written(tmp_path, GOOD.encode()), "--truth", "who")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_unreadable_one(raw):
    try:
        table = table_of(decoded(raw, "x"), "x")
    except UnreadableError as error:
        assert str(error).startswith("x")
    else:
        assert all(len(row) == len(table.headers) for row in table.rows)


def test_short_rows_are_filled():
    assert table_of("a,b\n1\n", "x").rows == [["1", ""]]


# --- FEBRL: precision first


def _febrl(name: str) -> tuple[list[str], list[list[str]]]:
    with (FEBRL / name).open(newline="") as file:
        header, *rows = csv.reader(file, skipinitialspace=True)
    return header, rows


@has_febrl
@pytest.mark.parametrize("name", ["dataset1.csv", "dataset2.csv"])
def test_febrl_within_one_file(name):
    figures = json.loads(run(FEBRL / name, "--truth", "rec_id", "--json"))
    assert figures["precision"] >= 0.99
    assert figures["recall"] >= 0.95


@has_febrl
@pytest.mark.parametrize("name", ["dataset1.csv", "dataset2.csv"])
def test_febrl_between_two_files(name, tmp_path):
    header, rows = _febrl(name)
    for part in ("org", "dup"):
        with (tmp_path / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *(row for row in rows if part in row[0])])
    figures = json.loads(
        run(tmp_path / "org.csv", tmp_path / "dup.csv", "--id", "rec_id", "--truth", "rec_id", "--json")
    )
    assert figures["precision"] >= 0.99
    assert figures["recall"] >= 0.95
    assert all("org" in match["a"] and "dup" in match["b"] for match in figures["matches"])


@has_febrl
def test_the_social_security_number_is_never_compared():
    header, rows = _febrl("dataset1.csv")
    roles = matching.guess(header, rows)
    assert roles[header.index("soc_sec_id")] == roles[header.index("rec_id")] == Role.KEY
    # Not even when nobody says what it is.
    anonymous = matching.guess([f"c{place}" for place in range(len(header))], rows)
    assert anonymous[header.index("soc_sec_id")] == Role.KEY
