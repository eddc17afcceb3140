"""Fuzz one surface for as long as you like: `python -m fuzz.run NAME --seconds 600`, from the folder `tests`.

Needs the extra `fuzz`. What it finds stands in the corpus folder as `crash-…` or `timeout-…`; give such a file, or any
other, as `--replay FILE` to see it again. The corpus is kept, so that the next run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from fuzz.seeds import SEEDS

# What is written in Python, so that the fuzzer sees which inputs reach something new in it.
INSTRUMENTED = ["digestd", "feedparser", "sgmllib", "protego", "fuzz.targets"]
SECONDS_PER_INPUT = 5
MEGABYTES = 1_024


def main() -> None:
    """Fuzz the target that the command line names; does not return: the fuzzer ends the process, with 0 if it found
    nothing."""
    arguments = _arguments()
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets: Any = importlib.import_module("fuzz.targets")
    target = targets.TARGETS[arguments.name]
    if arguments.replay:
        target(arguments.replay.read_bytes())
        return
    atheris.Setup([sys.argv[0], *_options(arguments.seconds, _corpus(arguments))], target)
    atheris.Fuzz()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("name", choices=sorted(SEEDS))
    parser.add_argument("--seconds", type=int, default=60, help="0 for ever (default: %(default)s)")
    parser.add_argument(
        "--corpus", type=Path, help="folder (default: digestd-fuzz/NAME in the temporary folder)"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this one input and end")
    return parser.parse_args()


def _corpus(arguments: argparse.Namespace) -> Path:
    corpus: Path = arguments.corpus or Path(tempfile.gettempdir(), "digestd-fuzz", arguments.name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[arguments.name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    return corpus


def _options(seconds: int, corpus: Path) -> list[str]:
    return [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={corpus}/",
        "-print_final_stats=1",
        str(corpus),
    ]


if __name__ == "__main__":
    main()
