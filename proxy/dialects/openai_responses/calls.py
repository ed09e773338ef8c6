"""Tool items of the Responses format: what was called, with what, and what came back.

An item of a tool that the provider runs holds the call and its result; it gives a part for each,
marked ``server``. Tools that the client runs have an item for the call and another for the output.
Screenshots and pictures are measured, never kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...records import ContentPart, evolve
from ..json_values import Notes, compact, items, listed, mapping, name, text
from .content import content, image

Parts = tuple[ContentPart, ...]
_WITHOUT_ERROR = {"completed": False, "failed": True}


def _call(item: dict[str, Any], called: Any, arguments: Any, notes: Notes, *, server: bool = False) -> ContentPart:
    return ContentPart(
        type="tool_call",
        tool_call_id=_id(item, notes),
        name=name(called, "tool name", notes),
        arguments=None if arguments is None else compact(arguments),
        server=server or None,
    )


def _result(
    item: dict[str, Any], said: str | None, notes: Notes, *, failed: bool | None = None, server: bool = False
) -> ContentPart:
    return ContentPart(
        type="tool_result", text=said or None, tool_call_id=_id(item, notes), failed=failed, server=server or None
    )


def _id(item: dict[str, Any], notes: Notes) -> str | None:
    return name(item.get("call_id") or item.get("id"), "tool call id", notes)


def _status_failed(item: dict[str, Any]) -> bool | None:
    return _WITHOUT_ERROR.get(text(item.get("status")) or "")


def _is_remote(item: dict[str, Any]) -> bool:
    """Whether it is one of those tools that run at the provider's or at the client's, and runs at the provider's."""
    return item.get("execution") == "server" or mapping(item.get("environment")).get("type") == "container_reference"


# --- tools that the client runs ---------------------------------------------------------------------


def _function_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, item.get("name"), item.get("arguments"), notes),)


def _custom_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, item.get("name"), item.get("input"), notes),)


def _computer_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, "computer", item.get("actions") or item.get("action"), notes),)


def _computer_output(item: dict[str, Any], notes: Notes) -> Parts:
    return (_result(item, None, notes), image(mapping(item.get("output"))))


def _local_shell_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, "local_shell", item.get("action"), notes),)


def _apply_patch_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, "apply_patch", item.get("operation"), notes),)


def _apply_patch_output(item: dict[str, Any], notes: Notes) -> Parts:
    return (_result(item, text(item.get("output")), notes, failed=_status_failed(item)),)


def _output(item: dict[str, Any], notes: Notes) -> Parts:
    """A text, parts, or any JSON that somebody put in their place."""
    output = item.get("output")
    if not isinstance(output, (list, str)):
        return (_result(item, None if output is None else compact(output), notes),)
    parts = content(output, notes)
    said = "".join(part.text or "" for part in parts if part.type == "text")
    result = evolve(_result(item, said, notes), name=name(item.get("name"), "tool name", notes))
    return (result, *(part for part in parts if part.type != "text"))


# --- tools that run at either's -----------------------------------------------------------------------


def _shell_call(item: dict[str, Any], notes: Notes) -> Parts:
    action = mapping(item.get("action"))
    begun = [mapping(command).get("command") for command in items(item.get("commands"), "commands", notes)]
    arguments = {**action, "commands": begun} if begun else action
    return (_call(item, "shell", arguments, notes, server=_is_remote(item)),)


def _shell_output(item: dict[str, Any], notes: Notes) -> Parts:
    output = item.get("output")
    runs = [mapping(run) for run in listed(output)]
    said = "".join(text(run.get(stream)) or "" for run in runs for stream in ("stdout", "stderr"))
    outcomes = [mapping(run.get("outcome")) for run in runs]
    failed = any(outcome.get("type") == "timeout" or outcome.get("exit_code") for outcome in outcomes)
    return (_result(item, said or text(output), notes, failed=failed if runs else None),)


def _tool_search_call(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, "tool_search", item.get("arguments"), notes, server=_is_remote(item)),)


def _tool_search_output(item: dict[str, Any], notes: Notes) -> Parts:
    found = [text(mapping(tool).get("name")) for tool in items(item.get("tools"), "tools", notes)]
    return (_result(item, "\n".join(filter(None, found)), notes, server=_is_remote(item)),)


# --- tools that the provider runs -----------------------------------------------------------------------


def _web_search(item: dict[str, Any], notes: Notes) -> Parts:
    action = dict(mapping(item.get("action")))
    sources = items(action.pop("sources", None), "sources", notes)
    pages = "\n".join(filter(None, (text(mapping(source).get("url")) for source in sources)))
    return _ran(item, "web_search", action, pages, notes)


def _file_search(item: dict[str, Any], notes: Notes) -> Parts:
    results = items(item.get("results"), "results", notes)
    found = "\n\n".join(filter(None, (text(mapping(result).get("text")) for result in results)))
    return _ran(item, "file_search", _some(item, "queries"), found, notes)


def _code_interpreter(item: dict[str, Any], notes: Notes) -> Parts:
    outputs = [mapping(output) for output in items(item.get("outputs"), "outputs", notes)]
    logs = "".join(text(output.get("logs")) or "" for output in outputs)
    pictures = [image({"image_url": output["url"]}) for output in outputs if output.get("url")]
    return (*_ran(item, "code_interpreter", _some(item, "code"), logs, notes), *pictures)


_IMAGE_SETTINGS = ("revised_prompt", "action", "size", "quality", "background", "output_format")


def _image_generation(item: dict[str, Any], notes: Notes) -> Parts:
    """The picture is base64 without a word of its type, but for the format that was asked for."""
    called = _ran(item, "image_generation", _some(item, *_IMAGE_SETTINGS), "", notes)
    data, extension = text(item.get("result")), text(item.get("output_format")) or "png"
    if not data:
        return called
    picture = image({"image_url": data if data[:5] == "data:" else f"data:image/{extension[:40]};base64,{data}"})
    return (*called, evolve(picture, tool_call_id=_id(item, notes), server=True))


def _mcp_call(item: dict[str, Any], notes: Notes) -> Parts:
    said = item.get("output")
    called = _call(item, item.get("name"), item.get("arguments"), notes, server=True)
    results = () if said is None else (_result(item, compact(said), notes, failed=False, server=True),)
    return (called, *(_error(item, notes) or results))


def _program(item: dict[str, Any], notes: Notes) -> Parts:
    return (_call(item, "program", _some(item, "code"), notes, server=True),)


def _program_output(item: dict[str, Any], notes: Notes) -> Parts:
    return (_result(item, text(item.get("result")), notes, server=True),)


def _ran(item: dict[str, Any], called: str, arguments: Any, said: str, notes: Notes) -> Parts:
    """A call, and its result when that is in the item."""
    results = (_result(item, said, notes, failed=_status_failed(item), server=True),) if said else ()
    return (_call(item, called, arguments or None, notes, server=True), *(_error(item, notes) or results))


def _error(item: dict[str, Any], notes: Notes) -> Parts:
    """What went wrong, in place of a result."""
    error = item.get("error")
    if not error and not _status_failed(item):
        return ()
    details = mapping(error).get("content")
    said = mapping(error).get("message") or (_texts(details) if isinstance(details, list) else None) or error
    return (_result(item, compact(said) if said else None, notes, failed=True, server=True),)


def _texts(parts: list[Any]) -> str:
    """The texts of parts of any type."""
    return "".join(text(mapping(part).get("text")) or "" for part in listed(parts))


def _some(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: item[key] for key in keys if item.get(key)}


# --- tools of MCP servers that wait for a word --------------------------------------------------------------


def _mcp_tools(item: dict[str, Any], _notes: Notes) -> Parts:
    error = item.get("error")
    return (
        ContentPart(
            type="other", name="mcp_list_tools", text=compact(error) if error else None, failed=True if error else None
        ),
    )


def _approval_request(item: dict[str, Any], notes: Notes) -> Parts:
    asked = _call(item, item.get("name"), item.get("arguments"), notes)
    return (evolve(asked, type="other", name="mcp_approval_request", text=asked.name),)


def _approval_response(item: dict[str, Any], notes: Notes) -> Parts:
    return (
        ContentPart(
            type="other",
            name="mcp_approval_response",
            text=text(item.get("reason")),
            tool_call_id=name(item.get("approval_request_id"), "approval_request_id", notes),
            failed=True if item.get("approve") is False else None,
        ),
    )


#: By type of item: its parts.
TOOLS: dict[str, Callable[[dict[str, Any], Notes], Parts]] = {
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _output,
    "computer_call": _computer_call,
    "computer_call_output": _computer_output,
    "local_shell_call": _local_shell_call,
    "local_shell_call_output": _output,
    "shell_call": _shell_call,
    "shell_call_output": _shell_output,
    "apply_patch_call": _apply_patch_call,
    "apply_patch_call_output": _apply_patch_output,
    "tool_search_call": _tool_search_call,
    "tool_search_output": _tool_search_output,
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "code_interpreter_call": _code_interpreter,
    "image_generation_call": _image_generation,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_tools,
    "mcp_approval_request": _approval_request,
    "mcp_approval_response": _approval_response,
    "program": _program,
    "program_output": _program_output,
}
