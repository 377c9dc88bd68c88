"""The texts of RULER's tasks (Hsieh et al. 2024, arXiv:2404.06654): needles, variables, frequent words, documents.

Templates, needles and numbers are RULER's; keys are two words of the haystack where RULER takes an adjective and a noun
from a list, and all is drawn by our own generator. Where RULER ends a text that is used up, ours begins anew.
"""

from __future__ import annotations

import math
import random
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from assay.errors import SpecError
from assay.generate_long import Haystack

NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
TOLD = "Answer the question based on the given documents. Only give me the answer and do not output any other words."
NEEDLE = "One of the special magic {kind} for {key} is: {value}."
NIAH = {
    "niah_single_1": ("repeat", "words", "numbers", 1, 1, 1),
    "niah_single_2": ("essay", "words", "numbers", 1, 1, 1),
    "niah_single_3": ("essay", "words", "uuids", 1, 1, 1),
    "niah_multikey_1": ("essay", "words", "numbers", 4, 1, 1),
    "niah_multikey_2": ("needle", "words", "numbers", 1, 1, 1),
    "niah_multikey_3": ("needle", "uuids", "uuids", 1, 1, 1),
    "niah_multivalue": ("essay", "words", "numbers", 1, 4, 1),
    "niah_multiquery": ("essay", "words", "numbers", 4, 1, 4),
}
"""Task -> haystack, kind of keys, kind of values, how many keys, values a key, keys that are asked for."""
DEPTHS = [round(100 * place / 39) for place in range(40)]


class Text(NamedTuple):
    """A task's text as a function of how many units of haystack it has."""

    build: Callable[[int], str]
    prefix: str
    """How the answer begins."""
    answers: list[str]
    least: int = 1
    depth: int | None = None

    def whole(self, units: int) -> str:
        """The prompt with the beginning of the answer."""
        return f"{self.build(units)} {self.prefix}"


def niah(rng: random.Random, stack: Haystack, task: str) -> Text:
    """Needles `One of the special magic numbers for KEY is: VALUE.` in noise, in essays, or among other needles."""
    hay, of_keys, kind, many, values, queries = NIAH[task]
    draw = {"words": lambda r: _word(r, stack), "numbers": _number, "uuids": _uuid}
    keys = _different(lambda: draw[of_keys](rng), many, ())
    right = {key: [draw[kind](rng) for _ in range(values)] for key in keys}
    told = [NEEDLE.format(kind=kind, key=key, value=value) for key in keys for value in right[key]]
    rng.shuffle(told)
    asked = rng.sample(keys, queries)
    query = asked[0] if len(asked) == 1 else ", ".join(asked[:-1]) + ", and " + asked[-1]
    depths, seed = sorted(rng.sample(DEPTHS, len(told))), rng.getrandbits(64)

    def context(units: int) -> str:
        if hay == "essay":
            return stack.with_needles(units, [(depth / 100, text) for depth, text in zip(depths, told, strict=True)])
        own = random.Random(seed)
        lines = [NOISE] * units
        if hay == "needle":
            others = _different(lambda: draw[of_keys](own), units, keys)
            lines = [NEEDLE.format(kind=kind, key=key, value=draw[kind](own)) for key in others]
        for depth, text in sorted(zip(depths, told, strict=True), reverse=True):
            lines.insert(units * depth // 100, text)
        return "\n".join(lines)

    one = queries * values == 1
    what = kind.removesuffix("s") if one else kind
    hidden = f"A special magic {what} is" if one else f"Some special magic {what} are"
    head = f"{hidden} hidden within the following text. Make sure to memorize it."
    ask = f"What {'is' if one else 'are all'} the special magic {what} for {query} mentioned in the provided text?"
    quiz = f" I will quiz you about the {what} afterwards.\n"
    prefix = f"The special magic {what} for {query} mentioned in the provided text {'is' if one else 'are'}"
    found = [value for key in asked for value in right[key]]
    depth = depths[0] if len(told) == 1 else None
    return Text(lambda units: f"{head}{quiz}{context(units)}\n{ask}", prefix, found, depth=depth)


def vt(rng: random.Random, hops: int = 4) -> Text:
    """A chain `VAR B = VAR A` of four hops among noise: which have the first one's value? A worked example in front."""

    def text(own: random.Random, units: int, letters: int) -> tuple[str, str, list[str]]:
        names: list[str] = []
        while len(names) <= hops:
            name = "".join(own.choices(string.ascii_uppercase, k=letters))
            names += [] if name in names else [name]
        value = own.randrange(10_000, 99_999)
        chain = [f"VAR {names[0]} = {value}", *(f"VAR {b} = VAR {a} " for a, b in pairwise(names))]
        lines = [NOISE + "\n"] * units
        for place, line in zip(sorted(own.sample(range(units), len(chain))), chain, strict=True):
            lines[place] = line + " " + lines[place]
        context = " ".join(lines).replace(". \n", ".\n")
        question = f"Question: Find all variables that are assigned the value {value} in the text above."
        head = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
        answer = (
            "Answer: According to the chain(s) of variable assignment in the text above, "
            f"{len(names)} variables are assgined the value {value}, they are:"
        )
        return head + context + "\n" + question, answer, names

    shown, end, right = text(rng, 5, 3)
    example, seed = f"{shown} {end} {' '.join(right)}\n\n\n", rng.getrandbits(64)
    least = hops + 1
    _, prefix, answers = text(random.Random(seed), least, 5)
    return Text(lambda n: example + text(random.Random(seed), n, 5)[0], prefix, answers, least)


def cwe(rng: random.Random, stack: Haystack, tokens: int = 4096, common: int = 10) -> Text:
    """A numbered list of words, ten of them 30 times and the others three times each; a worked example in front."""
    times, rare = (30, 3) if tokens >= 4096 else (6, 1)

    def text(own: random.Random, words: Sequence[str], times: int, rare: int) -> str:
        listed = list(words[:common]) * times + list(words[common:]) * rare
        own.shuffle(listed)
        context = " ".join(f"{place}. {word}" for place, word in enumerate(listed, 1))
        return (
            "Below is a numbered list of words. In these words, some appear more often than others. "
            f"Memorize the ones that appear most often.\n{context}\n"
            "Question: What are the 10 most common words in the above list?"
        )

    if len(stack.vocabulary) < 40:
        raise SpecError(f"cwe wants a haystack of at least 40 different words, got {len(stack.vocabulary)}")
    prefix = "Answer: The top 10 words that appear most often in the list are:"
    few, seed = rng.sample(stack.vocabulary, 40 if tokens >= 4096 else 20), rng.getrandbits(64)
    example = text(rng, few, *((10, 3) if tokens >= 4096 else (3, 1)))
    solved = f"{example} {prefix} " + " ".join(f"{place}. {word}" for place, word in enumerate(few[:common], 1)) + "\n"
    shuffled = rng.sample(stack.vocabulary, len(stack.vocabulary))

    def build(units: int) -> str:
        pairs = (f"{a}-{b}" for a in shuffled for b in shuffled)  # where there are more than the words of the haystack
        words = [*shuffled[: common + units], *(next(pairs) for _ in range(common + units - len(shuffled)))]
        return solved + text(random.Random(seed), words, times, rare)

    return Text(build, prefix, shuffled[:common])


def fwe(rng: random.Random, tokens: int = 4096, alpha: float = 2.0) -> Text:
    """Coded words whose frequency falls as 1/rank²: the three most frequent ones but for the dots."""
    coded = dict.fromkeys("".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(max(tokens // 50, 20)))
    vocabulary, seed = ["...", *coded], rng.getrandbits(64)
    shares = [rank**-alpha / (math.pi**2 / 6) for rank in range(1, len(vocabulary) + 1)]

    def build(units: int) -> str:
        words = [word for word, share in zip(vocabulary, shares, strict=True) for _ in range(int(units * share))]
        random.Random(seed).shuffle(words)
        return (
            "Read the following coded text and track the frequency of each coded word. Find the three most frequently "
            f"appeared coded words. {' '.join(words)}\nQuestion: Do not provide any explanation. Please ignore the "
            "dots '....'. What are the three most frequently appeared words in the above coded text?"
        )

    prefix = "Answer: According to the coded text above, the three most frequently appeared words are:"
    return Text(build, prefix, vocabulary[1:4], least=100)


def qa(rng: random.Random, questions: Sequence[Mapping[str, Any]]) -> Text:
    """A question (`question`, `answers`) about its `documents`, which stand among those of other questions."""
    asked = rng.choice(questions)
    own = list(asked["documents"])
    others = [text for text in dict.fromkeys(text for row in questions for text in row["documents"]) if text not in own]
    rng.shuffle(others)
    seed = rng.getrandbits(64)

    def build(units: int) -> str:
        documents = [*own, *(others * (units // len(others) + 1))[:units]]
        random.Random(seed).shuffle(documents)
        listed = "\n\n".join(f"Document {place}:\n{text}" for place, text in enumerate(documents, 1))
        return f"{TOLD}\n\nThe following are given documents.\n\n{listed}\n\n{TOLD}\n\nQuestion: {asked['question']}"

    return Text(build, "Answer:", list(asked["answers"]), least=0)


def _different(draw: Callable[[], str], count: int, known: Sequence[str]) -> list[str]:
    """So many texts that are all different, and none of those that are known."""
    found = dict.fromkeys(known)
    while len(found) < count + len(known):
        found[draw()] = None
    return list(found)[len(known) :]


def _word(rng: random.Random, stack: Haystack) -> str:
    return "-".join(rng.sample(stack.vocabulary, 2))


def _number(rng: random.Random) -> str:
    return str(rng.randrange(1_000_000, 10_000_000))


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
