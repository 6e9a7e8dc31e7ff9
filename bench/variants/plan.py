"""What runs next to what: two variants, base between them, so that each is a neighbour of base."""

import dataclasses
from collections.abc import Sequence

from bench.http.scenarios import PIPELINED, Scenario
from bench.variants.servers import AGAIN, BASE, HELLO_BACKENDS, hello

SCENARIOS = (Scenario(64), Scenario(1000), PIPELINED)
ALLOCATOR_SCENARIOS = (Scenario(1000),)


@dataclasses.dataclass(frozen=True)
class Group:
    """They are asked one after another, first forwards, then backwards, and so on."""

    base: str
    members: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    count_calls: bool = True

    @property
    def name(self) -> str:
        return ", ".join(self.members)

    @property
    def again(self) -> str | None:
        """The base's double, if this group tells the noise."""
        return next((name for name in self.members if name == self.base + AGAIN), None)


def around(base: str, others: Sequence[str], scenarios: tuple[Scenario, ...],
           count_calls: bool = True) -> list[Group]:
    groups = []
    for index in range(0, len(others), 2):
        pair = others[index : index + 2]
        members = (pair[0], base, *pair[1:])
        groups.append(Group(base, members, scenarios, count_calls))
    return groups


def ring_groups(variants: Sequence[str], scenarios: tuple[Scenario, ...]) -> list[Group]:
    """The noise first: where there is too much, nothing else needs to be measured."""
    return around(BASE, [BASE + AGAIN, *variants], scenarios)


def allocator_groups(servers: Sequence[str], scenarios: tuple[Scenario, ...]) -> list[Group]:
    groups = []
    for backend in HELLO_BACKENDS:
        base = hello(backend)
        others = [name for name in servers if name.startswith(base + " ")]
        if others:
            groups += around(base, [base + AGAIN, *others], scenarios, count_calls=False)
    return groups
