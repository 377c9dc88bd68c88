"""What sets of tool use need beside their records: dialogues cut before each call, tools drawn and described."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.keys import generator
from assay.readers import reader
from assay.template import template_filter

_SYNTAX = {"python": "Python 3", "java": "Java 8 SDK", "javascript": "JavaScript"}
_SPEAKERS = {"User": "User", "AI": "AI"}


@reader
def api_bank(path: Path) -> Iterator[dict[str, Any]]:
    """A dialogue of API-Bank, once for each call in it: what was `said` before, the right `call`, and `called`, all the
    APIs that the dialogue calls."""
    turns = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = list(dict.fromkeys(turn["api_name"] for turn in turns if turn["role"] == "API"))
    said: list[str] = []
    for turn in turns:
        if turn["role"] != "API":
            said.append(f"{_SPEAKERS[turn['role']]}: {turn['text']}")
            continue
        right = {turn["api_name"]: {key: [value] for key, value in turn["param_dict"].items()}}
        yield {"said": "\n".join(said), "api": turn["api_name"], "call": [right], "called": names}
        given = ", ".join(f"{key}={value!r}" for key, value in turn["param_dict"].items())
        said.append(f"API: [{turn['api_name']}({given})] -> {json.dumps(turn['result']['output'], ensure_ascii=False)}")


@reader
def bfcl(path: Path) -> Iterator[dict[str, Any]]:
    """A file of BFCL, a record a line; of the one that only lists names of records, nothing."""
    if "format_sensitivity" not in path.name:
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


@reader
def toolalpaca(path: Path) -> Iterator[dict[str, Any]]:
    """ToolAlpaca's instructions, one a row: the tool's `functions` with their descriptions, and the golden `calls`."""
    for tool in json.loads(path.read_text(encoding="utf-8")):
        answers = tool.get("Golden_Answers") or tool["Golden_Answer"]
        for instruction, calls in zip(tool["Instructions"], answers, strict=True):
            yield {
                "tool": tool["Name"],
                "about": tool["Description"],
                "functions": {
                    name: text for name, text in tool["Function_Description"].items() if name != "components"
                },
                "instruction": instruction,
                "calls": calls,
            }


@reader
def stabletoolbench(path: Path) -> Iterator[dict[str, Any]]:
    """StableToolBench's requests: the `names` (tool/api) of the APIs that are offered, and those that are `needed`."""
    for row in json.loads(path.read_text(encoding="utf-8")):
        names = [f"{api['tool_name']}/{api['api_name']}" for api in row["api_list"]]
        yield {**row, "names": names, "needed": ["/".join(pair) for pair in row["relevant APIs"]]}


@template_filter
def golden_calls(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """ToolAlpaca's golden answers as `{function: {parameter: [right values]}}`; what is given as "" may be left out."""
    given = [(call["Action"], _input(call["Action_Input"])) for call in calls]
    return [{name: {key: [value] if value != "" else [""] for key, value in own.items()}} for name, own in given]


def _input(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@template_filter
def bfcl_documented(functions: Sequence[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """BFCL's functions as its runner shows them: with the language, for Java and JavaScript all types as texts."""
    shown = copy.deepcopy(list(functions))
    for one in shown:
        one["description"] += f" Note that the provided function is in {_SYNTAX[language]} syntax."
        for parameter in one["parameters"]["properties"].values() if language != "python" else ():
            kind, name = parameter["type"], {"java": "Java", "javascript": "JavaScript"}[language]
            parameter["description"] += (
                f" This parameter can be of any type of {name} object in string representation."
                if kind == "any"
                else f" This is {name} {kind} type parameter in string representation."
            )
            if kind in ("ArrayList", "Array", "array") and "items" in parameter:
                of = parameter.pop("items")["type"]
                parameter["description"] += (
                    f" The list elements are of type {of}; they are not in string representation."
                )
            parameter["type"] = "string"
    return shown


@template_filter
def api_documented(table: str, names: Sequence[str]) -> str:
    """API-Bank's descriptions of some APIs, from the text of its table."""
    rows = _apis(table)
    return "\n\n".join(f"{name}\n{rows[name]}" for name in names if name in rows)


@lru_cache(maxsize=4)
def _apis(table: str) -> dict[str, str]:
    return {row["类名"]: row["api_info"] for row in csv.DictReader(io.StringIO(table))}


@template_filter
def candidates(listed: str, right: str | Sequence[str], question: str, count: int = 10) -> dict[str, str]:
    """Some of the names and descriptions in a text of JSON: the right ones and others, drawn by the question alone."""
    known: dict[str, str] = _map(listed)
    wanted = [right] if isinstance(right, str) else list(right)
    others = sorted(known.keys() - set(wanted))
    drawn = generator("candidates", question).sample(others, count - len(wanted))
    return {name: known[name] for name in sorted([*wanted, *drawn])}


@lru_cache(maxsize=4)
def _map(text: str) -> dict[str, str]:
    return dict(json.loads(text))
