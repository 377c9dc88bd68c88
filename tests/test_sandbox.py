"""The boxes that programs run in: how programs end, what they are given, what is left of them, and who may open one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import psutil
import pytest
from sandboxes import opened

from adapters.boxes import seccomp
from adapters.boxes.commands import LABEL, docker_command
from adapters.boxes.runner import Boxes
from adapters.sandboxes import open_best
from assay.errors import SandboxError, SpecError
from assay.programs import Job, Limits, Outcome, Program

TIERS = ("namespaces", "bwrap", "docker", "none")


def python(text: str, stdin: str = "", **limits: float) -> Program:
    return Program(["python", "main.py"], {"main.py": text}, stdin, Limits.model_validate(limits))


def command(*words: str, **limits: float) -> Program:
    return Program(words, limits=Limits.model_validate(limits))


ASK = "import sys\nprint('3 4', flush=True)\nprint('got', sys.stdin.readline().strip(), file=sys.stderr)"
ADD = "a, b = map(int, input().split())\nprint(a + b, flush=True)"
LAST_WORDS = "import atexit, threading\natexit.register(print, 'bye')\nthreading.Timer(0.05, print, ['late']).start()"
FILES = "import json, part.words as w, numpy\nprint(w.WORD, __file__.endswith('main.py'), __name__)"

Check = Callable[[Sequence[Outcome]], object]
CASES: dict[str, tuple[tuple[Program, ...], Check]] = {
    "says": (
        (python("print('hi')"),),
        lambda o: (o[0].end, o[0].code, o[0].stdout, o[0].stderr) == ("exit", 0, "hi\n", ""),
    ),
    "exit": ((python("raise SystemExit(3)"),), lambda o: (o[0].end, o[0].code) == ("exit", 3)),
    "last words": ((python("import sys\nsys.exit('no')"),), lambda o: (o[0].code, o[0].stderr) == (1, "no\n")),
    "traceback": (
        (python("def f():\n    1/0\nf()"),),
        lambda o: o[0].code == 1 and o[0].stderr.count("File") == 2 and "ZeroDivisionError" in o[0].stderr,
    ),
    "syntax": ((python("x = = 1"),), lambda o: o[0].code == 1 and "SyntaxError" in o[0].stderr),
    "threads and exit": ((python(LAST_WORDS),), lambda o: o[0].stdout == "late\nbye\n"),
    "output put aside": (
        (python("import sys\nprint('a')\nsys.stdout = None"),),
        lambda o: (o[0].code, o[0].stdout) == (0, "a\n"),
    ),
    "last objects": (
        (python("class A:\n    def __del__(self): "
                "print('gone')\na = A()"),),
        lambda o: (o[0].code, o[0].stdout) == (0, "gone\n"),
    ),
    "interpreter": ((command("python", "-c", "print(6 * 7)"),), lambda o: o[0].stdout == "42\n"),
    "stdin": ((python("print(input() * 2)", "ab\n"),), lambda o: o[0].stdout == "abab\n"),
    "no stdin": ((python("print(repr(open(0).read()))"),), lambda o: o[0].stdout == "''\n"),
    "unicode": ((python("print('naïve 中', input())", "é\n"),), lambda o: o[0].stdout == "naïve 中 é\n"),
    "files": (
        (Program(["python", "main.py"], {"main.py": FILES, "part/words.py": "WORD = 7"}),),
        lambda o: o[0].stdout == "7 True __main__\n",
    ),
    "children": (
        (python("import subprocess as s, sys\nprint(s.check_output([sys.executable, '-c', 'print(5)']))"),),
        lambda o: o[0].stdout == "b'5\\n'\n",
    ),
    "wall": (
        (python("print(1, flush=True)\nimport time\ntime.sleep(60)", wall=0.3),),
        lambda o: (o[0].end, o[0].stdout) == ("wall", "1\n") and 0.3 <= o[0].seconds < 5,
    ),
    "cpu": (
        (python("while True: pass", cpu=1, wall=20),),
        lambda o: (o[0].end, o[0].code) == ("signal", signal.SIGXCPU),
    ),
    "crash": (
        (python("import ctypes\nctypes.string_at(0)"),),
        lambda o: (o[0].end, o[0].code) == ("signal", signal.SIGSEGV),
    ),
    "abort": ((python("import os\nos.abort()"),), lambda o: (o[0].end, o[0].code) == ("signal", signal.SIGABRT)),
    "output": (
        (python("while True: print('x' * 999)", output=5000),),
        lambda o: (o[0].end, len(o[0].stdout)) == ("output", 5000),
    ),
    "output at the end": ((python("print('x' * 5000)", output=100),), lambda o: o[0].end == "output"),
    "errors": (
        (python("import sys\nwhile True: print('x', file=sys.stderr)", output=5000),),
        lambda o: (o[0].end, len(o[0].stderr)) == ("output", 5000),
    ),
    "memory": ((python("x = bytearray(300 << 20)", memory=200),), lambda o: "MemoryError" in o[0].stderr),
    "file size": ((python("open('f', 'wb').write(bytes(3 << 20))", scratch=2),), lambda o: "OSError" in o[0].stderr),
    "no such program": (
        (command("nothere"),),
        lambda o: o[0].end == "failed" and "nothere: No such file" in o[0].stderr,
    ),
    "two": (
        (python(ASK), python(ADD)),
        lambda o: (o[0].end, o[0].stderr, o[0].stdout, o[1].stdout) == ("exit", "got 7\n", "", ""),
    ),
    "the other one stays": (
        (python(ASK), python(ADD + "\nimport time\ntime.sleep(60)")),
        lambda o: o[0].stderr == "got 7\n" and (o[1].end, o[1].code) == ("signal", signal.SIGKILL),
    ),
    "the other one is gone": (
        (python(ASK), python("input()\n1/0")),
        lambda o: o[0].stderr == "got \n" and o[1].code in (1, signal.SIGKILL),
    ),
    "the other one is late": (
        (python(ASK, wall=20), python("import time\ntime.sleep(60)", wall=0.3)),
        lambda o: o[0].stderr == "got \n" and o[1].end == "wall",
    ),
}  # fmt: skip


@cache
def outcomes(tier: str) -> dict[str, Sequence[Outcome]]:
    """All cases, run at once; each comes back once."""
    jobs = [Job(name, programs) for name, (programs, _) in CASES.items()]
    with opened(tier) as box:
        ran = list(box.run(jobs))
    assert sorted(one.key for one in ran) == sorted(CASES)
    return {one.key: one.outcomes for one in ran}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("case", CASES)
def test_an_end(tier: str, case: str) -> None:
    assert CASES[case][1](outcomes(tier)[case]), outcomes(tier)[case]


@pytest.mark.parametrize("tier", TIERS)
def test_files_lie_in_the_scratch_directory(tier: str, tmp_path: Path) -> None:
    jobs = [Job(name, (Program(["python", "a.py"], {"a.py": "", name: "x"}),)) for name in (f"{tmp_path}/x", "../x")]
    with opened(tier) as box:
        ran = list(box.run(jobs))
    assert [one.outcomes[0].end for one in ran] != ["exit", "exit"] or tier == "bwrap"
    assert not list(tmp_path.rglob("x"))


LANGUAGES = {
    "bash": ("bash a", "echo 42"),
    "node": ("node a", "console.log(6 * 7)"),
    "java": ("java a.java", "class A { public static void main(String[] a) { System.out.println(6 * 7); } }"),
    "g++": ("g++ -x c++ a -o b && ./b", '#include <cstdio>\nint main() { std::printf("%d\\n", 6 * 7); }'),
    "rustc": ("rustc a -o b && ./b", 'fn main() { println!("{}", 6 * 7); }'),
    "go": ("cp a b.go && go run b.go 2>&1", "package main\nfunc main() { println(6 * 7) }"),
}


@cache
def what_languages_say() -> tuple[set[str], dict[str, Outcome]]:
    """Those that this machine has, and what each one's program came to."""
    limits = Limits(memory=1 << 16, processes=128, scratch=256, wall=60, cpu=60)
    jobs = [
        Job(name, (Program(["bash", "-c", line], {"a": text, "a.java": text}, limits=limits),))
        for name, (line, text) in LANGUAGES.items()
    ]
    with opened(None) as box:
        return set(box.languages), {ran.key: ran.outcomes[0] for ran in box.run(jobs)}


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language(name: str) -> None:
    here, said = what_languages_say()
    if name not in here:
        pytest.skip(f"this machine has no {name}")
    assert (said[name].code, said[name].stdout) == (0, "42\n"), said[name]


def test_python_is_the_one_that_runs_us() -> None:
    with opened(None) as box:
        assert box.languages["python"] == sys.version.split()[0]
        (ran,) = box.run([Job("a", (python("import sys\nprint(sys.executable, sys.prefix)"),))])
    assert ran.outcomes[0].stdout.split() == [sys.executable, sys.prefix]


RUNNER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells switch off in what they start with &
from adapters.sandboxes import open_best
from assay.programs import Job, Program
text = '''
import os, sys, time
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
print("up", flush=True)
time.sleep(600)
'''
with open_best(sys.argv[1], 2) as box:
    print("ready", flush=True)
    list(box.run([Job(str(number), (Program(["python", "a.py"], {"a.py": text}),)) for number in range(2)]))
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("tier", ["namespaces", "bwrap"])
def test_nothing_survives_the_runner(tier: str, end: signal.Signals) -> None:
    opened(tier).close()
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, tier], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert runner.stdout is not None and runner.stderr is not None
    assert runner.stdout.readline() == b"ready\n"
    own = psutil.Process(runner.pid)
    # a keeper of two processes, and for each program a guard, a first process, itself and its daemon
    until(lambda: len(own.children(recursive=True)) >= 10)
    family = own.children(recursive=True)
    runner.send_signal(end)
    runner.wait(30)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))
    runner.stdout.close()
    runner.stderr.close()


def test_no_container_survives_the_runner() -> None:
    opened("docker").close()
    others = containers()
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, "docker"], stdout=subprocess.PIPE)
    assert runner.stdout is not None
    assert runner.stdout.readline() == b"ready\n"
    until(lambda: len(containers() - others) >= 2)
    of_it = containers() - others
    runner.kill()
    runner.wait(30)
    until(lambda: not of_it & containers())
    runner.stdout.close()


def containers() -> set[str]:
    """Those of all sandboxes here."""
    asked = ["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"]
    return set(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_is_left_behind(tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mounts, files = Path("/proc/self/mountinfo").read_text(), len(list(Path("/proc/self/fd").iterdir()))
    known = {child.pid for child in psutil.Process().children(recursive=True)}
    with opened(tier, 4) as box:
        for ran in box.run([Job(str(number), (python("print(1)"),)) for number in range(20)]):
            assert ran.outcomes[0].stdout == "1\n"
        until(lambda: len(psutil.Process(box.keeper.pid).children(recursive=True)) == 1)  # and so no zombie
        family = [child for child in psutil.Process().children(recursive=True) if child.pid not in known]
    assert not any(one.is_running() for one in family)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    assert list(tmp_path.iterdir()) == []


def test_whoever_stops_listening_ends_the_programs() -> None:
    with opened(None, 2) as box:
        long = Job("long", (python("import time\ntime.sleep(600)", wall=600),))
        running = box.run([long, Job("short", (python("print(1)"),))])
        assert next(running).key == "short"
        assert isinstance(running, Iterator)
        running.close()  # type: ignore[attr-defined]
        keeper = psutil.Process(box.keeper.pid)
        until(lambda: len(keeper.children(recursive=True)) == 1)
        assert [ran.outcomes[0].stdout for ran in box.run([Job("next", (python("print(2)"),))])] == ["2\n"]


def test_a_sandbox_whose_keeper_was_ended() -> None:
    with opened(None) as box:
        os.kill(box.keeper.pid, signal.SIGKILL)
        box.keeper.wait()
        with pytest.raises(SandboxError, match="has ended"):
            list(box.run([Job("a", (python("print(1)"),))]))


def test_two_callers_at_once() -> None:
    with opened(None, 1) as box:
        one = box.run([Job(str(number), (python(f"print({number})"),)) for number in range(3)])
        two = box.run([Job(str(number), (python(f"print({number})"),)) for number in range(3, 6)])
        pairs = list(zip(one, two, strict=True))
    assert sorted((ran.key, ran.outcomes[0].stdout) for pair in pairs for ran in pair) == [
        (str(number), f"{number}\n") for number in range(6)
    ]


REFUSED = """
import adapters.sandboxes
from adapters.boxes import linux, seccomp
linux.no_new_privileges()
linux.seccomp(seccomp.program())  # as the filter of a container
try:
    adapters.sandboxes.open_best()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_no_sandbox_is_an_error_that_names_each_cause() -> None:
    said = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=True).stdout
    assert said.startswith("SandboxError programs that a model wrote are not run here, as no sandbox works")
    assert "namespaces: unshare: Operation not permitted; bwrap: " in said
    assert "; docker: " in said
    assert "`sandbox: none`" in said


def test_real_root_in_a_namespace_of_its_own_is_refused() -> None:
    unshare = shutil.which("unshare")
    text = "import adapters.sandboxes as s\ntry: s.open_best('namespaces')\nexcept Exception as error: print(error)"
    if (
        unshare is None
        or os.geteuid()
        or not Path("/proc/self/uid_map").read_text().startswith("         0          0")
    ):
        pytest.skip("this is not the machine's own root, or has no unshare")
    command = [unshare, "--user", "--map-root-user", sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine has no user namespaces: {done.stderr}")
    assert "kernel's settings: allowed" in done.stdout


def test_names() -> None:
    with pytest.raises(SpecError, match="no sandbox 'nine'; did you mean none"):
        open_best("nine")


def test_a_sandbox_of_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "sandboxes").mkdir()
    (tmp_path / "sandboxes" / "mine.py").write_text("def open_sandbox(workers=None):\n    return ('mine', workers)\n")
    assert open_best("mine", 3, [tmp_path]) == ("mine", 3)


def test_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxError, match="no filter of system calls for riscv64; there is x86_64"):
        open_best("namespaces")


def test_the_filter_fits_into_the_kernels_limit() -> None:
    assert len(seccomp.program()) % 8 == 0 and len(seccomp.program()) // 8 <= 4096


def test_dockers_command_line() -> None:
    plan = {"name": "box", "docker": "docker", "image": "python:3.11-slim", "environ": {"HOME": "/scratch"}}
    limits = Limits(memory=500, processes=9, scratch=7).model_dump()
    words = docker_command(plan, limits, "box-1", Path("/host/box-1"), ["python", "a.py"])
    line = " ".join(words)
    for part in (
        "docker run --rm --interactive", "--name box-1", "--network none", "--read-only", "--cap-drop ALL",
        "--security-opt no-new-privileges", "--user 65534:65534", "--memory 500m --memory-swap 500m", "--pids-limit 9",
        "size=7m", "--volume /host/box-1:/files:ro", "--env HOME=/scratch", "--pull never",
    ):  # fmt: skip
        assert part in line
    assert [*words[-6:-4], *words[-3:]] == ["sh", "-c", "sh", "python", "a.py"]
    assert "ulimit -v 512000 " in words[-4] and "timeout -s KILL 40 " in words[-4]
    assert "--privileged" not in line and "docker.sock" not in line


def test_docker_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is not None and subprocess.run([docker, "version"], capture_output=True, check=False).returncode:
        with pytest.raises(SandboxError, match=r"docker: .*(docker daemon|permission denied)"):
            open_best("docker")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="docker: docker is not installed"):
        open_best("docker")


STAND_IN = """#!{python}
import json, os, subprocess, sys
words = sys.argv[1:]
with open("{log}", "a") as log:
    print(json.dumps(words), file=log)
if words[0] == "run":
    folder = words[words.index("--volume") + 1].partition(":")[0]
    os.chdir(folder)
    if os.path.exists("refused"):
        sys.exit("docker: no room")
    os.write(2, b"WARNING: a kernel without swap\\n\\x06begun\\n")
    os.execv(sys.executable, [sys.executable, *words[-1:]])
"""


def test_how_docker_is_called(tmp_path: Path) -> None:
    """Without an engine: what stands in for docker runs the program as it is, so this is about the calls only."""
    docker, log = tmp_path / "docker", tmp_path / "log"
    docker.write_text(STAND_IN.format(python=sys.executable, log=log))
    docker.chmod(0o755)
    with Boxes("docker", 1, docker=str(docker), image="i") as box:
        jobs = [
            Job("ok", (python("print(1)"),)),
            Job("late", (python("import time\ntime.sleep(60)", wall=1.5),)),
            Job("no container", (Program(["python", "a.py"], {"a.py": "", "refused": ""}),)),
        ]
        ends = {ran.key: ran.outcomes[0] for ran in box.run(jobs)}
    assert (ends["ok"].end, ends["ok"].stdout, ends["ok"].stderr, ends["late"].end) == ("exit", "1\n", "", "wall")
    assert (ends["no container"].end, ends["no container"].stderr) == ("failed", "docker: no room\n")
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [call[0] for call in calls] == ["run", "run", "rm", "run", "rm", "ps"]
    names = [call[call.index("--name") + 1] for call in calls if call[0] == "run"]
    assert calls[2] == ["rm", "--force", names[1]] and len(set(names)) == 3
