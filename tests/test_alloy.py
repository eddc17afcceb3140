"""conf/alloy is right by the documentation of Alloy v1.18.0, and makes of our lines what docs/operations.md says.

No Alloy was run.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import structlog

from digestd import log
from support.alloy import VERSION, Block, Mistake, Reference, parse
from support.alloy_check import check

FOLDER = Path(__file__).parents[1] / "conf" / "alloy"
SHARED = "digestd.alloy"
INPUTS = ["journal.alloy", "containers.alloy", "kubernetes.alloy"]


def read(*names: str) -> dict[tuple[str, str], Block]:
    return check([block for name in names for block in parse((FOLDER / name).read_text(encoding="utf-8"))])


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_and_what_they_share_are_a_configuration(name: str) -> None:
    components = read(SHARED, name)
    assert ("loki.write", "loki") in components
    assert VERSION in (FOLDER / SHARED).read_text(encoding="utf-8")


def test_every_file_is_one_of_these() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {SHARED, *INPUTS}


def test_all_of_them_go_together() -> None:
    assert len(read(SHARED, *INPUTS)) == 9


@pytest.mark.parametrize("name", INPUTS)
def test_labels_have_few_values_and_nothing_is_dropped(name: str) -> None:
    components = read(SHARED, name)
    labels: set[str] = set()
    for block in components.values():
        stages = [*block.of("stage.static_labels"), *block.of("stage.labels")]
        for values in [stage.attributes["values"] for stage in stages] + [block.attributes.get("labels", {})]:
            assert isinstance(values, dict)
            labels |= set(values)
        targets = {str(rule.attributes.get("target_label")) for rule in block.of("rule")}
        metadata = {str(key) for each in block.of("stage.structured_metadata") for key in _keys(each)}
        labels |= targets - {
            key
            for other in components.values()
            for each in other.of("stage.structured_metadata")
            for key in _keys(each)
        }
        assert not metadata & {"source", "poll_id", "url"}
        assert not list(block.of("stage.drop"))
        for each in [*block.of("stage.match"), *block.of("rule")]:
            assert each.attributes.get("action", "keep") != "drop"
    assert labels == {"job", "level", {"kubernetes.alloy": "namespace"}.get(name, "host")}


def _keys(block: Block) -> Iterator[str]:
    values = block.attributes["values"]
    assert isinstance(values, dict)
    yield from values


def test_what_loki_does_not_take_is_sent_again_for_ever() -> None:
    (endpoint,) = read(SHARED, "journal.alloy")["loki.write", "loki"].of("endpoint")
    # Zero is without end: github.com/grafana/alloy, internal/component/loki/write/types.go
    assert endpoint.attributes["max_backoff_retries"] == 0
    assert endpoint.attributes.get("retry_on_http_429", True)


def selector_pattern() -> re.Pattern[str]:
    """The pattern of lines that are ours, as the line filter of the selector has it."""
    (match,) = read(SHARED, "journal.alloy")["loki.process", "digestd"].of("stage.match")
    selector = str(match.attributes["selector"])
    start = '{job="digestd"} |~ "'
    assert selector.startswith(start)
    assert selector.endswith('"')
    return re.compile(selector[len(start) : -1].replace('\\"', '"'))


def test_lines_of_ours_are_known_by_how_they_begin() -> None:
    stream = io.StringIO()
    try:
        log.set_up("DEBUG", "json", stream)
        logger = log.get_logger()
        with log.bound(source='"}{', poll_id="1"):
            for level, event in product(
                ("debug", "info", "warning", "error", "critical"), ("e", '", "level": "x')
            ):
                getattr(logger, level)(event, error="level")
    finally:
        structlog.reset_defaults()
    written = stream.getvalue().splitlines()
    assert len(written) == 10
    for line in written:
        found = selector_pattern().search(line)
        assert found is not None
        assert found[1] == json.loads(line)["level"]


@pytest.mark.parametrize(
    "line",
    [
        "digestd: the configuration is wrong:",
        '{"timestamp": "2026-11-29T12:00:00.000000Z", "level": "whatever", "event": "e"}',
        '{"level": "info", "timestamp": "2026-11-29T12:00:00.000000Z", "event": "e"}',
        'x {"timestamp": "2026-11-29T12:00:00.000000Z", "level": "info", "event": "e"}',
    ],
)
def test_other_lines_get_no_level(line: str) -> None:
    assert selector_pattern().search(line) is None


def test_the_timestamp_is_one_that_go_reads() -> None:
    (stage,) = read(SHARED, "journal.alloy")["loki.process", "digestd"].of("stage.timestamp")
    assert stage.attributes == {"source": "timestamp", "format": "RFC3339Nano", "action_on_failure": "skip"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('loki.write "a" {', "'' where a name belongs"),
        ('loki.write "a" { endpoint { url = "http://a/" } } x', "'x' after loki.write on one line"),
        ("a = 1", "attributes outside of any block: ['a']"),
        ('loki.writer "a" { }', "loki.writer is no component that is known here"),
        ("loki.write { }", "loki.write None has no label, or stands there twice"),
        ('loki.write "a b" { }', "the label 'a b' of loki.write is no identifier"),
        ('loki.write "a" {\n max_streams = -1\n}', 'loki.write "a": max_streams cannot be -1'),
        ('loki.write "a" {\n max_stream = 1\n}', 'loki.write "a" takes no max_stream'),
        (
            'loki.write "a" {\n max_streams = 1 max_streams = 2\n}',
            "'max_streams' after max_streams on one line",
        ),
        ('loki.write "a" {\n endpoint { }\n}', 'loki.write "a" > endpoint lacks url'),
        ('loki.write "a" {\n endpoint {\n url = "a\\q"\n}\n}', 'the escape \\q in "a\\q"'),
        ('loki.write "a" {\n end { }\n}', 'loki.write "a" takes no block end'),
        ('loki.write "a" { }', "nothing refers to loki.write.a"),
        (
            'loki.process "a" {\n forward_to = [loki.write.b.receiver]\n}',
            'loki.process "a": forward_to refers to loki.write.b.receiver, and there is none',
        ),
        (
            'loki.process "a" {\n forward_to = [loki.process.a.output]\n}',
            'loki.process "a": forward_to wants LogsReceiver, which loki.process.a.output is not',
        ),
        (
            'loki.process "a" {\n forward_to = loki.process.a.receiver\n}',
            'loki.process "a": forward_to wants list(LogsReceiver), which loki.process.a.receiver is not',
        ),
        (
            'loki.process "a" {\n forward_to = ["x"]\n}',
            "loki.process \"a\": forward_to is no LogsReceiver: 'x'",
        ),
        ('loki.process "a" {\n forward_to = [1 2]\n}', "'2' where ']' belongs"),
        ('loki.write "a" {\n endpoint {\n url = "http://a/";\n}\n}', "line 3: unexpected ';'"),
    ],
)
def test_mistakes_are_found(text: str, words: str) -> None:
    with pytest.raises(Mistake) as mistake:
        check(parse(text))
    assert str(mistake.value) == words


def test_the_language_is_read_as_it_is_documented() -> None:
    (block,) = parse(
        'a.b "c" { // a comment\n  /* and\n another */\n  x = [1, -2.5, "\\"q\\"\\n", `raw "\\n`, true, null,]\n'
        '  y = {k = "v", "l m" = d.e.f,\n    n = [],\n  }\n  z "w" { }\n}\n'
    )
    assert (block.name, block.label) == ("a.b", "c")
    assert block.attributes == {
        "x": [1, -2.5, '"q"\n', 'raw "\\n', True, None],
        "y": {"k": "v", "l m": Reference(("d", "e", "f")), "n": []},
    }
    assert [(inner.name, inner.label) for inner in block.blocks] == [("z", "w")]


@pytest.mark.parametrize("name", [SHARED, *INPUTS])
def test_files_are_formatted_as_alloy_fmt_does(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"^ |[ \t]$", text, re.MULTILINE)
    assert text.endswith("}\n")
