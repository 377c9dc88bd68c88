"""Identity: same content, same key."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> str:
    """128 bits of SHA-256, as 32 hexadecimal digits: the form of every key."""
    return hashlib.sha256(data).hexdigest()[:32]


def key(*parts: Any) -> str:
    """The key of some JSON values, in order."""
    return digest(canonical(parts))


def generator(*parts: Any) -> random.Random:
    """A generator of its own for (seed, benchmark, sample key, …): what it draws depends on nothing else."""
    return random.Random(int(key(*parts), 16))
