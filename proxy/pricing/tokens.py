"""How many tokens a call had, where its provider did not say. An estimate, and marked as one.

OpenAI's models are counted with their vocabularies, others by characters. Around the messages of a
chat goes the overhead that OpenAI describes. Not counted: images, sound, video, files, which every
provider measures in its own way; reasoning of earlier turns, which is not sent to the model again;
the query that a reranker reads once more with each document.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache

import orjson

from ..records import ContentPart, Message, Parsed, Tool, Usage
from .vocabularies import encoding

_PER_MESSAGE = 3
_PER_ANSWER = 3  # the answer is primed with its role
_CHARACTERS_PER_TOKEN = 4
_LONGEST_COUNTED = 1_000_000  # characters; longer texts are counted by characters
_SLICE = 8192  # characters; keeps the work for one endless word bounded, and costs a token at each cut
_MOST_REMEMBERED = 4096


#: Dialects whose answers are vectors or ranks: only what was sent has tokens.
_WITHOUT_ANSWER = frozenset({"openai_embeddings", "rerank"})
#: Dialects whose texts are not framed as messages.
_UNFRAMED = frozenset({*_WITHOUT_ANSWER, "openai_completions"})
_SYSTEM = frozenset({"developer", "system"})
_MEDIA = frozenset({"audio", "file", "image", "video"})


def estimate(parsed: Parsed, dialect: str | None = None) -> Usage | None:
    """Input and output tokens of an answered call, by its texts. Needs no network; the first call takes 0.4 s.

    A count is None for a half that is not there: no messages, or an answer that is not made of tokens.
    None where there is nothing to count: no answer (errors, lists of models, verdicts, counted tokens,
    an answer that comes later), or the answer of another call, fetched again.
    """
    answered = parsed.choices or (parsed.results and dialect in _WITHOUT_ANSWER)
    if parsed.retrieved or not answered:
        return None
    vocabulary = _vocabulary(parsed.model or parsed.model_requested or "")
    answers = [choice.message for choice in parsed.choices]
    asked = _asked(parsed)
    return Usage(
        input_tokens=_prompt(asked, parsed.tools, vocabulary, dialect not in _UNFRAMED) if asked else None,
        output_tokens=_texts(vocabulary, _written(answers)) if answers else None,
        reasoning_tokens=_texts(vocabulary, _reasoned(answers)) or None,
    )


def _asked(parsed: Parsed) -> tuple[Message, ...]:
    """The messages, with the system prompt of formats that keep it apart."""
    if not parsed.system_prompt or any(message.role in _SYSTEM for message in parsed.input):
        return parsed.input
    system = Message(role="system", parts=(ContentPart(type="text", text=parsed.system_prompt),))
    return (system, *parsed.input)


def _prompt(asked: tuple[Message, ...], tools: tuple[Tool, ...], vocabulary: str | None, framed: bool) -> int:
    tokens = _texts(vocabulary, (text for message in asked for text in _read(message)))
    if not framed:
        return tokens
    named = [message.role for message in asked]
    offered = (text for tool in tools for text in _described(tool))
    return _PER_ANSWER + _PER_MESSAGE * len(asked) + tokens + _texts(vocabulary, [*named, *offered])


def _read(message: Message) -> Iterable[str | None]:
    """What a model reads of a message."""
    for part in message.parts:
        if part.type != "reasoning" and part.type not in _MEDIA:
            yield from (part.text, part.name, part.arguments)


def _written(answers: Iterable[Message]) -> Iterable[str | None]:
    """What a model wrote."""
    for answer in answers:
        for part in answer.parts:
            if part.type not in _MEDIA:
                yield from (part.text, part.name, part.arguments)


def _reasoned(answers: Iterable[Message]) -> Iterable[str | None]:
    return (part.text for answer in answers for part in answer.parts if part.type == "reasoning")


def _described(tool: Tool) -> Iterable[str | None]:
    yield from (tool.name, tool.description)
    if tool.parameters is not None:
        yield orjson.dumps(tool.parameters).decode()


# --- counting -------------------------------------------------------------------------------------


@lru_cache(1024)
def _vocabulary(model: str) -> str | None:
    """The vocabulary of a model; None where its tokens are estimated by characters."""
    from tiktoken.model import encoding_name_for_model

    try:
        name = encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return None
    # Harmony is o200k with more special tokens, and those are never counted here.
    return {"o200k_base": "o200k_base", "o200k_harmony": "o200k_base", "cl100k_base": "cl100k_base"}.get(name)


def _texts(vocabulary: str | None, texts: Iterable[str | None]) -> int:
    return sum(count(text, vocabulary) for text in texts if text)


def count(text: str, vocabulary: str | None) -> int:
    """Tokens of one text. Remembered, because a chat sends its texts again each turn."""
    key = (hash(text), len(text), vocabulary)
    known = _counts.get(key)
    if known is None:
        known = _counts[key] = _count(text, vocabulary)
        if len(_counts) > _MOST_REMEMBERED:
            _counts.popitem(last=False)
    else:
        _counts.move_to_end(key)
    return known


#: By hash instead of text: texts may be large. A wrong hit needs equal 64-bit hashes and costs an estimate.
_counts: OrderedDict[tuple[int, int, str | None], int] = OrderedDict()


def _count(text: str, vocabulary: str | None) -> int:
    encoder = encoding(vocabulary) if vocabulary and len(text) <= _LONGEST_COUNTED else None
    if encoder is None:
        return -(-len(text) // _CHARACTERS_PER_TOKEN)
    return sum(len(encoder.encode_ordinary(text[at : at + _SLICE])) for at in range(0, len(text), _SLICE))
