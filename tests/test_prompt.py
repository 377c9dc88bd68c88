"""Samples to requests: what is one text and what is turns, what is shared, and what is left as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.messages import join_messages, splice
from assay.prompt import Ask, Prompter, ask_of, gold_index
from assay.solve import Question
from assay.spec import Benchmark

SUE = {"input": "2+2", "target": "4"}
DEMOS = [{"input": "1+1", "target": "2"}, {"input": "1+2", "target": "3"}]
NAMES = {"who": "Sue", "rest": "ran", "target": 1}
OWN = [{"context": f"{{{{ who }}}} {number}", "continuation": "{{ rest }}"} for number in ("one", "two")]


def prompter(prompt: dict[str, Any] | None = None, **fields: Any) -> Prompter:
    base = {
        "name": "b", "dimension": "knowledge", "sources": [{"generated": {"name": "x"}}], "score": ["exact"],
        "sample": {"input": "q", "target": "a"}, "prompt": {"template": "Q: {{ input }}\nA:", **(prompt or {})},
    }  # fmt: skip
    return Prompter(Benchmark.model_validate(base | fields))


def turns(ask: Ask) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in join_messages(ask.header, ask.messages)]


def only(asks: list[Ask]) -> Ask:
    (ask,) = asks
    return ask


def test_one_question() -> None:
    ask = only(prompter().asks(SUE))
    assert turns(ask) == [("user", "Q: 2+2\nA:")]
    assert ask.header is None and ask.header_key is None and ask.continuations == [] and ask.choice == -1


def test_in_prompt_is_one_text() -> None:
    made = prompter({"system": "Be brief.", "description": "Sums.\n\n"})
    assert turns(only(made.asks(SUE, DEMOS))) == [
        ("system", "Be brief."),
        ("user", "Sums.\n\nQ: 1+1\nA: 2\n\nQ: 1+2\nA: 3\n\nQ: 2+2\nA:"),
    ]
    made = prompter({"delimiter": "\n", "separator": "\n###\n", "answer": "= {{ target }}"})
    assert turns(only(made.asks(SUE, DEMOS[:1]))) == [("user", "Q: 1+1\nA:\n= 2\n###\nQ: 2+2\nA:")]


def test_turns_are_a_dialogue() -> None:
    made = prompter({"system": "Be brief.", "description": "Sums.\n", "demonstrations": "turns"})
    assert turns(only(made.asks(SUE, DEMOS))) == [
        ("system", "Be brief."),
        ("user", "Sums.\nQ: 1+1\nA:"), ("assistant", "2"), ("user", "Q: 1+2\nA:"), ("assistant", "3"),
        ("user", "Q: 2+2\nA:"),
    ]  # fmt: skip
    assert turns(only(made.asks(SUE))) == [("system", "Be brief."), ("user", "Sums.\nQ: 2+2\nA:")]


def test_a_dialogue_as_template() -> None:
    roles = [{"role": "user", "content": "{{ input }}"}, {"role": "assistant", "content": "Hm."},
             {"role": "user", "content": "So?"}]  # fmt: skip
    made = prompter({"template": roles})
    assert turns(only(made.asks(SUE))) == [("user", "2+2"), ("assistant", "Hm."), ("user", "So?")]
    shown = turns(only(made.asks(SUE, DEMOS[:1])))
    assert shown == [("user", "1+1\nHm.\nSo? 2\n\n2+2"), ("assistant", "Hm."), ("user", "So?")]


@pytest.mark.parametrize("mode", ["turns", "in_prompt"])
def test_a_response_prefix_is_the_models_own_turn(mode: str) -> None:
    made = prompter({"prefix": "Let's see, {{ input }}", "demonstrations": mode})
    shown = turns(only(made.asks(SUE, DEMOS)))
    assert shown[-1] == ("assistant", "Let's see, 2+2") and shown[-2][1].endswith("Q: 2+2\nA:")


def test_headers_are_shared() -> None:
    made = prompter({"description": "Sums.\n\n"})
    first, second = (only(made.asks({"input": q, "target": "?"}, DEMOS)) for q in ("2+2", "3+3"))
    assert first.header is not None and first.header == second.header and first.header_key == second.header_key
    assert first.messages != second.messages and first.request_key != second.request_key
    other = only(made.asks(SUE, DEMOS[:1]))
    assert other.header_key != first.header_key


@pytest.mark.parametrize("mode", ["turns", "in_prompt"])
def test_headers_of_examples_that_are_made_anew(mode: str) -> None:
    made = prompter({"demonstrations": mode})
    for i in range(30):  # an object that is gone leaves its id to the next
        assert f"shot {i}" in str(only(made.asks(SUE, [{"input": f"shot {i}", "target": "t"}])).header)


def test_the_key_is_what_is_asked() -> None:
    plain, whole = prompter(), prompter({"template": "Q: 1+1\nA: 2\n\nQ: {{ input }}\nA:"})
    shown = only(plain.asks(SUE, DEMOS[:1]))
    assert shown.request_key == only(whole.asks(SUE)).request_key  # the same text, put together otherwise
    kinds = [prompter(kind="rolling"), prompter(kind="loglikelihood", choices=["4", "5"]),
             prompter(kind="choice", choices=["4", "5"]), prompter(kind="loglikelihood", choices=["4", "6"]),
             prompter(kind="loglikelihood", choices=["4", "5"], needs=["prompt_sums"])]  # fmt: skip
    keys = {only(made.asks(SUE)).request_key for made in (plain, *kinds)}
    assert len(keys) == 6


def test_a_solvers_question_has_the_same_key() -> None:
    ask = only(prompter().asks(SUE))
    asked = ask_of(Question([{"content": "Q: 2+2\nA:", "role": "user"}]))
    assert asked.request_key == ask.request_key and asked.messages == ask.messages


def test_choices() -> None:
    made = prompter(kind="loglikelihood", choices=["yes", "no"])
    ask = only(made.asks({"input": "q", "target": 1}, [{"input": "d", "target": 0}]))
    assert ask.continuations == [" yes", " no"] and turns(ask) == [("user", "Q: d\nA: yes\n\nQ: q\nA:")]
    made = prompter({"delimiter": ""}, kind="loglikelihood", choices="{{ options }}")
    assert only(made.asks({"input": "q", "options": ["a", 1]})).continuations == ["a", "1"]
    made = prompter(kind="choice", choices=["{{ input }}!", "no"])
    assert only(made.asks(SUE)).continuations == [" 2+2!", " no"]
    for options in ([], "ab", None):
        with pytest.raises(SpecError, match="b: choices: wanted a list of choices"):
            prompter(kind="loglikelihood", choices="{{ options }}").asks({"input": "q", "options": options})


@pytest.mark.parametrize("mode", ["turns", "in_prompt"])
def test_choices_with_contexts_of_their_own(mode: str) -> None:
    made = prompter({"demonstrations": mode, "template": "{{ who }}"}, kind="loglikelihood", choices=OWN)
    demo = {"who": "Bob", "rest": "sat", "target": 0}
    asks = made.asks(NAMES, [demo])
    assert [(ask.choice, ask.continuations) for ask in asks] == [(0, [" ran"]), (1, [" ran"])]
    assert len({ask.request_key for ask in asks}) == 2 and len({ask.header_key for ask in asks}) == 1
    if mode == "in_prompt":
        assert [turns(ask) for ask in asks] == [[("user", f"Bob one sat\n\nSue {n}")] for n in ("one", "two")]
    else:
        begin = [("user", "Bob one"), ("assistant", "sat")]
        assert [turns(ask) for ask in asks] == [[*begin, ("user", f"Sue {n}")] for n in ("one", "two")]


def test_the_answer_of_a_demonstration() -> None:
    made = prompter(kind="loglikelihood", choices=["yes", "no"])
    assert [made.answer({"input": "", "target": t}) for t in (0, 1, "no", [1, 0])] == ["yes", "no", "no", "no"]
    made = prompter()
    assert [made.answer({"input": "", "target": t}) for t in (0, "x", ["first", "other"], 1.5)] == [
        "0", "x", "first", "1.5",
    ]  # fmt: skip


def test_braces_in_values_are_left_alone() -> None:
    sample = {"input": "{{ target }} {% x %} {input}", "target": "{{ input }}"}
    made = prompter({"description": "{not a field}\n"})
    assert turns(only(made.asks(sample, [sample]))) == [
        (
            "user",
            "{not a field}\nQ: {{ target }} {% x %} {input}\nA: {{ input }}\n\nQ: {{ target }} {% x %} {input}\nA:",
        )
    ]


@given(st.text(), st.text(), st.sampled_from(["turns", "in_prompt"]))
def test_whatever_a_value_holds(question: str, answer: str, mode: str) -> None:
    sample = {"input": question, "target": answer}
    ask = only(prompter({"demonstrations": mode}).asks(sample, [sample]))
    shown = turns(ask)
    expected = f"Q: {question}\nA:"
    if mode == "in_prompt":
        assert shown == [("user", f"{expected} {answer}\n\n{expected}")]
    else:
        assert shown == [("user", expected), ("assistant", answer.strip()), ("user", expected)]
    assert splice(None, splice(ask.header, ask.messages)) == splice(ask.header, ask.messages)


def test_a_field_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"b: prompt\.template: .* wants 'input'; there is 'target'"):
        prompter().asks({"target": "4"})
    with pytest.raises(SpecError, match=r"b: prompt\.system"):
        prompter({"system": "{{ x"})


@pytest.mark.parametrize(("target", "gold"), [(1, 1), ("no", 1), ([1, 0], [1, 0]), (["no", 0], [1, 0]), (0, 0)])
def test_gold(target: Any, gold: Any) -> None:
    assert gold_index({"target": target}, ["yes", "no"]) == gold


@pytest.mark.parametrize(
    ("target", "says"),
    [(2, "choice 2, and there are 2"), (-1, "choice -1"), ("maybe", "'maybe' is not among the choices"),
     (True, "wanted the index or the text"), (None, "wanted the index or the text"), ([0, "maybe"], "'maybe'")],
)  # fmt: skip
def test_gold_that_is_not_there(target: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        gold_index({"target": target}, ["yes", "no"])
