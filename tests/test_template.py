"""Templates: what they compute, what they refuse, and that they change nothing that they are not told to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.template import computes, text_template, value_template


def text(template: str, **fields: Any) -> str:
    return text_template(template, "b: prompt")(fields)


def value(template: Any, **fields: Any) -> Any:
    return value_template(template, "b: sample")(fields)


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ a.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ 'x' | attr('__class__') }}",
        "{{ '{0.__class__}'.format(a) }}",
        "{{ '{0.__class__}'.format_map({'0': a}) }}",
        "{{ a['__class__'].mro() }}",
        "{{ len.__self__ }}",
        "{{ range(10 ** 9) | list }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
    ],
)
def test_there_is_no_way_out(escape: str) -> None:
    with pytest.raises(SpecError, match="b: prompt"):
        text(escape, a=1)
    with pytest.raises(SpecError, match="b: sample"):
        value(escape, a=1)


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("plain {braces} stay", "plain {braces} stay"),
        ("{{ a }}\n", "x\n"),
        ("{{ a }}\n\n", "x\n\n"),
        ("  {{ a }}  ", "  x  "),
        ("{{ a }}, {{ b }}!", "x, {{ a }}!"),  # a value is not a template
        ("{{ a | upper }}", "X"),
        ("{{ a | regex_replace('x', 'y') }}", "y"),
        ("{{ 'n=12' | regex_search('([0-9]+)') }}", "12"),
        ("{{ 'none' | regex_search('([0-9]+)') }}", ""),
        ("{% for i in c %}{{ chr(65 + loop.index0) }}. {{ i }}\n{% endfor %}", "A. 1\nB. 2\n"),
        ("{% for i, j in zip(c, 'pq') %}{{ i }}{{ j }}{% endfor %}", "1p2q"),
        ("{{ a }}{# a remark #}", "x"),
        ("<b> & 'quotes' {{ d }}", "<b> & 'quotes' <i>&"),  # nothing is escaped
    ],
)
def test_texts(template: str, result: str) -> None:
    assert text(template, a="x", b="{{ a }}", c=[1, 2], d="<i>&") == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("a", "x"),
        ("{{ c }}", [1, 2]),
        ("{{- c -}}", [1, 2]),
        ("{{ c }} ", "[1, 2] "),
        ("{{ c | length }}", 2),
        ("{{ n }}", None),
        ("{{ c[0] == 1 }}", True),
        ("{{ 'ABCD'.index('C') }}", 2),
        ("{{ a.split(',') }}", ["x"]),
        ("{{ {'k': c} }}", {"k": [1, 2]}),
        ("{{ c | map('string') }}", ["1", "2"]),  # lazy in Jinja
        ("{{ {'k': c | select('odd')} }}", {"k": [1]}),
        ("{{ zip(c, c) }}", [[1, 1], [2, 2]]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ '}}' + a }}", "}}x"),
        ("{{ a }}{{ a }}", "xx"),
        (["a", "{{ a }}!", 3, None, {"k": "c"}], ["x", "x!", 3, None, {"k": [1, 2]}]),
        ({"p": "a", "q": {"r": ["c"]}}, {"p": "x", "q": {"r": [[1, 2]]}}),
        (True, True),
    ],
)
def test_values_keep_their_type(template: Any, result: Any) -> None:
    found = value(template, a="x", c=[1, 2], n=None)
    assert found == result and type(found) is type(result)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ qestion }}", "'qestion'"),
        ("{{ qestion | upper }}", "'qestion'"),
        ("{{ [qestion, 1] }}", "'qestion'"),
        ("{{ {'k': qestion} }}", "'qestion'"),
        ("{{ [question] | map(attribute='text') }}", "'text'"),
        ("{% if qestion %}x{% endif %}", "'qestion'"),
        ("{{ question.text }}", "'text'"),
        ("{{ question }} {{ qestion }}", "'qestion'"),
    ],
)
def test_a_name_that_is_not_there(template: str, name: str) -> None:
    for function in (text, value):
        if function is text and template.startswith(("{{ [", "{{ {")):
            continue  # the text of a list that holds what is not there
        with pytest.raises(SpecError, match=r"b: (prompt|sample)") as raised:
            function(template, question="q", answer="a")
        assert name in str(raised.value) and "'question', 'answer'" in str(raised.value)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"sample\.target wants the column 'anwser'; the row has 'question', 'answer'"):
        value({"target": "anwser"}, question="q", answer="a")
    with pytest.raises(SpecError, match="the row has no columns"):
        value("a")


@pytest.mark.parametrize("template", ["{{ a", "{% if a %}", "{{ a | no_such_filter }}", "{% no_such_tag %}"])
def test_malformed_on_construction(template: str) -> None:
    for make in (text_template, value_template):
        with pytest.raises(SpecError, match="b: here"):
            make(template, "b: here")


def test_a_filter_that_fails_names_its_template() -> None:
    with pytest.raises(SpecError, match=r"b: prompt: .*\{\{ a \| regex_replace\('\(', ''\) \}\}"):
        text("{{ a | regex_replace('(', '') }}", a="x")


@given(st.text(), st.text())
def test_values_and_plain_texts_are_left_alone(column: str, around: str) -> None:
    assert value("a", a=column) == value("{{ a }}", a=column) == text("{{ a }}", a=column) == column
    assert text("{{ a }}|{{ a }}", a=column) == f"{column}|{column}"
    if not computes(around):
        assert text(around, a=column) == around
