"""What runs next to what.

A group is a few servers that are asked one after another, a second each, round after round, first
forwards, then backwards. Ratios are taken inside one round only: the speed of a machine, above all
of a virtual one, changes from minute to minute by more than what is to be shown.

A server is in several groups, and what is not made a ratio of is measured in the first of them.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from bench.http.scenarios import TAILS, Scenario
from bench.http.servers import Server

# What peers are compared with: the backend that `auto` takes, and the one it falls back to.
COMPARED = ("quintet-epoll_et", "quintet-io_uring")
# As many share one measurement of ours. Between two runs of a ratio then lie at most two others.
PEERS_AT_A_TIME = 3


@dataclasses.dataclass(frozen=True)
class Group:
    name: str
    members: tuple[str, ...]
    seccomp: bool = False

    def without(self, names: Iterable[str]) -> "Group":
        gone = set(names)
        kept = tuple(name for name in self.members if name not in gone)
        return dataclasses.replace(self, members=kept)

    def ratios(self) -> list[tuple[str, str]]:
        """What is divided by what."""
        found = []
        for name in self.members:
            kind, _, backend = name.partition("-")
            if kind == "quintet" and f"floor-{backend}" in self.members:
                found.append((name, f"floor-{backend}"))
        for kind in ("quintet", "floor"):
            pair = (f"{kind}-io_uring", f"{kind}-epoll_et")
            if set(pair) <= set(self.members):
                found.append(pair)
        for name in self.members:
            if _is_peer(name):
                found += [(ours, name) for ours in COMPARED if ours in self.members]
        return found

    @property
    def has_peer(self) -> bool:
        return any(map(_is_peer, self.members))


def _is_peer(name: str) -> bool:
    return not name.startswith(("quintet-", "floor-"))


def groups(servers: Sequence[Server], seccomp: bool, filters: bool = True) -> list[Group]:
    """All comparisons between these servers. `seccomp`: everything under a filter; `filters`: there
    are filters at all."""
    names = {server.name for server in servers}
    both = ("floor-epoll_et", "quintet-epoll_et", "quintet-io_uring", "floor-io_uring")
    found = [
        Group(backend, (f"floor-{backend}", f"quintet-{backend}"), seccomp)
        for backend in ("select", "poll", "epoll_lt")
    ]
    found.append(Group("io_uring and epoll_et", both, seccomp))
    if filters and not seccomp:
        found.append(Group("io_uring and epoll_et under seccomp", both, True))
    peers = [server.name for server in servers if server.kind == "peer"]
    for first in range(0, len(peers), PEERS_AT_A_TIME):
        some = peers[first : first + PEERS_AT_A_TIME]
        # Ours and theirs take turns.
        members = (*some[1:2], COMPARED[0], some[0], COMPARED[1], *some[2:])
        found.append(Group(" and ".join(some), members, seccomp))
    left = [group.without(set(group.members) - names) for group in found]
    compared = [group for group in left if len(group.members) > 1]
    # What is compared with nothing is measured all the same, unless a group above does.
    done = {name for group in compared for name in group.members}
    alone = [group for group in left if len(group.members) == 1 and group.seccomp == seccomp]
    return compared + [group for group in alone if group.members[0] not in done]


@dataclasses.dataclass(frozen=True)
class Step:
    """A group in a scenario."""

    group: Group
    scenario: Scenario
    timed: frozenset[str]  # whose latencies at the fixed rate are taken
    counted: frozenset[str]  # whose system calls are counted


def steps(
    found: Sequence[Group], scenarios: Sequence[Scenario], targets_only: bool = False
) -> list[Step]:
    """`targets_only`: no latencies but those that are compared."""
    # What a filter changes is CPU time: no latencies there, unless everything is under one.
    plain = [group for group in found if not group.seccomp] or found
    timed: set[tuple[str, Scenario]] = set()
    counted: set[tuple[str, Scenario, bool]] = set()
    made = []
    for scenario in scenarios:
        for group in found:
            if scenario == TAILS and group.has_peer:
                to_time = set(group.members)
            elif scenario.at_fixed_rate and group in plain and not targets_only:
                to_time = {name for name in group.members if (name, scenario) not in timed}
            else:
                to_time = set()
            to_count = {
                name
                for name in group.members
                if (name, scenario, group.seccomp) not in counted
            }
            made.append(Step(group, scenario, frozenset(to_time), frozenset(to_count)))
            timed |= {(name, scenario) for name in to_time}
            counted |= {(name, scenario, group.seccomp) for name in to_count}
    return made
