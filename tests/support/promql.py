"""Which metrics a PromQL expression asks for, and whether Prometheus reads it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_NOT_NAMES = [
    r'"(?:[^"\\]|\\.)*"',  # strings
    r"\{[^}]*\}",  # label matchers
    r"\[[^\]]*\]",  # ranges
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",  # lists of labels
    r"\b[a-z_0-9]+(?=\s*\()",  # functions
    r"\b(?:and|or|unless|offset|bool|inf|nan|by|without|on)\b",
    r"\b[0-9][0-9a-zA-Z.]*",  # numbers and durations
]
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in `expression`."""
    for pattern in _NOT_NAMES:
        expression = re.sub(pattern, " ", expression, flags=re.IGNORECASE)
    return set(_NAME.findall(expression))


def labels_of(expression: str) -> set[str]:
    """The labels that `expression` matches or groups by."""
    matchers = re.findall(r"\{([^}]*)\}", expression)
    lists = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    named = [name for matcher in matchers for name in re.findall(r"(\w+)\s*[!=]", matcher)]
    return {*named, *(name for text in lists for name in _NAME.findall(text))}


def check(expressions: Iterable[str], folder: Path) -> str:
    """What promtool says is wrong with `expressions`; nothing when all are well."""
    rules = [{"record": f"tried:{number}", "expr": text} for number, text in enumerate(expressions)]
    file = folder / "tried.rules.yml"
    # JSON is YAML.
    file.write_text(json.dumps({"groups": [{"name": "tried", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
