"""The options of the kind `nvd`."""

from __future__ import annotations

from pathlib import Path

from digestd.config.kind_options import settled
from digestd.kinds import Tools
from digestd.kinds.nvd import NvdKind, NvdOptions
from digestd.model import Source, SourceSpec
from support.nvd_site import API
from support.paged_site import parsed

PLACE = f"{API}/rest/json/cves/2.0"


def test_its_options(tmp_path: Path) -> None:
    def say(url: str | None = None, **options: object) -> object:
        done = settled(NvdOptions, "nvd", options, url, tmp_path)
        return done if isinstance(done, list) else done.url

    assert say() == say(PLACE) == PLACE
    assert say(base_url="http://127.0.0.1:1/", key={"env": "K"}) == "http://127.0.0.1:1/rest/json/cves/2.0"
    assert say("https://nvd.nist.gov/") == [
        "url: leave it out: the API has one address, and base_url tells of another site"
    ]
    for wrong in (
        {"days": 0},
        {"days": "2"},
        {"results_per_page": 2_001},
        {"results_per_page": 9},
        {"key": 5},
    ):
        done = say(**wrong)
        assert isinstance(done, list)
        assert done[0].startswith(f"options.{next(iter(wrong))}")


def test_a_key_makes_it_faster() -> None:
    def spacing(**options: object) -> float:
        kind = NvdKind(Tools(parsed))
        return kind.spacing_seconds(Source(1, SourceSpec("one", "nvd", PLACE, options=options)))

    assert spacing() == 6.0
    assert spacing(key={"secret": {"env": "K"}}) == 0.6
