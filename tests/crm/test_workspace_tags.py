"""The tags that put people's words, times and marks on a page."""

from datetime import UTC, datetime

import pytest
from django.template.loader import get_template
from django.test import RequestFactory

from crm.templatetags import workspace

HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=alert(1)> \u202egnp.exe"


def test_people_words_are_escaped_and_isolated():
    html = workspace.people_words(HOSTILE)
    assert "<script" not in html and "<img" not in html
    assert html.startswith('<bdi dir="auto">') and html.endswith("</bdi>")


def test_words_that_carry_tone_are_marked_where_triage_found_them():
    text = "I was <charged> twice & nobody answers"
    html = workspace.people_words(text, [[6, 15, -2.0], [24, 38, -1.0]])
    assert '<mark class="tone tone--neg" title="negative">&lt;charged&gt;</mark>' in html
    assert '<mark class="tone tone--neg" title="negative">nobody answers</mark>' in html


@pytest.mark.parametrize(
    "spans", [[[5, 2, -1]], [[0, 999, -1]], [[-4, 2, 1]], ["word"], [[1]], [None], [[0, 4, 0]]]
)
def test_a_span_that_does_not_fit_marks_nothing(spans):
    assert "<mark" not in workspace.people_words("some words", spans)


def test_spans_that_overlap_keep_every_letter_once():
    html = workspace.people_words("very good", [[0, 9, 2.0], [5, 9, 1.0]])
    assert html == '<bdi dir="auto"><mark class="tone tone--pos" title="positive">very good</mark></bdi>'


def test_only_http_links_can_be_clicked_and_they_tell_nothing_of_us():
    html = workspace.people_words("see https://a.example/?q=1&r=2. or javascript:alert(1)")
    assert 'href="https://a.example/?q=1&amp;r=2"' in html
    assert html.count("<a ") == 1
    assert "noopener noreferrer nofollow" in html and 'referrerpolicy="no-referrer"' in html


def test_a_link_cannot_leave_its_attribute():
    html = workspace.people_words('https://a.example/"onmouseover="alert(1)')
    assert 'href="https://a.example/"' in html and "&quot;onmouseover" in html


def test_an_unknown_channel_kind_gets_a_mark_and_no_markup_of_its_own():
    assert "<b>" not in workspace.channel_icon("<b>")


def test_an_instant_carries_its_zone_and_an_absent_one_is_a_dash():
    html = workspace.instant(datetime(2026, 3, 9, 10, 0, tzinfo=UTC), "due")
    assert 'datetime="2026-03-09T10:00:00+00:00"' in html and 'form="due"' in html
    assert "–" in workspace.instant(None)


@pytest.mark.parametrize(
    ("name", "expected"), [("Callum Otter", "CO"), ("@calm_otter", "CO"), ("", "?"), ("😀", "?")]
)
def test_initials_are_made_of_what_there_is(name, expected):
    assert workspace.initials(name) == expected


@pytest.mark.parametrize(
    "page", ["errors/403.html", "errors/404.html", "errors/500.html", "account/logout.html"]
)
def test_pages_outside_the_frame_need_no_context_and_no_inline_code(page, rf: RequestFactory):
    html = get_template(page).render({}, rf.get("/"))
    assert "<!doctype html>" in html
    assert " style=" not in html and " onclick=" not in html and "<script>" not in html
