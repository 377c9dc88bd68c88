"""The retriever `bm25`: the examples that share the rarest words with the question.

Okapi BM25 (Robertson et al. 1994, https://trec.nist.gov/pubs/trec3/t3_proceedings.html) with the weights of the library
rank_bm25, which OpenCompass uses: a word of more than half of the examples weighs a quarter of what a word weighs on
average, in place of less than nothing. That library looks at every example for every word of a question, and the faster
ones have another floor; so the weights are put into columns here, each word's examples beside one another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.retrieve import Choose, Text, best, enough, retriever, same_as
from assay.types import Sample

K1, B, FLOOR = 1.5, 0.75, 0.25

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
"""Thai, Lao, Burmese, Khmer, kana, Chinese characters: scripts without a blank between words."""
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
"""Vowels and accents that are characters of their own, and no letters to Python."""
_PIECE = re.compile(rf"([{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[\w{_MARKS}])+|[^\w\s]")


def tokens(text: str) -> list[str]:
    """The words and punctuation marks of a text, as they are written; where words have no blanks between them, each
    character and each two that are neighbours."""
    found: list[str] = []
    for piece in _PIECE.finditer(text):
        run = piece[1]
        if run:
            found += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        else:
            found.append(piece[0])
    return found


@retriever
def bm25(pool: Sequence[Sample], k: int, seed: int, benchmark: str, *, text: Text, own: bool = False) -> Choose:
    """The k that are likest the question by Okapi BM25 (k1 1.5, b 0.75), the likest first, each with its score.

    Compared is `fewshot.text`. Raises SpecError where the pool is too small.
    """
    enough(pool, k + own, benchmark)
    itself = same_as(pool, benchmark) if own else None
    index = Index([tokens(text(sample)) for sample in pool])

    def choose(sample_key: str, sample: Sample, ordinal: int) -> list[tuple[int, float]]:
        return best(index.scores(tokens(text(sample))), k, itself(sample) if itself else ())

    return choose


class Index:
    """The words of some texts, each with the texts that it stands in and what it weighs there."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.size = len(texts)
        self.found: dict[str, tuple[NDArray[np.intp], NDArray[np.float64]]] = {}
        lengths = np.array([len(text) for text in texts], dtype=np.float64)
        norm = K1 * (1 - B + B * lengths / max(1.0, lengths.mean()))
        postings: dict[str, tuple[list[int], list[int]]] = {}
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                places, counts = postings.setdefault(word, ([], []))
                places.append(place)
                counts.append(count)
        rarity = self._rarity({word: len(places) for word, (places, _) in postings.items()})
        for word, (places, counts) in postings.items():
            where, often = np.array(places, dtype=np.intp), np.array(counts, dtype=np.float64)
            self.found[word] = where, rarity[word] * often * (K1 + 1) / (often + norm[where])

    def _rarity(self, texts_with: dict[str, int]) -> dict[str, float]:
        words = list(texts_with)
        n = np.array([texts_with[word] for word in words], dtype=np.float64)
        rarity = np.log(self.size - n + 0.5) - np.log(n + 0.5)
        if words:
            rarity[rarity < 0] = FLOOR * rarity.mean()
        return dict(zip(words, rarity.tolist(), strict=True))

    def scores(self, words: Sequence[str]) -> NDArray[np.float64]:
        """The score of each text; a word that comes twice counts twice."""
        scores = np.zeros(self.size)
        for word in words:
            if word in self.found:
                where, weight = self.found[word]
                scores[where] += weight
        return scores
