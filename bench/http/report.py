"""The results as Markdown and plots."""

import pathlib
import statistics
from collections.abc import Callable, Sequence

from bench.harness import gnuplot, markdown, summary
from bench.harness.markdown import figure
from bench.http import targets
from bench.http.plan import COMPARED
from bench.http.results import Results, Row
from bench.http.scenarios import TAILS, VARIED, Scenario
from bench.http.servers import BACKENDS

MARK_NOISY = "**The machine was too noisy for these figures; they are shown only because it was \
demanded (`--noisy`).**\n"


def _scenarios(results: Results) -> list[Scenario]:
    return list(dict.fromkeys(row.scenario for row in results.rows))


def _servers(results: Results, scenario: Scenario, seccomp: bool) -> list[str]:
    return list(
        dict.fromkeys(
            row.server
            for row in results.rows
            if row.scenario == scenario and row.seccomp == seccomp
        )
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _cell(value: float | None, scale: float = 1.0) -> str:
    return "-" if value is None else figure(value * scale)


def _ratio_cell(ratio: summary.Summary | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio.median:.3f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _notes(rows: Sequence[Row]) -> str:
    samples = [sample for row in rows for sample in row.samples]
    notes = []
    # A single connection waits for one side or the other all the time: neither is the limit.
    several = any(row.scenario.connections > 1 for row in rows)
    limited = sum(several and sample.client_was_limit for sample in samples)
    if 2 * limited > len(samples):
        idle = 1 - statistics.median(sample.server_busy for sample in samples)
        notes.append(f"the load generator was the limit, the server {idle:.0%} idle")
    if any(each is None for row in rows for each in row.latencies):
        notes.append("did not keep up with the fixed rate")
    return "; ".join(notes)


def _absolute_row(results: Results, server: str, scenario: Scenario, seccomp: bool) -> list[str]:
    rows = results.find(server, scenario, seccomp)
    samples = [sample for row in rows for sample in row.samples]
    latencies = [each for row in rows for each in row.latencies if each is not None]

    def sampled(metric: str) -> str:
        return _cell(_median([getattr(sample, metric) for sample in samples]))

    def late(metric: str) -> str:
        return _cell(_median([getattr(each, metric) for each in latencies]))

    return [
        server,
        *map(sampled, ("requests_per_second", "cpu_us", "user_us", "system_us")),
        _cell(_median([row.calls_per_request for row in rows])),
        _cell(_median([row.ready_per_wait for row in rows])),
        *map(late, ("p50", "p90", "p99", "p99_9")),
        _cell(_median([row.peak_rss_bytes for row in rows]), 1 / 2**20),
        _notes(rows),
    ]


def _absolute(results: Results) -> str:
    head = [
        "server", "requests/s", "CPU us/request", "user", "system", "system calls/request",
        "ready/wait", "p50 us", "p90 us", "p99 us", "p99.9 us", "peak RSS MiB", "note",
    ]
    text = ""
    for seccomp in (False, True):
        for scenario in _scenarios(results):
            servers = _servers(results, scenario, seccomp)
            if not servers:
                continue
            title = scenario.title + (", under a seccomp filter" if seccomp else "")
            rate = results.rates.get(scenario.name)
            found = [row for each in servers for row in results.find(each, scenario, seccomp)]
            timed = rate and any(row.latencies for row in found)
            said = f"Latencies at {rate:,.0f} requests/s.\n\n" if timed else ""
            rows = [_absolute_row(results, server, scenario, seccomp) for server in servers]
            text += f"### {title}\n\n{said}{markdown.table(head, rows)}\n"
    return text


def _ratios(results: Results) -> str:
    """Each pair that met, over the scenarios."""
    scenarios = _scenarios(results)
    pairs: dict[tuple[str, str, bool], None] = {}
    for row in results.rows:
        for other in results.rows:
            if (row.group, row.scenario) == (other.group, other.scenario):
                pair = (row.server, other.server, row.seccomp)
                if _is_ratio(*pair[:2]):
                    pairs[pair] = None
    rows = []
    for a, b, seccomp in pairs:
        cells = [_ratio_cell(results.cpu_ratio(a, b, each, seccomp)) for each in scenarios]
        rows.append([f"{a} / {b}" + (" (seccomp)" if seccomp else ""), *cells])
    return markdown.table(["CPU per request", *(each.name for each in scenarios)], rows)


def _is_ratio(a: str, b: str) -> bool:
    (kind, _, backend), (other_kind, _, other_backend) = a.partition("-"), b.partition("-")
    if kind == "quintet":
        if other_kind == "floor":
            return backend == other_backend
        if other_kind != "quintet":
            return True  # against a peer
    return kind == other_kind and (backend, other_backend) == ("io_uring", "epoll_et")


def _targets(results: Results) -> str:
    rows = [
        [
            each.what, each.scenario.name, each.reach, _ratio_cell(each.measured),
            str(each.measured.count), "yes" if each.reached else "**no**",
        ]
        for each in targets.measured(results)
    ]
    head = ["what", "connections", "reach", "median (quartiles)", "values", "reached"]
    return "\n## Figures to reach\n\n" + markdown.table(head, rows) if rows else ""


def _how(results: Results) -> str:
    count = {"tracepoint": "the kernel's sys_enter tracepoint", "strace": "strace, which slows the \
server so that it finds more connections ready per wait than it would have"}
    options = results.options
    lines = ["All servers ran under a seccomp filter."] if results.filtered else []
    lines += [
        f"Measured {results.created} by `./dev bench http {options['arguments']}`".rstrip("` ")
        + "`: one process and one thread per server on core "
        f"{options['server_core']}, the load generator on core {options['client_core']}, "
        f"rounds: {options['pairs']}, seconds of each run: {options['seconds']}.",
        "Ratios are medians over rounds, in brackets the quartiles, each of runs that followed one "
        "another. Absolute figures move with the speed of the machine: compare them in one table "
        "only, and with care.",
        "CPU is that of the server's whole process tree, the kernel's work for it included. "
        "Latencies are counted from when a request was due (open model, no coordinated omission).",
    ]
    if any(scenario.varied for scenario in _scenarios(results)):
        lines.append(
            "Requests are equal octet by octet, and Quintet does not read a head again that equals "
            "the last one. Where it says \"varied\", no head equals the one before."
        )
    if results.calls_counted_by:
        lines.append(f"System calls were counted by {count[results.calls_counted_by]}.")
    noise = ", ".join(f"{when} {value:.1%}" for when, value in results.noise.items())
    lines.append(
        "Noise, the median distance from 1 of a server's ratio to itself: "
        f"{noise or 'not measured'}."
    )
    lines += [f"Not measured: {reason}." for reason in results.left_out]
    return "\n".join(f"* {line}" for line in lines) + "\n"


def _plot_files(results: Results, stem: str) -> list[tuple[str, str]]:
    """File name and title of the plots there are figures for."""
    return [(f"{stem}-{name}.svg", title) for name, title, _ in _plots(results)]


def markdown_text(results: Results, stem: str) -> str:
    text = "# The hello benchmark\n\n" + (MARK_NOISY + "\n" if results.noisy else "")
    text += _how(results) + _targets(results)
    text += "\n## Ratios\n\n" + _ratios(results) + "\n## Plots\n\n"
    text += "".join(f"![{title}]({file})\n\n" for file, title in _plot_files(results, stem))
    text += "## All figures\n\n" + _absolute(results)
    environment = [[key, value] for key, value in results.environment.items()]
    return text + "## Machine\n\n" + markdown.table(["", ""], environment)


# ---- Plots ----

Plot = tuple[str, str, Callable[[pathlib.Path], str]]


def _plots(results: Results) -> list[Plot]:
    scenarios = _scenarios(results)
    places = [each.name for each in scenarios]
    found: list[Plot] = []

    ratio_lines = []
    for backend in BACKENDS:
        ratios = [
            results.cpu_ratio(f"quintet-{backend}", f"floor-{backend}", each)
            for each in scenarios
        ]
        if any(ratios):
            values = [ratio.median if ratio else None for ratio in ratios]
            ratio_lines.append(gnuplot.Line(backend, values))
    if ratio_lines:
        title = "CPU per request of Quintet over its backend's floor"
        found.append((
            "floors", title,
            lambda path: gnuplot.lines_script(
                path, title, "ratio", "connections", places, ratio_lines, 1.0
            ),
        ))

    def cpu_of(server: str, scenario: Scenario) -> float | None:
        rows = results.find(server, scenario)
        return _median([sample.cpu_us for row in rows for sample in row.samples])

    plain = [each for each in scenarios if not each.pipelined]
    cpu_lines = []
    for backend in BACKENDS:
        values = [cpu_of(f"quintet-{backend}", each) for each in plain]
        if any(values):
            cpu_lines.append(gnuplot.Line(backend, values))
    if cpu_lines:
        cpu_title = "CPU per request of Quintet"
        found.append((
            "backends", cpu_title,
            lambda path: gnuplot.lines_script(
                path, cpu_title, "microseconds", "connections", [each.name for each in plain],
                cpu_lines,
            ),
        ))

    peers = list(dict.fromkeys(row.server for row in results.rows if row.kind == "peer"))
    ours = next((each for each in reversed(COMPARED) if _ran(results, each)), None)
    if peers and ours:
        # Not microseconds: these servers ran at different times.
        others = [each for each in COMPARED if each != ours and _ran(results, each)] + peers
        bars: list[gnuplot.Line] = []
        for each in (each for each in (*targets.MANY, VARIED) if each in scenarios):
            ratios = [results.cpu_ratio(other, ours, each) for other in others]
            values = [ratio.median if ratio else None for ratio in ratios]
            if any(values):
                bars.append(gnuplot.Line(each.title, values))
        peers_title = f"CPU per request over that of {ours} in the same rounds"
        if bars:
            found.append((
                "peers", peers_title,
                lambda path: gnuplot.bars_script(path, peers_title, "ratio", others, bars, 1.0),
            ))
        found += _tail_plot(results, [*COMPARED, *peers])
    return found


def _ran(results: Results, server: str) -> bool:
    return any(row.server == server for row in results.rows)


def _tail_plot(results: Results, servers: Sequence[str]) -> list[Plot]:
    def late(metric: str) -> list[float | None]:
        return [
            _median([
                getattr(each, metric)
                for row in results.find(server, TAILS)
                for each in row.latencies
                if each is not None
            ])
            for server in servers
        ]

    bars = [gnuplot.Line(name, late(metric)) for name, metric in (("p50", "p50"), ("p99", "p99"),
                                                                  ("p99.9", "p99_9"))]
    if not any(bars[0].values):
        return []
    title = f"Latency at the same fixed rate, {TAILS.title}"
    return [(
        "latency", title,
        lambda path: gnuplot.bars_script(
            path, title, "microseconds", servers, bars, logarithmic=True
        ),
    )]


def write(results: Results, directory: pathlib.Path, stem: str) -> list[pathlib.Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    # What cannot be had again without measuring comes first.
    for suffix, text in ((".json", results.to_json()), (".md", markdown_text(results, stem))):
        path = (directory / stem).with_suffix(suffix)
        path.write_text(text)
        written.append(path)
    for name, _, script in _plots(results):
        path = directory / f"{stem}-{name}.svg"
        gnuplot.draw(script(path))
        written.append(path)
    return written
