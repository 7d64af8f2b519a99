"""What planning costs: a province of 10,000 clusters, one hamlet of it, and how both grow.

A province is made from a seed: 500 hamlets of 20 clusters in communes of ten hamlets; 300 programmes, a tenth of
them for everybody, the others for three hamlets each, daily, on some weekdays, every half hour of a morning, on
lunar days; levels, tiers and what may be done when the air is taken all mixed. The province has quiet hours,
every commune a limit of minutes and sessions a day.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from statistics import median
from typing import TypeVar
from zoneinfo import ZoneInfo

from benchmarks.figures import Figure
from broadcaster.publisher.content import Content, content_of
from broadcaster.publisher.playlists import issue
from broadcaster.store.records import Publication, Rendition
from devices.envelope import SigningKey
from schedules.levels import Level, Policy
from schedules.plan import Plan
from schedules.plans import Facts, Plans
from schedules.programmes import Approval, IfTaken, Item, Programme, Yielding, content_digest
from schedules.recurrence import Every, Recurrence, starts
from schedules.rules import Hours, LocalRules
from schedules.zones import Cluster, Targets, Zone

T = TypeVar("T")

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
START = datetime(2026, 11, 22, 17, tzinfo=UTC)
"""Midnight in the province."""
DAYS = 7
NOW = START + timedelta(hours=9)
HAMLET, HAMLETS_A_COMMUNE, PROGRAMMES = 20, 10, 300
DIGESTS = tuple(f"{number:064x}" for number in range(40))
MINUTES = (1, 2, 3, 5, 8)
RENDITIONS = {
    digest: Rendition(
        digest=digest,
        size_bytes=180_000,
        duration=timedelta(minutes=MINUTES[number % len(MINUTES)]),
        media_type="audio/ogg",
        loudness_lufs=-16.0,
        peak_dbtp=-1.0,
    )
    for number, digest in enumerate(DIGESTS)
}


def figures() -> Iterator[Figure]:
    """Measure, and yield each figure as it is known."""
    yield _age()
    province, key = _province(10_000), SigningKey.generate()
    planning, plans = _timed(lambda: _planned(province), rounds=5)
    signing = _timed(lambda: _signed(plans, key), rounds=2)[0]
    slots = sum(len(plans[cluster].timeline.slots) for cluster in plans) / len(plans)
    yield Figure(figure="slots of a playlist, mean", value=slots, unit="", limit=None)
    yield Figure(figure="full plan of 10,000 clusters", value=planning, unit="s", limit=None)
    yield Figure(figure="full plan to JSON and signing of its playlists", value=planning / signing, unit="x", limit=1.5)
    few, many = (_one_more(_province(count), key) for count in (1_000, 10_000))
    yield Figure(figure="one more programme for one hamlet, to signed playlists", value=many * 1e3, unit="ms", limit=20)
    yield Figure(figure="the same among 10,000 to among 1,000 clusters", value=many / few, unit="x", limit=1.3)
    yield _preview(plans)
    yield from _growth()


def _age() -> Figure:
    """Expand a week of rules that began ten years ago and yesterday; the worst ratio of them."""
    rules = (
        "FREQ=DAILY;BYHOUR=5,17",
        "FREQ=WEEKLY;BYDAY=MO,WE,FR",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=20,25",
        "FREQ=MINUTELY;INTERVAL=45",
        "FREQ=DAILY;BYHOUR=5,17;COUNT=90000",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15",
    )
    worst = 0.0
    for rule in rules:
        old, new = (Recurrence(start=datetime(year, 11, 21, 5), rule=rule) for year in (2016, 2026))

        def cost(recurrence: Recurrence) -> float:
            began = time.perf_counter()
            for _ in range(20):
                list(starts(recurrence, START, START + timedelta(days=DAYS), ZONE))
            return time.perf_counter() - began

        pairs = [(cost(old), cost(new)) for _ in range(30)]
        worst = max(worst, min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs))
    return Figure(figure="a rule ten years old to one of yesterday, worst of 8", value=worst, unit="x", limit=1.2)


def _one_more(province: Facts, key: SigningKey) -> float:
    """Return seconds, median, from one more approved programme for a hamlet to the playlists of its clusters."""
    plans = _planned(province)
    new = _programme(10**6, random.Random(1), ("h7",), everybody=False)
    less, more = list(province.programmes), [*province.programmes, new]
    times = []
    for _ in range(25):
        plans.update(replace(province, programmes=tuple(less)))
        facts = replace(province, programmes=tuple(more))
        gc.collect()
        began = time.perf_counter()
        changed = plans.update(facts)
        issued = _issued({cluster: plans[cluster] for cluster in changed}, key)
        times.append(time.perf_counter() - began)
        assert len(issued) == HAMLET
    return median(times)


def _preview(plans: Plans) -> Figure:
    candidate = _programme(10**6, random.Random(2), (), everybody=True)
    taken, effects = _timed(lambda: plans.preview(candidate), rounds=7)
    assert sum(len(effect.clusters) for effect in effects) == len(plans)
    return Figure(figure="preview of one programme on 10,000 clusters", value=taken * 1e3, unit="ms", limit=200)


def _growth() -> Iterator[Figure]:
    """Plan ten times more clusters, twice: seconds a cluster against those of the smaller, and what is held."""
    costs = []
    for count in (1_000, 10_000, 100_000):
        province = _province(count)
        costs.append(_timed(lambda province=province: _planned(province), rounds=3)[0] / count)
    steps = max(costs[1] / costs[0], costs[2] / costs[1])
    yield Figure(figure="cost a cluster, ten times more clusters to fewer, worst", value=steps, unit="x", limit=1.15)
    province = _province(100_000)
    gc.collect()
    tracemalloc.start()
    plans = _planned(province)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] / len(plans)
    tracemalloc.stop()
    yield Figure(figure="held for each of 100,000 clusters", value=held / 1024, unit="KB", limit=2)


def _planned(province: Facts) -> Plans:
    plans = Plans(start=START, end=START + timedelta(days=DAYS), zone=ZONE, policy=Policy())
    plans.update(province)
    return plans


def _signed(plans: Plans, key: SigningKey) -> list[Publication]:
    return _issued({cluster: plans[cluster] for cluster in plans}, key)


def _issued(plans: dict[str, Plan], key: SigningKey) -> list[Publication]:
    made: dict[int, Content] = {}
    issued = []
    for cluster, plan in plans.items():
        if id(plan) not in made:
            made[id(plan)] = content_of(plan.timeline, 80, RENDITIONS, plan.rules)
        issued.append(issue(cluster, made[id(plan)], version=1, valid=timedelta(days=7), key=key, now=NOW))
    return issued


def _timed(work: Callable[[], T], *, rounds: int) -> tuple[float, T]:
    """Return the least seconds of some rounds, and the last result."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return min(times), result


def _province(clusters: int) -> Facts:
    hamlets, chance = clusters // HAMLET, random.Random(39)
    zones = [Zone(id="province", name="province", kind="province", rules=_quiet())]
    for number in range(-(-hamlets // HAMLETS_A_COMMUNE)):
        zones.append(Zone(id=f"x{number}", name="", kind="commune", parent="province", rules=_counted()))
    zones += [
        Zone(id=f"h{number}", name="", kind="hamlet", parent=f"x{number // HAMLETS_A_COMMUNE}")
        for number in range(hamlets)
    ]
    return Facts(
        programmes=tuple(
            _programme(n, chance, tuple(f"h{n}" for n in range(hamlets)), everybody=n % 10 == 0)
            for n in range(PROGRAMMES)
        ),
        zones=tuple(zones),
        clusters=tuple(Cluster(id=f"c{n}", name="", zone=f"h{n // HAMLET}") for n in range(clusters)),
    )


def _quiet() -> LocalRules:
    return LocalRules(quiet=(Hours(start=time_of_day(21), end=time_of_day(4, 45)),))


def _counted() -> LocalRules:
    return LocalRules(most_a_day=timedelta(hours=4), sessions_a_day=60)


def _programme(number: int, chance: random.Random, hamlets: Sequence[str], *, everybody: bool) -> Programme:
    hour, minute = chance.choice((5, 6, 11, 16, 17, 18)), chance.choice((0, 0, 10, 15, 30, 45))
    rule = chance.choice(("FREQ=DAILY", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "LUNAR", "EVERY"))
    recurrence = Recurrence(start=datetime(2026, 1, 1, hour, minute), rule="FREQ=DAILY")
    if rule == "LUNAR":
        recurrence = replace(recurrence, rule="RSCALE=VIETNAMESE;FREQ=MONTHLY;BYMONTHDAY=1,15")
    elif rule == "EVERY" and not everybody:
        every = Every(minutes=30, first=time_of_day(hour, minute), last=time_of_day(hour + 1, minute))
        recurrence = replace(recurrence, every=every)
    elif rule.startswith("FREQ"):
        recurrence = replace(recurrence, rule=rule)
    digest = chance.choice(DIGESTS)
    plain = Programme(
        id=f"{number:012x}",
        title=f"Bản tin {number}",
        level=chance.choice((Level.PRIORITY, *(Level.ROUTINE,) * 7)),
        items=(Item(sound=digest, rendition=digest, duration=RENDITIONS[digest].duration),),
        targets=Targets(zones=("province",) if everybody else tuple(chance.sample(hamlets, min(3, len(hamlets))))),
        recurrence=recurrence,
        tier=chance.choice((None, None, None, "province")),
        if_taken=IfTaken(action=chance.choice((Yielding.MOVE, Yielding.MOVE, Yielding.TRIM, Yielding.DROP))),
        author="lan",
        created_at=START - timedelta(days=30),
    )
    at = START - timedelta(days=20) + timedelta(minutes=number % 1000)
    return replace(plain, approval=Approval(by="minh", at=at, digest=content_digest(plain)))
