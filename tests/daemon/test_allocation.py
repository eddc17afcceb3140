"""What a large body took goes back to the system, also where small things were allocated after it."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
from digestd.daemon.allocation import give_back_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

give_back_large_blocks()
before, kept = resident(), []
# A first one tells the C library that blocks of this size come and go.
del (bodies := [bytearray(2**24)])[:]
for _ in range(12):
    bodies.append(bytearray(b"x" * 2**23))
    kept.append(bytes(100_000))
del bodies
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc, and is about glibc")
def test_large_blocks_leave_no_holes() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16
