"""Which of Instagram's words are read, and which are shown."""

from __future__ import annotations

import time
from typing import Any

import pytest

from actors.instagram.reply import Reply
from actors.instagram.reply_policies import policy_for_words
from actors.instagram.reply_texts import fold, folded_texts, shown_words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Can\u2019t  message\n\tthem", "can't message them"),
        ("FEEDBACK_required", "feedback required"),
        ("\u201cNo\u201d\u00a0way ", '"no" way'),
        ("", ""),
    ],
)
def test_words_are_compared_without_their_typography(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    "document",
    [
        {"message": "No"},
        {"message": ["No"]},
        {"message": {"errors": ["No"]}},
        {"payload": {"message": "No"}},
        {"payload": {"payload": {"feedback_title": "No"}}},
        {"item_ack": {"status_code": "403", "message": "No"}},
        {"challenge": {"message": "No"}},
        {"client_facing_error_message": "No"},
        {"content": [{"text": "No"}]},
    ],
)
def test_every_place_in_which_instagram_explains_itself_is_read(document: dict[str, Any]) -> None:
    assert "no" in folded_texts(document)


def test_other_fields_and_depths_are_not_read() -> None:
    deep: dict[str, Any] = {"message": "No"}
    for _ in range(50):
        deep = {"payload": deep}
    assert folded_texts({"user": {"message": "No"}, "biography": "No", **deep}) == []
    assert len(folded_texts({"errors": ["No"] * 10_000})) <= 50


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("feedback_required", "feedback_required"),
        ("Sorry, no.", "Sorry, no."),
        ("@jenny is not here", "... is not here"),
        ("jenny.rosen is not here", "... is not here"),
        ("jenny_rosen is not here", "... is not here"),
        ("User 40000000314 is not here", "User ... is not here"),
        ('"Hello Jenny" was refused', "... was refused"),
        ("Can't send 'Hello Jenny', don't try", "Can't send ..., don't try"),
        ("Write to help@example.com", "Write to ..."),
        ("See www.example.com or https://example.com/a?b", "See ... or ..."),
        ("tab\tand\u0007bell", "tab and bell"),
        ("12345", ""),
        ("", ""),
    ],
)
def test_shown_words_name_nobody(said: str, shown: str) -> None:
    assert shown_words({"message": said}) == shown


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('The text "login_required" is refused', "the text something is refused"),
        ("You can't message @please_wait.", "you can't message someone"),
        ("User challenge_required.shop is gone", "user someone is gone"),
        ("See https://x.example/login_required now", "see something now"),
        ("Cannot contact i.instagram.com", "cannot contact something"),
        ("Cannot send message 2.1", "cannot send message 2.1"),
        ("login_required", "login required"),
        ('"login_required"', '"login required"'),
        ("Blocked.Please wait", "blocked.please wait"),
        ("We don't, can't and won't", "we don't, can't and won't"),
    ],
)
def test_the_words_of_others_are_not_read(said: str, read: str) -> None:
    assert folded_texts({"message": said}) == [read]


def test_what_the_request_said_is_not_read() -> None:
    sent = ["Please wait a few minutes for us", "feedback_required"]
    said = "Refused: Please wait a few minutes for us, feedback_required"
    assert folded_texts({"message": said}, sent) == ["refused: something , something"]
    assert folded_texts({"message": "feedback_required"}, sent) == ["feedback required"]


@pytest.mark.parametrize("piece", [".", "/", "a.", "'", '"', "@", "a_", "\u00ab", "can't "])
def test_no_text_takes_long_to_read_or_show(piece: str) -> None:
    document = {"errors": [piece * 100_000] * 50}
    began = time.process_time()
    folded_texts(document)
    shown_words(document)
    policy_for_words(Reply(400, {"status": "fail", **document}, {}))
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize(
    "document",
    [{"message": [[]] * 1_000_000}, {str(key): None for key in range(1_000_000)}],
    ids=["values", "fields"],
)
def test_no_document_takes_long_to_search(document: dict[str, Any]) -> None:
    began = time.process_time()
    assert folded_texts(document) == []
    assert time.process_time() - began < 0.1


def test_shown_words_are_short_and_said_once() -> None:
    assert shown_words({"message": "No", "feedback_message": "No"}) == "No"
    assert shown_words({"message": "No", "feedback_title": "Never"}) == "No / Never"
    assert len(shown_words({"message": "word " * 500})) <= 120
