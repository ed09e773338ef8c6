"""The calls that ``llmtap demo`` makes, as applications would make them: a support desk and an analyst.

Two projects, several users, chats that grow, agents that use tools, streams with and without
usage, and what goes wrong: a rate limit, a server error, an answer that is cut, a reader who
leaves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

_POLICY = "You are the support assistant of Northwind Traders. Be brief and kind. " + " ".join(
    f"Rule {number}: look the order up before you promise anything about it, name amounts in dollars, "
    "and hand over to a person when the customer asks twice for the same thing."
    for number in range(1, 28)
)
_TOOLS: dict[str, dict[str, Any]] = {
    "look_up_order": {"order": {"type": "string", "description": "number of the order"}},
    "get_weather": {"city": {"type": "string"}},
}
_RESULTS = {
    "look_up_order": {"order": "1042", "total_usd": 42.0, "delivered": "2025-11-03", "returnable": True},
    "get_weather": {"temperature_c": 18, "sky": "clear"},
}
_WITH_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
_PARALLEL = 4

Message = dict[str, Any]


class SampleCalls:
    """Makes the calls through a relay."""

    def __init__(self, relay_url: str) -> None:
        self.made = 0  #: so far
        self.scenes = self._scenes()
        self._relay_url = relay_url
        self._gate = asyncio.Semaphore(_PARALLEL)

    async def run(self) -> None:
        """Make all calls, a few at a time."""
        async with aiohttp.ClientSession() as self._session:
            await asyncio.gather(*(self._scene(scene) for scene in self.scenes))

    async def _scene(self, scene: Callable[[], Awaitable[None]]) -> None:
        async with self._gate:
            await scene()

    def _scenes(self) -> list[Callable[[], Awaitable[None]]]:
        once = self._once
        return [
            lambda: self._support("I want a refund for order 1042", "ada"),
            lambda: once("analyst", "gpt-4o", "Summarise the quarter in two sentences", stream=True, user="grace"),
            lambda: once("support", "gpt-5-mini", "Classify this mail: my invoice is wrong", metadata={"batch": "7"}),
            lambda: once("default", "gpt-4o-mini", "A haiku about a proxy", stream=True),
            lambda: once("analyst", "gpt-5-mini", "SQL for the ten best customers", **_WITH_USAGE),
            lambda: once("support", "gpt-5-mini", "Classify this mail: where is my parcel?", fault="429"),
            lambda: self._weather(),
            lambda: self._chat("analyst", "gpt-4o", "grace"),
            lambda: once("support", "gpt-5-mini", "Translate: the train to Bern leaves at 14:32 from platform 7"),
            lambda: once("analyst", "gpt-5", "Summarise the board minutes", fault="500"),
            lambda: once("support", "gpt-5-mini", "Classify this mail: where is my parcel?", metadata={"batch": "7"}),
            lambda: once("default", "gpt-4o-mini", "Five names for a lighthouse", **_WITH_USAGE),
            lambda: once("analyst", "gpt-5", "Summarise the market report", stream=True, fault="cut"),
            lambda: self._support("Where is order 2210, and can I still get a refund?", "linus"),
            lambda: once("default", "gpt-4o", "Summarise this very long page", stream=True, leave_early=True),
            lambda: once("analyst", "gpt-5", "SQL for churn by region", user="grace"),
            lambda: self._chat("support", "gpt-5-mini", "ada"),
            lambda: once("analyst", "gpt-4o-mini", "Name the ten metrics that matter", stream=True, user="grace"),
            lambda: once(
                "support", "gpt-5-mini", "Classify this mail: please delete my account", metadata={"batch": "8"}
            ),
            lambda: once("support", "gpt-5-mini", "Classify this mail: thank you!", metadata={"batch": "8"}),
            lambda: self._support("Refund order 3315, please", "ada"),
            lambda: once("default", "gpt-4o", "Translate the notice on platform 7", **_WITH_USAGE),
            lambda: self._chat("default", "gpt-4o-mini", "linus"),
            lambda: once("default", "model-without-a-price", "A haiku about logs"),
        ]

    async def _once(self, project: str, model: str, question: str, **fields: Any) -> None:
        await self._post(project, model, [{"role": "user", "content": question}], **fields)

    async def _chat(self, project: str, model: str, user: str) -> None:
        """A conversation: each turn sends everything said before."""
        messages: list[Message] = [{"role": "system", "content": "Answer in one paragraph."}]
        for question in ("Summarise the quarter", "And a haiku about it", "Translate it into German", "A name for it?"):
            messages.append({"role": "user", "content": question})
            messages.append(await self._post(project, model, messages, user=user))

    async def _support(self, question: str, user: str) -> None:
        await self._agent("support", "gpt-5", _POLICY, question, "look_up_order", user=user)

    async def _weather(self) -> None:
        question = "Is the weather warmer in Zürich or in Lisbon?"
        await self._agent("default", "gpt-5-mini", "You may use tools.", question, "get_weather")

    async def _agent(self, project: str, model: str, system: str, question: str, tool: str, **fields: Any) -> None:
        """Ask, run the tools that the model wants, ask again with their results."""
        messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        fields["tools"] = [_tool(tool)]
        answer = await self._post(project, model, messages, **fields)
        messages.append(answer)
        result = json.dumps(_RESULTS[tool])
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in answer["tool_calls"]]
        await self._post(project, model, messages, **fields)

    async def _post(
        self,
        project: str,
        model: str,
        messages: list[Message],
        *,
        fault: str = "",
        leave_early: bool = False,
        **fields: Any,
    ) -> Message:
        """Make one call; the message of a unary answer. ``fields`` go into the request as they are."""
        url = f"{self._relay_url}{'' if project == 'default' else f'/p/{project}'}/v1/chat/completions"
        headers = {"Authorization": "Bearer sk-sample", **({"x-sample": fault} if fault else {})}
        body = {"model": model, "messages": messages, **fields}
        try:
            async with self._session.post(url, json=body, headers=headers) as response:
                return await _read(response, leave_early=leave_early)
        except aiohttp.ClientPayloadError:  # the answer that is cut
            return {}
        finally:
            self.made += 1


async def _read(response: aiohttp.ClientResponse, *, leave_early: bool) -> Message:
    if leave_early:
        await response.content.readuntil(b"\n\n")
        response.close()
        return {}
    raw = await response.read()
    if response.status != 200 or response.content_type != "application/json":
        return {}
    message: Message = json.loads(raw)["choices"][0]["message"]
    return message


def _tool(name: str) -> dict[str, Any]:
    properties = _TOOLS[name]
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}
