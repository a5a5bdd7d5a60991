"""What the columns of somebody else's file are: guessed from their names, and from what stands in them."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from crm.matching.dates import read_date
from crm.matching.nicknames import is_given


class Role(StrEnum):
    """What a column says about a person."""

    GIVEN = "given name"
    SURNAME = "surname"
    NAME = "name"  # all of it in one
    BIRTH = "birth date"
    EMAIL = "e-mail"
    PHONE = "phone"
    HANDLE = "handle"
    NUMBER = "house number"
    LINE = "address"  # street, building, or all of it in one
    CITY = "city"
    POSTCODE = "postcode"
    STATE = "state"
    COUNTRY = "country"
    COMPANY = "company"
    TEXT = "text"  # something else that may agree or not
    KEY = "key"  # names the record, or is a secret of the person: never compared


# The first that fits, on the column's name as lower-case words joined by "_". English, German, French, Spanish,
# Italian, Dutch, Portuguese. Keys come early: `soc_sec_id`, `customer_number` and `passport` are nobody's likeness.
_NAMES: tuple[tuple[Role, str], ...] = (
    (Role.EMAIL, r"e_?mail|courriel|correo|(^|_)mail(_|$)"),  # "Email ID" is an address all the same
    (
        Role.KEY,
        r"(^|_)(id|ids|uid|uuid|guid|key|pk|ssn|sin|nin|tin|nino|rec|record|row|index|idx|hash|token|password)$"
        r"|^(rec|record|row)_|(^|_)id_|soc(ial)?_sec|social_insurance|national_insurance|tax|steuer|passport|reisepass"
        r"|passnummer|pasaporte|licen[cs]e|iban|bic$|swift|account|konto|card|kredit|medicare|insurance|versicherung"
        r"|ausweis|dni$|nif$|cpf$|bsn$|pesel|(customer|client|member|kunden|mitglieds?|order|invoice)_?(no|nr|num|number|nummer)",
    ),
    (
        Role.PHONE,
        r"phone|contact_(no|num)|telefon|telephone|(^|_)tel(_|$)|mobil|handy|cell|fax|movil|portable"
        r"|telemovel|celular|whatsapp",
    ),
    (Role.BIRTH, r"birth|(^|_)dob|geburt|geb_?dat|naissance|nacimiento|nascita|geboorte|nascimento|born"),
    (
        Role.HANDLE,
        r"handle|user_?name|nick_?name|screen_?name|twitter|instagram|mastodon|bluesky|account_?name"
        r"|login",
    ),
    (
        Role.COMPANY,
        r"company|organi[sz]ation|employer|firma|unternehmen|societe|entreprise|empresa|azienda|bedrijf|(^"
        r"|_)org(_|$)",
    ),
    (
        Role.GIVEN,
        r"given|first_?name|fore_?name|(^|_)fname|vorname|prenom|nombre_de_pila|voornaam|middle|christian"
        r"|primeiro",
    ),
    (
        Role.SURNAME,
        r"sur_?name|last_?name|family|(^|_)lname|nach_?name|familien|apellido|cognome|achternaam|sobrenome"
        r"|apelido|^nom$",
    ),
    (Role.POSTCODE, r"post_?code|postal|(^|_)zip|(^|_)plz|postleit|^cap$|cod(igo)?_postal|(^|_)cep$|^pcode"),
    (
        Role.NUMBER,
        r"(street|house|building|st)_?(no|nr|num|number)|haus_?(nummer|nr)|hnr|numero_(de_)?(calle|rue)"
        r"|huisnummer",
    ),
    (Role.COUNTRY, r"country|(^|_)land$|(^|_)pays$|(^|_)pais$|paese|nation"),
    (
        Role.CITY,
        r"city|town|suburb|(^|_)ort$|stadt|wohnort|ville|ciudad|citta|plaats|cidade|municip|locality"
        r"|village",
    ),
    (Role.STATE, r"(^|_)state|province|region|bundesland|provincia|county|territory|departement|kanton|canton"),
    (
        Role.LINE,
        r"addr|street|strasse|adresse|(^|_)rue|calle|(^|_)via(_|$)|straat|direccion|indirizzo|endereco"
        r"|building|unit|apartment|road",
    ),
    (Role.NAME, r"name|nombre|^naam$|^nome$|customer|client|person|kunde|contact"),
)  # fmt: skip
_RULES = tuple((role, re.compile(pattern)) for role, pattern in _NAMES)
_GENDERED = re.compile(r"(^|_)(title|salutation|anrede|gender|sex|geschlecht)($|_)")
_PHONE_LIKE = re.compile(r"\+?[\d\s()./-]{7,20}")
_SHARE = 0.8  # of the cells that are filled: from here on a column is what they look like
_SAMPLE = 500  # cells looked at
_KNOWN_NAMES = 0.2  # share of cells with a known given name that no other kind of column has


def words_of(header: str) -> str:
    """A column's name as lower-case words joined by `_`, whatever the habit of its writer."""
    split = re.sub(r"([a-zà-ÿ0-9])([A-ZÀ-Þ])", r"\1_\2", header.strip())
    plain = split.casefold().translate(str.maketrans("äáàâãëéèêïíîöóôõüúûçñß", "aaaaaeeeeiiioooouuucns"))
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def guess(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Role]:
    """The role of each column; `rows` are cells in the order of the headers (all of them, or a sample)."""
    columns = [[row[place] for row in rows if row[place].strip()] for place in range(len(headers))]
    found = [_role(words_of(header), cells) for header, cells in zip(headers, columns, strict=True)]
    if Role.GIVEN in found and Role.SURNAME not in found:
        # "Vorname", "Name": beside a given name, a name is the surname.
        return [Role.SURNAME if role == Role.NAME else role for role in found]
    if not {Role.GIVEN, Role.SURNAME, Role.NAME} & set(found):
        return _with_names(found, columns)
    return found


def _with_names(roles: list[Role], columns: list[list[str]]) -> list[Role]:
    """No column says that it holds names: one in which known given names stand does, and its neighbour the surnames."""
    found = list(roles)
    for place, (role, cells) in enumerate(zip(roles, columns, strict=True)):
        sample = [words_of(one) for one in cells[:_SAMPLE]]
        if (
            role != Role.TEXT
            or not sample
            or _share(any(map(is_given, one.split("_"))) for one in sample) < _KNOWN_NAMES
        ):
            continue
        if _share("_" in one for one in sample) >= 0.5:
            found[place] = Role.NAME
            return found
        found[place] = Role.GIVEN
        for beside in (place + 1, place - 1):
            if 0 <= beside < len(roles) and roles[beside] == Role.TEXT and _like_surnames(columns[beside]):
                found[beside] = Role.SURNAME
                break
        return found
    return found


def _like_surnames(cells: list[str]) -> bool:
    sample = cells[:_SAMPLE]
    plain = _share(
        one.strip() != "" and not any(sign.isdigit() for sign in one) and len(one.split()) <= 3
        for one in sample
    )
    return plain >= 0.95 and len(set(sample)) > len(sample) / 10


def _role(name: str, cells: list[str]) -> Role:
    said = _by_name(name)
    if said is None:
        return _by_content(cells)
    looks = _obvious(cells)
    # What the cells plainly are outweighs a vague name ("contact", "number", "address" may hold an e-mail address).
    if looks and looks != said and said in (Role.NAME, Role.LINE, Role.HANDLE, Role.COMPANY):
        return looks
    return said


def _by_name(name: str) -> Role | None:
    if _GENDERED.search(name):
        return Role.TEXT
    return next((role for role, pattern in _RULES if pattern.search(name)), None)


def _by_content(cells: list[str]) -> Role:
    """A column whose name says nothing: what its cells look like, else text; what only numbers its rows is a key."""
    if looks := _obvious(cells):
        return looks
    sample = cells[:_SAMPLE]
    if sample and _share(len(one.strip()) >= 5 and one.strip().isdigit() for one in sample) >= _SHARE:
        distinct = len(set(sample)) / len(sample)
        return Role.KEY if distinct > 0.4 else Role.TEXT
    if (
        len(sample) > 20
        and len(set(cells)) == len(cells)
        and _share(" " not in one.strip() for one in sample) == 1
    ):
        with_digits = _share(any(sign.isdigit() for sign in one) for one in sample)
        return Role.KEY if with_digits >= _SHARE else Role.TEXT
    return Role.TEXT


def _obvious(cells: list[str]) -> Role | None:
    sample = [one.strip() for one in cells[:_SAMPLE]]
    if not sample:
        return None
    if _share("@" in one[1:] and "." in one for one in sample) >= _SHARE:
        return Role.EMAIL
    if _share(one.startswith("@") and " " not in one for one in sample) >= _SHARE:
        return Role.HANDLE
    if _share(read_date(one) is not None and _in_a_life(one) for one in sample) >= _SHARE:
        return Role.BIRTH if _of_birth(sample) else Role.TEXT
    if _share(bool(_PHONE_LIKE.fullmatch(one)) and not one.isdigit() for one in sample) >= _SHARE:
        return Role.PHONE
    return None


def _in_a_life(text: str) -> bool:
    date = read_date(text)
    return bool(date and date.year and 1880 <= date.year <= 2030)


def _of_birth(sample: list[str]) -> bool:
    """Birth dates spread over decades; dates of orders and visits do not."""
    years = sorted(date.year for one in sample if (date := read_date(one)) and date.year)
    return len(years) >= 3 and years[-1 - len(years) // 10] - years[len(years) // 10] >= 15


def _share(flags: Iterable[bool]) -> float:
    listed = list(flags)
    return sum(listed) / len(listed) if listed else 0.0
