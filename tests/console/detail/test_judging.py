"""What forms say, and how what was said reads."""

from __future__ import annotations

import pytest

from proxy.console.detail.judging import MOST_TEXT, feedback_of, happened_text, opinion_text, tags_of, verdicts
from proxy.errors import UsageError
from proxy.store.judgements import Comment, Correction, Happened, Judgements, Opinion


def opinion(author: str, value: float | None, name: str = "review", **more: object) -> Opinion:
    usual = {"call": "c", "part": "", "label": None, "truth": True, "comment": None, "at_us": 1}
    return Opinion(**(usual | {"author": author, "value": value, "name": name} | more))  # type: ignore[arg-type]


def test_ones_own_word_stands_apart_from_the_others() -> None:
    judged = Judgements(
        opinions=(opinion("ada", 1.0, comment="kind"), opinion("bob", 0.0), opinion("eve", 0.7, "tone", truth=False)),
        corrections=(Correction(call="c", part="", author="ada", expected="better", at_us=1),),
        comments=(Comment(call="c", part="", author="bob", text="hm", at_us=1),),
    )
    seen = verdicts(judged, "ada")
    assert (seen.mine, seen.description, seen.expected, seen.comment) == ("good", "kind", "better", "")
    assert (seen.good, seen.bad) == (1, 1)
    assert [each.author for each in seen.others] == ["bob"]
    assert [each.name for each in seen.scores] == ["tone"]
    assert verdicts(judged, "bob").mine == "bad"
    assert verdicts(judged, "nobody").mine == ""


def test_forms_say_what_the_api_takes() -> None:
    assert feedback_of("c", {"review": "good", "description": "kind"}) == {
        "call": "c",
        "scores": [{"name": "review", "value": True, "comment": "kind"}],
    }
    assert feedback_of("c", {"review": "none"})["scores"] == [{"name": "review", "value": None}]
    assert feedback_of("c", {"expected": "a\r\nb"}) == {"call": "c", "expected": "a\nb"}
    assert tags_of(" a, b ,,a") == ("a", "b")


@pytest.mark.parametrize("fields", [{}, {"review": "fine"}, {"comment": "x" * (MOST_TEXT + 1)}, {"description": "why"}])
def test_forms_that_say_nothing(fields: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        feedback_of("c", fields)


@pytest.mark.parametrize(
    ("kind", "said", "text"),
    [
        ("feedback", {"scores": [{"name": "review", "value": True}]}, "gave feedback: review yes"),
        ("feedback", {"scores": [{"name": "tone", "value": None}]}, "gave feedback: tone taken back"),
        ("tags", {"add": ["a"], "remove": ["b"]}, "changed tags: +a, -b"),
        ("note", {"text": ""}, "wrote a note: taken away"),
        ("note", {"text": "look  at\nthis"}, "wrote a note: text “look at this”"),
        ("elsewhere", {"scores": 7, "add": "x"}, "elsewhere"),
    ],
)
def test_history_reads_as_a_line(kind: str, said: dict[str, object], text: str) -> None:
    assert happened_text(Happened(at_us=1, author="a", kind=kind, said=said)) == text


def test_opinions_read_as_they_were_meant() -> None:
    assert opinion_text(opinion("a", 1.0)) == "yes"
    assert opinion_text(opinion("a", 0.25, truth=False)) == "0.25"
    assert opinion_text(opinion("a", None, label="polite")) == "polite"
