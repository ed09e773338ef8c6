"""A served console, for tests: real sockets, a real store, a client."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import aiohttp
from msgspec import convert

from proxy.clock import wall_us
from proxy.config import load
from proxy.console.access.passwords import digest, hashed, new_token
from proxy.console.app import serve_console
from proxy.console.permissions import read_grant
from proxy.datadir import prepare
from proxy.journal.codec import decode
from proxy.journal.reader import JournalReader
from proxy.records import Event, EventKind
from proxy.store.accounts import Token
from proxy.store.base import Batch, StoredCall
from proxy.store.judgements import AuditSaid
from proxy.store.sqlite.accounts import Accounts
from proxy.store.sqlite.store import SqliteStore

_hashed = cache(hashed)  # slow on purpose, and the same for all tests
_SECTION = dict.fromkeys(("token", "login", "hosts"), "console")


class Console:
    """A served console, its store and a client."""

    def __init__(self, data: Path, **settings: object) -> None:
        self.data = data
        flags = {("data", "dir"): str(data), ("console", "listen"): "127.0.0.1:0"}
        flags |= {(_SECTION.get(name, "relay"), name): value for name, value in settings.items()}
        self.config = load(environment={"XDG_CONFIG_HOME": str(data)}, flags=flags)

    async def __aenter__(self) -> Console:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self._runner = await serve_console(self.config, [self.socket])
        self.client = aiohttp.ClientSession(f"http://127.0.0.1:{self.port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self._runner.cleanup()

    async def record(self, *calls: StoredCall, events: Sequence[Event] = ()) -> None:
        store = await SqliteStore.open(prepare(self.data))
        try:
            await store.write(Batch(calls=calls, events=events))
        finally:
            await store.close()

    def written(self) -> list[Event]:
        """What the console has put into its journal, in order."""
        found = []
        for directory in (self.data / "journal").glob("console-*"):
            reader = JournalReader(directory)
            records = (decode(item[1].kind, item[1].payload) for item in reader.poll() if isinstance(item, tuple))
            found += [record for record in records if isinstance(record, Event)]
            reader.close()
        return found

    def audit(self) -> list[tuple[str, str, str, str, int]]:
        """(who, action, target, project, status) of the audit rows among them."""
        said = [(event, convert(event.said, AuditSaid)) for event in self.written() if event.kind == EventKind.AUDIT]
        return [(event.author, row.action, row.target, row.project, row.status) for event, row in said]

    def person(self, name: str, password: str, *roles: str) -> None:
        """Somebody who may log in; roles as ``viewer`` or ``viewer:project``."""
        Accounts(prepare(self.data)).add(name, _hashed(password), [read_grant(role) for role in roles], wall_us())

    def token(self, *roles: str, name: str = "", expires_at_us: int | None = None) -> str:
        """A token of a program."""
        secret = new_token()
        made = Token(
            id=0,
            name=name or secret[-12:],
            tail=secret[-4:],
            grants=tuple(read_grant(role) for role in roles),
            made_by="test",
            created_at_us=wall_us(),
            expires_at_us=expires_at_us,
            used_at_us=None,
            revoked_at_us=None,
        )
        Accounts(prepare(self.data)).add_token(made, digest(secret))
        return secret

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.client.get(path, headers=headers) as response:
            return response.status, await response.text()

    async def json(self, path: str) -> dict[str, object]:
        status, text = await self.get(path)
        assert status == 200, text
        found: dict[str, object] = json.loads(text)
        return found
