"""What readers send: their key, a subscription, the end of one."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class _ReaderRequest(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """A JSON object whose `type` says which request it is."""


class AuthRequest(_ReaderRequest, frozen=True, tag="auth"):
    """The API key, for a browser: it cannot set headers on a WebSocket."""

    key: str


class SubscribeRequest(_ReaderRequest, frozen=True, tag="subscribe"):
    """A subscription to events that pass a filter, or to counters."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    """The reader's own name for the subscription; every message of it carries this id."""
    channel: Literal["events", "counters"]
    project: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    event: Text | None = None
    where: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()


class UnsubscribeRequest(_ReaderRequest, frozen=True, tag="unsubscribe"):
    """The end of a subscription."""

    id: str


class _Identified(msgspec.Struct, frozen=True):
    id: str | None = None


NOT_A_REQUEST = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `decode` raises for anything but a request."""

_WORDS = {
    "`str`": "text",
    "`int`": "a number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
    "`null`": "null",
    "enum value": "value",
}
"""What msgspec says, in the words of people who know JSON but not Python."""

decode = msgspec.json.Decoder(AuthRequest | SubscribeRequest | UnsubscribeRequest).decode
_identified = msgspec.json.Decoder(_Identified).decode


def in_words(error: Exception) -> str:
    """What is wrong with a request, as in "Expected text, got a number - at `$.id`"."""
    text = str(error)
    for name, word in _WORDS.items():
        text = text.replace(name, word)
    return text


def id_in(text: str | bytes) -> str | None:
    """The subscription that a message names, even if the message is not a valid request."""
    try:
        return _identified(text).id
    except NOT_A_REQUEST:
        return None
