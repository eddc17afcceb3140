"""Check the locks: conf/requirements.lock has every dependency of pyproject.toml, conf/build.lock what builds digestd;
all pinned with hashes, no index named."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> int:
    """Print what is wrong and return 1, or return 0."""
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "conf/requirements.lock": pyproject["project"]["dependencies"],
        "conf/build.lock": pyproject["build-system"]["requires"],
    }
    failed = False
    for name, requirements in wanted.items():
        pinned, problems = check(Path(name).read_text(encoding="utf-8"), requirements)
        failed = failed or bool(problems)
        print(f"{name}:", *problems or [f"{pinned} packages pinned"], sep="\n  ")
    return 1 if failed else 0


def check(lock: str, requirements: list[str]) -> tuple[int, list[str]]:
    """How many packages the text `lock` pins, and what is wrong with it."""
    blocks = re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)(.*?)(?=^\S|\Z)", lock, flags=re.M | re.S)
    pinned = {canonicalize_name(name): version for name, version, _ in blocks}
    problems = [f"{name}: no hash" for name, _, rest in blocks if "--hash=sha256:" not in rest]
    if re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", lock):
        problems.append("an address or index option stands in it")
    for text in requirements:
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version):
            problems.append(f"{wanted}: the lock has {version}")
    return len(pinned), problems


if __name__ == "__main__":
    sys.exit(main())
