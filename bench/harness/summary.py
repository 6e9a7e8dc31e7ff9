"""Medians, and how far the values lie around them."""

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Summary:
    median: float
    low: float  # quartiles
    high: float
    count: int


def summarize(values: Sequence[float]) -> Summary:
    if not values:
        raise ValueError("nothing to summarize")
    if len(values) == 1:
        return Summary(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(median, low, high, len(values))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Round by round. Only values that were taken next to each other may be divided."""
    if len(numerators) != len(denominators):
        raise ValueError("rounds do not match")
    return [a / b for a, b in zip(numerators, denominators) if b > 0]


def noise(values: Sequence[float]) -> float:
    """Of ratios of a thing to itself: the median distance from 1."""
    return statistics.median(abs(value - 1) for value in values)
