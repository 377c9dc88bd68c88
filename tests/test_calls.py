"""Calls of functions: how they are read, and when they are right, by the rules of BFCL's checker."""

from __future__ import annotations

from typing import Any

import pytest

from assay.calls import function_calls, written_calls
from assay.score_calls import function_call, names_in, same_names
from assay.types import Reply

CALL = [{"name": "f", "arguments": {"a": 1, "b": "x"}}]


def read(text: str) -> Any:
    return function_calls(Reply(text=text), {}).value


@pytest.mark.parametrize(
    "text",
    [
        "[f(a=1, b='x')]",
        "f(a=1, b='x')",
        '```python\nf(a=1, b="x")\n```',
        "I would call [f(a=1, b='x')] here.",
        '{"name": "f", "arguments": {"a": 1, "b": "x"}}',
        '[{"name": "f", "parameters": {"a": 1, "b": "x"}}]',
        '[{"f": {"a": 1, "b": "x"}}]',
        '<tool_call>\n{"name": "f", "arguments": {"a": 1, "b": "x"}}\n</tool_call>',
        '{"type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"}}',
    ],
)
def test_one_call_in_many_forms(text: str) -> None:
    assert read(text) == CALL


def test_several_calls_and_what_is_in_them() -> None:
    assert [call["name"] for call in read("[a.b(x=1), c(y=2)]")] == ["a.b", "c"]
    assert [call["name"] for call in read("a(x=1)\nb(y=2)")] == ["a", "b"]
    (call,) = read("f(a=[1, -2.5, 'x'], b={'k': True}, c=None, d=var, e=g(h=1), i=(1, 2))")
    assert call["arguments"] == {
        "a": [1, -2.5, "x"], "b": {"k": True}, "c": None, "d": "var", "e": "g(h=1)", "i": [1, 2]
    }  # fmt: skip


def test_other_languages_are_read_as_source() -> None:
    (call,) = read('f(ids=new ArrayList<>(Arrays.asList(1, 2)), ok=true, name="a, (b)")')
    assert call["arguments"] == {"ids": "new ArrayList<>(Arrays.asList(1, 2))", "ok": True, "name": "a, (b)"}
    (call,) = read("preferred-routes_get(dest='ERI')")
    assert call == {"name": "preferred-routes_get", "arguments": {"dest": "ERI"}}


@pytest.mark.parametrize(
    "text",
    [
        "None of the functions fits.",
        "f(",
        "f(a=(1, 2)",
        "2 + 2 = 4 (four)",
        "f(1, 2)",
        '{"name": "f", "arguments": "{broken"}',
        "x" + "(" * 500,
    ],
)
def test_a_reply_without_a_call(text: str) -> None:
    assert read(text) == []


def test_nothing_is_run() -> None:
    (call,) = read("[f(a=__import__('os').system('exit 1'))]")
    assert call["arguments"] == {"a": "__import__('os').system('exit 1')"}


def test_a_reply_without_a_word_is_no_answer() -> None:
    assert read("?") is None


def tool(**types: Any) -> dict[str, Any]:
    properties = {name: kind if isinstance(kind, dict) else {"type": kind} for name, kind in types.items()}
    return {"name": "f", "parameters": {"type": "dict", "properties": properties, "required": []}}


@pytest.mark.parametrize(
    ("kind", "right", "value", "verdict"),
    [
        ("integer", [5], 5, True),
        ("integer", [5], 5.0, False),
        ("integer", [5], "5", False),
        ("integer", [1], True, False),
        ("float", [5.0], 5, True),
        ("string", ["April 1, 2024"], "april 1 2024", True),
        ("string", ["Paris"], "London", False),
        ("boolean", [True], "true", False),
        ("boolean", [True], 1, False),
        ({"type": "array", "items": {"type": "string"}}, [["A-b", "c"]], ["ab", "C"], True),
        ({"type": "array", "items": {"type": "string"}}, [["a", "b"]], ["b", "a"], False),
        ({"type": "array", "items": {"type": "float"}}, [[1.0, 2.5]], [1, 2.5], False),  # in a list 1 is no 1.0
        ({"type": "array", "items": {"type": "float"}}, [[1.0, 2.5]], [1.0, 2.5], True),
        ({"type": "tuple", "items": {"type": "integer"}}, [[1, 2]], [1, 2], True),
        ("dict", [{"k": [1], "o": ["", 2]}], {"k": 1}, True),
        ("dict", [{"k": [1]}], {"k": 1, "z": 2}, False),
        ("dict", [{"k": [1]}], {}, False),
        ({"type": "array", "items": {"type": "dict"}}, [[{"k": ["a"]}]], [{"k": "A"}], True),
        ("integer", ["ResultSet.READ"], "ResultSet.READ", True),  # a variable
        ("any", ["mapArea"], "mapArea", True),
    ],
)
def test_values_by_their_types(kind: Any, right: list[Any], value: Any, verdict: bool) -> None:
    sample = {"target": [{"f": {"a": right}}], "tools": [tool(a=kind)]}
    assert function_call([{"name": "f", "arguments": {"a": value}}], sample) is verdict


@pytest.mark.parametrize(
    ("kind", "right", "value", "verdict"),
    [
        ("integer", [5], "5", True),
        ("boolean", [True], "true", True),
        ("float", [5.0], "5.0f", True),
        ("ArrayList", [[101, 202]], "new ArrayList<>(Arrays.asList(101, 202))", True),
        ("Array", [["-v", "-p"]], 'new String[]{"-v", "-p"}', True),
        ("HashMap", [{"limit": ["50"]}], 'new HashMap<String, String>() {{ put("limit", "50"); }}', True),
        ("long", [42], "42L", True),
    ],
)
def test_texts_of_java_and_javascript(kind: str, right: list[Any], value: str, verdict: bool) -> None:
    sample = {"target": [{"f": {"a": right}}], "tools": [tool(a=kind)], "language": "java"}
    assert function_call([{"name": "f", "arguments": {"a": value}}], sample) is verdict


def test_what_must_be_given_and_what_may() -> None:
    sample = {"target": [{"f": {"a": [1], "b": ["", 2]}}], "tools": [tool(a="integer", b="integer")]}
    for arguments, verdict in (
        ({"a": 1}, True),
        ({"a": 1, "b": 2}, True),
        ({"b": 2}, False),
        ({"a": 1, "c": 0}, False),
    ):
        assert function_call([{"name": "f", "arguments": arguments}], sample) is verdict
    assert not function_call([{"name": "g", "arguments": {"a": 1}}], sample)
    assert function_call([{"name": "f", "arguments": {}}], sample, names=True)


def test_in_any_order_and_each_once() -> None:
    sample = {"target": [{"f": {"a": [1]}}, {"f": {"a": [2]}}], "tools": [tool(a="integer")]}
    one, two = ({"name": "f", "arguments": {"a": n}} for n in (1, 2))
    assert function_call([two, one], sample)
    assert not function_call([one, one], sample)
    assert not function_call([one], sample)


def test_where_none_is_right_or_any() -> None:
    assert function_call([], {"target": []}) and not function_call(CALL, {"target": []})
    assert function_call(CALL, {"target": "any"}) and not function_call([], {"target": "any"})


def test_right_calls_can_be_written_and_read_back() -> None:
    target = [{"f": {"a": ["", 2], "b": [{"k": ["v"], "o": [""]}], "c": [[{"x": [1]}]], "d": [""]}}]
    assert written_calls(target) == "[f(a=2, b={'k': 'v'}, c=[{'x': 1}])]"
    assert function_call(read(written_calls(target)), {"target": target})


def test_names() -> None:
    sample = {
        "choices": {"Search": "", "SearchVideos": "", "PDF&URLTool": ""},
        "target": ["PDF&URLTool", "SearchVideos"],
    }
    found = names_in(Reply(text="SearchVideos, then PDF&URLTool."), sample)
    assert found == ["PDF&URLTool", "SearchVideos"] and same_names(found, sample)
    assert names_in(Reply(text="Search"), sample) == ["Search"]
    assert names_in(Reply(text="none"), sample) is None
