"""The daemon: polls until a signal ends it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import trio

from digestd.config import Configuration, WebSettings, database_url
from digestd.daemon.collecting import keep_short, postpone, resume, settle, tidy
from digestd.daemon.ending import Ending, expected_alone
from digestd.daemon.following import Following
from digestd.daemon.health import Health
from digestd.daemon.opening import Known, open_known, tell_started, tell_stopped
from digestd.daemon.pipeline import Pipeline, open_pipeline
from digestd.daemon.readiness import Readiness
from digestd.daemon.reporting import Reporting
from digestd.daemon.retention import Retention
from digestd.daemon.watchdog import watchdog
from digestd.ingest.supervisor import Supervisor
from digestd.log import get_logger
from digestd.metrics import Metrics
from digestd.store import Store
from digestd.store.engine import folder_of
from digestd.systemd import Notifier, watchdog_interval
from digestd.web.address import Address
from digestd.web.state import DaemonState

METRICS_SECONDS = 60.0


async def serve(config: Configuration, environ: Mapping[str, str], load: Callable[[], Configuration]) -> None:
    """Run the daemon until a signal ends it; `load` reads the configuration again, for SIGHUP.

    Error handling: raises one :class:`digestd.errors.DigestdError` when the store, or the address of
    `web.listen`, is not to be had at start; outages later are waited for. Cancellation: like the second
    signal.
    """
    with expected_alone():
        await _serve(config, environ, load)


async def _serve(
    config: Configuration, environ: Mapping[str, str], load: Callable[[], Configuration]
) -> None:
    serve_web = _load_web(config.settings.web)
    tidy()
    ending = Ending(config.settings.worker.shutdown_grace_seconds)
    metrics = Metrics(trio.current_time())
    async with trio.open_nursery() as services:
        await services.start(ending.watch)
        with ending.hurry:
            async with open_known(config, environ, ending, metrics) as known:
                if known is not None:
                    await _run_daemon(config, environ, load, known, ending, metrics, services, serve_web)
        services.cancel_scope.cancel()
    tell_stopped(metrics, trio.current_time())


async def _run_daemon(
    config: Configuration,
    environ: Mapping[str, str],
    load: Callable[[], Configuration],
    known: Known,
    ending: Ending,
    metrics: Metrics,
    services: trio.Nursery,
    serve_web: Callable[..., Awaitable[None]] | None,
) -> None:
    """Poll what is `known`, with all that goes with it, until shutdown is over."""
    async with open_pipeline(config, known, ending, metrics) as pipeline:
        pipeline.around.hosts.prepare()
        metrics.remember(pipeline.statuses)
        supervisor = Supervisor(pipeline.around, metrics, config.settings.worker.interval_seconds)
        folder = folder_of(database_url(config.settings.database, environ))
        health = Health(pipeline, supervisor, metrics, folder)
        readiness = Readiness(pipeline.store, pipeline.around.store, ending.shutdown)
        if serve_web is not None:
            web = config.settings.web
            await services.start(serve_web, web, health.state, readiness.reason, pipeline.store)
        services.start_soon(_tick, metrics, name="metrics ticker")
        tell_started(config, environ, len(pipeline.statuses))
        notifier = Notifier.from_environment(environ)
        reporting = Reporting(notifier, health.state, ending.shutdown)
        following = Following(config, load, pipeline, supervisor, ending, reporting)
        retention = Retention(
            config.settings.retention,
            pipeline.store,
            ending.shutdown,
            pipeline.around.chance,
            pipeline.around.crashes,
        )
        beside: dict[str, Callable[[], Awaitable[None]]] = {
            "progress ticker": health.tick,
            "readiness": readiness.run,
            "reporting": reporting.run,
            "retention": retention.run,
        }
        if (interval := watchdog_interval(environ, os.getpid())) is not None:
            beside["watchdog"] = partial(watchdog, notifier, interval, health.stalled, ending.shutdown)
        await _run_sources(pipeline, ending, supervisor, reporting, following, beside)


def _load_web(settings: WebSettings) -> Callable[..., Awaitable[None]] | None:
    """The web server's coroutine, imported only where it is wanted: it costs a tenth of a second and 6 MB.

    Called before anything is open: until then a signal ends the process at once, however long the import takes.
    """
    if settings.enabled is False:
        return None
    from digestd.web.pages import StatusPages
    from digestd.web.server import serve_web

    async def serve_all(
        settings: WebSettings,
        read: Callable[[], DaemonState],
        unready: Callable[[], Awaitable[str | None]],
        store: Store,
        *,
        task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        address = Address.parse(settings.listen)
        pages = StatusPages(store.overview, read, address, settings.token)
        await serve_web(address, read, unready, settings.hosts, pages, task_status=task_status)

    return serve_all


async def _run_sources(
    pipeline: Pipeline,
    ending: Ending,
    supervisor: Supervisor,
    reporting: Reporting,
    following: Following,
    beside: Mapping[str, Callable[[], Awaitable[None]]],
) -> None:
    """Run the sources, and `beside` them, by name, what lives exactly as long as they do, until shutdown is over."""
    try:
        async with trio.open_nursery() as sources:
            supervisor.start(sources, pipeline.statuses)
            pipeline.statuses.clear()
            if pipeline.extraction is not None:
                sources.start_soon(pipeline.extraction.run, name="extraction")
            sources.start_soon(ending.bound_by_grace, sources.cancel_scope, name="shutdown")
            for name, task in beside.items():
                sources.start_soon(task, name=name)
            sources.start_soon(following.run, sources, name="following")
            # Once every task sleeps. What was garbage before they were made is gone: to look through them for more
            # would keep 100,000 sources from their first polls for a second.
            await trio.lowlevel.checkpoint()
            settle(collected=False)
            sources.start_soon(keep_short, ending.shutdown, name="garbage collection")
            reporting.ready()
            await ending.shutdown.begun.wait()
            postpone()
            reporting.stopping(ending.grace_seconds)
    finally:
        resume()
    ending.tell_if_cut_off()


async def _tick(metrics: Metrics) -> None:
    while True:
        await trio.sleep(METRICS_SECONDS)
        get_logger().info("worker.metrics", **metrics.event(trio.current_time()))
