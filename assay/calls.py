"""Calls of functions, as models write them: Python's syntax, or JSON. Read as syntax, never run."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from assay.extract import extractor
from assay.template import template_filter
from assay.types import Extracted, Reply, Sample

_FENCE = re.compile(r"```(?:\w+)?\s*\n?(.*?)```", re.DOTALL)
_TAGGED = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_HEAD = re.compile(r"([A-Za-z_][\w.\-]*)\s*\(")
_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*?)\s*$", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_WORDS = {"true": True, "false": False, "null": None}


@extractor
def function_calls(reply: Reply, sample: Sample) -> Extracted:
    """The calls in a reply, each `{name, arguments}`: as JSON (`name` with `arguments` or `parameters`, `{name: {…}}`),
    else as `f(a=1), g(b='x')`, with or without brackets or a code block around them. A reply in words has none: []."""
    text = reply.text.strip()
    if not re.search(r"\w", text):
        return Extracted(None, "", "truncated" if reply.finish == "length" else "none")
    block = _FENCE.search(text)
    inner = block[1] if block else text
    tagged = "[" + ",".join(_TAGGED.findall(text)) + "]" if _TAGGED.search(text) else inner
    for method, found in (("json", _json(tagged)), ("python", _python(inner)), ("source", list(_source(inner)))):
        if found:
            return Extracted(found, method)
    return Extracted([], "no call")


def _json(text: str) -> list[dict[str, Any]] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    found = [_named(one) for one in (value if isinstance(value, list) else [value])]
    return [call for call in found if call] if all(found) else None


def _named(one: Any) -> dict[str, Any] | None:
    if not isinstance(one, dict) or not one:
        return None
    one = one["function"] if isinstance(one.get("function"), dict) else one
    given: Any = {} if "name" in one else None
    given = next((one[key] for key in ("arguments", "parameters", "args") if key in one), given)
    if given is None:
        name, given = next(iter(one.items()))
        return {"name": name, "arguments": given} if len(one) == 1 and isinstance(given, dict) else None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return None
    return {"name": str(one.get("name", "")), "arguments": given} if isinstance(given, dict) else None


def _python(text: str) -> list[dict[str, Any]] | None:
    """The calls of a Python expression or of its lines; None where it is none, or an argument has no name."""
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    calls: list[dict[str, Any]] = []
    for statement in body:
        value = getattr(statement, "value", None)
        for node in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
            if not isinstance(node, ast.Call) or node.args or any(k.arg is None for k in node.keywords):
                return None
            calls.append(
                {"name": ast.unparse(node.func), "arguments": {str(k.arg): _of(k.value) for k in node.keywords}}
            )
    return calls


def _of(node: ast.expr) -> Any:
    """The value of a literal; of anything else, such as a variable or a call, its source."""
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_of(one) for one in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_of(key): _of(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _source(text: str) -> Iterator[dict[str, Any]]:
    """The calls in a text of any language: brackets and quotes are counted; what is no literal is its source."""
    end = 0
    for head in _HEAD.finditer(text):
        if head.start() < end:
            continue
        parts, end = _parts(text, head.end())
        named = [_NAMED.match(part) for part in parts]
        if end and all(named):
            yield {"name": head[1], "arguments": {found[1]: _value(found[2]) for found in named if found}}


def _parts(text: str, start: int) -> tuple[list[str], int]:
    """What stands between commas up to the bracket that closes, and where that is; 0 where it is not closed."""
    stack, quote, begin, parts = [")"], "", start, list[str]()
    for place in range(start, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote and text[place - 1] != "\\" else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _CLOSING:
            stack.append(_CLOSING[sign])
        elif sign == stack[-1]:
            stack.pop()
            if not stack:
                last = text[begin:place]
                return [*parts, last] if last.strip() else parts, place + 1
        elif sign == "," and len(stack) == 1:
            parts.append(text[begin:place])
            begin = place + 1
    return [], 0


def _value(source: str) -> Any:
    try:
        return _of(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return source


@template_filter
def as_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON, letters of any script as they are."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


@template_filter
def written_calls(target: list[dict[str, Any]]) -> str:
    """Right calls as a model would write them, `[f(a=1)]`: of several right values the first that is not blank."""

    def call(one: dict[str, Any]) -> str:
        ((name, parameters),) = one.items()
        given = (f"{key}={_first(values)!r}" for key, values in parameters.items() if set(map(str, values)) - {""})
        return f"{name}({', '.join(given)})"

    return f"[{', '.join(map(call, target))}]"


def _first(values: Any) -> Any:
    """The first of some right values; in a map, or a list of maps, where values are such lists again, likewise."""
    if not isinstance(values, list):
        return values
    first = next((value for value in values if value != ""), "")
    if isinstance(first, dict):
        return {key: _first(own) for key, own in first.items() if own != [""]}
    if isinstance(first, list) and first and all(isinstance(one, dict) for one in first):
        return [_first([one]) for one in first]
    return first
