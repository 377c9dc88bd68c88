"""Scorers of function calls: what was called with what, held against what is right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from assay.extract import extractor
from assay.score import scorer
from assay.types import Reply, Sample

_TYPES: Mapping[str, type] = {
    "string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict,
    "any": str, "String": str, "Boolean": bool, "Array": list, "ArrayList": list, "HashMap": dict, "long": int,
    "double": float, "char": str,
}  # fmt: skip
_MARKS = re.compile(r"[ ,./\-_*^]")

Call = Mapping[str, Any]
"""`{name, arguments}`, as the extractor `function_calls` finds them."""


@scorer
def function_call(
    value: Sequence[Call], sample: Sample, gold: str = "target", tools: str = "tools", names: bool = False
) -> bool:
    """Whether these are the right calls, in any order: BFCL's checker of syntax (Yan et al. 2024, the Berkeley Function
    Calling Leaderboard), for Python, Java and JavaScript.

    The target is a list of `{function: {parameter: [right values]}}`, where "" says that a parameter may be left out;
    `any`: some call is right, []: none is. Types are those that the sample's tools declare, in its `language` (Python);
    of texts, case, blanks and the marks ,./-_*^ do not count. `names`: only what is called counts, not with what.
    """
    target = sample[gold]
    if target == "any":
        return len(value) > 0
    if len(value) != len(target):
        return False
    if names:
        return sorted(call["name"] for call in value) == sorted(name for right in target for name in right)
    known = {tool["name"]: tool["parameters"] for tool in sample.get(tools) or ()}
    foreign = sample.get("language", "python") != "python"
    left = list(value)
    for right in target:
        name, parameters = next(iter(right.items()))
        same = (call for call in left if call["name"] == name)
        found = next((call for call in same if _called(call, parameters, known.get(name), foreign)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _called(call: Call, right: Mapping[str, Any], declared: Mapping[str, Any] | None, foreign: bool) -> bool:
    given, types = call["arguments"], declared["properties"] if declared else {}
    if any(name not in given for name in (declared or {}).get("required") or ()):
        return False
    if any(name not in given and "" not in values for name, values in right.items()):
        return False
    return all(key in right and _fits(own, right[key], types.get(key, {}), foreign) for key, own in given.items())


def _fits(value: Any, right: Sequence[Any], declared: Mapping[str, Any], foreign: bool) -> bool:
    """Whether a value is of the declared type and a right one; it may be a variable's name where those are texts."""
    kind = _TYPES.get(declared.get("type", ""))
    told = next((type(one) for one in right if one != ""), None)
    if foreign and kind not in (None, str) and isinstance(value, str) and told is not str:
        value = _foreign(value)
    if kind is float and type(value) is int:
        value = float(value)
    if kind and type(value) is not kind:
        return told is not None and type(value) is told and _plain(value) in map(_plain, right)
    inner = None if foreign else _TYPES.get(declared.get("items", {}).get("type", ""))
    return any(_same(value, one) and (inner is None or _made_of(value, inner, one)) for one in right)


def _made_of(value: Any, inner: type, right: Any) -> bool:
    """Whether what is in a list has the declared type, or that of the first in a right list."""
    if not isinstance(value, list) or not isinstance(right, list):
        return True
    told = next((type(one) for one in right if one != ""), inner)
    return all(type(one) in (inner, told) for one in value)


def _same(value: Any, right: Any) -> bool:
    """Whether a value is a right one; a right map has a list of right values for each key."""
    if isinstance(value, Mapping):
        if not isinstance(right, Mapping) or not value.keys() <= right.keys():
            return False
        listed = {key: own if isinstance(own, list) else [own] for key, own in right.items()}
        if any(key not in value and "" not in own for key, own in listed.items()):
            return False
        return all(any(_same(one, own) for own in listed[key]) for key, one in value.items())
    if isinstance(value, list):
        return isinstance(right, list) and len(value) == len(right) and all(map(_same, value, right))
    return bool(_plain(value) == _plain(right) and isinstance(value, bool) == isinstance(right, bool))


def _plain(value: Any) -> Any:
    return _MARKS.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def _foreign(source: str) -> Any:
    """The value of a Java or JavaScript literal; the source itself where it is none."""
    text = source.strip()
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+[lL]?", text):
        return int(text.rstrip("lL"))
    if re.fullmatch(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[fFdD]?", text):
        return float(text.rstrip("fFdD"))
    puts = re.findall(r"put\(\s*\"(.*?)\",\s*(.*?)\)", text)
    if puts or re.fullmatch(r"new \w*Map<.*?>\(\)", text):
        return {key: _foreign(value) for key, value in puts}
    inner = re.fullmatch(
        r"new \w+(?:<.*?>)?\[\]\s*\{(.*)\}|.*asList\((.*?)\)\)?|(?:List|Set)\.of\((.*)\)", text, re.DOTALL
    )
    if inner:
        listed = next(filter(None, inner.groups()), "")
        return [_foreign(one) for one in listed.split(",") if one.strip()]
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


@extractor
def names_in(reply: Reply, sample: Sample, among: str = "choices") -> list[str] | None:
    """Those of a sample's names (a list, or the keys of a map) that stand in the reply as whole words, sorted; a name
    within a longer one that stands there does not count."""
    text, found = reply.text, []
    for name in sorted(sample[among], key=len, reverse=True):
        text, seen = re.subn(rf"(?<![\w]){re.escape(name)}(?![\w])", "\0", text)
        found += [name] if seen else []
    return sorted(found) or None


@scorer
def same_names(value: Sequence[str], sample: Sample, gold: str = "target") -> bool:
    """Whether these names are the right ones, no more and no less, in any order."""
    right = sample[gold]
    return sorted(value) == sorted([right] if isinstance(right, str) else right)
