"""Check conf/requirements.lock: every dependency of pyproject.toml is in it, all pinned with hashes, no index named."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> int:
    """Print what is wrong and return 1, or return 0."""
    lock = Path("conf/requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocks = re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)(.*?)(?=^\S|\Z)", lock, flags=re.M | re.S)
    pinned = {canonicalize_name(name): version for name, version, _ in blocks}
    problems = [f"{name}: no hash" for name, _, rest in blocks if "--hash=sha256:" not in rest]
    if re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", lock):
        problems.append("an address or index option stands in it")
    for text in project["dependencies"]:
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version):
            problems.append(f"{wanted}: the lock has {version}")
    print("\n".join(problems) or f"{len(pinned)} packages pinned")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
