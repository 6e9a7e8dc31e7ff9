"""The results as Markdown."""

import pathlib
from collections.abc import Iterable

from bench.files import servers
from bench.files.results import CrowdRow, Results, Row
from bench.harness import markdown, summary
from bench.harness.markdown import figure

# The figures to reach.
RATE = 1.0  # of nginx and curl
LIST_P99_MS = 50.0

MIB = 1 << 20
MARK_NOISY = "**The machine was too noisy for these figures; they are shown only because it was \
demanded (`--noisy`).**\n\n"


def size_text(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} B"


def _ratio(ratio: summary.Summary) -> str:
    return f"{ratio.median:.3f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def reference_of(results: Results, row: Row) -> Row | None:
    """nginx to the same sink, or to curl."""
    client = "sink" if row.client == "sink" else "curl"
    return results.find("get", servers.REFERENCE.name, client, row.size)


def compared(results: Results, clients: Iterable[str]) -> list[tuple[Row, Row]]:
    """The gets of our servers with such a client, each with its reference."""
    pairs = []
    for row in results.rows:
        reference = reference_of(results, row)
        if row.what == "get" and row.client in clients and row.server != servers.REFERENCE.name \
                and reference is not None:
            pairs.append((row, reference))
    return pairs


def targets(results: Results) -> list[list[str]]:
    rows = []
    for row, reference in compared(results, ("sink", "files")):
        ratio = row.ratio("rate", reference)
        what = f"{row.server} against nginx, the same client" if row.client == "sink" else \
            f"{row.server} and files get against nginx and curl"
        rows.append([f"get of {size_text(row.size)}, {what}", f"at least {RATE:g}", _ratio(ratio),
                     _yes(ratio.median >= RATE)])
    for crowd in results.crowds:
        p99 = crowd.median("p99") / 1000
        rows.append([f"lists beside {crowd.getters + crowd.putters} transfers, {crowd.server}, p99",
                     f"below {LIST_P99_MS:g} ms", f"{p99:.1f} ms", _yes(p99 < LIST_P99_MS)])
    return rows


def _gets(results: Results, clients: tuple[str, ...]) -> str:
    head = ["size", "server", "client", "MiB/s", "of the reference's", "server CPU s/GiB",
            "of the reference's", "client CPU s/GiB"]
    rows = []
    for row in results.rows:
        if row.what != "get" or row.client not in clients:
            continue
        reference = reference_of(results, row)
        own = reference is None or reference is row
        ratios = ["", ""] if own or reference is None else [
            _ratio(row.ratio("rate", reference)), _ratio(row.ratio("server_cpu_per_gib", reference))
        ]
        rows.append([
            size_text(row.size), row.server, row.client, figure(row.median("rate") / MIB),
            ratios[0], figure(row.median("server_cpu_per_gib")), ratios[1],
            figure(row.median("client_cpu_per_gib")),
        ])
    return markdown.table(head, rows)


def _puts(results: Results) -> str:
    head = ["size", "server", "--fsync", "MiB/s", "server CPU s/GiB", "client CPU s/GiB"]
    rows = [
        [
            size_text(row.size), row.server, row.fsync, figure(row.median("rate") / MIB),
            figure(row.median("server_cpu_per_gib")), figure(row.median("client_cpu_per_gib")),
        ]
        for row in results.rows if row.what == "put"
    ]
    return markdown.table(head, rows)


def _crowds(crowds: list[CrowdRow]) -> str:
    head = ["server", "getters", "putters", "lists, p50 ms", "p99 ms", "longest ms", "down MiB/s",
            "up MiB/s"]
    rows = []
    for row in crowds:
        seconds = row.median("seconds")
        rows.append([
            row.server, str(row.getters), str(row.putters),
            *(figure(row.median(metric) / 1000) for metric in ("p50", "p99", "max")),
            *(figure(row.median(metric) / seconds / MIB) for metric in ("bytes_down", "bytes_up")),
        ])
    return markdown.table(head, rows)


def _how(results: Results) -> str:
    options = results.options
    noise = "not measured" if results.noise is None else f"{results.noise:.1%}"
    command = f"./dev bench files {options['arguments']}".strip()
    lines = [
        f"Measured {results.created} by `{command}`: one shard or worker per server on core "
        f"{options['server_core']}, the clients on core {options['client_core']}, medians of "
        f"{options['pairs']} rounds of {options['seconds']} s, or of one transfer where that takes "
        "longer.",
        "All get the same file, which is in the page cache. nginx has sendfile, tcp_nopush and one "
        "worker. Server CPU is that of its whole process, the kernel's work for it included: on "
        "loopback that is also most of what the client's end of TCP costs.",
        "The sink is the least client: one connection, gets one after another, and bytes that the "
        "kernel throws away (MSG_TRUNC).",
        "`files` and curl are a process for each transfer, which counts from its start to its end; "
        "of small files that is the start of the process. Both write a file.",
        "Ratios are medians over rounds, in brackets the quartiles, each of runs in the same "
        "round. A ratio of rates above 1 and one of CPU below 1 is better than the reference.",
        f"Noise, the median distance from 1 of a server's CPU time to itself: {noise}.",
        f"The lister asks every 10 ms for {options['crowd_seconds']} s; its latency counts from "
        "when a list was due, with the lag of the load itself, which has one core for everything.",
        *(f"Not measured: {reason}." for reason in results.left_out),
    ]
    return "\n".join(f"* {line}" for line in lines) + "\n\n"


def markdown_text(results: Results) -> str:
    text = "# Files\n\n" + (MARK_NOISY if results.noisy else "") + _how(results)
    text += "## Figures to reach\n\n"
    text += markdown.table(["what", "reach", "measured", "reached"], targets(results))
    text += "\n## Gets, servers with the same sink\n\n" + _gets(results, ("sink",))
    text += "\n## Gets, servers with their clients\n\n" + _gets(results, ("files", "curl"))
    text += "\n## Puts\n\n" + _puts(results)
    text += "\n## Lists beside a crowd that transfers\n\n" + _crowds(results.crowds)
    environment = [[key, value] for key, value in results.environment.items()]
    return text + "\n## Machine\n\n" + markdown.table(["", ""], environment)


def write(results: Results, directory: pathlib.Path) -> list[pathlib.Path]:
    directory.mkdir(parents=True, exist_ok=True)
    page, data = directory / "files.md", directory / "files.json"
    page.write_text(markdown_text(results))
    data.write_text(results.to_json())
    return [page, data]
