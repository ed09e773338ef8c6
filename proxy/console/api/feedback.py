"""``POST /api/feedback``: what users, reviewers and evaluators think of an answer.

It names the call by its id, or by what the provider gave the application with the answer, and
goes into the journal only: it never waits for the store, and may come before the call is stored.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from aiohttp import web
from msgspec import Meta, field

from ...records import EventKind
from ...store.heard import COMMENT_CHARS, NAME_CHARS, TAG_CHARS
from ...store.judgements import TRACE, WHOLE, FeedbackSaid, Given, Target
from ..permissions import Permission
from ..received import Misfit, received
from ..routes import VISITOR, Route, post
from ..site import Site
from .saying import Body, CallId, Tags, accepted, doc_of, say, spoken_for

MOST_AT_ONCE = 500

_Comment = Annotated[str, Meta(max_length=COMMENT_CHARS)]  # what is longer would be cut by the store, in silence
_Whole = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]  # that JSON's readers agree on
_Category = Annotated[str, Meta(max_length=NAME_CHARS)]
_ScoreName = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Value = Annotated[str, Meta(max_length=TAG_CHARS)]
_ProviderId = Annotated[str, Meta(min_length=1, max_length=500)]


class GivenScore(Body, frozen=True):
    """A truth, a number such as 0.8, or a category; null takes back what the author said before."""

    name: Annotated[_ScoreName, Meta(description="of what is judged, such as helpful")]
    value: bool | _Whole | float | _Category | None
    comment: _Comment | None = None


class Feedback(Body, frozen=True):
    """One author's word on a call, or on a part of it. Said again, it replaces what they said before."""

    call: CallId | None = None
    response_id: Annotated[_ProviderId, Meta(description="the id that the provider's answer holds")] | None = None
    request_id: Annotated[_ProviderId, Meta(description="as the provider's header x-request-id has it")] | None = None
    tool_call_id: Annotated[str, Meta(min_length=1, max_length=500, description="only this tool call")] | None = None
    document: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="only this retrieved document, counted from 0")] | None
    ) = None
    trace: Annotated[bool, Meta(description="the whole conversation that the call is in")] = False
    scores: Annotated[tuple[GivenScore, ...], Meta(max_length=100)] = ()
    comment: _Comment | None = None
    expected: Annotated[str, Meta(description='the answer that should have been given; "" takes it back')] | None = None
    tags: Tags = ()
    metadata: dict[_Name, _Value] = field(default_factory=dict)
    author: (
        Annotated[str, Meta(max_length=200, description="who says it, where a program speaks for its users")] | None
    ) = None


Batch = Annotated[list[Feedback], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class FeedbackApi:
    """One route."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        summary = "Say what an answer was worth, by the id that the application has; one word, or a list of them"
        doc = doc_of(summary, Feedback | Batch)
        return [post("/api/feedback", self.feedback, Permission.JUDGE, doc=doc)]

    async def feedback(self, request: web.Request) -> web.Response:
        """202 with the ids of what was said."""
        came: Feedback | list[Feedback] = await received(request, Feedback | Batch)
        visitor = request[VISITOR]
        projects = visitor.projects(Permission.JUDGE)
        several = came if isinstance(came, list) else [came]
        paths = [f"$[{place}]" for place in range(len(came))] if isinstance(came, list) else ["$"]
        said = [
            (spoken_for(visitor, each.author), understood(each, projects, path))
            for each, path in zip(several, paths, strict=True)
        ]
        return accepted(*(say(self._site, request, EventKind.FEEDBACK, what, author) for author, what in said))


def understood(feedback: Feedback, projects: frozenset[str] | None, path: str = "$") -> FeedbackSaid:
    """As it is written down. Raises ``Misfit`` unless it names one call, one part at most, and says something."""
    named = [feedback.call, feedback.response_id, feedback.request_id]
    if sum(name is not None for name in named) != 1:
        raise Misfit("name the call by one of call, response_id and request_id", path)
    if not (feedback.scores or feedback.tags or feedback.metadata) and feedback.comment is feedback.expected is None:
        raise Misfit("say something: scores, comment, expected, tags or metadata", path)
    return FeedbackSaid(
        target=Target(call=_canonical(feedback.call), response_id=feedback.response_id, request_id=feedback.request_id),
        part=_part(feedback, path),
        scores=tuple(Given(name=score.name, value=score.value, comment=score.comment) for score in feedback.scores),
        comment=feedback.comment,
        expected=feedback.expected,
        tags=feedback.tags,
        metadata=feedback.metadata,
        projects=None if projects is None else tuple(sorted(projects)),
    )


def _canonical(call: str | None) -> str | None:
    return None if call is None else str(uuid.UUID(call))


def _part(feedback: Feedback, path: str) -> str:
    parts = [TRACE] if feedback.trace else []
    parts += [f"tool:{feedback.tool_call_id}"] if feedback.tool_call_id is not None else []
    parts += [f"document:{feedback.document}"] if feedback.document is not None else []
    if len(parts) > 1:
        raise Misfit("it is about one part: tool_call_id, document or trace", path)
    return parts[0] if parts else WHOLE
