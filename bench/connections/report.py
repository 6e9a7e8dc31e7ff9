"""The results as Markdown and a plot."""

import pathlib
from collections.abc import Sequence

from bench.connections.results import Pair, Results
from bench.harness import gnuplot, markdown, summary
from bench.harness.markdown import figure

# The figures to reach.
USER_BYTES = 400
IDLE_COST = 1.05
CYCLE_RATE = 0.95
# select is for comparison, and poll is told of every connection at each wait.
FLAT_BACKENDS = ("epoll_lt", "epoll_et", "io_uring")

MARK_NOISY = "**The machine was too noisy for these figures; they are shown only because it was \
demanded (`--noisy`).**\n\n"


def backend_of(server: str) -> str:
    return server.partition("-")[2]


def _ratio(ratio: summary.Summary) -> str:
    return f"{ratio.median:.3f} ({ratio.low:.2f} to {ratio.high:.2f})"


def cycles_per_cpu(pair: Pair) -> summary.Summary:
    """How many cycles a core of the server's could do, against the floor's."""
    return summary.summarize(summary.ratios(pair.cpu_us_b, pair.cpu_us_a))


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def targets(results: Results) -> list[list[str]]:
    rows = []
    # The last of a server is the one with the most connections: pages weigh the least there.
    for each in {each.server: each for each in results.memory}.values():
        if backend_of(each.server) != "select":
            reached = each.user_per_connection <= USER_BYTES
            rows.append([f"user-space bytes per idle connection, {each.server}",
                         f"{each.connections:,}", f"at most {USER_BYTES}",
                         f"{each.user_per_connection:.0f}", _yes(reached)])
    most = max((pair.idle for pair in results.idle_cost), default=0)
    for pair in results.idle_cost:
        if pair.idle == most and backend_of(pair.a) in FLAT_BACKENDS:
            ratio = pair.cpu_ratio()
            rows.append([f"one active among idle ones against none, {pair.a}", f"{pair.idle:,}",
                         f"at most {IDLE_COST}", _ratio(ratio), _yes(ratio.median <= IDLE_COST)])
    for pair in results.churn:
        ratio = cycles_per_cpu(pair)
        rows.append([f"accept-request-close cycles, {pair.a} / {pair.b}", "32 at once",
                     f"at least {CYCLE_RATE}", _ratio(ratio), _yes(ratio.median >= CYCLE_RATE)])
    return rows


def _memory(results: Results) -> str:
    head = ["server", "connections", "user bytes each", "kernel bytes each (both ends)",
            "MiB before", "idle", "after a burst", "after closing"]
    rows = [
        [
            each.server, f"{each.connections:,}", f"{each.user_per_connection:.0f}",
            figure(each.kernel_per_connection),
            *(f"{size / 2**20:.1f}"
              for size in (each.before, each.idle, each.after_burst, each.after_close)),
        ]
        for each in results.memory
    ]
    return markdown.table(head, rows)


def _idle_cost(results: Results) -> str:
    head = ["server", "idle", "CPU us/request", "without idle ones", "ratio"]
    rows = [
        [
            pair.a, f"{pair.idle:,}", figure(summary.summarize(pair.cpu_us_a).median),
            figure(summary.summarize(pair.cpu_us_b).median), _ratio(pair.cpu_ratio()),
        ]
        for pair in results.idle_cost
    ]
    return markdown.table(head, rows)


def _churn(results: Results) -> str:
    head = ["server", "CPU us/cycle", "floor", "cycles per core, of the floor's", "cycles/s",
            "floor", "observed rate, of the floor's"]
    rows = [
        [
            pair.a,
            *(figure(summary.summarize(side).median) for side in (pair.cpu_us_a, pair.cpu_us_b)),
            _ratio(cycles_per_cpu(pair)),
            *(figure(summary.summarize(side).median) for side in (pair.rate_a, pair.rate_b)),
            _ratio(pair.rate_ratio()),
        ]
        for pair in results.churn
    ]
    return markdown.table(head, rows)


def _how(results: Results) -> str:
    options = results.options
    noise = "not measured" if results.noise is None else f"{results.noise:.1%}"
    command = f"./dev bench connections {options['arguments']}".strip()
    lines = [
        f"Measured {results.created} by `{command}`: one process and one thread per server on core "
        f"{options['server_core']}, the clients on core {options['client_core']}, "
        f"{options['pairs']} rounds of {options['seconds']} s.",
        "Ratios are medians over rounds, in brackets the quartiles, each of runs that followed one "
        "another. CPU is that of the server's process, the kernel's work for it included.",
        f"Noise, the median distance from 1 of a server's ratio to itself: {noise}.",
        "User bytes are anonymous memory of the server's process, so a page counts once it was "
        "written to. Kernel bytes are the growth of the slabs of the whole machine, for both ends "
        "of a connection, without the server's poll set where that lies in its own memory.",
        "A cycle connects, has one request answered and closes, 32 at once. The clients' half of "
        "connecting costs more than the server's, so the clients are the limit of the observed "
        "rate; what a core of the server's could do follows from its CPU per cycle.",
        *(f"Not measured: {reason}." for reason in results.left_out),
    ]
    return "\n".join(f"* {line}" for line in lines) + "\n\n"


def plot_lines(results: Results) -> tuple[list[int], list[gnuplot.Line]]:
    places = sorted({0, *(pair.idle for pair in results.idle_cost)})
    lines = []
    for server in dict.fromkeys(pair.a for pair in results.idle_cost):
        ratios: dict[int, float | None] = {
            pair.idle: pair.cpu_ratio().median for pair in results.idle_cost if pair.a == server
        }
        ratios[0] = 1.0
        lines.append(gnuplot.Line(backend_of(server), [ratios.get(place) for place in places]))
    return places, lines


PLOT_TITLE = "CPU per request of one active connection, against none idle"


def markdown_text(results: Results, plot: str) -> str:
    head: Sequence[str] = ["what", "connections", "reach", "measured", "reached"]
    text = "# Many connections\n\n" + (MARK_NOISY if results.noisy else "") + _how(results)
    text += "## Figures to reach\n\n" + markdown.table(head, targets(results))
    text += "\n## Memory\n\n" + _memory(results)
    text += "\n## One active connection among idle ones\n\n"
    text += (f"![{PLOT_TITLE}]({plot})\n\n" if plot else "") + _idle_cost(results)
    text += "\n## Accepting, answering once, closing\n\n" + _churn(results)
    environment = [[key, value] for key, value in results.environment.items()]
    return text + "\n## Machine\n\n" + markdown.table(["", ""], environment)


def write(results: Results, directory: pathlib.Path) -> list[pathlib.Path]:
    directory.mkdir(parents=True, exist_ok=True)
    plot = directory / "connections-idle.svg"
    places, lines = plot_lines(results)
    gnuplot.draw(gnuplot.lines_script(plot, PLOT_TITLE, "ratio", "idle connections",
                                      [f"{place:,}" for place in places], lines, 1.0))
    page, data = directory / "connections.md", directory / "connections.json"
    page.write_text(markdown_text(results, plot.name))
    data.write_text(results.to_json())
    return [plot, page, data]
