"""A queue is its address; what reviewers made of it is reckoned from means."""

from __future__ import annotations

from datetime import UTC
from urllib.parse import parse_qsl, urlsplit

import pytest

from proxy.console.detail.queue import PATH, Progress, asked_queue, verdict
from proxy.console.narrowed import narrowed
from proxy.errors import UsageError
from proxy.query.sentence import sentence
from proxy.store.judgements import Score
from tests.cli.recorded import new_call

NOW_US = 1_800_000_000_000_000


def queue(**query: str) -> object:
    return asked_queue(query, narrowed(query, UTC, NOW_US))


def test_the_address_means_the_queue_again() -> None:
    asked = {"q": 'model:gpt-5* user:"ada & co"', "t": "24h", "show": "all"}
    made = asked_queue(asked, narrowed(asked, UTC, NOW_US))
    again = dict(parse_qsl(urlsplit(made.to("this", "that")).query))
    assert again == asked | {"at": "this", "was": "that"}
    assert asked_queue({}, narrowed({}, UTC, NOW_US)).to() == PATH


def test_left_and_done_are_all_of_it() -> None:
    made = asked_queue({"q": "status:error"}, narrowed({"q": "status:error"}, UTC, NOW_US))
    asks = "calls whose status is 'error' and whose method is 'POST'"
    assert sentence(made.left) == f"{asks} and whose scores.review is unknown"
    assert sentence(made.done) == f"{asks} and whose scores.review is known"
    assert made.shown == made.left


def test_what_cannot_be_shown() -> None:
    with pytest.raises(UsageError, match="left, done, all"):
        queue(show="some")


def test_agreement_and_days() -> None:
    day_us = 86_400_000_000
    calls = [new_call(started_at_us=NOW_US - number * day_us) for number in (0, 0, 2)]
    means = ((1.0, 3), (0.5, 2), (0.0, 1))
    scores = {
        call.id: [Score(name="review", mean=mean, label=None, authors=authors)]
        for call, (mean, authors) in zip(calls, means, strict=True)
    }
    made = verdict(calls, scores, UTC)
    assert (made.calls, made.good, made.bad, made.several) == (3, 2, 1, 2)
    assert made.agreement == 75  # of 3 pairs that agree, and 1 that does not
    assert [(day.good, day.bad) for day in made.days] == [(0, 1), (2, 0)]
    assert verdict([], {}, UTC).agreement is None


def test_progress_of_nothing_is_none() -> None:
    assert Progress(0, 0, False, False).share == 0
    assert Progress(1, 3, False, False).share == 25
