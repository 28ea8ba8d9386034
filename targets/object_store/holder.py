"""Who holds a lock, and whether they are alive: of a process of this machine one knows, without waiting."""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> str:
    """A name for this process that no other has: machine, name space of processes, number, time of its start."""
    return f"{_machine()} {os.getpid()} {_start(os.getpid())}"


def is_dead(process: str) -> bool:
    """Whether a process of this machine has ended; of another machine nobody knows."""
    machine, _, rest = process.partition(" ")
    number, _, start = rest.partition(" ")
    return bool(start) and machine == _machine() and number.isdigit() and _start(int(number)) != start


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux: the lock expires
        return ""


def _start(process: int) -> str:
    try:
        after = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after[0] in "ZX" else after[19]
