"""What the server says of a box, and what no replay can make it say."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.messages import Status
from devices.registry import ROLL_CALL, SILENCE, Health, Last, health, kept
from tests.fakes.clock import START

S = timedelta(seconds=1)
WORD, OLD_WORD = "a" * 16, "b" * 16


def status(at: float = 0, *, online: bool = True, session: str | None = None, playlist: int | None = 3) -> Status:
    return Status(box="b", cluster="c", at=START + at * S, online=online, session=session, playlist=playlist)


@pytest.mark.parametrize(
    ("received", "online", "line_since", "now", "expected"),
    [
        (0, True, 0, 1, Health.ONLINE),
        (0, True, 0, 1500, Health.ONLINE),
        (0, True, 0, 1501, Health.OFFLINE),  # nothing for 25 minutes
        (0, False, 0, 1, Health.OFFLINE),  # its will
        (0, True, None, 1, Health.UNKNOWN),  # the server is deaf itself
        (0, True, 10, 105, Health.ONLINE),  # it may still answer the roll call
        (0, True, 10, 106, Health.OFFLINE),
        (12, True, 10, 106, Health.ONLINE),  # it has
        (0, False, 10, 11, Health.OFFLINE),
        (0, True, 5000, 4000, Health.OFFLINE),  # the clock was set back, and yet it has been silent
        (4500, True, 5000, 4000, Health.ONLINE),
        (3999, True, 5000, 4000, Health.ONLINE),  # nobody is blamed for a clock that was set back
    ],
)
def test_how_a_box_is(received: float, online: bool, line_since: float | None, now: float, expected: Health) -> None:
    last = (START + received * S, status(online=online))
    since = None if line_since is None else START + line_since * S
    assert health(last, START + now * S, line_since=since) is expected


def test_a_box_that_never_reported_is_unknown() -> None:
    assert health(None, START, line_since=START) is Health.UNKNOWN
    assert (SILENCE, ROLL_CALL) == (1500 * S, 95 * S)


def keep(new: Status, last: Last | None, *, retained: bool = False, session: str | None = WORD) -> Last | None:
    return kept(new, last, retained=retained, session=session, now=START + 100 * S)


def test_a_newer_status_is_a_sign_of_life() -> None:
    assert keep(status(1), None) == (START + 100 * S, status(1))
    assert keep(status(2), (START, status(1))) == (START + 100 * S, status(2))


def test_a_copy_that_the_broker_held_is_content_and_no_sign_of_life() -> None:
    assert keep(status(2), (START, status(1)), retained=True) == (START, status(2))
    assert keep(status(1), (START, status(1)), retained=True) == (START, status(1))
    assert keep(status(5), None, retained=True) == (START + 5 * S, status(5))
    assert keep(status(500), None, retained=True) == (START + 100 * S, status(500)), "nothing comes from the future"


def test_an_old_status_again_is_nothing() -> None:
    assert keep(status(1), (START, status(2))) is None
    same = (START, status(2))
    assert keep(status(2), same) == same, "the same twice: QoS 1"


def test_the_will_counts_though_it_was_sealed_long_ago() -> None:
    last = (START, status(50, session=WORD))
    will = keep(status(1, online=False), last)
    assert will is not None
    assert (will[0], will[1].online) == (START + 100 * S, False)
    assert keep(status(40), will) is None, "what was said between its making and the last status does not count now"
    assert keep(status(40, session=WORD), will) is None
    assert keep(status(51), will) is not None, "the box itself does"


def test_a_retained_goodbye_is_heard_and_renews_nothing() -> None:
    gone = keep(status(1, online=False), (START, status(50)), retained=True)
    assert gone is not None
    assert (gone[0], gone[1].online) == (START, False)


def test_a_box_whose_clock_was_set_back_is_heard_when_it_answers_the_roll_call() -> None:
    ahead = (START, status(10_000, session=OLD_WORD))
    assert keep(status(50, session=OLD_WORD), ahead) is None
    answered = keep(status(50, session=WORD), ahead)
    assert answered == (START + 100 * S, status(50, session=WORD))
    assert keep(status(60, session=WORD), answered) is not None
    assert keep(status(55, session=WORD), (START, status(60, session=WORD))) is None, "once in a session"
    assert keep(status(50, session=OLD_WORD), ahead, session=None) is None


words = st.sampled_from([None, OLD_WORD, WORD])
"""None after a restart of the box, until it hears the beacon."""
told = st.lists(st.tuples(st.integers(0, 50), st.booleans(), words), min_size=1, max_size=12)


@given(told, st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=30))
def test_no_replay_makes_a_dead_box_look_alive(
    life: list[tuple[int, bool, str | None]], replays: list[tuple[int, bool]]
) -> None:
    """A box lives, its clock never set back, and dies; then everything that it ever said comes in any order."""
    last: Last | None = None
    said: list[Status] = []
    heard = False
    for number, (pause, online, word) in enumerate(life):
        heard = heard or word == WORD
        session = None if heard and word == OLD_WORD else word  # beacons are never older than the one before
        said.append(status(sum(each[0] + 1 for each in life[:number]) + pause, online=online, session=session))
    for number, one in enumerate(said):
        last = kept(one, last, retained=False, session=WORD, now=START + number * S) or last
    assert last is not None
    died = last[0]
    for place, retained in replays:
        again = kept(said[place % len(said)], last, retained=retained, session=WORD, now=START + 10_000 * S)
        last = again or last
        assert not last[1].online or last[0] <= died
