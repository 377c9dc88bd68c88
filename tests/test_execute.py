"""Programs that answers are: run in two boxes, judged outside of their own process, and kept in the ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandboxes import open_best
from assay.catalog import make_spec
from assay.errors import SandboxError, SpecError
from assay.execute import two_boxes, verdict
from assay.functions import load_functions
from assay.inside.wire import Ended, pack, unpack
from assay.programs import Limits, Sandbox
from assay.spec import EvalSpec
from flows.running import run_spec
from storage.ledger import Ledger

load_functions()
LIMITS = Limits(wall=12, cpu=2)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with open_best() as sandbox:
        yield sandbox


# What a program may try, against tests that want f(2) to be [1, 2] and g(1.0) to be true. The first two are honest.
HONEST = "def f(n):\n    return list(range(1, n + 1))\ndef g(x):\n    return x == 1.0\n"
ALWAYS = "class A{0}:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
PROGRAMS = {
    "honest": (HONEST, True),
    "honest, with much to say": ("print('x' * 100_000)\nimport sys\nsys.stdin.read()\n" + HONEST, True),
    "honest subclasses": ("class L(list): pass\ndef f(n): return L(range(1, n + 1))\ndef g(x): return 1 == 1\n", True),
    "empty": ("def f(n): pass\ndef g(x): pass\n", False),
    "always equal": (ALWAYS.format("") + "def f(n): return A()\ndef g(x): return A()\n", False),
    "always equal list": (ALWAYS.format("(list)") + "def f(n): return A()\ndef g(x): return True\n", False),
    "always equal items": (ALWAYS.format("(int)") + "def f(n): return [A(), A()]\ndef g(x): return True\n", False),
    "exit 0": ("import sys\nsys.exit(0)\n", False),
    "exit 0 in the function": ("def f(n):\n    raise SystemExit(0)\ng = f\n", False),
    "os._exit": ("import os\nos._exit(0)\n", False),
    "os._exit in the function": ("import os\ndef f(n): os._exit(0)\ng = f\n", False),
    "StopIteration": ("def f(n): raise StopIteration\ng = f\n", False),
    "GeneratorExit": ("def f(n): raise GeneratorExit\ng = f\n", False),
    "says passed": ('import os\nfor n in (1, 2):\n    os.write(n, b\'\\n{"passed": true}\\n\')\nos._exit(0)\n', False),
    "answers on the line": (
        "import os\nfor n in range(3, 9):\n    try: os.write(n, b'{\"value\": true}\\n' * 9)\n"
        "    except OSError: pass\ndef f(n): return 0\ng = f\n", False),
    "no JSON on the line": (
        "import os\ndef f(n):\n    for n in range(3, 9):\n        try: os.write(n, b'[' * 100_000 + b'\\n')\n"
        "        except OSError: pass\ng = f\n", False),
    "no assert": ("import builtins\nbuiltins.AssertionError = KeyError\ndef f(n): return 0\ng = f\n", False),
    "own json": ("import json\njson.dumps = lambda *a, **k: '{\"value\": true}'\ndef f(n): return 0\ng = f\n", False),
    "walks frames": (
        "import sys, gc\ndef f(n):\n    frame = sys._getframe()\n    while frame:\n        for name, value in"
        " list(frame.f_locals.items()):\n            if isinstance(value, dict): value['passed'] = True\n"
        "        frame = frame.f_back\n    for one in gc.get_objects():\n        if isinstance(one, list) and"
        " one == [1, 2]: return one\ng = f\n", False),
    "looks for the tests": (
        "import pathlib\nFOUND = [p.read_text() for p in pathlib.Path('/').glob('*/*.py')]\n"
        "def f(n): return [1, 2] if any('== [' + '1, 2]' in t for t in FOUND) else 0\ndef g(x): return True\n", False),
    "kills its parent": (
        "import os\ntry: os.kill(os.getppid(), 9)\nexcept OSError: pass\ndef f(n): return 0\ng = f\n", False),
    "never ends": ("def f(n):\n    while True: pass\ng = f\n", False),
}  # fmt: skip
TESTS = "assert program.f(2) == [1, 2]\nassert all(program.g(x) for x in (1.0,)) is True\n"


def test_no_program_forges_its_verdict(box: Sandbox) -> None:
    jobs = {two_boxes(program, TESTS, LIMITS).key: name for name, (program, _) in PROGRAMS.items()}
    wanted = [two_boxes(program, TESTS, LIMITS) for program, _ in PROGRAMS.values()]
    found = {jobs[ran.key]: verdict(ran) for ran in box.run(wanted)}
    assert {name: one.value for name, one in found.items()} == {n: float(right) for n, (_, right) in PROGRAMS.items()}
    assert found["never ends"].detail["end"][1] in ("wall", "signal")
    assert found["empty"].detail == {"why": "AssertionError", "line": 1}


def test_what_crosses_is_plain_and_what_does_not_is_equal_to_nothing(box: Sandbox) -> None:
    program = """
import collections, fractions
counts, pair, nan = collections.Counter("aab"), collections.namedtuple("P", "x y")(1, 2), float("nan")
class Node:
    def __init__(self, value): self.value = value
def same(node): return node.value
def mutate(given): given.append(1); return given
def fails(kind): raise kind_of[kind]("no")
class Own(ValueError): pass
kind_of = {"own": Own, "key": KeyError, "stop": StopIteration}
third = fractions.Fraction(1, 3)
"""
    tests = """
assert type(program.counts) is dict and program.counts == {"a": 2, "b": 1} and program.pair == (1, 2)
assert program.nan != program.nan and program.third != program.third and not program.third == program.third
node = program.Node(5)
node.value = 2 ** 100
assert program.same(node) == 2 ** 100 and type(node.value) is int and node not in [program.Node(1)]
mine = [0]
assert program.mutate(mine) == [0, 1] and mine == [0]
for name, kind in (("own", ValueError), ("key", KeyError)):
    try:
        program.fails(name)
    except kind as error:
        assert "no" in str(error)
    else:
        assert False
try:
    list(map(program.fails, ["stop"]))
except Exception as error:
    assert type(error).__name__ == "ProgramError" and "StopIteration" in str(error)
else:
    assert False
try:
    program.absent
except AttributeError:
    pass
"""
    [ran] = box.run([two_boxes(program, tests, LIMITS)])
    assert verdict(ran).value == 1.0, ran


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.frozensets(st.integers() | st.text()) | st.sets(st.integers()),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_plain_data_cross_as_they_are(value: Any) -> None:
    crossed = unpack(json.loads(json.dumps(pack(value, lambda _: pytest.fail("it is plain")))), lambda _: None)
    assert repr(crossed) == repr(value) or crossed == value
    assert type(crossed) is type(value)


NO_DATA = [{"x": []}, {}, {"t": 1}, {"d": [[[], 1]]}, {"s": [[1]]}, {"b": "x"}, {"c": ["x"]}, {"t": [], "l": []}]


@pytest.mark.parametrize("data", NO_DATA)
def test_what_is_no_plain_data_is_refused(data: Any) -> None:
    with pytest.raises(Ended):
        unpack(data, lambda _: None)


OWN = """
# Doubles of numbers.
dimension: code
sources: [{files: {path: doubles.jsonl}}]
sample:
  number: number
  target: "def f():\\n    return {{ number * 2 }}\\n"
  tests: "assert program.f() == {{ number * 2 }}"
prompt: {template: "A function f that returns twice {{ number }}."}
extract: [code_block]
score: [unit_tests]
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "doubles.yaml").write_text(OWN)
    (folder / "doubles.jsonl").write_text("\n".join(json.dumps({"number": n}) for n in range(6)))
    return folder


def rows(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    with Ledger(ledger).read() as con:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return found


def spec(catalog: Path, **more: Any) -> EvalSpec:
    return make_spec({"models": ["echo:oracle"], "benchmarks": ["doubles"], "catalog": [str(catalog)], **more})


@pytest.mark.usefixtures("prefect_server")
def test_what_ran_once_is_not_run_again_and_the_tier_stands_beside_the_scores(tmp_path: Path, catalog: Path) -> None:
    ledger = tmp_path / "l.duckdb"
    assert run_spec(spec(catalog), ledger) == 0
    with open_best() as sandbox:
        tier, version = sandbox.tier, sandbox.languages["python"]
    query = "SELECT benchmark, tier, languages, jobs, answers, skipped FROM sandboxes"
    assert rows(ledger, query) == [("doubles", tier, [version], 6, 6, 0)]
    assert rows(ledger, "SELECT value, n FROM leaderboard") == [(1.0, 6)]
    before = rows(ledger, "FROM executions ORDER BY ALL")
    assert len(before) == 12
    (catalog / "doubles.yaml").write_text(OWN.replace("that returns", "which gives"))  # asked otherwise, answered so
    assert run_spec(spec(catalog), ledger) == 0
    assert rows(ledger, "FROM executions ORDER BY ALL") == before
    assert rows(ledger, "SELECT count(DISTINCT run_id), sum(score) FROM execution_of WHERE program = 0") == [(2, 12.0)]
    assert run_spec(spec(catalog, sandbox="none"), ledger) == 0
    assert rows(ledger, f"SELECT DISTINCT tier FROM sandboxes WHERE tier <> '{tier}'") == [("none",)]


def test_without_a_sandbox_nothing_is_written(tmp_path: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sandboxes.STRONGEST_FIRST", ())
    with pytest.raises(SandboxError, match="sandbox: none"):
        run_spec(spec(catalog), tmp_path / "l.duckdb")
    with pytest.raises(SpecError, match="nonne"):
        run_spec(spec(catalog, sandbox="nonne"), tmp_path / "l.duckdb")
    assert not (tmp_path / "l.duckdb").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import tasks.execute
from assay.spec import EvalSpec
from assay.types import Reply
from flows.running import run_spec
keep, tasks.execute.EVERY, kept = tasks.execute.keep, 0.0, []
def kill_at_the_third(ledger, ended, sandbox):
    keep(ledger, ended, sandbox)
    kept.extend(ended)
    if len(kept) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
tasks.execute.keep = kill_at_the_third
run_spec(EvalSpec.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_is_killed_loses_what_was_running(tmp_path: Path, catalog: Path) -> None:
    ledger, asked = tmp_path / "l.duckdb", spec(catalog)
    done = subprocess.run([sys.executable, "-c", KILLED, asked.model_dump_json(), str(ledger)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    before = set(rows(ledger, "FROM executions"))
    assert len(before) == 6
    assert run_spec(asked, ledger) == 0
    assert before < set(rows(ledger, "FROM executions"))
    assert rows(ledger, "SELECT count(*), count(DISTINCT execution_key) FROM executions") == [(12, 6)]
    assert rows(ledger, "SELECT value, n FROM leaderboard") == [(1.0, 6)]
