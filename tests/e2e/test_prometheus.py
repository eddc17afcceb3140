"""A real Prometheus scrapes a real daemon, and its alerts fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from digestd import __version__
from support.debian import PROJECT
from support.farm import Farm
from support.farm import farm as farm
from support.postgres import PostgresServer
from support.process import Digestd, free_port, write_settings

pytestmark = pytest.mark.e2e

RULES = PROJECT / "conf" / "prometheus" / "digestd.rules.yml"
AWAY = {"DigestdDatabaseAway"}


class Prometheus:
    """A server that looks every second, with our scrape and our rules; alerts wait two seconds instead of minutes."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        rules = re.sub(r"\bfor: \d+[mh]", "for: 2s", RULES.read_text(encoding="utf-8"))
        (folder / RULES.name).write_text(rules, encoding="utf-8")
        self._log = folder / "log"
        self._command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def ask(self, path: str, **query: str) -> Any:
        """`data` of an answer of its API."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """The value of `expression`, which has one series at most."""
        found = self.ask("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    @property
    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not _holds(condition):
            assert time.monotonic() < deadline, f"no {what} within {seconds} s:\n{self._log.read_text()}"
            time.sleep(0.2)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except OSError:
        # It does not listen yet, or says that it is not ready.
        return False


def test_alerts_fire_when_the_database_goes_away_and_when_the_daemon_ends(
    needs: Callable[..., None], tmp_path: Path, farm: Farm, own_postgres_server: PostgresServer
) -> None:
    needs("prometheus")
    for name in ("a", "b", "c"):
        farm.grow(name, 4)
    url = own_postgres_server.create_database("digestd")
    port = free_port()
    file = write_settings(tmp_path, farm.sources(), web={"listen": f"127.0.0.1:{port}"})
    prometheus = Prometheus(tmp_path / "prometheus", port)
    with Digestd(["-c", str(file)], tmp_path, {"DATABASE_URL": url}) as daemon, prometheus.running():
        daemon.wait_for("worker.fetch.complete", 3)
        prometheus.wait_until(lambda: prometheus.value("digestd_articles_new_total") == 12, "12 articles")
        (target,) = prometheus.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"], target["labels"]["job"]) == ("up", "", "digestd")
        assert prometheus.value(f'digestd_build_info{{version="{__version__}"}}') == 1
        assert prometheus.value('digestd_sources{state="active"}') == 3
        assert prometheus.value("time() - digestd_last_success_timestamp_seconds < 60") is not None
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        prometheus.wait_until(
            lambda: all(rule["health"] == "ok" for rule in prometheus.ask("rules")["groups"][0]["rules"]),
            "evaluation of every rule",
        )
        assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
        # Before it had looked for the first time, there was no daemon to it.
        prometheus.wait_until(lambda: prometheus.firing == set(), "silence of the alerts")

        own_postgres_server.stop("immediate")
        prometheus.wait_until(lambda: prometheus.firing == AWAY, "alert of the database")
        time.sleep(10)
        assert prometheus.firing == AWAY, "an outage is nothing else"
        assert prometheus.value("digestd_healthy") == 1
        own_postgres_server.start()
        prometheus.wait_until(lambda: prometheus.firing == set(), "end of the alert", 90)
        assert daemon.process.poll() is None

        daemon.process.terminate()
        assert daemon.end() == 0
        prometheus.wait_until(lambda: prometheus.firing == {"DigestdDown"}, "alert of the daemon")
