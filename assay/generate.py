"""Generated sources: seeded functions `(rng, count, **options) -> rows`, for which no file and no network is needed.

A benchmark names one as `generated: {name: add, count: 200, seed: 1, options: {…}}`. The sources here are those of the
`mini` suite, on which `examples/tiny/` trains its model: `split: train` gives what it may be trained on, `split: test`,
the default, what it may not. A user's own are registered by `@generated` in a catalogue folder.
"""

from assay import generate_language, generate_reasoning
from assay.generate_base import generated, questions, split_of

__all__ = ["generate_language", "generate_reasoning", "generated", "questions", "split_of"]
