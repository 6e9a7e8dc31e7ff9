"""The results as Markdown and JSON."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from bench.harness import markdown
from bench.herd.measure import Case, Wakes


@dataclasses.dataclass
class Row:
    case: Case
    wakes: Wakes
    spreads: dict[int, list[int]]  # by the number of connections


@dataclasses.dataclass
class Results:
    created: str
    options: dict[str, object]
    environment: dict[str, str]
    rows: list[Row] = dataclasses.field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def spread_text(spread: Sequence[int]) -> str:
    """All of a few, the least and the most of many."""
    if len(spread) <= 4:
        return "/".join(str(each) for each in spread)
    return f"{min(spread)} to {max(spread)}"


def markdown_text(results: Results) -> str:
    counts = sorted({count for row in results.rows for count in row.spreads})
    head = ["backend", "workers", "policy", "wake-ups per connection", "empty accepts",
            *(f"{count:,} connections" for count in counts)]
    body = [
        [row.case.backend, f"{row.case.workers} {row.case.kind}", row.case.policy,
         f"{row.wakes.per_connection:.2f}", str(row.wakes.empty),
         *(spread_text(row.spreads[count]) if count in row.spreads else "-" for count in counts)]
        for row in results.rows
    ]  # fmt: skip
    facts = [[name, value] for name, value in results.environment.items()]
    return (
        "# Listening policies\n\n"
        f"Made by `./dev bench herd {results.options['arguments']}`".rstrip("` ") + "`"
        f", {results.created}.\n\n"
        "Wake-ups: how often a thread of the server went to sleep while lone connections came, "
        "divided by these. Empty accepts: workers that were woken, looked and found nobody, in "
        "all; io_uring does not tell. Spread: long connections per worker, all of four workers, "
        "the least and the most of sixteen.\n\n"
        + markdown.table(head, body)
        + "\n## Where\n\n"
        + markdown.table(["what", "value"], facts)
    )


def write(results: Results, directory: pathlib.Path) -> list[pathlib.Path]:
    page, data = directory / "herd.md", directory / "herd.json"
    page.write_text(markdown_text(results))
    data.write_text(results.to_json())
    return [page, data]
