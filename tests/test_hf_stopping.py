"""Stop strings that are found with the token that completes them, with little decoded."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_tokenizers import KINDS, PIECES, made
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hf.stopping import Stopping

STOPS = (
    "\n", "\n\n", "Question:", "。", "长的", "😀", "\n问题", "two", " plus", ".", "the mat", "'s", "n't", "n'", "y ",
    " ", "A", "s.", "ne", "\ufffd", "é", "an", "return", "",
)  # fmt: skip


def holds(words: Any, tokens: list[int], stops: tuple[str, ...]) -> bool:
    text = words.decode(tokens, skip_special_tokens=True)
    return any(stop in text for stop in stops if stop)


def first(words: Any, tokens: list[int], stops: tuple[str, ...], min_tokens: int) -> int | None:
    """After how many tokens a stop string is complete, seen by decoding everything each time."""
    counts = range(max(min_tokens, 1), len(tokens) + 1)
    return next((count for count in counts if holds(words, tokens[:count], stops)), None)


@given(
    kind=st.sampled_from(KINDS),
    size=st.sampled_from((330, 500)),
    tidy=st.booleans(),
    pieces=st.lists(st.sampled_from(PIECES), max_size=12),
    noise=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 999)), max_size=6),
    stops=st.lists(st.sampled_from(STOPS), max_size=3).map(tuple),
    min_tokens=st.sampled_from((0, 1, 2, 9)),
)
@settings(max_examples=150, deadline=None)
def test_a_text_is_done_when_it_holds_a_stop_string(
    kind: str,
    size: int,
    tidy: bool,
    pieces: list[str],
    noise: list[tuple[int, int]],
    stops: tuple[str, ...],
    min_tokens: int,
) -> None:
    words = made(kind, size=size, tidy=tidy)
    tokens = list(words("".join(pieces), add_special_tokens=False)["input_ids"])
    for place, token in noise:
        tokens.insert(place, token % (len(words) + 5))
    watch = Stopping(words, len(words) + 5).watch(stops, min_tokens)
    found = next((count for count in range(1, len(tokens) + 1) if watch.done(tokens[:count])), None)
    assert found == first(words, tokens, stops, min_tokens)


@pytest.mark.parametrize(
    ("kind", "text", "stop"),
    [
        ("pieces", "the cat don't sit", "n'"),  # tidied: "don ' t" becomes "don't" with its t
        ("llama", "\ua66e" * 6 + "\x07 cat", "\x07"),  # in bytes, none of which is seen without the first
        ("bytes", "这是一个很长的句子。", "。"),
    ],
)
def test_what_is_seen_later_or_only_from_further_back(kind: str, text: str, stop: str) -> None:
    words = made(kind, tidy=True)
    tokens = list(words(text, add_special_tokens=False)["input_ids"])
    watch, expected = Stopping(words, len(words)).watch((stop,)), first(words, tokens, (stop,), 0)
    assert expected is not None
    assert [watch.done(tokens[:count]) for count in range(expected + 1)] == [False] * expected + [True]


@pytest.mark.parametrize(("stops", "decoded"), [(("\n\n",), 3), (("Question:", "</s>"), 1), ((), 0), (("", ""), 0)])
def test_little_is_decoded(stops: tuple[str, ...], decoded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = made("bytes")
    text = " The cat sat on the mat." * 20 + "\nOne more, two: three." + " what is two plus two?" * 20
    tokens = list(words(text, add_special_tokens=False)["input_ids"])
    watch, calls, decode = Stopping(words, len(words)).watch(stops), [], type(words).decode

    def count(self: Any, ids: Any, **how: Any) -> Any:
        calls.append(ids)
        return decode(self, ids, **how)

    monkeypatch.setattr(type(words), "decode", count)
    assert not any(watch.done(tokens[:length]) for length in range(1, len(tokens) + 1))
    assert len(calls) <= decoded < len(tokens) / 50
    assert watch.maybe.shape == (len(words),) and watch.maybe.any() == bool(decoded)


def test_a_whole_batch_is_looked_at_together() -> None:
    words = made("llama")
    stopping = Stopping(words, len(words) + 9)
    watch = stopping.watch(("。", ""), 2)
    assert watch is stopping.watch(("", "。"), 2) is not stopping.watch(("。",))
    assert watch.maybe is stopping.watch(("长的。",)).maybe
    texts = ["句。", "the mat", "句", "\n"]
    last = [words(text, add_special_tokens=False)["input_ids"][-1] for text in texts]
    assert watch.maybe[last].tolist() == [True, False, False, False]
    assert watch.maybe[len(words) :].all()  # what only the network has says nothing


def test_a_stop_string_within_the_first_tokens_counts_at_their_end() -> None:
    words = made("bytes")
    tokens = list(words("The cat sat on the mat. The cat", add_special_tokens=False)["input_ids"])
    watch = Stopping(words, len(words)).watch(("cat sat",), len(tokens))
    assert [watch.done(tokens[:count]) for count in range(len(tokens) + 1)] == [False] * len(tokens) + [True]


@needs_stories
def test_the_tokenizer_of_stories() -> None:
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast.from_pretrained(STORIES)
    text = "Once upon a time, there was a girl.\n\nOne day she said: 这是。"
    tokens = list(words(text, add_special_tokens=False)["input_ids"])
    for stops in (("\n\n",), (" girl", "time"), ("。",), ("a t",), ("she said:", "是"), ("day ",)):
        watch = Stopping(words, len(words)).watch(stops)
        found = next(count for count in range(1, len(tokens) + 1) if watch.done(tokens[:count]))
        assert found == first(words, tokens, stops, 0)
