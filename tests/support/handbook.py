"""The commands that the documentation tells an operator to run, so that tests run these and no others."""

from __future__ import annotations

import re
from pathlib import Path

from support.debian import PROJECT


def shell_blocks(heading: str, file: Path = PROJECT / "docs" / "operations.md") -> list[str]:
    """The fenced blocks of shell commands in the section `heading` of `file`, in their order."""
    text = file.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    found: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.M | re.S)
    return found


def shell_block(heading: str, containing: str) -> str:
    """The one block of :func:`shell_blocks` that has `containing` in it."""
    (block,) = [block for block in shell_blocks(heading) if containing in block]
    return block


def packages(block: str) -> list[str]:
    """What `block` has apt-get install."""
    (line,) = re.findall(r"^apt-get install -y (.*)$", block, flags=re.M)
    return str(line).split()
