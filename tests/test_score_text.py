"""What was written, held against what is right."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from assay.catalog import load_benchmark
from assay.extract import run_chain
from assay.functions import load_functions
from assay.metrics import summarize_scores
from assay.reading import readings, scorings
from assay.score import scorer
from assay.score_text import number, wikitext_detokenized
from assay.types import Reply, Sample, Scored, Scores

load_functions()

GSM8K = {"ignore_case": True, "ignore": [",", r"\$", "(?s).*#### ", r"\.$"]}


@pytest.mark.parametrize(
    ("value", "target", "options", "right"),
    [
        ("(A)", "(A)", {}, True),
        ("(a)", "(A)", {}, False),
        ("(a)", "(A)", {"ignore_case": True}, True),
        ("a-b!", "ab", {"ignore_punctuation": True}, True),
        ("a1", "a2", {"ignore_numbers": True}, True),
        ("b", ["a", "b"], {}, True),
        ("c", ["a", "b"], {}, False),
        ("$1,200.", "He has 3.\n#### 1200", GSM8K, True),
        ("1200.5", "He has 3.\n#### 1200", GSM8K, False),
        ("12", 12, {}, True),
    ],
)
def test_exact_match(value: str, target: Any, options: dict[str, Any], right: bool) -> None:
    assert scorer["exact_match"](value, {"target": target}, **options) is right


def test_exact_match_reads_the_field_it_is_told() -> None:
    assert scorer["exact_match"]("4", {"target": "5", "worked": "#### 4"}, gold="worked", ignore=["#### "])


@pytest.mark.parametrize(
    ("value", "target", "tolerance", "right"),
    [
        ("18.0", "18", 0.0, True),
        ("1,000", "1000", 0.0, True),
        ("$18", "18.00", 0.0, True),
        ("18.", "18", 0.0, True),
        ("-18", "18", 0.0, False),
        ("0.1", 0.1, 0.0, True),
        ("18.0000001", "18", 0.0, False),
        ("18.0000001", "18", 1e-6, True),
        ("18.1", "18", 1e-6, False),
        ("eighteen", "18", 0.0, False),
        ("", "18", 0.0, False),
        ("nan", "nan", 0.0, False),
        ("inf", "inf", 0.0, False),
        ("1e999999999", "1e999999998", 1e-6, False),
    ],
)
def test_number_match(value: str, target: Any, tolerance: float, right: bool) -> None:
    assert scorer["number_match"](value, {"target": target}, tolerance=tolerance) is right


def test_a_number_is_exact() -> None:
    assert number("1,234.10%") == Decimal("1234.10")
    assert number("12345678901234567890") == Decimal("12345678901234567890")
    assert number("one") is None


def test_opencompass_compares_up_to_the_first_comma() -> None:
    match = scorer["opencompass_match"]
    assert match("The  sign, he said", {"target": "sign"})
    assert not match("signs", {"target": "sign"})


def test_big_bench_letters_are_compared_as_letters() -> None:
    match = scorer["opencompass_bbh_match"]
    assert match("B", {"input": "(A) x\n(B) y", "target": "(B)"})
    assert not match("(B)", {"input": "(A) x\n(B) y", "target": "(B)"})
    assert match("True", {"input": "not False is", "target": "True"})
    assert not match("true", {"input": "not False is", "target": "True"})


def test_a_continuation_and_a_rolling_text() -> None:
    value = {"sum": -12.0, "greedy": False}
    page = " = A = \n \n Zwölf words . \n"
    assert scorer["greedy"](value, {}) is False
    assert scorer["log_likelihood"](value, {}) == -12.0
    assert scorer["rolling_words"](value, {"page": page}) == Scored(-12.0, 8.0)  # "", =, A, =, Zwölf, words, ., ""
    assert scorer["rolling_bytes"](value, {"page": page}) == Scored(-12.0, 27.0)
    nothing = {"sum": None, "greedy": None}
    assert scorer["log_likelihood"](nothing, {}) is None and scorer["greedy"](nothing, {}) is None
    assert scorer["rolling_words"](nothing, {"page": page}).value is None


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (" = Robert <unk> = \n \n He said . ", " = Robert <unk> =\n\nHe said. "),
        ("a guest @-@ starring role of 1 @,@ 000 at 2 @.@ 5", "a guest-starring role of 1,000 at 2.5"),
        ('( in 2000 ) , " Craig " ; Teddy \'s', '(in 2000), "Craig"; Teddy\'s'),
        (" = = Career = = \n", " == Career ==\n"),
        ("the boys ' N at 5 ° C", "the boys' 1 at 5°C"),
    ],
)
def test_wikitext_as_it_was_before_it_was_tokenized(page: str, text: str) -> None:
    assert wikitext_detokenized(page) == text


def _figures(id: str, rows: list[tuple[Sample, Reply]]) -> dict[str, float | None]:
    """Each figure of a benchmark by its title, as a run would compute it."""
    benchmark = load_benchmark(id)
    figures: dict[str, float | None] = {}
    for one in scorings(benchmark):
        chain = next(r.chain for r in readings(benchmark) if r.filter == one.filter)
        given = [one.function(run_chain(chain, reply, sample).value, sample, **one.options) for sample, reply in rows]
        scored = [value if isinstance(value, Scored) else Scored(float(value)) for value in given]
        blank = np.array([""] * len(rows))
        values, weights = (np.array([getattr(s, name) for s in scored], float) for name in ("value", "weight"))
        summary = summarize_scores(Scores(values, weights, blank, blank), {one.metric: one.metric_options})
        figures[one.shown] = summary["micro"].value
    return figures


def test_figures_of_likelihood_are_lm_evals() -> None:
    replies = [Reply(sums=[-2.0], greedy=[True]), Reply(sums=[-4.0], greedy=[False])]
    assert _figures("lambada", [({}, reply) for reply in replies]) == pytest.approx(
        {"acc": 0.5, "perplexity": math.exp(3.0)}
    )
    pages = [{"page": "a b c"}, {"page": "ä"}]  # 3 + 1 words, 5 + 2 bytes
    assert _figures("wikitext2@lm_eval", list(zip(pages, replies, strict=True))) == pytest.approx(
        {"word_perplexity": math.exp(6 / 4), "byte_perplexity": math.exp(6 / 7), "bits_per_byte": 6 / 7 / math.log(2)}
    )


def test_figures_of_ifeval() -> None:
    one = {"instructions": ["punctuation:no_comma"], "kwargs": [{}]}
    names = ["punctuation:no_comma", "detectable_format:title", "startend:quotation"]
    three = {"instructions": names, "kwargs": [{}] * 3}
    rows = [(one, Reply(text="Sure, here:\nno comma")), (three, Reply(text='"<<a title>>"'))]
    assert _figures("ifeval", rows) == pytest.approx(
        {
            "prompt_level_strict_acc": 0.5, "inst_level_strict_acc": 0.75,
            "prompt_level_loose_acc": 1.0, "inst_level_loose_acc": 1.0,
        }
    )  # fmt: skip
