"""Solvers in rounds, where a function answers: what the tests of solvers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.solve import Exchange, Question, solver
from assay.types import Message, Reply
from storage.ledger import Ledger

USER: list[Message] = [{"role": "user", "content": "first"}]
Answers = Callable[[Question], Reply | str]


def played(
    name: str, sample: dict[str, Any], answers: Answers, most: int = 9, **options: Any
) -> tuple[Reply, list[Exchange]]:
    """What a solver ends with, and all exchanges, where a function answers. Each round begins from the start."""
    transcript: list[Exchange] = []
    for round_ in range(most):
        result = solver[name](sample, USER, transcript, **options)
        if isinstance(result, Reply):
            return result, transcript
        for turn, question in enumerate(result):
            said = answers(question)
            reply = said if isinstance(said, Reply) else Reply(said, finish="stop")
            transcript.append(Exchange(round_, turn, question, reply))
    raise AssertionError(f"{name} asks on after {most} rounds")


def contents(question: Question) -> list[str]:
    return [turn["content"] for turn in question.messages]


def rows(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(ledger).read() as con:
        return con.execute(query).fetchall()
