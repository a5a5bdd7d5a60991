"""Telephone numbers in one form (E.164), so that one number is one address however it was written. Pure."""

import phonenumbers


def e164(text: str) -> str:
    """An international number (`+44 20 …`, `0044…`) as E.164; anything else, also an extension or a short code, as it came."""
    said = "+" + text[2:] if text.startswith("00") else text
    if not said.startswith("+"):
        return text
    try:
        number = phonenumbers.parse(said[:60])
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number):
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
