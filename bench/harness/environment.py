"""What a figure depends on beside the program."""

import os
import pathlib
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def first_line(command: Sequence[str]) -> str:
    """What a program says of its version, on either stream."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "not found"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""


def cpu_model() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return match.group(1) if match else platform.machine()


def mitigations() -> str:
    """Those that are in force; what the processor is not open to costs nothing."""
    directory = pathlib.Path("/sys/devices/system/cpu/vulnerabilities")
    if not directory.is_dir():
        return "unknown"
    states = {path.name: _read(str(path)) for path in sorted(directory.iterdir())}
    found = [f"{name}: {text}" for name, text in states.items() if text != "Not affected"]
    return "; ".join(found) or "none needed"


def distribution() -> str:
    match = re.search(r'^PRETTY_NAME="?(.+?)"?$', _read("/etc/os-release"), re.MULTILINE)
    return match.group(1) if match else "unknown"


def dump(versions: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """`versions`: what to call a program, and the command that prints its version."""
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    found = {
        "kernel": f"{platform.system()} {platform.release()}",
        "distribution": distribution(),
        "processor": cpu_model(),
        "cores": str(os.cpu_count()),
        "virtual machine": "yes" if " hypervisor" in _read("/proc/cpuinfo") else "no",
        "memory": _read("/proc/meminfo").splitlines()[0].split(":")[1].strip(),
        "mitigations": mitigations(),
        "governor": governor or "not visible",
    }
    return found | {name: first_line(command) for name, command in versions.items()}
