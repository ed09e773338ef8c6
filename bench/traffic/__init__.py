"""A seeded generator of traffic, with what is true of it: which calls belong together, and how.

40 % of the calls are questions, 40 % chats, 20 % agent loops, in 200 conversations at a time. The
same seed gives the same calls. ``apart`` makes them in other processes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from itertools import count, takewhile

from .corpus import Corpus, Pen
from .talks import ROWS, TURNS, Call, Deck, Kind, Lot, Talk, Truth, World, loop

__all__ = ["MIX", "Call", "Corpus", "Kind", "Lot", "Truth", "loops_abreast", "traffic"]

MIX = {"single": 0.4, "chat": 0.4, "loop": 0.2}  #: shares of calls
CONVERSATIONS = 200  #: at a time
WHOLE = Lot()
SEED = 2  #: 20,000 calls of it are of the size that millions are
START_US = 1_793_491_200_000_000  #: 2026-11-01
_PAUSE_US = 20_000_000  #: between the calls of one conversation


def traffic(
    calls: int,
    seed: int = SEED,
    *,
    corpus: Corpus | None = None,
    mix: dict[str, float] = MIX,
    conversations: int = CONVERSATIONS,
    gap_us: int | None = None,
    stream: float = 0.0,
    anthropic: float = 0.0,
    under_way: bool = True,
    lot: Lot = WHOLE,
) -> Iterator[Call]:
    """So many calls in the order of their start.

    ``gap_us``: from one call to the next, on average; by default as quickly as people and agents are.
    ``stream``, ``anthropic``: shares of applications that stream, or that speak Anthropic's format.
    ``under_way``: conversations have begun before the first call, so that short runs are like long ones.
    ``lot``: only these of the calls; other lots have other conversations.
    """
    rng = random.Random(seed * lot.of + lot.part)
    world = World(rng, corpus or Corpus.read(), stream, anthropic, lot)
    gap_us = gap_us or _PAUSE_US // conversations
    abreast = {
        what: deque(ROWS[what](world) for _ in range(max(1, round(conversations * share))))
        for what, share in mix.items()
        if share
    }
    world.now_us = START_US
    if under_way:
        _begin_before(rng, abreast)
    chosen = Deck([what for what in abreast for _ in range(round(100 * mix[what]))], rng)
    places = takewhile(lambda place: lot.number(place) < calls, count())
    for place in places:
        world.call = lot.number(place)
        if place % lot.size == 0:  # others were busy meanwhile
            world.now_us = max(world.now_us, START_US + world.call * gap_us)
        world.now_us += rng.randrange(1, 2 * gap_us)
        rows = abreast[chosen.draw()]
        row = rows[rng.randrange(1 + len(rows) // 8)]  # of those that have been silent for long
        rows.remove(row)
        rows.append(row)
        yield next(row)


def _begin_before(rng: random.Random, abreast: dict[str, deque[Iterator[Call]]]) -> None:
    """Let all be in the middle of something when the first call is seen."""
    for what, rows in abreast.items():
        for row in rows:
            for _ in range(rng.randrange(TURNS[what].stop if what in TURNS else 1)):
                next(row)


def loops_abreast(loops: int, turns: int, seed: int = SEED, corpus: Corpus | None = None) -> Iterator[list[Call]]:
    """So many agent loops of ``turns`` calls side by side: each turn of all of them."""
    world = World(random.Random(seed), corpus or Corpus.read(), 0.0, 0.0, WHOLE)
    world.now_us = START_US
    rows = [loop(world, Talk(world, "loop"), Pen(world.prose), Pen(world.code), turns) for _ in range(loops)]
    world.call = 0
    for _ in range(turns):
        made = []
        for row in rows:
            world.now_us += _PAUSE_US // loops
            made.append(next(row))
            world.call += 1
        yield made
