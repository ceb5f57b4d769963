"""Figures over all tenants, as numbers by words of ours: for the metrics and the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from database import connection, transaction
from operations.sql import rows, value


@dataclass(frozen=True)
class Measured:
    """`queue_depth` with {"queue": "posts"} is 3."""

    series: str
    labels: Mapping[str, str]
    value: float


def measure() -> list[Measured]:
    with transaction():
        return rows(Measured, "SELECT series, labels, value FROM measure()")


def answer() -> None:
    """It raises nothing where PostgreSQL answers, whatever is counted meanwhile."""
    with connection():
        value("SELECT 1")
