"""Progress, told to whoever shows it: the command line draws bars, a worker says nothing."""

from __future__ import annotations

from collections.abc import Callable

Sink = Callable[[str, int, int | None], None]
"""`(what, advanced by, total where it is known)`."""

_sinks: list[Sink] = []


def advance(what: str, by: int, total: int | None = None) -> None:
    """Tell that a step has come further."""
    for sink in _sinks:
        sink(what, by, total)


def show_on(sink: Sink) -> None:
    """Have progress told to a function."""
    _sinks.append(sink)


def silence(sink: Sink) -> None:
    """Tell it no more."""
    _sinks.remove(sink)
