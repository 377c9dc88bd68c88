"""Generated sources: seeded functions `(rng, count, **options) -> rows`, for which no file and no network is needed.

A benchmark names one as `generated: {name: add, count: 200, seed: 1, options: {…}}`. The sources here are those of the
`mini` suite, on which `examples/tiny/` trains its model: `split: train` gives what it may be trained on, `split: test`,
the default, what it may not. A user's own are registered by `@generated` in a catalogue folder.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from assay import generate_language, generate_reasoning
from assay.generate_base import Split, generated, questions, split_of

__all__ = ["generate_language", "generate_reasoning", "generated", "paper", "questions", "split_of"]

SUBJECTS = ("facts", "odd", "compare", "agreement", "sentiment")


@generated
def paper(
    rng: random.Random, count: int, split: Split = "test", subjects: Sequence[str] = SUBJECTS
) -> Iterator[dict[str, Any]]:
    """An examination: questions with choices of several other sources in turn; `subject` says of which."""
    drawn = [(name, generated[name](rng, -(-count // len(subjects)), split)) for name in subjects]
    for place in range(count):
        subject, rows = drawn[place % len(drawn)]
        row = next(rows)
        yield {name: row[name] for name in ("question", "answer", "choices")} | {"subject": subject}
