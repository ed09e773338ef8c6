"""The record with which a call begins, whichever path relays it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..clock import CallIds, monotonic_us, wall_us
from ..records import Begin
from ..wire.headers import Recorder
from .routes import DEFAULT_PROJECT, Destination


class Beginnings:
    """One per worker: ids of its calls grow."""

    def __init__(self, recorder: Recorder) -> None:
        self._ids = CallIds()
        self._recorder = recorder

    def of(
        self,
        method: str,
        target: bytes,
        http_version: str,
        peer: Sequence[Any] | None,
        headers: Sequence[tuple[bytes, bytes]],
        to: Destination | None,
        *,
        no_log: bool = False,
        omit_request: bool = False,
        omit_response: bool = False,
    ) -> Begin:
        """A call that begins now. ``peer``: address of the client; ``to``: None for one that goes nowhere."""
        now_us = wall_us()
        shown = self._recorder.target(target)
        return Begin(
            id=self._ids.next(now_us),
            started_at_us=now_us,
            accepted_us=monotonic_us(),
            method=method,
            target=shown.partition("?")[0] if no_log else shown,
            http_version=http_version,
            client=f"{peer[0]}:{peer[1]}" if peer and not no_log else "",
            project=to.project if to else DEFAULT_PROJECT,
            upstream=to.route.upstream if to else "",
            base=to.route.base if to else "",
            endpoint=self._recorder.target(to.path.encode("utf-8", "surrogateescape")) if to else "",
            headers=() if no_log else self._recorder.headers(headers),
            no_log=no_log,
            omit_request=omit_request,
            omit_response=omit_response,
        )
