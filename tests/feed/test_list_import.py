"""What a list adds to what is known: everything once, under names that stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from digestd import kinds
from digestd.feed.lists.importing import Addition, ImportPlan, Known, plan_import
from digestd.feed.lists.item import Item, ReadList, Told
from digestd.model import SourceSpec

KINDS = kinds.registered()


def feed(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "feed", "url": url, **more}


def planned(some: Sequence[Any], *known: SourceSpec, enabled: bool = True) -> ImportPlan:
    there = Known()
    for spec in known:
        there.add(spec)
    read = ReadList(tuple(Item(line, data) for line, data in enumerate(some, 1)))
    return plan_import(read, there, KINDS, kinds.schema_of, "lists/a.yaml", enabled=enabled)


def names(plan: ImportPlan) -> list[str]:
    return [one.spec.name for one in plan.added]


def test_what_is_new_is_added_with_all_that_is_said_of_it() -> None:
    plan = planned([feed("a", "https://a.example/", category="x", language="de", interval_seconds=900)])
    spec = SourceSpec("a", "feed", "https://a.example/", category="x", language="de", interval_seconds=900)
    assert plan == ImportPlan(added=[Addition(1, spec)])


def test_disabled_is_what_is_new_whatever_it_says() -> None:
    off = planned(
        [feed("a", "https://a.example/"), feed("b", "https://b.example/", enabled=False)], enabled=False
    )
    assert [one.spec.enabled for one in off.added] == [False, False]
    assert [one.spec.enabled for one in planned([feed("b", "https://b.example/", enabled=False)]).added] == [
        False
    ]


def test_one_kind_at_one_place_is_one_source() -> None:
    known = SourceSpec("there", "feed", "https://a.example/feed")
    plan = planned(
        [
            feed("1", "https://a.example/feed"),
            feed("2", "HTTPS://A.example:443/feed#top"),
            feed("3", "https://b.example"),
            feed("4", "https://b.example/"),
            feed("5", "https://a.example/feed?x=1"),
            {"name": "6", "kind": "page", "url": "https://a.example/feed"},
        ],
        known,
    )
    assert names(plan) == ["3", "5", "6"]
    assert plan.present == [
        Told(1, "1", "there already as 'there'"),
        Told(2, "2", "there already as 'there'"),
        Told(4, "4", "there already as '3' (line 3)"),
    ]


def test_where_a_source_has_moved_to_it_is_known_too() -> None:
    there = Known()
    there.add(SourceSpec("old", "feed", "http://a.example/rss"), "https://a.example/feed")
    for url in ("http://a.example/rss", "https://a.example/feed"):
        assert there.at("feed", url) == "'old'"
    assert there.at("page", "https://a.example/feed") is None


def test_a_name_that_is_taken_gets_the_host_and_a_number() -> None:
    plan = planned(
        [feed("News", f"https://{host}.example/{number}") for number, host in enumerate("aabb")]
        + [
            feed("x" * 200, "https://a.example/x"),
            feed("x" * 200, f"https://{'h' * 60}.{'i' * 60}.example/x"),
        ],
        SourceSpec("News (a.example)", "feed", "https://z.example/"),
    )
    assert names(plan) == [
        "News",
        "News (a.example 2)",
        "News (b.example)",
        "News (b.example 2)",
        "x" * 200,
        "x" * 137 + f" ({'h' * 60})",
    ]


def test_a_source_without_a_name_is_called_by_its_place_without_secrets() -> None:
    plan = planned(
        [feed("", url) for url in ("https://u:s3cret@a.example/feed/?key=s3cret", "https://b.example/")]
    )
    assert names(plan) == ["a.example/feed", "b.example"]


def test_what_is_wrong_is_told_and_costs_the_others_nothing() -> None:
    plan = planned(
        [
            feed("a", "ftp://u:s3cret@a.example/"),
            feed("b", "https://a.example:25/"),
            "text",
            {"kind": "feed", "url": "https://a.example/"},
            feed("c\n", "https://a.example/"),
            feed(
                "d", "https://d.example/", options={"bearer_token": "s3cret", "headers": {"X-Key": "s3cret"}}
            ),
            {"name": "e", "kind": "fed", "url": "https://a.example/"},
            {"name": "f", "kind": "nvd", "options": {"key": "s3cret"}},
            feed("good", "https://a.example/"),
        ]
    )
    assert names(plan) == ["good"]
    text = "a secret stands there as text, and is kept nowhere; give {env: VARIABLE} or {file: PATH}"
    assert plan.refused == [
        Told(1, "a", "url: must start with http:// or https://"),
        Told(2, "b", "url: port 25 is for mail, and nothing is fetched from it"),
        Told(3, "", "must be a mapping with name and url, not text"),
        Told(4, "", "name: missing; every source needs one"),
        Told(5, "c", "name: must be printable, without blanks at its ends"),
        Told(6, "d", f"bearer_token, headers.X-Key: {text}"),
        Told(7, "e", "kind: unknown kind 'fed'; did you mean 'feed'?"),
        Told(8, "f", f"key: {text}"),
    ]


def test_paths_are_seen_from_the_list() -> None:
    plan = planned([{"name": "in", "kind": "file", "options": {"path": "inbox"}}])
    (one,) = plan.added
    assert one.spec.options["path"].endswith("/lists/inbox")
    assert one.spec.url == f"file://{one.spec.options['path']}"


hosts = st.sampled_from(["a.example", "b.example"])
items = st.builds(
    lambda name, host, path: feed(name, f"https://{host}/{path}"),
    st.sampled_from(["", "n", "n (a.example)", "n (a.example 2)", "x" * 200]),
    hosts,
    st.integers(0, 4),
)


@given(st.lists(items, max_size=20), st.lists(items, max_size=20))
def test_a_second_import_adds_what_the_first_did_not_and_no_name_twice(
    first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    once = [one.spec for one in planned(first).added]
    assert planned(first, *once).added == []
    again = [one.spec for one in planned(first + second, *once).added]
    every = once + again
    assert len({spec.name for spec in every}) == len({spec.url for spec in every}) == len(every)
    assert {spec.url for spec in every} == {one["url"] for one in first + second}
    assert all(len(spec.name) <= 200 for spec in every)
    # What is interrupted and begun anew, and what is known only in part, has the same names.
    assert [one.spec for one in planned(first).added] == once
