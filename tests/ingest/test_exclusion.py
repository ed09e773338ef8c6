"""Rules that keep calls out of lists and sums."""

from __future__ import annotations

import pytest

from proxy.config import Exclude
from proxy.ingest.exclusion import excluded
from proxy.records import Call

CALL = Call(id="1", started_at_us=0, path="/v1/Chat/completions", key="fp:0123")
HEADERS = {"user-agent": "smoke-test/2.0", "x-debug": "1"}


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Exclude(name="r", path="/v1/chat/*"), True),
        (Exclude(name="r", path="/v1/chat"), False),
        (Exclude(name="r", key="fp:0123"), True),
        (Exclude(name="r", key="fp:9*"), False),
        (Exclude(name="r", user_agent="Smoke-Test/*"), True),
        (Exclude(name="r", header="X-Debug: *"), True),
        (Exclude(name="r", header="x-debug:"), True),
        (Exclude(name="r", header="x-debug: 2"), False),
        (Exclude(name="r", header="x-missing: *"), False),
        (Exclude(name="r", user_agent="smoke*", path="/v2/*"), False),
        (Exclude(name="r", user_agent="smoke*", path="/v1/*"), True),
    ],
)
def test_a_rule_wants_all_of_its_patterns(rule: Exclude, fits: bool) -> None:
    assert excluded((rule,), CALL, HEADERS) == ("r" if fits else None)


def test_the_first_rule_that_fits_is_named() -> None:
    rules = (Exclude(name="a", path="/x"), Exclude(name="b", path="*"), Exclude(name="c", path="*"))
    assert excluded(rules, CALL, {}) == "b"
    assert excluded((), CALL, HEADERS) is None
