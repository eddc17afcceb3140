"""The queries of docs/operations.md are LogQL by Grafana's own grammar, and ask for what digestd really logs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.ingest.supervisor import Supervisor
from digestd.model import LeftOut, PollState, Source, Step
from support import debian
from support.alloy import parse
from support.farm import open_farm
from support.polling import Bench, fetched
from support.process import Digestd, write_settings

pytestmark = pytest.mark.e2e

DOCUMENT = debian.PROJECT / "docs" / "operations.md"
GRAMMAR = debian.kept() / "node" / "node_modules" / "@grafana" / "lezer-logql" / "index.es.js"
QUERIES = re.findall(r"^```logql\n(.+?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
LABELS = {"job", "level", "host"}
"""What conf/ makes labels of. `__error__` is Loki's own."""

PARSE = """
import {readFileSync} from "node:fs";
const {parser} = await import(process.argv[1]);
const trees = JSON.parse(readFileSync(0, "utf8")).map(query => {
  const nodes = [];
  parser.parse(query).iterate({enter(node) {
    const kind = node.type.isError ? "error" : node.type.name;
    nodes.push([kind, query.slice(node.from, node.to), node.node.parent?.type.name ?? ""]);
  }});
  return nodes;
});
console.log(JSON.stringify(trees));
"""


@dataclass(frozen=True, slots=True)
class Node:
    kind: str
    text: str
    parent: str


@pytest.fixture(scope="module")
def trees(needs: Callable[..., None]) -> Callable[[list[str]], list[list[Node]]]:
    """The syntax trees of queries, node by node."""
    needs("node")
    if not GRAMMAR.exists():
        needs("@grafana/lezer-logql")

    def parsed(queries: list[str]) -> list[list[Node]]:
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", PARSE, str(GRAMMAR)],
            input=json.dumps(queries),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [[Node(*node) for node in nodes] for nodes in json.loads(done.stdout)]

    return parsed


def fields_of(nodes: list[Node]) -> set[str]:
    """The fields that a query asks for."""
    named = {node.text for node in nodes if node.kind == "Identifier"}
    templates = " ".join(
        node.text for node in nodes if node.kind == "String" and node.parent == "LineFormatExpr"
    )
    return (named | set(re.findall(r"\{\{\.(\w+)\}\}", templates))) - LABELS - {"__error__"}


def events_of(nodes: list[Node]) -> list[str]:
    """The events that a query asks for, as patterns."""
    matched = [re.fullmatch(r'event=(~?)"(.+)"', node.text) for node in nodes if node.kind == "Matcher"]
    return [found[2] if found[1] else re.escape(found[2]) for found in matched if found is not None]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The keys of each event of a real run, as Loki's `json` names them, and those of troubles."""
    keys: dict[str, set[str]] = defaultdict(set)
    for line in [*_lines_of_a_run(tmp_path_factory.mktemp("run")), *_lines_of_trouble()]:
        keys[str(line["event"])] |= {re.sub(r"\W", "_", key) for key in line}
    return keys


def _lines_of_a_run(folder: Path) -> list[dict[str, object]]:
    with open_farm() as farm:
        farm.grow("good", 3)
        farm.grow("broken")
        file = write_settings(folder, farm.sources())
        with Digestd(["-c", str(file)], folder, {}) as daemon:
            daemon.wait_for("worker.fetch.complete", 2)
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
            return [json.loads(line) for line in daemon.stderr.splitlines()]


def _lines_of_trouble() -> list[dict[str, object]]:
    """What a kind that crashes logs, and one with an entry that becomes no article."""
    (document,) = fetched("a").documents
    odd = LeftOut("key", "2", "odd", "it cannot be read: KeyError: 'x'", '"written"')

    async def step(source: Source, state: PollState) -> Step:
        if source.name == "buggy":
            raise KeyError("license")
        return replace(fetched("a"), documents=(replace(document, left_out=(odd,)),))

    async def live() -> None:
        bench = Bench(step, interval_seconds=60)
        statuses = await bench.add("buggy", "odd")
        with trio.move_on_after(3_600):
            async with trio.open_nursery() as nursery:
                Supervisor(bench.around, bench.metrics, 60).start(nursery, statuses)

    # capture_logs takes the place of all processors, also of the one that adds what is bound.
    with capture_logs(processors=[merge_contextvars]) as logs:
        trio.run(live, clock=MockClock(autojump_threshold=0))
    # What the last processor makes of exc_info.
    return [{**line, **({"exception": ""} if "exc_info" in line else {})} for line in logs]


def test_there_are_queries_and_all_of_them_are_logql(trees: Callable[[list[str]], list[list[Node]]]) -> None:
    assert len(QUERIES) > 10
    for query, nodes in zip(QUERIES, trees(QUERIES), strict=True):
        assert "error" not in {node.kind for node in nodes}, query


def test_the_grammar_finds_mistakes(trees: Callable[[list[str]], list[list[Node]]]) -> None:
    wrong = [
        '{job="digestd"',
        '{job="digestd"} | json | outcome=',
        'sum by source (rate({job="digestd"}[1h]))',
        "x",
    ]
    for query, nodes in zip(wrong, trees(wrong), strict=True):
        assert "error" in {node.kind for node in nodes}, query


def test_the_selector_of_alloy_is_logql(trees: Callable[[list[str]], list[list[Node]]]) -> None:
    text = (debian.PROJECT / "conf" / "alloy" / "digestd.alloy").read_text(encoding="utf-8")
    selectors = [
        str(match.attributes["selector"]) for block in parse(text) for match in block.of("stage.match")
    ]
    (nodes,) = trees(selectors)
    assert "error" not in {node.kind for node in nodes}


def test_every_field_of_a_query_is_one_that_its_events_have(
    trees: Callable[[list[str]], list[list[Node]]], logged: dict[str, set[str]]
) -> None:
    for query, nodes in zip(QUERIES, trees(QUERIES), strict=True):
        patterns = events_of(nodes) or [".*"]
        keys = {"timestamp", "event"}.union(
            *(keys for event, keys in logged.items() if any(re.fullmatch(each, event) for each in patterns))
        )
        missing = fields_of(nodes) - keys - SELDOM
        assert not missing, f"{missing} in {query}"


SELDOM = {"degraded"}
"""Fields of what does not happen in such a run; the next test looks for them in the code."""


def test_every_event_of_a_query_and_its_seldom_fields_stand_in_the_code(
    trees: Callable[[list[str]], list[list[Node]]],
) -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in (debian.PROJECT / "src").rglob("*.py"))
    named = set(re.findall(r'"(worker\.[a-z_.]+)"', code))
    for nodes in trees(QUERIES):
        for pattern in events_of(nodes):
            for each in pattern.split("|"):
                assert any(re.fullmatch(each, event) for event in named), each
    assert "worker.metrics" in named
    assert 'remark = "degraded" if record.state == "degraded"' in code
    assert re.search(
        r'"worker\.entry\.set_aside", guid=mask_guid\(refused\.guid\), title=title, reason=refused\.reason',
        code,
    )
