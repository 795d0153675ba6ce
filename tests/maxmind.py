"""Writes a small file in MaxMind's format (its specification, version 2.0): networks → records,
IPv4 as ::/96, in nodes of two times 24 bits.
"""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR = bytes(16)
_STRING, _U16, _U32, _MAP, _U64, _ARRAY = 2, 5, 6, 7, 9, 11


def file(records: Mapping[str, Any]) -> bytes:
    """A database of these networks, none within another: maps, lists and texts, whole numbers as 32
    bits.
    """
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for network, record in records.items():
        bits = _bits(network)
        node = nodes[0]
        for bit in bits[:-1]:
            if node[bit] is None:
                nodes.append([None, None])
                node[bit] = len(nodes) - 1
            step = node[bit]
            assert isinstance(step, int), "one network lies within another"
            node = nodes[step]
        node[bits[-1]] = _data(record)
    return _written(nodes)


def _written(nodes: list[list[int | bytes | None]]) -> bytes:
    """The tree, the data that its leaves point to, and what there is to know of both."""
    tree, data = b"", b""
    for node in nodes:
        for side in node:
            if isinstance(side, bytes):
                place, data = len(nodes) + len(_SEPARATOR) + len(data), data + side
            else:
                place = len(nodes) if side is None else side
            tree += place.to_bytes(3, "big")
    about = {
        "node_count": _number(_U32, len(nodes)),
        "record_size": _number(_U16, 24),
        "ip_version": _number(_U16, 6),
        "database_type": _data("Test-Country"),
        "languages": _data(["en"]),
        "binary_format_major_version": _number(_U16, 2),
        "binary_format_minor_version": _number(_U16, 0),
        "build_epoch": _number(_U64, 1),
        "description": _data({"en": "networks of a test"}),
    }
    return (
        tree
        + _SEPARATOR
        + data
        + _MARKER
        + _head(_MAP, len(about))
        + b"".join(_data(name) + value for name, value in about.items())
    )


def _bits(network: str) -> list[int]:
    known = ip_network(network)
    first, length = (
        int(known.network_address),
        known.prefixlen + (96 if isinstance(known, IPv4Network) else 0),
    )
    return [first >> (127 - place) & 1 for place in range(length)]


def _data(value: Any) -> bytes:
    if isinstance(value, dict):
        return _head(_MAP, len(value)) + b"".join(
            _data(name) + _data(item) for name, item in value.items()
        )
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(map(_data, value))
    if isinstance(value, int):
        return _number(_U32, value)
    text = str(value).encode()
    return _head(_STRING, len(text)) + text


def _number(kind: int, value: int) -> bytes:
    """Without leading zeros."""
    text = struct.pack(">Q", value).lstrip(b"\0")
    return _head(kind, len(text)) + text


def _head(kind: int, size: int) -> bytes:
    """Of a value: its kind, and a size below 29."""
    assert size < 29
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
