"""Conversations as they happen: questions, chats and loops, with what goes wrong in them.

Each of the three is an endless row of conversations, one after another, call by call; ``__init__``
runs many of them side by side. What is true of a call is known here, and nowhere else.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from proxy.clock import CallIds
from proxy.records import Exchange

from .clients import App, Caller, applications
from .corpus import Corpus, Pen, Source
from .style import Answer, Fragment, ToolCall

FAILING = 0.0182  #: of first tries; with the tries that fail again it makes two of a hundred calls
FAILING_AGAIN = 0.15
TRIES = 3
SLIDING = 0.05  #: of chats: they forget their oldest messages
WINDOW = 6  #: messages that such a chat sends
REGENERATING = 0.05  #: of chats: they ask for another answer now and then
REGENERATED = 0.4  #: of the answers in such a chat
TURNS = {"chat": range(2, 21), "loop": range(5, 61)}
_TERSE = 0.03  #: of answers in chats
_TERSE_ANSWERS = ("Done.", "Yes.", "OK, done.", "No, it does not.", "Sure!")


T = TypeVar("T")


class Kind(enum.StrEnum):
    """What a call is in its conversation."""

    FIRST = "first"
    FOLLOW_UP = "follow_up"
    SLID = "slid"  #: a follow-up that leaves out its oldest messages
    REGENERATION = "regeneration"  #: asks again for an answer that was given
    RETRY = "retry"  #: asks again after a failure


class Truth(Struct, frozen=True, kw_only=True):
    """What is true of a call. Calls are counted from 0, in the order of their start."""

    what: str  #: class of its conversation: single, chat or loop
    conversation: int
    turn: int  #: from 1; a retry or a regeneration is of the same turn
    kind: Kind
    follows: int | None  #: the call whose answer stands last in its history
    repeats: int | None  #: the call that it is a retry or a regeneration of


Call = tuple[Exchange, Truth]


class Deck(Generic[T]):
    """Cards in random order, each as often as every other: less chance, so that short runs are like long ones."""

    def __init__(self, cards: Sequence[T], rng: random.Random) -> None:
        self._cards = cards
        self._rng = rng
        self._left: list[T] = []

    def draw(self) -> T:
        """The next."""
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()


class Lot(Struct, frozen=True):
    """Which calls of the traffic one process makes: every ``of``th row of ``size`` calls."""

    part: int = 0
    of: int = 1
    size: int = 500

    def number(self, place: int) -> int:
        """The number, in the whole traffic, of the call that is made at this place."""
        row, rest = divmod(place, self.size)
        return (row * self.of + self.part) * self.size + rest


class World:
    """What all conversations share: time, numbers, words and chance."""

    def __init__(self, rng: random.Random, corpus: Corpus, stream: float, anthropic: float, lot: Lot) -> None:
        self.rng = rng
        self.lot = lot
        # Words have a chance of their own: what happens shall not depend on what is installed.
        words = random.Random(rng.random())
        self.prose, self.code = Source(corpus.prose, words), Source(corpus.code, words)
        self.apps: list[App] = applications(rng, Pen(self.prose), stream, anthropic)
        self.turns = {what: Deck(numbers, rng) for what, numbers in TURNS.items()}
        self.ids = CallIds(rng.randbytes)
        self.now_us = 0
        self.call: int | None = None  #: the number of the call that is made next; None for what nobody sees
        self.conversations = 0

    def skewed(self, least: int, most: int, power: float = 2.0) -> int:
        """A length, rather short than long."""
        return least + int((most - least) * self.rng.random() ** power)


class Talk:
    """One conversation."""

    def __init__(self, world: World, what: str) -> None:
        self.world = world
        self.what = what
        self.caller = Caller.any(world.rng, world.apps)
        self.history: list[Fragment] = []
        self._number = world.lot.part + world.lot.of * world.conversations
        self._turn = 0
        self._last: int | None = None
        self._input_tokens = 0
        world.conversations += 1

    def say(self, text: str) -> None:
        """A person's message."""
        app = self.caller.app
        self.history.append(app.format.said(app.style, text))

    def heard(self, answer: Answer) -> None:
        """The answer goes into the history."""
        app = self.caller.app
        self.history.append(app.format.echo(app.style, answer))

    def got(self, results: list[tuple[str, str]]) -> None:
        """What tools gave goes into the history."""
        app = self.caller.app
        self.history += app.format.results(app.style, results)

    def answer(self, text: str | None, calls: Sequence[ToolCall] = ()) -> Answer:
        """What the upstream will say."""
        world, app = self.world, self.caller.app
        written = len(text or "") + sum(40 + sum(map(len, call.arguments.values())) for call in calls)
        return Answer(
            id=app.format.new_id(world.rng),
            model=app.model,
            created_s=0,
            input_tokens=0,
            output_tokens=written // 4 + 3,
            text=text,
            calls=tuple(calls),
        )

    def ask(self, answer: Answer, window: int | None = None) -> Iterator[Call]:
        """Send the history, again as long as it fails; ``window``: only so many of the last messages."""
        self._turn += 1
        slid = window is not None and len(self.history) > window
        kind = Kind.SLID if slid else Kind.FOLLOW_UP if self._last is not None else Kind.FIRST
        follows = self._last
        yield from self._tries(answer, self.history[-window:] if slid and window else self.history, kind, follows)
        self._before = follows

    def ask_again(self, answer: Answer, window: int | None = None) -> Iterator[Call]:
        """Send the same once more for another answer, which counts from now on."""
        messages = self.history[-window:] if window else self.history
        kind = Kind.FIRST if self._last is None else Kind.REGENERATION
        yield from self._tries(answer, messages, kind, self._before, self._last)

    def _tries(
        self, answer: Answer, messages: list[Fragment], kind: Kind, follows: int | None, repeats: int | None = None
    ) -> Iterator[Call]:
        app = self.caller.app
        request = self.caller.request(app.system(self.what, self.world.now_us), messages, tools=self.what == "loop")
        known_tokens, self._input_tokens = self._input_tokens, len(request) // 4
        for tries, status in enumerate(self._statuses()):
            counted = _counted(answer, status, self.world.now_us, self._input_tokens, known_tokens)
            truth = Truth(
                what=self.what,
                conversation=self._number,
                turn=self._turn,
                kind=Kind.RETRY if tries and repeats is not None else kind,
                follows=follows,
                repeats=repeats,
            )
            self._last = repeats = self.world.call
            yield self._exchange(request, counted, tries), truth

    def _exchange(self, request: bytes, answer: Answer, tries: int) -> Exchange:
        world = self.world
        return self.caller.exchange(world.rng, world.ids.next(world.now_us), world.now_us, request, answer, tries)

    def _statuses(self) -> Iterator[int]:
        rng, failing = self.world.rng, FAILING
        for _ in range(1, TRIES):
            if rng.random() >= failing:
                break
            yield rng.choice((429, 500, self.caller.app.format.overload))
            failing = FAILING_AGAIN
        yield 200


def _counted(answer: Answer, status: int, now_us: int, input_tokens: int, known_tokens: int) -> Answer:
    """An answer with its numbers, or a failure in its place."""
    return Answer(
        id=answer.id,
        model=answer.model,
        created_s=now_us // 1_000_000,
        input_tokens=input_tokens,
        output_tokens=answer.output_tokens if status == 200 else 0,
        cached_tokens=known_tokens // 128 * 128 if known_tokens > 1024 else 0,
        status=status,
        text=answer.text,
        calls=answer.calls,
    )


def singles(world: World) -> Iterator[Call]:
    """Questions, each with its answer, and nothing after it."""
    pen = Pen(world.prose)
    while True:
        talk = Talk(world, "single")
        talk.say(_typed(world, pen.write(world.skewed(40, 900))))
        yield from talk.ask(talk.answer(_typed(world, pen.write(world.skewed(120, 2600)))))


def chats(world: World) -> Iterator[Call]:
    """Chats of 2 to 20 turns; some forget, some ask for other answers."""
    pen = Pen(world.prose)
    while True:
        yield from _chat(world, Talk(world, "chat"), pen)


def _chat(world: World, talk: Talk, pen: Pen) -> Iterator[Call]:
    rng = world.rng
    window = WINDOW if rng.random() < SLIDING else None
    regenerated = REGENERATED if rng.random() < REGENERATING else 0.0
    for _ in range(world.turns["chat"].draw()):
        talk.say(_typed(world, pen.write(world.skewed(30, 700))))
        answer = talk.answer(_said(world, pen))
        yield from talk.ask(answer, window)
        if rng.random() < regenerated:
            answer = talk.answer(_said(world, pen))
            yield from talk.ask_again(answer, window)
        talk.heard(answer)


def _said(world: World, pen: Pen) -> str:
    if world.rng.random() < _TERSE:
        return world.rng.choice(_TERSE_ANSWERS)
    return _typed(world, pen.write(world.skewed(150, 2400)))


def _typed(world: World, text: str) -> str:
    """Some people and all models have typographic keys."""
    return (
        text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}").replace(" - ", " — ") if world.rng.random() < 0.3 else text
    )


def loops(world: World) -> Iterator[Call]:
    """Agents that call tools until they are done, each call with all that was before."""
    prose, code = Pen(world.prose), Pen(world.code)
    while True:
        yield from loop(world, Talk(world, "loop"), prose, code, world.turns["loop"].draw())


def loop(world: World, talk: Talk, prose: Pen, code: Pen, turns: int) -> Iterator[Call]:
    """One agent: ``turns`` calls, but for retries."""
    talk.say(prose.write(world.skewed(300, 1500)))
    for _ in range(turns - 1):
        calls = [_tool_call(world, talk, code) for _ in range(1 if world.rng.random() < 0.9 else 2)]
        answer = talk.answer(prose.write(world.skewed(40, 400)) if world.rng.random() < 0.5 else None, calls)
        yield from talk.ask(answer)
        talk.heard(answer)
        talk.got([(call.id, code.write(world.skewed(200, 8000, 2.7))) for call in calls])
    yield from talk.ask(talk.answer(prose.write(world.skewed(400, 2500))))


def _tool_call(world: World, talk: Talk, code: Pen) -> ToolCall:
    arguments = {"path": f"src/{code.write(12).strip()}.py", "query": code.write(world.skewed(20, 500))}
    return ToolCall(talk.caller.app.format.new_call_id(world.rng), f"tool_{world.rng.randrange(12)}", arguments)


ROWS: dict[str, Callable[[World], Iterator[Call]]] = {"single": singles, "chat": chats, "loop": loops}
