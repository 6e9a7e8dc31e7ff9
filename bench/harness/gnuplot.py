"""SVG plots by gnuplot."""

import dataclasses
import pathlib
import shutil
import subprocess
from collections.abc import Sequence

from bench.harness.errors import Missing, Refused

# Told apart also without colour vision (Okabe and Ito).
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
WIDTH, HEIGHT = 760, 440


@dataclasses.dataclass(frozen=True)
class Line:
    title: str
    values: Sequence[float | None]  # one for each place on the x axis


def _text(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _head(path: pathlib.Path, title: str, y_label: str) -> str:
    return (
        f"set terminal svg size {WIDTH},{HEIGHT} noenhanced font 'sans-serif,12' "
        "background '#ffffff'\n"
        f"set output {_text(str(path))}\n"
        f"set title {_text(title)}\nset ylabel {_text(y_label)}\n"
        "set grid ytics linecolor '#dddddd'\nset border 3\nset tics nomirror out\n"
    )


def lines_script(
    path: pathlib.Path,
    title: str,
    y_label: str,
    x_label: str,
    places: Sequence[str],
    lines: Sequence[Line],
    reference: float | None = None,
    logarithmic: bool = False,
) -> str:
    """Lines over places at equal distances, so that 1 and 1000 fit on one axis."""
    script = _head(path, title, y_label) + f"set xlabel {_text(x_label)}\n"
    script += "set key outside right top\n"
    ticks = ", ".join(f"{_text(place)} {x}" for x, place in enumerate(places))
    script += f"set xtics ({ticks})\nset xrange [-0.3:{len(places) - 0.7}]\n"
    script += "set logscale y\n" if logarithmic else ""
    free = logarithmic or reference is not None
    script += "set yrange [*:*]\n" if free else "set yrange [0:*]\n"
    plots = []
    if reference is not None:
        plots.append(f"{reference} notitle with lines linecolor '#888888' dashtype 2")
    data = ""
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        plots.append(
            f"'-' using 1:2 title {_text(line.title)} with linespoints linewidth 2 "
            f"linecolor '{colour}' pointtype {number % 7 + 4}"
        )
        points = [f"{x} {y}" for x, y in enumerate(line.values) if y is not None]
        data += "\n".join(points) + "\ne\n"
    return script + "plot " + ", ".join(plots) + "\n" + data


def bars_script(
    path: pathlib.Path,
    title: str,
    y_label: str,
    places: Sequence[str],
    bars: Sequence[Line],
    reference: float | None = None,
    logarithmic: bool = False,
) -> str:
    """Groups of bars: one group for each place, one bar of each colour in it."""
    script = _head(path, title, y_label) + "set key outside right top\n"
    script += "set logscale y\nset yrange [1:*]\n" if logarithmic else "set yrange [0:*]\n"
    script += "set style data histogram\nset style histogram clustered gap 1\n"
    script += "set style fill solid 0.9 noborder\nset xtics rotate by -30\n"
    plots, data = [], ""
    if reference is not None:
        plots.append(f"{reference} notitle with lines linecolor '#888888' dashtype 2")
    for number, bar in enumerate(bars):
        colour = COLOURS[number % len(COLOURS)]
        plots.append(f"'-' using 2:xtic(1) title {_text(bar.title)} linecolor '{colour}'")
        rows = [
            f"{_text(place)} {'NaN' if value is None else value}"
            for place, value in zip(places, bar.values)
        ]
        data += "\n".join(rows) + "\ne\n"
    return script + "plot " + ", ".join(plots) + "\n" + data


def draw(script: str) -> None:
    if shutil.which("gnuplot") is None:
        raise Missing("gnuplot is not installed (Debian: gnuplot-nox)")
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Refused(f"gnuplot: {done.stderr.strip()}")
