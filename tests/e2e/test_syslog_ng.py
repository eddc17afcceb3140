"""conf/syslog-ng ships every line to Loki, whatever Loki does: the real syslog-ng of Debian 13 against a push endpoint.

A file stands in for the journal; all the rest is the configuration as it ships.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from digestd.logline import LONGEST_LINE_BYTES, line_of
from support import debian
from support.farm import Farm
from support.loki import Loki
from support.process import run, write_settings

pytestmark = pytest.mark.e2e

SHIPPED = debian.PROJECT / "conf" / "syslog-ng" / "digestd-loki.conf"
LEVELS = {"debug", "info", "warning", "error", "critical", "notice"}
EPOCH = datetime(2026, 11, 29, 3, tzinfo=UTC)

STAND_IN = """\
@version: 4.4
options {{ chain_hostnames(off); use_dns(no); use_fqdn(no); dns_cache(no); stats(freq(0)); }};
# As Debian's s_src, but for where it reads: the lines of a file have come from the journal.
source s_src {{
    channel {{
        source {{ file("{folder}/journal" follow-freq(0.2) flags(no-parse)); }};
        rewrite {{ set("digestd.service" value(".journald._SYSTEMD_UNIT")); }};
    }};
    channel {{
        source {{ file("{folder}/others" follow-freq(0.2) flags(no-parse)); }};
        rewrite {{ set("ssh.service" value(".journald._SYSTEMD_UNIT")); }};
    }};
}};
{shipped}
"""


def shipped(url: str, folder: str) -> str:
    """The configuration that ships, with another address, folder and patience."""
    text = SHIPPED.read_text(encoding="utf-8")
    for theirs, ours in (
        ("http://loki.example.com:3100/loki/api/v1/push", url),
        ('dir("/var/lib/syslog-ng")', f'dir("{folder}")'),
        ("time-reopen(5)", "time-reopen(1)"),
    ):
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    return text


class SyslogNG:
    """syslog-ng in the foreground, in a root of Debian 13, with its files in a folder of its own."""

    def __init__(self, root: Path, port: int) -> None:
        self._root = root
        self._folder = Path("/digestd-test")
        self._outside = root / self._folder.relative_to("/")
        shutil.rmtree(self._outside, ignore_errors=True)
        self._outside.mkdir()
        url = f"http://127.0.0.1:{port}/loki/api/v1/push"
        config = STAND_IN.format(folder=self._folder, shipped=shipped(url, str(self._folder)))
        (self._outside / "syslog-ng.conf").write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, *lines: str, file: str = "journal") -> None:
        """Let digestd have printed `lines`."""
        with (self._outside / file).open("a", encoding="utf-8") as written:
            written.writelines(f"{line}\n" for line in lines)

    @property
    def said(self) -> str:
        return (self._outside / "stderr").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        options = ["-F", "--no-caps", "--stderr", "-f", f"{self._folder}/syslog-ng.conf"]
        options += ["-p", f"{self._folder}/pid", "-c", f"{self._folder}/ctl", "-R", f"{self._folder}/persist"]
        with (self._outside / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(
                ["chroot", str(self._root), "syslog-ng", *options],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait(10)
        assert process.returncode == 0, self.said

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process is not None
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, f"no {what} within {seconds} s:\n{self.said[-5_000:]}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def root(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    needs("mmdebstrap", "chroot")
    archive = debian.debian_root(["syslog-ng-core", "syslog-ng-mod-http"])
    folder = debian.unpacked(archive, tmp_path_factory.mktemp("debian") / "root")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def loki() -> Iterator[Loki]:
    loki = Loki(0)
    with loki.here():
        # The port is known now, and is free again until the test wants it.
        pass
    yield loki
    assert loki.problems == []


@pytest.fixture
def shipper(root: Path, loki: Loki) -> Iterator[SyslogNG]:
    shipper = SyslogNG(root, loki.port)
    yield shipper
    shipper.stop()


def generated(count: int, seed: int) -> list[str]:
    """Lines as digestd writes them, and worse: of all lengths, with everything that could break a JSON document."""
    chance = random.Random(seed)
    alphabet = [
        "a",
        " ",
        '"',
        "\\",
        "'",
        "/",
        "{",
        "}",
        "$",
        "$(",
        "@",
        "%",
        "\n",
        "\t",
        "é",
        "\U0001f600",
        "\u2028",
    ]
    lines = []
    for number in range(count):
        longest = chance.choice((0, 10, 100, 1_000, LONGEST_LINE_BYTES))
        text = "".join(chance.choices(alphabet, k=chance.randint(0, longest)))
        moment = EPOCH + timedelta(milliseconds=10 * number)
        line = line_of(
            {
                "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
                "level": chance.choice(("debug", "info", "warning", "error")),
                "event": "worker.fetch.complete",
                "source": f"source {number}",
                "poll_id": f"{number:012x}",
                "error": text,
                "worker.uptime": chance.random() * 1e6,
            }
        )
        assert len(line) < LONGEST_LINE_BYTES
        lines.append(line)
    return lines


def nanoseconds_of(line: str) -> int:
    moment = datetime.fromisoformat(json.loads(line)["timestamp"])
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1_000


def expect_all_of_it(loki: Loki, lines: list[str]) -> None:
    """Every line once or more, byte for byte, with its own time and level, each stream in order."""
    assert loki.problems == []
    assert loki.lines == set(lines)
    streams = loki.streams
    for labels, pushed in streams.items():
        names = dict(labels)
        assert set(names) == {"job", "host", "level"}
        assert names["job"] == "digestd"
        assert names["level"] in LEVELS
        assert len({dict(each)["host"] for each in streams}) == 1
        assert [each.line for each in pushed] == [
            line for line in lines if json.loads(line)["level"] == names["level"]
        ]
        assert [each.nanoseconds for each in pushed] == [nanoseconds_of(each.line) for each in pushed]


def test_the_lines_of_a_real_run(loki: Loki, shipper: SyslogNG, farm: Farm, tmp_path: Path) -> None:
    for number in range(20):
        farm.grow(f"feed{number}", 3)
    farm.grow("broken")
    file = write_settings(tmp_path, {**farm.sources(), "absent": f"{farm.url}/absent"})
    done = run(["--once", "--all", "-c", str(file), "--log-level", "DEBUG"], tmp_path)
    lines = done.stderr.splitlines()
    assert len(lines) > 20
    with loki.here():
        shipper.write(*lines)
        shipper.start()
        shipper.wait_until(lambda: len(loki.lines) == len(set(lines)), "every line")
    expect_all_of_it(loki, lines)


def test_nothing_is_lost_when_loki_refuses_fails_breaks_off_and_goes_away(
    loki: Loki, shipper: SyslogNG
) -> None:
    lines = generated(3_000, seed=7)
    ends = iter(range(1_000, 3_000, 500))
    shipper.start()
    with loki.here():
        shipper.write(*lines[:500])
        shipper.wait_until(lambda: loki.lines >= set(lines[:500]), "first lines")
        for answers in ([429, 429], [500, 503, 502], [504, 504, 504, 504], ["reset", "lost", "reset"]):
            end = next(ends)
            loki.answer(answers)
            shipper.write(*lines[end - 500 : end])
            shipper.wait_until(partial(loki.has, lines[:end]), f"lines after {answers}")
    shipper.write(*lines[2_500:])
    time.sleep(3)
    assert not loki.lines & set(lines[2_500:]), "nobody is there"
    with loki.here():
        shipper.wait_until(lambda: loki.lines == set(lines), "the rest")
    expect_all_of_it(loki, lines)
    assert set(loki.outcomes) == {"204", "429", "500", "502", "503", "504", "reset", "lost"}
    assert loki.outcomes["504"] == 4
    assert len(loki.pushed) > len(lines), "what was taken without an answer is sent again"
    assert len(set(loki.pushed)) == len(lines), "as the same lines at the same time, of which Loki keeps one"


def test_what_waits_outlives_a_restart_of_the_shipper(loki: Loki, shipper: SyslogNG) -> None:
    lines = generated(400, seed=11)
    shipper.write(*lines[:300])
    shipper.start()
    shipper.wait_until(lambda: "Connection refused" in shipper.said or "connect" in shipper.said, "refusal")
    time.sleep(1)
    shipper.stop()
    shipper.write(*lines[300:])
    shipper.start()
    with loki.here():
        shipper.wait_until(lambda: loki.lines == set(lines), "every line")
    expect_all_of_it(loki, lines)


def test_what_loki_refuses_for_what_it_says_does_not_hold_up_the_rest(loki: Loki, shipper: SyslogNG) -> None:
    lines = generated(20, seed=3)
    shipper.start()
    with loki.here():
        loki.answer([400])
        shipper.write(*lines[:10])
        shipper.wait_until(lambda: loki.outcomes["400"], "refusal")
        shipper.write(*lines[10:])
        shipper.wait_until(lambda: loki.lines >= set(lines[10:]), "the rest")
    assert loki.outcomes["400"] == 1
    assert "action='drop'" in shipper.said


def test_other_units_stay_out_and_plain_text_comes_along(loki: Loki, shipper: SyslogNG) -> None:
    plain = [
        "digestd: the configuration is wrong:",
        "12345",
        '["a list"]',
        '{"timestamp": "yesterday", "level": "info"}',
    ]
    plain += ['{"half": ', "tab\tquote\"backslash\\ é 'single'"]
    shipper.write("Accepted publickey for root", file="others")
    shipper.write(*plain)
    shipper.start()
    with loki.here():
        shipper.wait_until(lambda: len(loki.lines) == len(plain), "every line")
        time.sleep(1.5)
    assert loki.lines == set(plain)
    assert {each.level for each in loki.pushed} <= {"notice", "info"}
    now = time.time_ns()
    assert all(abs(now - each.nanoseconds) < 120e9 for each in loki.pushed)
