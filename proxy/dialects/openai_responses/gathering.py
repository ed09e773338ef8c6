"""The output of a streamed response while its pieces come: items, their parts, their texts.

An event names the item it belongs to by index and by id. Servers leave out either, give all items
the same one, or a new id in every event: what fits best is taken, and what fits nothing begins an
item. What an event says of a whole item or part goes before what its pieces amount to.
"""

from __future__ import annotations

from typing import Any

from ..json_values import MOST_ENTRIES, listed, mapping, text
from .events import Place

_Key = tuple[int | None, str | None]


class Text:
    """A text under way."""

    __slots__ = ("logprobs", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.logprobs: list[Any] = []


class Node:
    """An object under way: an item, or a part of one."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.annotations: list[Any] = []  # told one by one
        self.told = False  # an event said that it begins
        self.whole = False  # an event said how it ended
        self._texts: dict[str, Text] = {}
        self._parts: dict[str, dict[tuple[int, str], Node]] = {}

    def text(self, key: str) -> Text:
        """The text that stands under a key."""
        return self._texts.setdefault(key, Text())

    def part(self, key: str, index: int | None, type_of_part: str) -> Node:
        """A part in the list that stands under a key."""
        nodes = self._parts.setdefault(key, {})
        return nodes.setdefault((index or 0, type_of_part), Node({"type": type_of_part}))

    def end(self, fields: dict[str, Any]) -> None:
        """It was told as a whole."""
        self.fields = fields
        self.whole = True

    def may_be(self, item: dict[str, Any]) -> bool:
        """Whether what begins under its name is still itself: it was not told yet, or is told again."""
        return not self.told or (bool(text(item.get("id"))) and item.get("call_id") == self.fields.get("call_id"))

    def value(self) -> dict[str, Any]:
        """The object as a unary answer has it."""
        value = dict(self.fields)
        for key, pieces in self._texts.items():
            if pieces.pieces and not self._has(key):
                value[key] = "".join(pieces.pieces)
            if pieces.logprobs and not value.get("logprobs"):
                value["logprobs"] = pieces.logprobs
        if self.annotations and not self._has("annotations"):
            value["annotations"] = [*listed(value.get("annotations")), *self.annotations]
        for key, nodes in self._parts.items():
            if not self._has(key):
                value[key] = [nodes[place].value() for place in sorted(nodes)]
        return value

    def _has(self, key: str) -> bool:
        return self.whole and bool(self.fields.get(key))


class Gathering:
    """The items of an answer under way."""

    def __init__(self) -> None:
        self._items: list[tuple[int | None, Node]] = []
        self._known: dict[_Key, Node] = {}

    def output(self) -> list[dict[str, Any]]:
        """The items so far: by their indexes, or in the order they came where an index is missing."""
        items = self._items
        if all(index is not None for index, _ in items):
            items = sorted(items, key=lambda item: item[0] or 0)
        return [node.value() for _, node in items]

    def begin(self, event: dict[str, Any]) -> dict[str, Any]:
        """``output_item.added``; gives the item."""
        item = mapping(event.get("item"))
        key = (integer(event.get("output_index")), text(item.get("id")))
        node = self._known.get(key)
        if node is None or node.whole or not _alike(node, item) or not node.may_be(item):
            node = self._add(key, item)
        node.fields = item
        node.told = True
        return item

    def end(self, event: dict[str, Any]) -> dict[str, Any]:
        """``output_item.done``; gives the item."""
        item = mapping(event.get("item"))
        key = (integer(event.get("output_index")), text(item.get("id")))
        node = self._find(key, item)
        if node is None or (node.whole and (key[1] is None or key not in self._known)):
            node = self._add(key, item)
        node.end(item)
        return item

    def item(self, event: dict[str, Any], type_of_item: str) -> Node:
        """The item that an event belongs to; one of that type begins when there is none."""
        key = (integer(event.get("output_index")), text(event.get("item_id")))
        implied = {"type": type_of_item}
        return self._find(key, implied) or self._add(key, implied)

    def text(self, event: dict[str, Any], place: Place) -> Text:
        """The text that an event adds to."""
        item = self.item(event, place.item)
        if place.parts:
            item = item.part(place.parts, integer(event.get(place.index)), place.part)
        return item.text(place.key)

    def _find(self, key: _Key, item: dict[str, Any]) -> Node | None:
        """By index and id, else by index, else by id, else the last one if nothing is named."""
        index, item_id = key
        candidates = [self._known.get(key)]
        if index is not None:
            candidates.append(self._known.get((index, None)))
        if item_id is not None:
            candidates.append(self._known.get((None, item_id)))
        if key == (None, None) and self._items:
            candidates.append(self._items[-1][1])
        return next((node for node in candidates if node is not None and _alike(node, item)), None)

    def _add(self, key: _Key, item: dict[str, Any]) -> Node:
        node = Node(item)
        if len(self._items) >= MOST_ENTRIES:
            return node
        index, item_id = key
        self._items.append((index, node))
        for known_by in (key, (index, None), (None, item_id)):
            if known_by != (None, None):
                self._known[known_by] = node
        return node


def integer(value: Any) -> int | None:
    """An index that is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _alike(node: Node, item: dict[str, Any]) -> bool:
    """Whether both are messages, or thoughts, or tools: the type of tool is sometimes told late, or wrong."""
    return _family(node.fields) == _family(item)


def _family(item: dict[str, Any]) -> str:
    type_of_item = text(item.get("type")) or "message"
    return type_of_item if type_of_item in ("message", "reasoning") else "tool"
