"""Stop strings in what is being written, found across the borders of tokens.

Whether a text holds one is seen by decoding it. But few tokens can be the last of a stop string, and which ones is told
from the text of each token, once for a tokenizer: only where such a one has been written is anything decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

SPARE_TOKENS = 8
"""Looked back beyond a stop string's length in bytes, for tokens that hold more than its end or nothing to be seen."""
KEPT = 256
"""Sets of stop strings that are remembered."""
PART = "\ufffd"
"""What is seen of a part of a character."""
TIDIED = frozenset("'nvr")
"""Characters that a stop string may end with only after more is written, where blanks are tidied away: of " 've"."""

Flags = npt.NDArray[np.bool_]


class Watch:
    """The stop strings of a request."""

    def __init__(self, tokenizer: Any, stops: Sequence[str], min_tokens: int, maybe: Flags) -> None:
        self.tokenizer, self.stops, self.min_tokens = tokenizer, stops, min_tokens
        self.maybe = maybe
        """Whether a stop string may be complete with a token; after the last of `min_tokens`, one may be with any."""
        self.back = max((len(stop.encode()) for stop in stops), default=0) + SPARE_TOKENS + min_tokens

    def done(self, written: Sequence[int]) -> bool:
        """Whether a stop string has been written, given that there was none a token earlier: looked for at the end,
        then made sure of in the whole text. False as long as there are fewer than `min_tokens`."""
        count = len(written)
        if not self.stops or count < max(self.min_tokens, 1):
            return False
        new = list(written if count == self.min_tokens else written[-1:])
        return bool(self.maybe[new].any()) and self._near(written) and self._holds(self._text(written))

    def _near(self, written: Sequence[int]) -> bool:
        """Whether the end holds a stop string, or hangs on what is before it: bytes of which the first are missing."""
        back = self.back
        while back < len(written):
            text = self._text(written[-back:])
            if self._holds(text) or not text.startswith(PART):
                return self._holds(text)
            back *= 2
        return True

    def _holds(self, text: str) -> bool:
        return any(stop in text for stop in self.stops)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


class Stopping:
    """A tokenizer, and the tokens of a network that may have more of them."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self.tokenizer, self.size = tokenizer, max(vocabulary, len(tokenizer))
        self._watches, self._flags = lru_cache(KEPT)(self._watch), lru_cache(KEPT)(self._maybe)

    def watch(self, stops: Sequence[str], min_tokens: int = 0) -> Watch:
        """What looks for these strings; empty ones do not count."""
        return self._watches(tuple(stop for stop in stops if stop), min_tokens)

    @cached_property
    def texts(self) -> list[str]:
        """The text of each token alone; empty where it is a special one or not known, and never tidied."""
        tokens = [[token] for token in range(self.size)]
        return list(self.tokenizer.backend_tokenizer.decode_batch(tokens, skip_special_tokens=True))

    @cached_property
    def tidies(self) -> bool:
        """Whether blanks in front of punctuation are taken away."""
        tokens = self.tokenizer("x , y 's .", add_special_tokens=False)["input_ids"]
        tidied, plain = (self.tokenizer.decode(tokens, clean_up_tokenization_spaces=tidy) for tidy in (None, False))
        return bool(tidied != plain)

    def _watch(self, stops: tuple[str, ...], min_tokens: int) -> Watch:
        return Watch(self.tokenizer, stops, min_tokens, self._flags(frozenset(stop[-1] for stop in stops)))

    def _maybe(self, last: frozenset[str]) -> Flags:
        """Tokens whose text holds one of these characters or cannot tell, as parts of characters cannot."""
        if not last:
            return np.zeros(self.size, bool)
        untold = {" ", PART} | (TIDIED if self.tidies else frozenset())
        if not getattr(self.tokenizer, "is_fast", False) or not last.isdisjoint(untold):
            return np.ones(self.size, bool)  # decoders take blanks away at the end, and give them back
        sought = last | {PART}
        return np.array([not text or not sought.isdisjoint(text) for text in self.texts])
