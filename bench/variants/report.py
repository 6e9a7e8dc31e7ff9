"""The results as Markdown."""

import pathlib
import statistics

from bench.harness import markdown, summary
from bench.harness.markdown import figure
from bench.http.report import MARK_NOISY
from bench.http.results import Results
from bench.http.scenarios import Scenario
from bench.variants import servers
from bench.variants.servers import AGAIN, BASE, FLOOR, HELLO_BACKENDS, VARIANTS, hello

COUNTED_BY = {"tracepoint": "the kernel's sys_enter tracepoint",
              "strace": "strace, which slows the server: fewer waits than without it"}


def _ratio(ratio: summary.Summary | None) -> str:
    return "-" if ratio is None else f"{ratio.median:.3f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _scenarios(results: Results, kind: str) -> list[Scenario]:
    return list(dict.fromkeys(row.scenario for row in results.rows if row.kind == kind))


def _calls(results: Results, server: str, scenario: Scenario) -> str:
    counts = [row.calls_per_request for row in results.find(server, scenario)
              if row.calls_per_request is not None]
    return figure(statistics.median(counts)) if counts else "-"


def _variants(results: Results) -> str:
    scenarios = _scenarios(results, "variant")
    what = {BASE: "multishot receive into a buffer ring, send entries", BASE + AGAIN: "noise",
            FLOOR: "another program that does the same", **VARIANTS}
    rows = []
    for name, text in what.items():
        if not any(results.find(name, scenario) for scenario in scenarios):
            continue
        ratios = ["1" if name == BASE else _ratio(results.cpu_ratio(name, BASE, scenario))
                  for scenario in scenarios]
        calls = [_calls(results, name, scenario) for scenario in scenarios]
        rows.append([name, text, *ratios, *calls])
    head = ["variant", "what differs", *(each.name for each in scenarios),
            *(f"system calls, {each.name}" for each in scenarios)]
    return "\n## Variants of the io_uring floor\n\n" + markdown.table(head, rows) if rows else ""


def _allocators(results: Results) -> str:
    rows = []
    for backend in HELLO_BACKENDS:
        base = hello(backend)
        names = [base, base + AGAIN, *(hello(backend, each) for each in servers.ALLOCATORS)]
        for scenario in _scenarios(results, "quintet"):
            for name in names:
                found = results.find(name, scenario)
                if not found:
                    continue
                ratio = results.cpu_ratio(name, base, scenario)
                peak = statistics.median(row.peak_rss_bytes or 0 for row in found)
                rows.append([name, scenario.name, "1" if name == base else _ratio(ratio),
                             figure(peak / 2**20)])
    head = ["server and allocator", "connections", "CPU per request", "peak RSS MiB"]
    return "\n## Allocators\n\n" + markdown.table(head, rows) if rows else ""


def _busy(results: Results) -> str:
    shares = []
    for scenario in _scenarios(results, "variant"):
        busy = [sample.server_busy for row in results.find(BASE, scenario)
                for sample in row.samples]
        shares.append(f"{statistics.median(busy):.0%} ({scenario.name})")
    return ", ".join(shares)


def _how(results: Results) -> str:
    options = results.options
    command = f"./dev bench variants {options['arguments']}".strip()
    lines = [
        f"Measured {results.created} by `{command}`: servers on core {options['server_core']}, wrk "
        f"on core {options['client_core']}, rounds: {options['pairs']}, seconds of each run: "
        f"{options['seconds']}.",
        "Ratios are CPU per request over that of base, or of hello with the allocator of the C "
        "library: medians over rounds, in brackets the quartiles, each of neighbouring runs. CPU "
        "is that of all threads of the process, also of the kernel's own in it, and what the "
        "kernel did for it.",
        "Noise, the median distance from 1 of a server's ratio to itself: "
        + (", ".join(f"{when} {value:.1%}" for when, value in results.noise.items())
           or "not measured") + ".",
        *([f"Base was busy for {busy} of the time; for the rest it waited for the load generator, "
           "and a wait finds fewer completions than it would."]
          if (busy := _busy(results)) else []),
        *([f"System calls are per request, counted by {COUNTED_BY[results.calls_counted_by]}."]
          if results.calls_counted_by else []),
        *(f"Not measured: {reason}." for reason in results.left_out),
    ]
    return "\n".join(f"* {line}" for line in lines) + "\n"


def markdown_text(results: Results) -> str:
    text = "# What pays on io_uring, and allocators\n\n"
    text += (MARK_NOISY + "\n" if results.noisy else "") + _how(results)
    text += _variants(results) + _allocators(results)
    environment = [[key, value] for key, value in results.environment.items()]
    return text + "\n## Machine\n\n" + markdown.table(["", ""], environment)


def write(results: Results, page: pathlib.Path) -> list[pathlib.Path]:
    data = page.with_suffix(".json")
    page.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(results.to_json())
    page.write_text(markdown_text(results))
    return [page, data]
