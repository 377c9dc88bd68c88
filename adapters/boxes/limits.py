"""What assay.programs.Limits is for the kernel."""

from __future__ import annotations

import math
import resource
from collections.abc import Mapping
from typing import Any

OPEN_FILES = 256
_STACK = 64
_MIB = 1 << 20


def resource_limits(limits: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The soft and the hard limit of each resource, by its name; none above what this process may have itself."""
    seconds = math.ceil(limits["cpu"])
    wanted = {
        "as": (limits["memory"] * _MIB,) * 2,
        "cpu": (seconds, seconds + 1),
        "nproc": (limits["processes"],) * 2,
        "fsize": (limits["scratch"] * _MIB,) * 2,
        "nofile": (OPEN_FILES,) * 2,
        "stack": (_STACK * _MIB,) * 2,
        "core": (0, 0),
        "memlock": (0, 0),
        "msgqueue": (0, 0),
    }
    return {name: (_at_most(name, soft), _at_most(name, hard)) for name, (soft, hard) in wanted.items()}


def _at_most(name: str, value: int) -> int:
    most = resource.getrlimit(kernel_number(name))[1]
    return value if most == resource.RLIM_INFINITY else min(value, most)


def kernel_number(name: str) -> int:
    """The number by which setrlimit(2) knows a resource."""
    number: int = getattr(resource, f"RLIMIT_{name.upper()}")
    return number
