"""Short answers in prose: labels, quantities, options by their texts, JSON and tags."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.extract import run_chain
from assay.functions import load_functions
from assay.numerals import quantities
from assay.types import Extracted, Reply

load_functions()

NLI = {
    "labels": {"entailment": ["entailment", "yes", "蕴含"], "neutral": ["neutral", "maybe"], "contradiction": ["no"]}
}


def found(step: Any, text: str, sample: dict[str, Any] | None = None) -> Extracted:
    return run_chain([step], Reply(text=text, finish="stop"), sample or {})


@pytest.mark.parametrize(
    ("text", "value", "method"),
    [
        ("Yes, it is.", "yes", "leading"),
        ("**No.**", "no", "leading"),
        ("No doubt one may think so, but the answer is yes.", "yes", "stated"),
        ("Answer: False", "no", "stated"),
        ("是的，可以。", "yes", "leading"),
        ("不是。", "no", "leading"),
        ("答案：不正确", "no", "stated"),
        ("That is not correct", "no", "single"),
        ("I know nothing", None, ""),
        ("It could be yes or no", None, "several labels"),
        ("", None, ""),
    ],
)
def test_yes_or_no(text: str, value: str | None, method: str) -> None:
    assert found("yes_no", text)[:2] == (value, method if value else found("yes_no", text).method)
    assert found("yes_no", text).status == {"single": "fallback", "": "none", "several labels": "ambiguous"}.get(
        method, "ok"
    )


def test_labels_by_their_words() -> None:
    assert found({"label": NLI}, "Maybe; hard to tell").value == "neutral"
    assert found({"label": NLI}, "The label is: 蕴含").value == "entailment"
    assert found({"label": NLI}, "I cannot say, unknown").value is None  # `no` is a part of other words
    assert found({"label": {"labels": ["World", "Sports"]}}, "sports").value == "Sports"
    assert found({"yes_no": {"maybe": True}}, "Answer: maybe").value == "maybe"
    with pytest.raises(SpecError, match="'yes' stands for 'a' and for 'b'"):
        found({"label": {"labels": {"a": ["yes"], "b": ["yes"]}}}, "yes")
    with pytest.raises(SpecError, match="wanted labels"):
        found({"label": {"labels": []}}, "yes")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,234 or 12", ["1234", "12"]),
        ("１２．５％", ["12.5"]),
        ("-¥3.5", ["-3.5"]),
        ("3/4 of it", ["0.75"]),
        ("3.2万人", ["32000"]),
        ("1.5万亿", ["1500000000000"]),
        ("5 million people", ["5000000"]),
        ("1.2e5, 3 × 10^8, 3 \\times 10^{-3}", ["120000", "300000000", "0.003"]),
        ("三百二十一", ["321"]),
        ("一千零五", ["1005"]),
        ("十五", ["15"]),
        ("二〇二四年", ["2024"]),
        ("两万三千", ["23000"]),
        ("三亿二", ["320000000"]),
        ("一百二", ["120"]),
        ("负三点一四", ["-3.14"]),
        ("万一，千万", []),
        ("一共18个，这是一个", ["18"]),
        ("5-3", ["5", "3"]),
        ("12 / 0", []),
        ("9" * 5000, []),
        ("none", []),
    ],
)
def test_numbers_as_people_write_them(text: str, numbers: list[str]) -> None:
    assert quantities(text) == numbers
    assert found("quantity", text).value == (numbers[-1] if numbers else None)


def test_percentages_may_be_shares() -> None:
    share = {"quantity": {"percent": True}}
    assert [found(share, text).value for text in ("50%", "百分之五十", r"12.5\%", "7 percent", "0.5")] == [
        "0.5", "0.5", "0.125", "0.07", "0.5",
    ]  # fmt: skip
    assert found("quantity", "50%").value == "50"
    assert found({"quantity": {"select": 0}}, "3 of 4").value == "3"


SAYS = "零一二三四五六七八九"


def chinese(number: int) -> str:
    """A number below a hundred million in Chinese, in full."""
    if number >= 10_000:
        rest = number % 10_000
        return chinese(number // 10_000) + "万" + ("" if not rest else ("零" if rest < 1000 else "") + chinese(rest))
    text, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            text += ("零" if zero and text else "") + SAYS[digit] + name
        zero = not digit
    return text or "零"


@given(st.integers(10, 99_999_999))
def test_chinese_numerals_are_read_back(number: int) -> None:
    assert quantities(chinese(number)) == [str(number)]


@given(st.text("0123456789.,-/×10^e万亿百分之%点一二十 ", max_size=30))
def test_whatever_looks_like_a_number_is_read_or_left(text: str) -> None:
    for number in quantities(text):
        assert float(number) is not None


ODD = [*"{}[]<>/:,\"'\\ \n", "answer", "yeſ", "Answer: ", "9" * 5000, "\\ud800", "1e999", "是", "NaN"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ODD)))
def test_nothing_that_a_model_writes_breaks_a_reader(pieces: list[str]) -> None:
    for step in ("yes_no", "quantity", "json_value", "xml_tag", "nearest_option"):
        orjson.dumps(found(step, "".join(pieces), PLACES).value)


@pytest.mark.parametrize("text", ["<answer ", "<answer>", "[", '{"a":', "1,", "9", "1/"])
def test_nothing_written_over_and_over_takes_for_ever(text: str) -> None:
    start = time.process_time()
    for step in ("json_value", "xml_tag", "quantity", "yes_no"):
        found(step, text * 20_000)
    assert time.process_time() - start < 5


PLACES = {"choices": ["Paris", "Rome", "the city of Berlin"]}


@pytest.mark.parametrize(
    ("text", "letter", "method", "status"),
    [
        ("B", "B", "alone", "ok"),
        ("The answer is (C).", "C", "stated", "ok"),
        ("it must be rome, surely", "B", "contained", "ok"),
        ("The city of Berlim", "C", "nearest", "fallback"),
        ("Paris or Rome", "A", "nearest", "fallback"),
        ("", None, "", "none"),
    ],
)
def test_the_option_that_is_nearest(text: str, letter: str | None, method: str, status: str) -> None:
    assert found("nearest_option", text, PLACES) == Extracted(letter, method, status)  # type: ignore[arg-type]


def test_json_and_tags() -> None:
    text = 'So:\n```json\n{"answer": {"n": [1, 2]}, "why": "{"}\n```\nor {"answer": 3} or {broken'
    assert found("json_value", text).value == {"answer": 3}
    assert found({"json_value": {"path": "answer"}}, text).value == 3
    assert found({"json_value": {"path": "answer.n.1"}}, text).value == 2
    assert found({"json_value": {"path": "answer", "last": False}}, text).value == {"n": [1, 2]}
    assert found({"json_value": {"path": "missing"}}, text).value is None
    assert found("json_value", "[" * 5000).value is None
    assert found("xml_tag", "<answer>1</answer> no: <answer type='x'>\n2 </answer><answer>3").value == "2"
    assert found({"xml_tag": {"tag": "b", "last": False}}, "<b>1</b><b>2</b>").value == "1"
    assert found("xml_tag", "<answer> </answer>").value is None
    assert found("xml_tag", "<answer>3").value is None
