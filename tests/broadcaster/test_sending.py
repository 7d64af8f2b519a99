"""Which publications have to go out: what is wanted against what boxes say they hold."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.publisher.sending import Held, Sent, due
from broadcaster.store.records import Publication
from tests.broadcaster.commune import NOW

S = timedelta(seconds=1)


def published(version: int) -> dict[str, Publication]:
    return {"c": Publication(cluster="c", version=version, content="", issued_at=NOW, envelope=b"")}


def held(version: int, *, online: bool = True) -> dict[str, Held]:
    return {"c": Held(version=version, online=online)}


def sent(version: int, *, ago: timedelta = timedelta(), times: int = 1) -> dict[str, Sent]:
    return {"c": Sent(version=version, at=NOW - ago, times=times)}


@pytest.mark.parametrize(
    ("boxes", "before", "expected"),
    [
        ({}, {}, True),  # nobody is known to hold it: the broker keeps it for whoever comes
        ({}, sent(5), False),
        ({}, sent(5, ago=timedelta(days=1)), False),
        ({}, sent(4), True),
        (held(5), {}, False),  # done, whatever the broker has forgotten
        (held(5, online=False), {}, False),
        (held(4), {}, True),
        (held(0), {}, True),
        (held(6), {}, True),
        (held(4), sent(4), True),  # a new version goes out at once
        (held(4), sent(5), False),
        (held(4), sent(5, ago=9.9 * S), False),
        (held(4), sent(5, ago=10 * S), True),
        (held(4, online=False), sent(5, ago=timedelta(days=1)), False),  # it asks when it comes back
        (held(4, online=False), {}, True),
        (held(4), sent(5, ago=19 * S, times=2), False),
        (held(4), sent(5, ago=20 * S, times=2), True),
        (held(4), sent(5, ago=299 * S, times=50), False),
        (held(4), sent(5, ago=300 * S, times=50), True),
        (held(4), sent(5, ago=300 * S, times=10**6), True),
        (held(4), sent(5, ago=-timedelta(hours=5)), True),  # the clock was set back
    ],
)
def test_what_is_due(boxes: dict[str, Held], before: dict[str, Sent], expected: bool) -> None:
    assert bool(due(published(5), boxes, before, NOW)) is expected


def test_clusters_do_not_wait_for_each_other() -> None:
    wanted = {id: Publication(cluster=id, version=2, content="", issued_at=NOW, envelope=b"") for id in ("a", "b", "c")}
    boxes = {"a": Held(version=2, online=True), "b": Held(version=1, online=True)}
    assert [each.cluster for each in due(wanted, boxes, {}, NOW)] == ["b", "c"]


steps = st.lists(st.tuples(st.sampled_from(["look", "hear", "publish", "off", "on", "lose"]), st.integers(1, 400)))


@given(steps)
def test_a_box_that_is_on_the_line_gets_what_is_wanted(history: list[tuple[str, int]]) -> None:
    """Whatever happened before: it is sent to at last, ever more rarely, and not once more when it holds it."""
    now, version, box, online = NOW, 1, 0, True
    said: dict[str, Sent] = {}

    def look() -> bool:
        found = due(published(version), held(box, online=online), said, now)
        if found:
            before = said.get("c")
            times = before.times + 1 if before and before.version == version else 1
            said["c"] = Sent(version=version, at=now, times=times)
        return bool(found)

    for event, seconds in history:
        now += timedelta(seconds=seconds)
        if event == "look":
            assert not (look() and box == version)
        elif event == "hear" and online and "c" in said:
            box = said["c"].version
        elif event == "publish":
            version += 1
        elif event in ("on", "off"):
            online = event == "on"
        elif event == "lose":
            box = 0
    online = True
    waits = []
    if box != version:
        for _ in range(6):
            begun = now
            while not look():
                now += 10 * S
                assert now - begun <= timedelta(minutes=5), "never silent for longer"
            waits.append(now - begun)
        assert waits[2:] == sorted(waits[2:]), "ever more rarely"
        box = version
    now += timedelta(days=1)
    assert not look()
