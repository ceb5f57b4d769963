"""What a process counts and times of itself, for `GET /metrics`; like its log, it belongs to no room.

The series have words of ours as labels, never a tenant, a number, a session or a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from settings.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call]

PREFIX = "switchboard"
_LAG_EVERY_SECONDS = 0.5
# From what nobody notices to what Slack does not wait for.
_LAGS = (0.005, 0.02, 0.1, 0.5, 1.0, 3.0)
# A local answer, the slowest of the promises, WAHA's own waiting, the longest control call.
_CALLS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 45.0)
_SENDS = frozenset({"POST /api/sendText", "POST /api/sendImage", "POST /api/sendFile"})
_OUTCOME_OF_SEND = {
    "ok": "accepted",
    **dict.fromkeys(("WahaNotSent", "WahaThrottled", "WahaKeyRefused", "NotWaha", "SessionNotReady"), "not_sent"),
    **dict.fromkeys(("WahaUncertain", "WahaBusy", "WahaUnavailable", "WahaUnreadable"), "unknown"),
}


class Meters:
    """The instruments of one process, `bot` or `daemon`, and the page that shows them."""

    def __init__(self, process: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self.registry)
        build = self._gauge("build_info", "Which Switchboard this is; always 1.", ("process", "version"))
        build.labels(process, VERSION).set(1)
        self._slack_calls = self._counter("slack_calls", "Calls to Slack.", ("method", "outcome"))
        self._slack_seconds = self._histogram("slack_call_seconds", "How long calls to Slack took.", _CALLS, "method")
        self._waha_calls = self._counter("waha_calls", "Calls to WAHA.", ("route", "outcome"))
        self._waha_seconds = self._histogram("waha_call_seconds", "How long calls to WAHA took.", _CALLS, "route")
        self._sends = self._counter("sends", "Messages handed to WAHA, by what became of the call.", ("outcome",))
        self._lag = self._histogram("event_loop_lag_seconds", "How late the event loop woke a task.", _LAGS)

    def slack_call(self, method: str, outcome: str, seconds: float) -> None:
        """For `slack.client.SlackClient(observe=…)`."""
        self._slack_calls.labels(method, outcome).inc()
        self._slack_seconds.labels(method).observe(seconds)

    def waha_call(self, route: str, outcome: str, seconds: float) -> None:
        """For `waha.client.WahaClient(observe=…)`."""
        self._waha_calls.labels(route, outcome).inc()
        self._waha_seconds.labels(route).observe(seconds)
        if route in _SENDS:
            self._sends.labels(_OUTCOME_OF_SEND.get(outcome, "refused")).inc()

    async def watch_loop(self) -> None:
        """Measure for ever how late the event loop is: every acknowledgement is as late."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _LAG_EVERY_SECONDS
            await asyncio.sleep(_LAG_EVERY_SECONDS)
            self._lag.observe(max(0.0, clock() - due))

    def page(self) -> tuple[bytes, str]:
        """All series, and their content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"{PREFIX}_{name}_total", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", about, labels, buckets=buckets, registry=self.registry)


@dataclass(frozen=True)
class Family:
    """A gauge whose values are read when it is asked for."""

    about: str
    labels: tuple[str, ...] = ()


POOL: Mapping[str, Family] = {
    "pool_connections": Family("Connections of this process to PostgreSQL.", ("state",)),
    "pool_size_max": Family("How many connections this process may have."),
    "pool_waiting": Family("Operations that wait for a connection."),
}


class Readings(Collector):
    """Gauges that are set as a whole before each page; a family without values still says what it is."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._values: list[tuple[str, Mapping[str, str], float]] = []

    def show(self, values: Iterable[tuple[str, Mapping[str, str], float]]) -> None:
        """`("queue_depth", {"queue": "posts"}, 3)`; what belongs to no family is left out."""
        self._values = [one for one in values if one[0] in self._families]

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", family.about, labels=family.labels)
            for series, labels, value in self._values:
                if series == name:
                    gauge.add_metric([str(labels[label]) for label in family.labels], value)
            yield gauge
