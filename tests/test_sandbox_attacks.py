"""A hundred attempts to get out of a box, or to harm what is outside, against every tier that works here.

That one failed is seen by the program's own report of it (an errno), and from outside: nobody called the listeners,
no file came into being, no process survived, and the one that was to be killed lives.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest
from attacks import ATTACKS, BY_DOCKER, PRELUDE, REPORT
from sandboxes import opened

from adapters.boxes.languages import visible
from assay.programs import Job, Limits, Outcome, Program

SECRET = "assay-" + "5ec2e7" * 3
TIERS = ("namespaces", "bwrap", "docker")


class World:
    """What is outside: listeners, a private file, a secret in the environment, a process that could be killed."""

    def __init__(self, folder: Path) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract, self.unix = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.listeners = {"tcp": self.tcp, "abstract": self.abstract, "unix": self.unix}
        self.abstract_name = f"\0assay-{os.getpid()}-{time.monotonic_ns()}"
        self.abstract.bind(self.abstract_name)
        self.unix.bind(str(folder / "socket"))
        for listener in (self.abstract, self.unix):
            listener.listen()
        self.secret, self.outside = folder / "secret", folder / "outside"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.victim = subprocess.Popen(["sleep", "600"])

    def names(self) -> str:
        """The constants that programs are told."""
        home = Path.home()
        shown = [path.relative_to(home).parts[0] for path in map(Path, visible()) if path.is_relative_to(home)]
        known = {
            "PORT": self.tcp.getsockname()[1], "ABSTRACT": self.abstract_name, "UNIX": self.unix.getsockname(),
            "SECRET_FILE": str(self.secret), "OUTSIDE": str(self.outside), "VICTIM": self.victim.pid,
            "SECRET": SECRET, "HOME": str(home), "SHOWN": shown,
        }  # fmt: skip
        return "".join(f"{name} = {value!r}\n" for name, value in known.items())

    def callers(self) -> list[str]:
        """The listeners that somebody called."""
        found = []
        for name, listener in self.listeners.items():
            listener.setblocking(False)
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            found.append(name)
        return found

    def close(self) -> None:
        for listener in self.listeners.values():
            listener.close()
        self.victim.kill()
        self.victim.wait()


@dataclass
class Seen:
    """What came of all attacks on one tier."""

    outcomes: dict[str, Outcome]
    survivors: list[psutil.Process]
    callers: list[str]
    written: bool
    victim_lives: bool


def program(text: str, **limits: float) -> Program:
    return Program(["python", "main.py"], {"main.py": text}, limits=Limits.model_validate(limits))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """All attacks on a tier, run once."""

    @cache
    def seen(tier: str) -> Seen:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ASSAY_SECRET", SECRET)
            box = opened(tier, 8)
        world = World(tmp_path_factory.mktemp(tier))
        jobs = []
        for name, attack in ATTACKS.items():
            text = PRELUDE + world.names() + "def attack():\n" + textwrap.indent(attack.body, "    ") + REPORT
            jobs.append(Job(name, (program(text, **{"wall": 20, **attack.limits}),)))
        with box:
            keeper = psutil.Process(box.keeper.pid)
            outcomes = {ran.key: ran.outcomes[0] for ran in box.run(jobs)}
            end = time.monotonic() + 5  # the last guard may be ending still
            while len(survivors := keeper.children(recursive=True)[1:]) and time.monotonic() < end:
                time.sleep(0.02)
        lives = world.victim.poll() is None
        found = Seen(outcomes, survivors, world.callers(), world.outside.exists(), lives)
        world.close()
        return found

    yield seen


def tmp_of_its_own() -> None:
    """Skip where the environment lies below /tmp: a box shows it there, and its /tmp is then read-only."""
    if Path(sys.prefix).is_relative_to("/tmp"):
        pytest.skip("this environment lies below /tmp, so that a box has no /tmp to write to")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack(tier: str, name: str, tried) -> None:  # type: ignore[no-untyped-def]
    if name == "what earlier programs left":
        tmp_of_its_own()
    outcome = tried(tier).outcomes[name]
    if ATTACKS[name].not_by == tier:
        pytest.skip(f"{tier} does not keep this in, as docs/sandbox.md says")
    came = {"exit": "", "signal": f"signal {outcome.code}"}.get(outcome.end, outcome.end)
    if not came:
        assert outcome.stdout, outcome
        came = json.loads(outcome.stdout)
        came = sorted(came) if isinstance(came, list) and name == "control groups" else came
    right = BY_DOCKER.get(name, ()) if tier == "docker" else ()
    assert came in (*ATTACKS[name].right, *right), outcome


@pytest.mark.parametrize("tier", TIERS)
def test_what_can_be_seen_from_outside(tier: str, tried) -> None:  # type: ignore[no-untyped-def]
    seen = tried(tier)
    assert (seen.callers, seen.written, seen.victim_lives, seen.survivors) == ([], False, True, [])
    assert SECRET not in "".join(outcome.stdout + outcome.stderr for outcome in seen.outcomes.values())


def test_there_are_as_many_as_were_asked_for() -> None:
    assert len(ATTACKS) >= 90


LEAVE = "kept = 'need' 'le-' '{name}'\nopen('/tmp/a', 'w').write(kept)\n"
LOOK = """
found = 0
for line in open("/proc/self/maps"):
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    if line.split()[1].startswith("r") and "[v" not in line:
        with open("/proc/self/mem", "rb") as memory:
            memory.seek(start)
            parts = memory.read(end - start).split(b"needle")
        found += sum(part.startswith(b"-{name}") for part in parts[1:])
print(found > 0)
"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_program_finds_nothing_of_another_in_its_memory(tier: str) -> None:
    """One after the other, and as the other one of a tester."""
    tmp_of_its_own()
    leave, look = (lambda name: LEAVE.format(name=name)), (lambda name: LOOK.format(name=name))
    tester = leave("two") + "import sys\nprint(sys.stdin.readline().strip(), file=sys.stderr)"
    jobs = [
        Job("own", (program(leave("own") + look("own")),)),
        Job("first", (program(leave("one")),)),
        Job("second", (program(look("one")),)),
        Job("pair", (program(tester), program(look("two")))),
    ]
    with opened(tier, 1) as box:
        ran = {one.key: one.outcomes[0] for one in box.run(jobs)}
    assert ran["own"].stdout == "True\n"  # it can look
    assert (ran["first"].code, ran["second"].stdout, ran["pair"].stderr) == (0, "False\n", "False\n"), ran


@pytest.mark.parametrize("tier", TIERS)
def test_two_programs_have_nothing_in_common_but_their_pipes(tier: str) -> None:
    tmp_of_its_own()
    tester = (
        "import socket, sys\nopen('/tmp/x', 'w').write('x')\nserver = socket.socket(socket.AF_UNIX)\n"
        "server.bind('\\0assay-tester')\nserver.listen()\nprint('go', flush=True)\n"
        "print(sys.stdin.readline().strip(), file=sys.stderr)"
    )
    other = (
        "import os, socket\ninput()\ntry:\n    socket.socket(socket.AF_UNIX).connect('\\0assay-tester')\n"
        "except OSError as error:\n    print(error.strerror, os.listdir('/tmp'), len([p for p in os.listdir('/proc') "
        "if p.isdigit()]), flush=True)"
    )
    with opened(tier, 1) as box:
        (ran,) = box.run([Job("pair", (program(tester), program(other)))])
    own = 3 if tier == "docker" else 2  # with the one that ends a container whose guard is gone
    assert ran.outcomes[0].stderr == f"Connection refused [] {own}\n", ran
