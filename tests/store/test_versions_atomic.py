"""A revision and the version that it replaces are written both or neither, wherever the transaction ends."""

from __future__ import annotations

from dataclasses import replace

from digestd.store import Recorded
from store.builders import entry, one, source_ids, spec, step, taken, without
from store.conftest import bench_at
from store.cuts import PowerCut, cut_before
from store.documents import serve


async def test_a_revision_that_is_cut_off_anywhere_did_nothing(database: str) -> None:
    async with bench_at(database) as bench:
        source_id = one(await source_ids(bench.store, spec()))
        said = [entry("1", content="at 0"), entry("2", facts={"due": "today"})]
        await serve(bench, source_id, *said)
        # So many that the next one lets the second one go.
        for number in range(1, 4):
            said[0] = entry("1", content=f"at {number}")
            await serve(bench, source_id, *said)
        revised = [entry("1", content="at 4"), replace(said[1], facts={"due": "soon"}, content_hash="0" * 64)]
        claim = await taken(bench.store, source_id, force=True)
        before = bench.articles(), bench.versions(), without(bench.row(source_id), "lease_expires_at")
        for number in range(100):
            try:
                with cut_before(number) as statements:
                    (answer,) = await bench.store.record([step(claim, *revised)])
                break
            except PowerCut:
                after = bench.articles(), bench.versions(), without(bench.row(source_id), "lease_expires_at")
                assert after == before
        assert answer == Recorded(0, 2)
        assert any("DELETE FROM article_versions" in statement for statement in statements)
        first, second = bench.articles()
        assert [(one["article_id"], one["number"]) for one in bench.versions()] == [
            (first["id"], 1),
            *((second["id"], number) for number in (1, 3, 4)),
        ]
