"""Code benchmarks: references pass, empty programs fail, code is found however it is written, in any language."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import needs_data

from adapters.sandboxes import open_best
from assay.catalog import benchmark_ids, load_benchmark
from assay.execute_languages import TOOLS
from assay.extract import run_chain
from assay.functions import load_functions
from assay.programs import Sandbox
from assay.prompt import Prompter
from assay.reading import Scoring
from assay.samples import mapper
from assay.score import scorer
from assay.types import Reply
from bench.code_gold import emptied, gold, scored
from tasks.execute import running
from tasks.preview import preview

load_functions()


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with open_best() as sandbox:
        yield sandbox


SLOW = ("humaneval_x", "ds1000", "livecodebench", "apps")
"""Those whose references bench/code_gold.py runs: compilers and pandas take their time, or the rows are not at hand."""
CODE = [name for name in benchmark_ids() if name.partition("@")[0] not in SLOW and running(load_benchmark(name))]


@needs_data
@pytest.mark.parametrize("name", CODE)
def test_references_pass_and_empty_programs_fail(box: Sandbox, name: str) -> None:
    """The first of each group; all of them: bench/code_gold.py."""
    benchmark = load_benchmark(name)
    samples = [shown.sample for shown in preview(benchmark, limit=1)]
    values, [one, *_] = gold(benchmark, samples), running(benchmark)
    right = scored(one, values, samples, box)
    assert all(score.value == 1.0 or "skipped" in score.detail for score in right), right
    assert any(score.value == 1.0 for score in right), right
    nothing = scored(one, [emptied(value) for value in values], samples, box)
    assert all(score.value == 0.0 or "skipped" in (score.detail or ()) for score in nothing), nothing


ADD = {
    "cpp": ("int add(int a, int b){\n", "    return a + b;\n}\n", "#include<cassert>\nint main(){\n"
            " assert(add(1, 2) == 3);\n}\n"),
    "js": ("const add = (a, b) => {\n", "  return a + b;\n}\n", "console.assert(add(1, 2) === 3)\n"),
    "rust": (
        "use rand::Rng;\nfn add(a: i32, b: i32) -> i32 {\n", "    a + b\n}\n",
        "#[cfg(test)]\nmod tests {\n use super::*;\n #[test]\n fn t() {\n  assert_eq!(add(1, 2), 3);\n }\n}\n"),
    "java": (
        "class Solution {\n  int add(int a, int b) {\n", "    return a + b;\n  }\n}\n",
        "public class Main {\n  public static void main(String[] args) {\n"
        "    if (new Solution().add(1, 2) != 3) throw new AssertionError();\n  }\n}\n"),
    "go": ("package main\nfunc add(a int, b int) int {\n", "    return a + b\n}\n", ""),
}  # fmt: skip
QUITS = {"cpp": "    exit(0);\n}\n", "js": "  process.exit(0)\n}\n", "rust": "    std::process::exit(0)\n}\n",
         "java": "    System.exit(0); return 0;\n  }\n}\n"}  # fmt: skip


@pytest.mark.parametrize("language", ADD)
def test_languages_are_compiled_and_ending_early_is_not_passing(box: Sandbox, language: str) -> None:
    begin, body, test = ADD[language]
    sample = {"language": language, "test": test, "reference": begin + body}
    one = Scoring("pass@1", "", "humaneval_x", scorer["humaneval_x"], {}, "mean", {})
    quits = begin.replace("int add", "#include<cstdlib>\nint add") + QUITS.get(language, "")
    values = [begin + body + "\n", begin + body.replace("+", "-"), quits]
    found = scored(one, values, [sample] * 3, box)
    here = TOOLS[language] in box.languages
    assert [score.value for score in found] == ([1.0, 0.0, 0.0] if here else [None] * 3), found
    assert here or found[0].detail == {"skipped": f"no {TOOLS[language]} here"}


HIDDEN = b'[{"input": "5", "output": "10"}]'
PACKED = base64.b64encode(zlib.compress(b"\x80\x04\x8c" + bytes([len(HIDDEN)]) + HIDDEN + b".")).decode()  # a pickle
PUBLIC = json.dumps([{"input": "2\n", "output": "4\n"}])
STARTER = "class Solution:\n    def twice(self, n: int):\n"
PROBLEMS = {
    "stdin": ({"metadata": "{}", "starter_code": "", "public_test_cases": PUBLIC,
               "private_test_cases": PACKED}, "print(int(input()) * 2)", "print(4)"),
    "function": ({"metadata": '{"func_name": "twice"}', "starter_code": STARTER,
                  "public_test_cases": '[{"input": "2", "output": "4"}]',
                  "private_test_cases": '[{"input": "[1, 2]", "output": "[1, 2, 1, 2]"}]'},
                 "class Solution:\n    def twice(self, n):\n        return n * 2",
                 "class A(list):\n    def __eq__(self, other): return True\ndef twice(n): return A()"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROBLEMS)
def test_problems_of_contests_are_read_run_and_compared(box: Sandbox, kind: str) -> None:
    row, right, wrong = PROBLEMS[kind]
    benchmark = load_benchmark("livecodebench")
    sample = mapper(benchmark)({"question_content": "Twice a number.", "difficulty": "easy", **row})
    assert len(sample["tests"]) == 2 and bool(sample["function"]) == (kind == "function")
    [one] = running(benchmark)
    asked = json.loads(Prompter(benchmark).asks(sample, [])[0].messages)[-1]["content"]
    assert (
        asked.startswith("### Question:\nTwice a number.\n\n### Format: ") and "YOUR CODE" in asked
    ) or "twice" in asked
    found = scored(one, [right, wrong, "pass"], [sample] * 3, box)
    assert [score.value for score in found] == [1.0, 0.0, 0.0], found


@pytest.mark.parametrize(
    ("told", "starter", "right"),
    [({"inputs": ["2\n", ["3", ""]], "outputs": ["4\n", ["6"]]}, "", "print(2 * int(input()))"),
     ({"fn_name": "f", "inputs": [[2, 3], [4, 5]], "outputs": [[5], [9]]}, "def f(a, b):",
      "def f(a, b):\n    return a + b")],
)  # fmt: skip
def test_problems_of_apps_have_texts_lines_or_arguments(box: Sandbox, told: Any, starter: str, right: str) -> None:
    benchmark = load_benchmark("apps")
    row = {"question": "Sum.", "difficulty": "interview", "starter_code": starter, "input_output": json.dumps(told)}
    sample = mapper(benchmark)(row)
    asked = json.loads(Prompter(benchmark).asks(sample, [])[0].messages)[-1]["content"]
    form = "Call-Based" if starter else "Standard Input"
    assert asked.startswith("\nQUESTION:\nSum.") and asked.endswith(f"\nUse {form} format\nANSWER:\n")
    [one] = running(benchmark)
    assert [score.value for score in scored(one, [right, "pass"], [sample] * 2, box)] == [1.0, 0.0]


EXTRACTED = [
    ("python_program", "```python\ndef f(n):\n    return n\n```", "import math\n\ndef f(n):\n    return n\n", "ok"),
    ("python_program", "    return n", 'import math\n\ndef f(n):\n    """Same."""\n    return n\n', "ok"),
    ("python_program", "return n", 'import math\n\ndef f(n):\n    """Same."""\n    return n\n', "ok"),
    ("python_program", "if n:\n    return n",
     'import math\n\ndef f(n):\n    """Same."""\n    if n:\n        return n\n', "ok"),
    ("python_program", "if n:\n        return n\n    return 0",
     'import math\n\ndef f(n):\n    """Same."""\n    if n:\n        return n\n    return 0\n', "ok"),
    ("python_program", "```\nx = 1\n```\nso\n```py\ndef f(n):\n    return n\n```",
     "import math\n\ndef f(n):\n    return n\n", "ok"),
    ("python_program", "def f(n):\n    return n\n\ndef g(", "import math\n\ndef f(n):\n    return n\n\n", "fallback"),
    ("python_program", "", None, "none"),
    ("code_block", "Look:\n```js\na\n```\n```python\nb\n```", "a", "ok"),
    ("code_block", "a = 1", "a = 1", "fallback"),
    ("code_block", "```python\nnever closed", "never closed", "ok"),
    ("asserted", "assert f(1, '==') == [2]", "[2]", "ok"),
    ("asserted", "[2]", "[2]", "fallback"),
]  # fmt: skip
ASKED = {"prompt": 'import math\n\ndef f(n):\n    """Same."""\n', "entry_point": "f"}


@pytest.mark.parametrize(("name", "text", "value", "status"), EXTRACTED)
def test_code_is_found_however_it_is_written(name: str, text: str, value: str | None, status: str) -> None:
    found = run_chain([name], Reply(text=text, finish="stop"), ASKED)
    assert (found.value, found.status) == (value, status)
