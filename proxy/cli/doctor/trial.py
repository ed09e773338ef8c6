"""One call through the running llmtap, without a key: is it recorded, and does it go where these settings say?

A ``serve`` that was started with other settings sends calls elsewhere, and a key must not go
along. What was recorded of the trial tells: nothing in an answer would.
"""

from __future__ import annotations

import asyncio
import contextlib

from ...clock import monotonic_us
from ...config import Config
from ...console import figures
from ...errors import CallNotFound, LlmtapError, StoreError
from ...store.base import Reader
from ..findings import Finding
from ..options import hint
from ..reading import store_reader
from .comparison import CALL_ID
from .measuring import Request, through_llmtap
from .providers import Chosen

_STORED_US = 10_000_000
_POLL_S = 0.05


async def trial(config: Config, chosen: Chosen, relay_url: str) -> Finding:
    """Whether the relay may be given the key."""
    try:
        answer = await through_llmtap(config, chosen.route, relay_url, Request(chosen.provider.models, []))
    except LlmtapError as error:
        return Finding(False, f"the running llmtap cannot be called at {relay_url}", str(error))
    call_id = answer.value(CALL_ID)
    if not call_id:
        what = f"calls through {relay_url} cannot be followed: answers carry no {CALL_ID.decode()}"
        return Finding(False, what, "leave relay.call_id_header on", grave=False)
    started_us = monotonic_us()
    try:
        base = await _recorded_base(config, call_id)
    except StoreError as error:
        return Finding(False, "the store cannot be read", str(error))
    if base is None:
        what = f"a call through {relay_url} is not stored after {figures.duration(_STORED_US)}"
        return Finding(False, what, f"{hint('status', config.data_dir)} says what is behind")
    if base != chosen.route.base:
        what = f"the running llmtap sends such calls to {base or 'no upstream'}: it was started with other settings"
        return Finding(False, what, f"start it anew with these, if they are to go to {chosen.route.base}", grave=False)
    stored = figures.duration(monotonic_us() - started_us)
    return Finding(True, f"the running llmtap leads there too, and a call through it was stored within {stored}")


async def _recorded_base(config: Config, call_id: str) -> str | None:
    """The upstream's URL of a call, once the call is stored; None when it is not in time."""
    deadline_us = monotonic_us() + _STORED_US
    async with store_reader(config.data_dir) as reader:
        while monotonic_us() < deadline_us:
            if (base := await _base_of(reader, call_id)) is not None:
                return base
            await asyncio.sleep(_POLL_S)
    return None


async def _base_of(reader: Reader, call_id: str) -> str | None:
    with contextlib.suppress(CallNotFound):
        exchange = await reader.exchange(call_id)
        return None if exchange is None else exchange.begin.base
    return None
