"""``python -m bench.served DIR``: the console alone, on a store that nobody writes to; prints its port."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from proxy import config
from proxy.console.app import serve_console


async def main(data_dir: str) -> None:
    settings = config.load(environment={}, flags={("data", "dir"): data_dir})
    listening = socket.create_server(("127.0.0.1", 0))
    await serve_console(settings, [listening])
    print(listening.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))  # as serve does
