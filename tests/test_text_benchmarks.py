"""The benchmarks of written answers and of likelihood: how many questions, what is asked, and that gold is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import pytest
from conftest import DATA, needs_data

from adapters.datasets import open_source
from assay import maths
from assay.catalog import load_benchmark
from assay.extract import run_chain
from assay.functions import load_functions
from assay.messages import join_messages
from assay.prompt import Prompter
from assay.reading import readings, scorings
from assay.samples import loads, samples
from assay.spec import Benchmark
from assay.types import Reply, Sample, Scored
from tasks.preview import preview

load_functions()
pytestmark = needs_data

JANET = (
    "Janet\u2019s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her"
    " friends every day with four. She sells the remainder at the farmers' market daily for $2 per fresh duck egg. How"
    " much in dollars does she make every day at the farmers' market?"
)
POLAR = (
    "Convert the point $(0,3)$ in rectangular coordinates to polar coordinates.  Enter your answer in the form"
    r" $(r,\theta),$ where $r > 0$ and $0 \le \theta < 2 \pi.$"
)


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ASSAY_DATA", str(DATA))
    yield
    maths.close()


@lru_cache(maxsize=2)
def _samples(id: str) -> list[tuple[str, Sample]]:
    benchmark = load_benchmark(id)
    return [(one.grp, loads(one.fields)) for one in samples(benchmark, open_source(benchmark.sources).rows)]


def asked(id: str, group: str = "") -> tuple[list[str], list[str]]:
    """The first question's turns, and its continuations."""
    shown = next(p for p in preview(load_benchmark(id), limit=1) if not group or p.grp == group)
    (ask,) = shown.asks
    return [str(message["content"]) for message in join_messages(ask.header, ask.messages)], ask.continuations


def test_big_bench_has_27_tasks_and_each_its_own_three_examples() -> None:
    sizes = Counter(group for group, _ in _samples("bbh"))
    assert len(sizes) == 27
    small = {group: size for group, size in sizes.items() if size != 250}
    assert small == {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
    for shown in preview(load_benchmark("bbh"), limit=1):
        assert len(shown.demos) == 3 and shown.sample["description"]
        assert all("So the answer is " in demo["worked"] and "Q: " not in demo["input"][:3] for demo in shown.demos)


def test_lm_evals_gsm8k() -> None:
    (text,), _ = asked("gsm8k@lm_eval")
    parts = text.split("\n\n")
    assert len(parts) == 6 and parts[-1] == f"Question: {JANET}\nAnswer:"
    assert parts[0] == (
        "Question: Jen and Tyler are gymnasts practicing flips. Jen is practicing the triple-flip while Tyler is"
        " practicing the double-flip. Jen did sixteen triple-flips during practice. Tyler flipped in the air half"
        " the number of times Jen did. How many double-flips did Tyler do?\nAnswer: Jen did 16 triple-flips, so"
        " she did 16 * 3 = <<16*3=48>>48 flips.\nTyler did half the number of flips, so he did 48 / 2 ="
        " <<48/2=24>>24 flips.\nA double flip has two flips, so Tyler did 24 / 2 = <<24/2=12>>12"
        " double-flips.\n#### 12"
    )


def test_lm_evals_gsm8k_with_chains_of_thought() -> None:
    (text,), _ = asked("gsm8k@lm_eval_cot")
    assert text.startswith(
        "Q: There are 15 trees in the grove. Grove workers will plant trees in the grove today. After they are done,"
        " there will be 21 trees. How many trees did the grove workers plant today?\nA: There are 15 trees originally."
        " Then there were 21 trees after some more were planted. So there must have been 21 - 15 = 6. The answer is 6"
    )
    assert text.endswith(f"23 - 15 is 8. The answer is 8.\n\nQ: {JANET}\nA:") and text.count("\nA:") == 9
    assert asked("gsm8k@cot")[0] == [text]


def test_opencompass_gsm8k() -> None:
    turns, _ = asked("gsm8k@opencompass")
    assert len(turns) == 9 and turns[-1] == f"Question: {JANET}\nLet's think step by step\nAnswer:"
    assert turns[7].endswith("The four baskets together have 32+114=146 fruits.\nThe answer is 146\n")
    assert all(turn.startswith("Question: ") and turn.endswith("\nAnswer:") for turn in turns[::2])


def test_gsm8k_without_examples() -> None:
    told = "Let's think step by step, and end with the sentence: The answer is NUMBER."
    assert asked("gsm8k@zero_shot")[0] == [f"Question: {JANET}\n{told}\nAnswer:"]
    (text,), _ = asked("gsm8k")
    assert text.startswith("Question: Natalia sold clips to 48") and text.count("#### ") == 5


def test_lm_evals_math500() -> None:
    (text,), _ = asked("math500@lm_eval")
    assert asked("math500")[0] == [text]
    assert text.startswith(
        "Problem:\nFind the domain of the expression  $\\frac{\\sqrt{x-2}}{\\sqrt{5-x}}$.\n\nSolution: The"
        " expressions inside"
    )
    assert text.endswith(
        "find $\\frac{a}{b},$ assuming $b$ is nonzero.\n\nSolution: If we multiply the first equation by"
        " $-\\frac{3}{2}$, we"
        " obtain\n\n$$6y-9x=-\\frac{3}{2}a.$$Since we also know that $6y-9x=b$, we"
        " have\n\n$$-\\frac{3}{2}a=b\\Rightarrow"
        "\\frac{a}{b}=\\boxed{-\\frac{2}{3}}.$$\nFinal Answer: The final answer is $-\\frac{2}{3}$. I hope it is"
        " correct."
        f"\n\nProblem:\n{POLAR}\n\nSolution:"
    )


def test_opencompass_math_keeps_its_doubled_braces() -> None:
    turns, _ = asked("math500@opencompass")
    assert len(turns) == 9 and turns[-1] == f"Problem:\n{POLAR}\nSolution:\n"
    assert turns[0] == (
        "Problem:\nFind the domain of the expression $\\frac{{\\sqrt{{x-2}}}}{{\\sqrt{{5-x}}}}$.}}\nSolution:"
    )
    assert all(turn.endswith(". I hope it is correct.\n") for turn in turns[1::2])


def test_math500_without_examples() -> None:
    assert asked("math500@zero_shot")[0] == [f"{POLAR}\nPut your final answer within \\boxed{{}}."]
    said = "Please reason step by step, and put your final answer within \\boxed{}."
    assert asked("math500@cot")[0] == [f"{POLAR}\n{said}"]


NAVIGATE = (
    "If you follow these instructions, do you return to the starting point? Always face forward. Take 1 step backward."
    " Take 9 steps left. Take 2 steps backward. Take 6 steps forward. Take 4 steps forward. Take 4 steps backward. Take"
    " 3 steps right.\nOptions:\n- Yes\n- No"
)
STARTING_POINT = (
    "Given a series of navigation instructions, determine whether one would end up back at the starting point."
)


def test_lm_evals_big_bench() -> None:
    (text,), _ = asked("bbh@lm_eval", "navigate")
    assert text.startswith(f"{STARTING_POINT}\n\nQ: If")
    assert text.endswith(f"So the answer is Yes.\n\nQ: {NAVIGATE}\nA: Let's think step by step.\n")
    assert text.count("A: Let's think step by step.\n") == 4
    (sports,), _ = asked("bbh@lm_eval", "sports_understanding")
    assert "\nA: Let's think step by step.\nBam Adebayo is an American basketball player." in sports


def test_opencompass_big_bench() -> None:
    (text,), _ = asked("bbh@opencompass", "navigate")
    assert text.startswith("Follow the given examples and answer the question.\nGiven a series of navigation")
    assert text.endswith(f"So the answer is Yes.\n\nQ: {NAVIGATE}\nA: Let's think step by step.")
    (sports,), _ = asked("bbh@opencompass", "sports_understanding")
    assert "\nA: Let's think step by step. Bam Adebayo is an American basketball player." in sports


def test_big_bench_without_examples() -> None:
    told = f"{STARTING_POINT}\n\nQ: {NAVIGATE}\nEnd with the line: The answer is ANSWER.\nA:"
    assert asked("bbh@zero_shot", "navigate")[0] == [told]
    assert asked("bbh@cot", "navigate")[0] == [told + " Let's think step by step."]


def test_lambada() -> None:
    for id in ("lambada", "lambada@lm_eval"):
        (text,), continuations = asked(id)
        assert text.endswith("his mouth curved in a confident grin, I don't care about") and continuations == [" signs"]
    (text,), continuations = asked("lambada@opencompass")
    assert text.startswith("Please complete the following sentence:\nIn my palm is a clear stone, and inside it is a")
    assert text.endswith("I don't care about") and continuations == []


def test_wikitext() -> None:
    (raw,), _ = asked("wikitext2")
    (text,), _ = asked("wikitext2@lm_eval")
    assert raw.startswith("= Robert <unk> = \n \n Robert <unk> is an English film , television and theatre actor . He")
    assert text.startswith(" = Robert <unk> =\n\nRobert <unk> is an English film, television and theatre actor. He")
    assert "guest @-@ starring role" in raw and "guest-starring role" in text


def test_ifeval() -> None:
    for id in ("ifeval", "ifeval@lm_eval", "ifeval@opencompass"):
        (text,), _ = asked(id)
        assert text.startswith(
            'Write a 300+ word summary of the wikipedia page "https://en.wikipedia.org/wiki/Raymond_III,'
        )
    _, sample = _samples("ifeval")[0]
    assert sample["instructions"][1] == "detectable_format:number_highlighted_sections"
    assert sample["kwargs"] == [{}, {"num_highlights": 3}, {"relation": "at least", "num_words": 300}]


def _scored(benchmark: Benchmark, sample: Sample, reply: Reply) -> dict[str, float | None]:
    found = {r.filter: run_chain(r.chain, reply, sample).value for r in readings(benchmark)}
    scores: dict[str, float | None] = {}
    for one in scorings(benchmark):
        value = found[one.filter]
        given: Any = 0.0 if value is None else one.function(value, sample, **one.options)
        given = given.value if isinstance(given, Scored) else given
        scores[one.shown] = None if given is None else float(given)
    return scores


@pytest.mark.parametrize(
    ("id", "every"),
    [
        ("gsm8k", 1), ("gsm8k@zero_shot", 1), ("gsm8k@cot", 1), ("gsm8k@lm_eval", 1), ("gsm8k@lm_eval_cot", 1),
        ("gsm8k@opencompass", 1), ("math500", 1), ("math500@zero_shot", 1), ("math500@cot", 1), ("math500@lm_eval", 20),
        ("math500@opencompass", 20), ("bbh", 3), ("bbh@zero_shot", 3), ("bbh@cot", 3), ("bbh@lm_eval", 1),
        ("bbh@opencompass", 1), ("lambada@opencompass", 1),
    ],
)  # fmt: skip
def test_the_gold_answer_is_read_and_right(id: str, every: int) -> None:
    benchmark = load_benchmark(id)
    prompter = Prompter(benchmark)
    for _, sample in islice(_samples(id), 0, None, every):
        scores = _scored(benchmark, sample, Reply(text=prompter.answer(sample), finish="stop"))
        assert scores == dict.fromkeys(scores, 1.0), (sample["target"], prompter.answer(sample))


@pytest.mark.parametrize(
    ("id", "text", "scores"),
    [
        ("gsm8k", "16 - 3 - 4 = 9, so $18.\n#### 18\n\n", {"number_match": 1}),
        ("gsm8k", "She makes $18.00 a day.", {"number_match": 1}),
        ("gsm8k", "#### 17. Or 18", {"number_match": 0}),
        ("gsm8k@lm_eval", "#### $18.", {"exact_match,strict-match": 0, "exact_match,flexible-extract": 1}),
        ("gsm8k@lm_eval", "9 * 2 = $18.\n", {"exact_match,strict-match": 0, "exact_match,flexible-extract": 1}),
        ("gsm8k@lm_eval", "#### 18, not 17", {"exact_match,strict-match": 1, "exact_match,flexible-extract": 0}),
        ("gsm8k@lm_eval_cot", "The answer is 18.", {"exact_match,strict-match": 1, "exact_match,flexible-extract": 1}),
        ("gsm8k@opencompass", "The answer is 18\nQuestion: 1 + 1?", {"number_match": 1}),
        ("gsm8k@opencompass", "The answer is 1,018", {"number_match": 1}),  # 018, since it knows no commas
        ("math500", r"Thus \boxed{(3, \pi/2)}.", {"math_match": 1}),
        ("math500", "Final Answer: The final answer is $(3,\\pi/2)$. I hope it is correct.", {"math_match": 1}),
        ("math500@lm_eval", r"So \boxed{(3, \pi/2)}.", {"exact_match": 0, "math_verify": 1}),
        ("math500@lm_eval", r"So \boxed{(3, \pi/3)}.", {"exact_match": 0, "math_verify": 0}),
        ("math500@opencompass", r"So \boxed{(3, \pi/2)}.", {"math_verify_opencompass": 1}),
        ("bbh", "Thus the answer is **false**.\n\nmore", {"exact_match": 1}),
        ("bbh", "It is\nFalse", {"exact_match": 1}),
        ("bbh", "The answer is: False", {"exact_match": 1}),
        ("bbh", "So the answer is True. No, the answer is False.", {"exact_match": 1}),
        ("bbh@lm_eval", "So the answer is False.", {"exact_match,get-answer": 1}),
        ("bbh@lm_eval", "So the answer is False", {"exact_match,get-answer": 0}),  # the last character is dropped
        ("bbh@lm_eval", "So the answer is false.", {"exact_match,get-answer": 0}),
        ("lambada@opencompass", " Signs. He", {"opencompass_match": 0}),
        ("lambada@opencompass", " signs, he", {"opencompass_match": 1}),
    ],
)
def test_the_first_question_answered_so(id: str, text: str, scores: dict[str, float]) -> None:
    assert _scored(load_benchmark(id), _samples(id)[0][1], Reply(text=text, finish="stop")) == scores


def test_a_letter_is_read_without_what_it_stands_for() -> None:
    (reading,) = readings(load_benchmark("bbh"))
    for text in ("The answer is (B) 12/14/1950.", "So the answer is: **(B)**", "the answer is\n(B)"):
        assert run_chain(reading.chain, Reply(text=text), {}).value == "(B)"
    assert run_chain(reading.chain, Reply(text="So the answer is ) ] }."), {}).value == ") ] }"


def test_lm_evals_stop_string_cuts_seven_of_its_own_answers() -> None:
    targets = [str(sample["target"]) for _, sample in _samples("bbh@lm_eval")]
    assert "Q" in load_benchmark("bbh@lm_eval").sampling.stop
    assert sum("Q" in target for target in targets) == 7  # `(Q)` can be reached in every other variant
