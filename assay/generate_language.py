"""Generated questions in words: facts of a made-up land, a made-up tongue, grammar, moods, places, a long text."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from assay.generate_base import questions
from assay.keys import generator

_KINDS = {
    "animal": "cat dog horse cow pig hen goat duck fox wolf bear frog",
    "colour": "red blue green white black brown pink grey gold purple orange yellow",
    "food": "bread rice soup cheese plum apple pear cake bean honey egg fish",
    "tool": "hammer saw axe knife spade rope nail brush needle wheel ladder lamp",
    "dress": "hat coat shoe shirt belt glove scarf boot cap sock skirt ring",
    "body": "hand foot nose ear eye arm leg knee head back neck tooth",
}
KINDS = {kind: words.split() for kind, words in _KINDS.items()}
TOWNS = [a + b for a in ("Bel", "Dor", "Fen", "Gar", "Hol", "Kim", "Lun", "Mor") for b in ("ka", "vin", "dale", "sto")]
TRAITS = ("animal", "colour", "food", "tool")
PHRASES = (
    "What is the {trait} of {town}?",
    "Name the {trait} of {town}.",
    "Which {trait} does {town} have?",
    "The {trait} of {town} is what?",
    "For {town}, tell the {trait}.",
    "{town} is known for which {trait}?",
)
_LEXICON = """man bam, woman seru, boy tivo, girl lina, king kode, child pim,
red rul, small nes, old vod, big hap, new miro, good jat,
sees sila, takes tuko, likes feme, calls gori, finds wano, holds luxi"""
LEXICON: dict[str, str] = dict(pair.split() for pair in _LEXICON.split(","))
NOUNS, ADJECTIVES, VERBS = list(LEXICON)[:6], list(LEXICON)[6:12], list(LEXICON)[12:]
_IRREGULAR = ("brush", "fox", "knife", "wolf")
ONE_MANY = [(word, word + "s") for word in KINDS["animal"] + KINDS["tool"] if word not in _IRREGULAR]
DOES_DO = [("runs", "run"), ("falls", "fall"), ("stands", "stand"), ("was", "were"), ("is", "are"), ("moves", "move")]
BESIDE = ("near", "behind", "under", "with", "by")
GOOD, BAD = ["nice", "fine", "lovely", "great", "superb"], ["bad", "poor", "awful", "nasty", "dull"]
THINGS = ["food", "room", "bed", "view", "staff", "bath", "garden", "music"]
PEOPLE = ["Anna", "Ben", "Carl", "Dora", "Emma", "Fred", "Gina", "Hugo", "Ida", "Jack", "Kate", "Leo"]
OBJECTS = ["ball", "key", "book", "cup", "coin", "doll"]
PLACES = ["box", "bag", "jar", "drawer", "basket", "garden", "kitchen", "cellar"]
DONE = ["saw", "took", "found", "lost", "liked", "sold"]


@cache
def land() -> dict[tuple[str, str], str]:
    """What each town has of each trait: one land, the same for every seed, so that it can be known."""
    rng = generator("land")
    return {(town, trait): rng.choice(KINDS[trait][:8]) for town in TOWNS for trait in TRAITS}


def fact(rng: random.Random, phrases: tuple[str, ...] = PHRASES) -> tuple[str, str, list[str]]:
    """A question about the land, its answer, and four choices."""
    (town, trait), right = rng.choice(list(land().items()))
    wrong = rng.sample([word for word in KINDS[trait][:8] if word != right], 3)
    return rng.choice(phrases).format(town=town, trait=trait), right, rng.sample([right, *wrong], 4)


@questions
def facts(rng: random.Random) -> dict[str, Any]:
    """128 facts of a made-up land, asked in six ways; a fact is trained in some ways and asked in another."""
    question, right, choices = fact(rng)
    return {"question": question, "answer": right, "choices": choices}


@questions
def odd(rng: random.Random) -> dict[str, Any]:
    """Which of four words is of another kind?"""
    same, other = rng.sample(list(KINDS), 2)
    right = rng.choice(KINDS[other])
    words = rng.sample([right, *rng.sample(KINDS[same], 3)], 4)
    return {"question": f"Which is the odd one out: {', '.join(words)}?", "answer": right, "choices": words}


@questions
def translate(rng: random.Random) -> dict[str, Any]:
    """A sentence in a made-up tongue, where the adjective follows its noun and the verb stands last."""
    (a, b), (n, m), verb = rng.sample(ADJECTIVES, 2), rng.sample(NOUNS, 2), rng.choice(VERBS)
    told = " ".join(LEXICON[word] for word in (n, a, m, b, verb))
    return {"question": f"Translate: the {a} {n} {verb} the {b} {m}", "answer": told}


@questions
def agreement(rng: random.Random) -> dict[str, Any]:
    """Which verb form goes with the first noun, whatever stands between? As in the attractor pairs of Linzen et al.
    (2016), https://arxiv.org/abs/1611.01368."""
    noun, beside = rng.sample(ONE_MANY, 2)
    number, forms = rng.randrange(2), rng.choice(DOES_DO)
    text = f"the {noun[number]} {rng.choice(BESIDE)} the {beside[rng.randrange(2)]}"
    return {"question": f"Go on: {text}", "answer": forms[number], "choices": list(forms), "number": number}


@questions
def sentiment(rng: random.Random) -> dict[str, Any]:
    """Is a review good or bad? `not` turns a clause round, and what follows `but` counts."""

    def clause(good: bool) -> str:
        turned = rng.random() < 0.4
        words = GOOD if good != turned else BAD
        return f"the {rng.choice(THINGS)} was {'not ' if turned else ''}{rng.choice(words)}"

    good = rng.random() < 0.5
    text = f"{clause(not good)} but {clause(good)}" if rng.random() < 0.5 else clause(good)
    return {"question": f"Good or bad? {text}", "answer": "good" if good else "bad", "choices": ["good", "bad"]}


@questions
def where(rng: random.Random, moves: int = 4) -> dict[str, Any]:
    """Where is the thing now? People put things somewhere and elsewhere, as in bAbI, https://arxiv.org/abs/1502.05698."""
    things, at, told = rng.sample(OBJECTS, 2), dict[str, str](), []
    for thing in things + rng.choices(things, k=rng.randint(0, moves - 2)):
        place = rng.choice([p for p in PLACES if p != at.get(thing)])
        told.append(f"{rng.choice(PEOPLE)} put the {thing} in the {place}.")
        at[thing] = place
    asked = rng.choice(things)
    return {"question": f"{' '.join(told)} Where is the {asked}?", "answer": at[asked], "moves": len(told)}


@questions
def needle(
    rng: random.Random, sentences: tuple[int, ...] = (6, 14, 26), keys: tuple[int, ...] = (1, 2, 3)
) -> dict[str, Any]:
    """One person's word, told somewhere in a long text that may also tell the words of others."""
    length, several = rng.choice(list(sentences)), rng.choice(list(keys))
    words = dict(zip(rng.sample(PEOPLE, several), rng.sample(KINDS["food"], several), strict=True))
    thing = KINDS["tool"] + KINDS["dress"]
    told = [
        f"The {rng.choice(KINDS['animal'])} {rng.choice(DONE)} the {rng.choice(KINDS['colour'])} {rng.choice(thing)}."
        for _ in range(length - several)
    ]
    for person, word in words.items():
        told.insert(rng.randint(0, len(told)), f"The word of {person} is {word}.")
    asked = rng.choice(list(words))
    return {"question": f"{' '.join(told)} What is the word of {asked}?", "answer": words[asked], "sentences": length}
