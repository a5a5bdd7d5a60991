"""Static files: compressed, held for ever under the address of now, and nothing beside them."""

import asyncio
import gzip

import pytest
from django.conf import settings
from django.templatetags.static import static

from crm import assets


def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def talk() -> None:
        given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        door = assets.Assets()
        assert door.serves(path)
        await door({"path": path, "method": method, "headers": given}, None, send)

    asyncio.run(talk())
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], said, sent[1]["body"]


def test_the_style_sheet_comes_whole_and_compressed():
    status, said, body = ask(static("css/app.css"), accept_encoding="gzip, br")
    text = gzip.decompress(body).decode()
    assert (
        status == 200 and said["content-encoding"] == "gzip" and said["content-type"].startswith("text/css")
    )
    assert len(body) < len(text) / 3
    assert "@import" not in text and "@layer components {\n/* The frame" in text and "@media print {" in text
    assert ask(static("css/app.css"))[2].decode() == text, "who asks for no compression gets none"


def test_addresses_in_the_joined_sheet_still_lead_to_files():
    text = ask(static("css/app.css"))[2].decode()
    fonts = [part.split('"')[0] for part in text.split('url("')[1:]]
    assert fonts
    for font in fonts:
        assert ask(static(f"css/{font}".replace("css/../", "")))[0] == 200


@pytest.mark.parametrize(
    "name", ["js/app.js", "icons.svg", "admin/css/base.css", "vendor/inter/inter-latin-wght-normal.woff2"]
)
def test_a_file_is_held_for_ever_only_under_the_address_of_now(name):
    assert "immutable" in ask(static(name))[1]["cache-control"]
    assert ask(f"/static/{'0' * 12}/{name}")[1]["cache-control"] == "no-cache", (
        "an older page still gets its files"
    )
    assert ask(f"/static/{name}")[1]["cache-control"] == "no-cache"


def test_what_the_browser_holds_is_not_sent_again():
    tag = ask(static("js/app.js"))[1]["etag"]
    assert ask(static("js/app.js"), if_none_match=tag) == (
        304,
        ask(static("js/app.js"), if_none_match=tag)[1],
        b"",
    )
    assert ask(static("js/app.js"), method="HEAD")[2] == b""


@pytest.mark.parametrize(
    "path", ["", "../crm/settings.py", "css/../../manage.py", "/etc/passwd", "css", "nothing.js", "\x00"]
)
def test_nothing_but_static_files_is_there(path):
    assert ask(settings.STATIC_URL + path)[0] == 404


def test_only_reading_is_possible():
    status, said, _ = ask(static("js/app.js"), method="POST")
    assert status == 405 and said["allow"] == "GET, HEAD"
