"""conf/prometheus and conf/grafana: they ask for metrics that there are, and every alert says what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from digestd.web.exposition import Exposition
from support import promql
from web.states import state

PROJECT = Path(__file__).parents[1]
PROMETHEUS = PROJECT / "conf" / "prometheus"
DASHBOARD = PROJECT / "conf" / "grafana" / "digestd.json"
PROMETHEUS_OWN = {"up"}
# Of Prometheus: each sample has them.
TARGET_LABELS = {"job", "instance"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)"
)


def promtool(*arguments: str) -> str:
    """What promtool says where it is not content."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The names of the samples behind `/metrics`, and their labels."""
    body, _ = Exposition(state).render("")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="module")
def alerts() -> dict[str, dict[str, Any]]:
    rules = yaml.safe_load((PROMETHEUS / "digestd.rules.yml").read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every expression of the dashboard, with what Grafana puts into it."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield (
                target["expr"]
                .replace("$__rate_interval", "5m")
                .replace("$job", "digestd")
                .replace("$instance", ".*")
            )


def assert_asks_for_what_there_is(expression: str, exposed: dict[str, set[str]]) -> None:
    names = promql.metrics_of(expression) - PROMETHEUS_OWN
    assert names <= set(exposed), expression
    known = TARGET_LABELS.union(*(exposed[name] for name in names))
    assert promql.labels_of(expression) <= known, expression


def test_names_are_found_in_expressions() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (job, le) (rate(a_bucket{x="b_total", y=~".+"}[15m]))) > 300'
        " and on (job) max without (instance) (c:d offset 6h) or absent(up)"
    )
    assert promql.metrics_of(expression) == {"a_bucket", "c:d", "up"}
    assert promql.labels_of(expression) == {"job", "le", "x", "y", "instance"}


def test_alerts_ask_for_metrics_that_there_are(
    alerts: dict[str, dict[str, Any]], exposed: dict[str, set[str]]
) -> None:
    for rule in alerts.values():
        assert_asks_for_what_there_is(rule["expr"], exposed)


def test_every_alert_says_what_to_do(alerts: dict[str, dict[str, Any]]) -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    _, _, section = page.partition("\n## Alerts, and what to do\n")
    headings = re.findall(r"^### (\w+)$", section.partition("\n## ")[0], re.MULTILINE)
    assert headings == list(alerts)
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"]["description"].endswith("."), name


def test_every_alert_is_tried(alerts: dict[str, dict[str, Any]]) -> None:
    tried = yaml.safe_load((PROMETHEUS / "digestd.rules.test.yml").read_text(encoding="utf-8"))
    checks = [check for test in tried["tests"] for check in test["alert_rule_test"]]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == set(alerts)
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == set(alerts)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "digestd.rules.yml"),
        ("test", "rules", "digestd.rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    *command, file = arguments
    assert promtool(*command, str(PROMETHEUS / file)) == ""


def test_the_dashboard_asks_for_metrics_that_there_are(
    dashboard: dict[str, Any], exposed: dict[str, set[str]]
) -> None:
    asked = list(expressions(dashboard))
    assert len(asked) > 40
    for expression in asked:
        assert_asks_for_what_there_is(expression, exposed)
    names = {name for expression in asked for name in promql.metrics_of(expression)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    # Of the process there is more than anybody needs to see.
    assert families - shown == {"process_virtual_memory_bytes"}


@needs_promtool
def test_prometheus_reads_every_expression_of_the_dashboard(
    dashboard: dict[str, Any], tmp_path: Path
) -> None:
    assert promql.check(expressions(dashboard), tmp_path) == ""


def test_panels_are_whole_and_lie_beside_each_other(dashboard: dict[str, Any]) -> None:
    assert (dashboard["uid"], dashboard["id"]) == ("digestd", None)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_variables_ask_for_what_there_is(dashboard: dict[str, Any], exposed: dict[str, set[str]]) -> None:
    queries = [
        variable["query"]["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert queries == [
        "label_values(digestd_build_info, job)",
        'label_values(digestd_build_info{job="$job"}, instance)',
    ]
    assert "digestd_build_info" in exposed
