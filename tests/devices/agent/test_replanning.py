"""What sounds and what is said of it when new playlists come at any moment, beside everything else that may happen."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent.conduct.playlists import Agenda
from devices.messages import Outcome
from tests.devices.agent.paper import FILES, FINALS, agenda, second
from tests.devices.agent.test_clock_jumps import Pole, whole
from tests.fakes.clock import START

ALARM_S = 5.0


class Office:
    """A pole, and the official who withdraws slots, brings them back and sets alarms."""

    def __init__(self, drawn: list[tuple[int, int, str | float | None]]) -> None:
        self.slots: list[tuple[str, float, float]] = []
        at = 1.0
        for number, (gap, length, _) in enumerate(drawn):
            self.slots.append((f"s{number}", at + gap, float(length)))
            at += gap + length
        self.late = {f"s{number}": kind for number, (_, _, kind) in enumerate(drawn) if kind is not None}
        self.gone: set[str] = set()
        self.alarms: list[tuple[str, float, float]] = []
        self.version = 0
        self.pole = Pole(self.plan())

    def plan(self) -> Agenda:
        self.version += 1
        left = [
            one for one in self.slots if one[0] not in self.gone and not any(_meet(one, each) for each in self.alarms)
        ]
        said = sorted([*left, *self.alarms], key=lambda one: one[1])
        return agenda(*said, if_late=self.late, emergencies=tuple(one[0] for one in self.alarms), version=self.version)

    def withdraw(self, which: int) -> None:
        self.gone ^= {f"s{which}"}
        self.pole.plan = self.plan()

    def alarm(self, ahead: int) -> None:
        """Set an alarm so many seconds ahead of what the box's clock shows."""
        now = (START + self.pole.passed + self.pole.box.ahead - START).total_seconds() + ahead
        new = (f"a{len(self.alarms)}", now, ALARM_S)
        if not any(_meet(new, each) for each in self.alarms):
            self.alarms.append(new)
            self.pole.plan = self.plan()


def _meet(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    return one[1] < other[1] + other[2] and other[1] < one[1] + one[2]


kinds = st.sampled_from([None, "skip", 30.0, 200.0])
nights = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40), kinds), min_size=2, max_size=6)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.integers(1, 30)),
        st.tuples(st.just("withdraw"), st.integers(0, 5)),
        st.tuples(st.just("alarm"), st.integers(0, 20)),
        st.tuples(st.just("cut_power"), st.integers(1, 60)),
        st.tuples(st.just("set_clock"), st.integers(-40, 40)),
        st.tuples(st.sampled_from(["lose", "fetch"]), st.none()),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(nights, acts)
def test_whatever_is_planned_anew_nothing_sounds_twice_or_beside_another_or_without_being_wanted(
    drawn: list[tuple[int, int, str | float | None]], script: list[tuple[str, int | None]]
) -> None:
    office = Office(drawn)
    pole = office.pole
    for what, amount in script:
        if amount is None:
            pole.files = FILES if what == "fetch" else {}
        else:
            getattr(office if what in ("withdraw", "alarm") else pole, what)(amount)
    pole.outlive()
    heard = [*whole(pole.box.pieces)]
    for earlier, later in pairwise(heard):
        assert earlier.end <= later.begin, "two slots sound at once"
    assert all(entry.final for entry in pole.box.ledger.values())
    for id_ in {event.slot for event in pole.box.events} | {piece.slot for piece in heard} | pole.plan.slots.keys():
        assert id_ is not None
        finals = [outcome for outcome, _ in pole.box.told(id_) if outcome in FINALS]
        assert len(finals) == 1, id_
        assert pole.box.told(id_)[-1][0] in FINALS
        assert sum(not piece.place for piece in heard if piece.slot == id_) <= 1, "begun from its beginning twice"


def test_an_alarm_sounds_at_its_second_whatever_else_does() -> None:
    office = Office([(0, 60, None), (10, 40, 200.0)])
    office.pole.live(30)
    office.pole.set_clock(20)
    office.alarm(1)
    office.pole.outlive()
    (alarm,) = (event for event in office.pole.box.events if event.slot == "a0" and event.outcome is Outcome.STARTED)
    assert (alarm.at, alarm.offset) == (second(51), 0)
    assert office.pole.box.told("s0")[-1] == (Outcome.INTERRUPTED, "withdrawn")
