"""Whether a sandbox keeps programs in, found out by a program that looks around in it."""

from __future__ import annotations

import json
import os
import tempfile

from adapters.boxes.runner import Boxes
from assay.errors import SandboxError
from assay.programs import Job, Program

LOOK = """
import json, os
def tried(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return "allowed"
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "user 0": os.getuid() == 0,
    "capabilities": any(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")),
    "no new privileges": status["NoNewPrivs"].strip() == "1",
    "filter of system calls": status["Seccomp"].strip() == "2",
    "networks": [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "files outside": os.path.exists(OUTSIDE),
    "environment": sorted(set(os.environ) & set(OTHERS)),
    "kernel's settings": tried(lambda: open("/proc/sys/kernel/core_pattern", "r+")),
    "a file in /usr": tried(lambda: open("/usr/assay", "w")),
}))
"""
EXPECTED: dict[str, list[object]] = {
    "user 0": [False],
    "capabilities": [False],
    "no new privileges": [True],
    "filter of system calls": [True],
    "networks": [["lo"]],
    "processes": [1, 2, 3],
    "files outside": [False],
    "environment": [[]],
    "kernel's settings": ["Permission denied", "Read-only file system"],
    "a file in /usr": ["Permission denied", "Read-only file system"],
}


def opened(tier: str, workers: int | None, **more: str) -> Boxes:
    """A sandbox of this tier that was seen to keep programs in. Raises SandboxError where it doesn't."""
    box = Boxes(tier, workers, **more)
    try:
        _probe(box)
    except BaseException as error:
        box.close()
        if isinstance(error, OSError):
            raise SandboxError(f"{tier}: {error.strerror or error}") from error
        raise
    return box


def _probe(box: Boxes) -> None:
    others = sorted({*os.environ} - {*box.environ} - {"HOSTNAME", "LC_CTYPE", "PWD", "SHLVL", "_"})
    with tempfile.NamedTemporaryFile() as outside:
        text = LOOK.replace("OUTSIDE", repr(outside.name)).replace("OTHERS", repr(others))
        (ran,) = box.run([Job("probe", (Program(["python", "probe.py"], {"probe.py": text}),))])
    (outcome,) = ran.outcomes
    try:
        found = json.loads(outcome.stdout)
    except ValueError:
        said = (outcome.stderr.strip().splitlines() or [f"{outcome.end} {outcome.code}"])[-1]
        raise SandboxError(f"{box.tier}: no program can be run: {said}") from None
    for what, right in EXPECTED.items():
        if found[what] not in right:
            raise SandboxError(f"{box.tier}: it does not keep programs in: {what}: {found[what]}, not {right[0]}")
