"""The results as Markdown and plots."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from bench.harness import gnuplot, markdown
from bench.harness.markdown import figure
from bench.models import plan, servers
from bench.models.plan import HELLO, SERVICES, SLOW, Scenario
from bench.models.results import Results, Row

STEM = "models"
MARK_NOISY = "**The machine was too noisy for these figures; they are shown only because it was \
demanded (`--noisy`).**\n\n"
MODES = {True: "a client keeps its connection", False: "a connection for each request"}
SHORT_MODES = {True: "connections kept", False: "one request a connection"}
# One line each in the plots that compare models, and in those that compare backends.
COMPARED = ("iterative", "fork", "thread", "prefork", servers.REFERENCE.name)
BACKENDS = tuple(each.name for each in servers.MODELS if each.backend)
HERD = frozenset(each.name for each in servers.HERD)


# ---- Tables ----


def _cell(value: float | None, scale: float = 1.0) -> str:
    return "-" if value is None else figure(value * scale)


def _cells(row: Row) -> list[str]:
    size = row.size
    return [
        _cell(row.peak("requests_per_second")), _cell(row.rate),
        _cell(row.late("p50")), _cell(row.late("p99")),
        _cell(row.peak("cpu_us")), _cell(row.peak("switches")),
        *(("-", "-", "-") if size is None else
          (_cell(size.pss_bytes, 1 / 2**20), _cell(size.page_table_bytes, 1 / 2**20),
           f"{size.processes}/{size.threads}")),
        "; ".join(row.notes),
    ]  # fmt: skip


HEAD = ("connections", "server", "requests/s", "fixed rate", "p50 us", "p99 us", "CPU s/million",
        "switches/request", "memory MiB", "page tables MiB", "processes/threads", "note")


def _table(rows: Sequence[Row]) -> str:
    return markdown.table(
        HEAD, [[str(row.scenario.connections), row.server, *_cells(row)] for row in rows]
    )


def _herd_table(rows: Sequence[Row]) -> str:
    head = ("connections", "workers wait in", "requests/s", "p50 us", "p99 us", "CPU s/million",
            "switches/request", "empty accepts/request", "note")
    return markdown.table(head, [
        [
            str(row.scenario.connections), row.server.removeprefix("prefork-"),
            _cell(row.peak("requests_per_second")), _cell(row.late("p50")), _cell(row.late("p99")),
            _cell(row.peak("cpu_us")), _cell(row.peak("switches")),
            _cell(row.peak("empty_accepts")), "; ".join(row.notes),
        ]
        for row in rows
    ])  # fmt: skip


def _tables(results: Results) -> str:
    text = ""
    plain = [row for row in results.rows if row.server not in HERD]
    for service in SERVICES:
        for keep, words in MODES.items():
            rows = [row for row in plain
                    if (row.scenario.service, row.scenario.keep) == (service.name, keep)]
            if rows:
                text += f"## {_title(service.title)}, {words}\n\n"
                text += "".join(f"![{plot.title}]({plot.file})\n\n" for plot in plots(results)
                                if (plot.service, plot.keep) == (service.name, keep))
                text += _table(rows) + "\n"
    herd = [row for row in results.rows if row.server in HERD]
    if herd:
        text += "## How pre-forked workers wait\n\n" \
                f"hello, {MODES[False]}, {servers.HERD_WORKERS} workers. Empty accepts: workers " \
                "that were woken, looked and found nobody.\n\n" + _herd_table(herd) + "\n"
    return text


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _how(results: Results) -> str:
    options = results.options
    noise = "not measured" if results.noise is None else f"{results.noise:.1%}"
    command = f"./dev bench models {options['arguments']}".strip()
    lines = [
        f"Measured {results.created} by `{command}`: the server, with all its processes and "
        f"threads, on core {options['server_core']}, the load on core {options['client_core']}, "
        f"rounds: {options['rounds']}, seconds of each run: {options['seconds']:g}. Each run had a "
        "server of its own.",
        "Requests/s: clients that ask again as soon as they were answered (closed model). Where "
        "the load was the limit, the server could do more.",
        f"p50 and p99: at a fixed rate, {plan.RATE_SHARE:g} of the requests/s of the same row, "
        "counted from when a request was due (open model, no coordinated omission). None where "
        f"requests were left without a reply. Where the rate is low, over up to "
        f"{plan.MOST_PACED_SECONDS:g} s; of fewer than a hundred requests p99 is the slowest.",
        "CPU: of the whole process tree, processes and threads that ended included, the kernel's "
        "work for them too. Seconds per million requests are microseconds per request.",
        "Memory: the proportional set size (PSS) of the whole tree, because forked processes share "
        "most of their pages, and RSS counts a shared page once for each. (Pages of libraries that "
        "other programs have in use count by their share, too.) Page tables are not in it, and "
        "each process has its own. Where clients keep their connections: behind the peak, with all "
        "connections open; else the largest of some looks during a run.",
        "Switches: context switches of the tree, voluntary and not. Where clients keep their "
        "connections: of its threads, which all live on, between the beginning and the end of the "
        "run. Else of all that there ever were, as the kernel tells once the server has ended "
        "(getrusage(2)), less those before the run; ending is among them.",
        f"fork and thread may have {servers.MAX_CHILDREN:,} children, prefork has "
        f"{servers.PREFORK_WORKERS} workers in accept(2); the reactor is one loop.",
        f"Noise, the median distance from 1 of the CPU of {servers.REFERENCE.name} to itself: "
        f"{noise}.",
        *(f"Not measured: {reason}." for reason in results.left_out),
        *(f"Failed: {reason}." for reason in results.failures),
    ]
    return "\n".join(f"* {line}" for line in lines) + "\n\n"


def markdown_text(results: Results) -> str:
    text = "# Server models, measured\n\n" + (MARK_NOISY if results.noisy else "")
    text += "What each model is, and how to read this, is in [models.md](../models.md).\n\n"
    text += _how(results) + _tables(results)
    environment = [[key, value] for key, value in results.environment.items()]
    return text + "## Machine\n\n" + markdown.table(["", ""], environment)


# ---- Plots ----


@dataclasses.dataclass(frozen=True)
class Plot:
    service: str
    keep: bool
    name: str
    title: str
    y_label: str
    value: Callable[[Row], float | None]
    servers: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def file(self) -> str:
        mode = "keep" if self.keep else "close"
        return f"{STEM}-{self.service}-{mode}-{self.name}.svg"


def _memory(row: Row) -> float | None:
    return row.size and (row.size.pss_bytes + row.size.page_table_bytes) / 2**20


_METRICS: dict[str, tuple[str, str, Callable[[Row], float | None]]] = {
    "rate": ("Requests per second", "requests/s", lambda row: row.peak("requests_per_second")),
    "cpu": ("CPU per request", "microseconds", lambda row: row.peak("cpu_us")),
    "p99": ("p99 at half of the peak rate", "microseconds", lambda row: row.late("p99")),
    "memory": ("Memory and page tables", "MiB", _memory),
    "switches": ("Context switches per request", "switches", lambda row: row.peak("switches")),
}
_SHOWN = (
    (HELLO, True, ("rate", "cpu", "p99", "memory", "switches")),
    (HELLO, False, ("rate", "cpu", "p99", "switches")),
    (SLOW, True, ("rate", "p99")),
    (SLOW, False, ("rate", "p99")),
)
_BACKENDS_SHOWN = (HELLO, True, ("rate", "cpu"))


def plots(results: Results) -> list[Plot]:
    """Those there are figures for."""
    found = []
    wanted = [(*each, COMPARED, "") for each in _SHOWN]
    for service, keep, names, compared, suffix in (*wanted, (*_BACKENDS_SHOWN, BACKENDS,
                                                             "-backends")):
        rows = [row for row in results.rows
                if (row.scenario.service, row.scenario.keep) == (service.name, keep)
                and row.server in compared]
        places = tuple(sorted({row.scenario.connections for row in rows}))
        for name in names:
            title, y_label, value = _METRICS[name]
            if any(value(row) for row in rows):
                found.append(Plot(
                    service.name, keep, name + suffix,
                    f"{title}: {service.short}, {SHORT_MODES[keep]}",
                    y_label, value, compared, places,
                ))
    return found


def script(results: Results, plot: Plot, path: pathlib.Path) -> str:
    lines = []
    for server in plot.servers:
        values = []
        for place in plot.places:
            row = results.find(server, Scenario(plot.service, plot.keep, place))
            value = plot.value(row) if row else None
            values.append(value if value and value > 0 else None)  # the axis has no zero
        if any(values):
            lines.append(gnuplot.Line(server, values))
    return gnuplot.lines_script(path, plot.title, plot.y_label, "connections",
                                [f"{place:,}" for place in plot.places], lines, logarithmic=True)


def write(results: Results, directory: pathlib.Path) -> list[pathlib.Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    # What cannot be had again without measuring comes first.
    for suffix, text in ((".json", results.to_json()), (".md", markdown_text(results))):
        path = (directory / STEM).with_suffix(suffix)
        path.write_text(text)
        written.append(path)
    for plot in plots(results):
        path = directory / plot.file
        gnuplot.draw(script(results, plot, path))
        written.append(path)
    return written
