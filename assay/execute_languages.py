"""HumanEval-X: one function in six languages, compiled and run with its tests (Zheng et al. 2023, arXiv:2303.17568)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from assay.execute import job, runs, two_boxes, unrun, verdict
from assay.execute_code import limited
from assay.keys import key
from assay.programs import Job, Program, Ran
from assay.score import scorer
from assay.types import Sample, Scored

TOOLS = {"cpp": "g++", "java": "javac", "js": "node", "go": "go", "rust": "rustc"}
STEPS = {
    "cpp": "g++ -std=c++17 -w -o main main.cpp && ./main",
    "java": "javac -nowarn -d . Main.java Launch.java && java -Xmx256m -XX:+UseSerialGC -cp . Launch",
    "js": "node main.js",
    "go": "go test .",
    "rust": "rustc --test -A warnings -o main main.rs && ./main --nocapture",
}


def _cpp(program: str, test: str, word: str) -> dict[str, str]:
    body, brace, rest = test.rpartition("}")  # of main
    return {"main.cpp": f'#include <cstdio>\n{program}\n{body}std::fputs("\\n{word}\\n", stderr);{brace}{rest}'}


def _java(program: str, test: str, word: str) -> dict[str, str]:
    launch = f'Main.main(given); System.err.println("\\n{word}");'
    called = f"public class Launch {{ public static void main(String[] given) throws Exception {{ {launch} }} }}"
    return {"Main.java": f"{program}\n{test}", "Launch.java": called}


def _js(program: str, test: str, word: str) -> dict[str, str]:
    strict = "console.assert = (right) => { if (!right) throw new Error('a test failed') }"
    return {"main.js": f"{program}\n{strict}\n{test}\nprocess.stderr.write('\\n{word}\\n')\n"}


def _rust(program: str, test: str, word: str) -> dict[str, str]:
    known = re.sub(r"^use (?:rand|regex|md5)\b.*\n", "", program, flags=re.MULTILINE)  # crates that are not at hand
    first, second, last = test.rstrip().rsplit("}", 2)
    return {"main.rs": f'{known}\n{first}eprintln!("\\n{word}");}}{second}}}{last}'}


def _go(program: str, test: str, word: str) -> dict[str, str]:
    return {"main_test.go": f"{program}\n{test}"}


FILES: Mapping[str, Callable[[str, str, str], dict[str, str]]] = {
    "cpp": _cpp, "java": _java, "js": _js, "rust": _rust, "go": _go,
}  # fmt: skip


def _jobs(value: str, sample: Sample, seconds: float = 20.0) -> list[Job]:
    language, test, reference = sample["language"], str(sample["test"]), str(sample["reference"])
    if language == "python":
        name = str(sample["entry_point"])
        return [two_boxes(value, f"{reference}\n{name} = program.{name}\n{test}\n", limited(seconds, 1024))]
    limits = limited(seconds, 1 << 16, processes=256, scratch=128)  # what Java and Node reserve is more than they use
    tool, word = TOOLS[language], _word(sample)
    script = f"command -v {tool} >/dev/null || exit 127\n{{ {STEPS[language]}; }} || exit 1\n"
    return [
        job(Program(("bash", "run.sh"), {"run.sh": script, **FILES[language](text, test, word)}, limits=limits))
        for text in (value, reference)
    ]


def _word(sample: Sample) -> str:
    """What only a run to the end says."""
    return key("word", sample["test"])


@scorer
@runs(_jobs)
def humaneval_x(ran: Sequence[Ran], sample: Sample, seconds: float = 20.0) -> Scored:
    """Whether a program in the sample's language passes its test.

    Python's tests have a box of their own. In the other languages they share the program's process, and a run to the
    end is known by a word that it writes last. No score where there is no compiler or the reference does not pass.
    """
    if missing := next(filter(None, map(unrun, ran)), None):
        return missing
    if sample["language"] == "python":
        return verdict(ran[0])
    [(mine, said), (right, why)] = [(_ended(one, _word(sample)), one.outcomes[0]) for one in ran]
    if why.code == 127:
        return Scored(None, detail={"skipped": f"no {TOOLS[sample['language']]} here"})
    if not right:
        return Scored(None, detail={"skipped": "its reference does not pass here", "why": why.stderr[-300:]})
    return Scored(float(mine), detail=None if mine else {"end": said.end, "code": said.code, "why": said.stderr[-300:]})


def _ended(ran: Ran, word: str) -> bool:
    [outcome] = ran.outcomes
    return outcome.end == "exit" and outcome.code == 0 and word in outcome.stderr.split()
