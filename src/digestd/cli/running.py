"""The daemon and `--once`, from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from digestd import log
from digestd.cli.loading import load_configuration, resolve_level
from digestd.config import Configuration
from digestd.daemon import packages
from digestd.daemon.once import Selection, Summary, Watcher
from digestd.daemon.once import once as go_once
from digestd.feed.text import collapse, strip_controls


def serve(config_file: Path | None, log_level: str | None) -> None:
    """Run the daemon until a signal ends it."""
    # The daemon's alone: `--once` needs it only where something is due.
    from digestd.daemon.serve import serve as go_on

    def load() -> Configuration:
        config = load_configuration(config_file)
        worker = config.settings.worker.model_copy(update={"log_level": resolve_level(config, log_level)})
        return replace(config, settings=config.settings.model_copy(update={"worker": worker}))

    packages.require()
    config = load()
    log.set_up(config.settings.worker.log_level, config.settings.worker.log_format)
    trio.run(go_on, config, os.environ, load)


def once(
    config_file: Path | None,
    log_level: str | None,
    names: tuple[str, ...],
    everything: bool,
    limit: int | None,
) -> int:
    """Run `--once`, print its summary and return the exit status."""
    packages.require()
    config = load_configuration(config_file)
    known = {spec.name for spec in config.sources}
    if not known.issuperset(names):
        # Only here: it shows tables, too, by Rich, which takes 0.02 s.
        from digestd.cli.tables import kept_sources

        # Commands may have added it to the database.
        known |= {status.source.name for status in trio.run(kept_sources, config)}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"digestd: no source is called {unknown[0]!r}; `digestd check` lists them", file=sys.stderr)
        return 2
    disabled = [spec.name for spec in config.sources if spec.name in names and not spec.enabled]
    if disabled:
        print(f"digestd: the source {disabled[0]!r} is disabled; enable it first", file=sys.stderr)
        return 2
    level = resolve_level(config, log_level)
    summary = poll_once(config, level, Selection(names, everything, limit))
    print(summary_text(summary))
    return os.EX_TEMPFAIL if summary.every_source_failed else os.EX_OK


def poll_once(config: Configuration, level: str, selection: Selection) -> Summary:
    """Poll with a progress bar where stderr is a terminal, with log lines alone where it is not."""
    style = config.settings.worker.log_format
    if sys.stderr is None or not sys.stderr.isatty():
        log.set_up(level, style)
        return trio.run(go_once, config, os.environ, selection, Watcher())
    # Only where somebody sees it: Rich takes 0.02 s.
    from digestd.cli.bar import Bar

    # The bar tells what INFO would tell; what went wrong still gets its line above it.
    log.set_up("WARNING" if level == "INFO" else level, style)
    with Bar() as bar:
        return trio.run(go_once, config, os.environ, selection, bar)


def summary_text(summary: Summary) -> str:
    """The summary of `--once`, one number to a line, with the reason of each failure."""
    totals = summary.totals
    lines = ["interrupted by a signal; what was polled is kept"] if summary.interrupted else []
    lines += [
        f"sources checked    {totals['sources_checked']} of {summary.sources}",
        f"        fetched    {totals['sources_fetched']}",
        f"        unchanged  {totals['sources_unchanged']}",
        f"        failed     {len(summary.failures)}",
        *(
            f"          {collapse(strip_controls(name))}: {failure.cause}: {collapse(strip_controls(failure.message))}"
            for name, failure in sorted(summary.failures.items())
        ),
        *_not_polled(summary),
        f"articles new       {totals['articles_new']}",
        f"         updated   {totals['articles_updated']}",
        *_pages(totals),
        f"seconds            {totals['duration_seconds']:.1f}",
    ]
    if not summary.sources and not summary.interrupted:
        lines.append("no source was due; --all polls every source now")
    return "\n".join(lines)


def _not_polled(summary: Summary) -> list[str]:
    if not summary.not_polled:
        return []
    reasons = [
        f"          {collapse(strip_controls(name))}: {collapse(strip_controls(reason))}"
        for name, reason in sorted(summary.not_polled.items())
    ]
    return [f"        not polled {len(reasons)}", *reasons]


def _pages(totals: Mapping[str, Any]) -> list[str]:
    lines = [f"pages read         {totals['pages_done']}"]
    for outcome, label in (("pages_failed", "failed"), ("pages_skipped", "skipped")):
        if totals[outcome]:
            lines.append(f"      {label:<13}{totals[outcome]}")
    if totals["pages_pending"]:
        age = totals["pages_oldest_seconds"] or 0
        known = f"{age / 3600:.1f} h" if age >= 3600 else f"{age} s"
        lines.append(f"      pending      {totals['pages_pending']}, the oldest known for {known}")
    return lines
