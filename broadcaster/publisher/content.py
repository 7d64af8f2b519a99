"""What a playlist says, made once for all clusters that say the same. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from broadcaster.store.records import Rendition
from devices import messages
from devices.envelope import LONGEST_BYTES
from schedules.lateness import Late
from schedules.rules import Hours, InForce, LocalRules, Loudest
from schedules.timeline import Slot, Timeline

_MEDIA: Final = "/api/v1/media/"
_HOUR: Final = timedelta(hours=1)
_LONGEST: Final = LONGEST_BYTES * 3 // 4 - 1024
"""Bytes of JSON that fit an envelope: base64url makes four of three, and what is not content wants some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A playlist apart from whose it is, its version, and the instants of issue and expiry."""

    said: messages.PlaylistContent
    text: bytes
    """The same in JSON: written once for all clusters that share it."""
    digest: str
    """SHA-256 of ``text``: equal content is never published twice."""


def content_of(
    timeline: Timeline,
    volume: int,
    renditions: Mapping[str, Rendition],
    rules: InForce | None = None,
    *,
    now: datetime | None = None,
) -> Content:
    """Return what a cluster with this timeline, volume (percent) and local rules is told.

    If it would be longer than a message may be, it leaves out what was over an hour before ``now``, even what could
    still be begun late, and then its end is brought forward to the start of the first slot that does not fit: a
    shorter horizon, told as such, never a truncated list. Who publishes it has to publish the next before that end.

    Args:
        timeline: of any of the clusters that share it.
        volume: percent of full amplitude.
        renditions: by digest; at least those that the timeline needs.
        rules: what the cluster must keep; None: nothing.
        now: aware UTC; None: nothing is over.
    """
    slots, start, end = timeline.slots, timeline.start, timeline.end
    told = None if rules is None else _rules(rules, start)
    while True:
        said = _said(start, end, volume, slots, renditions, told)
        text = said.model_dump_json(exclude_none=True).encode()
        if len(text) <= _LONGEST and len(slots) <= messages.MOST_SLOTS:
            break
        if now is not None and slots[0].end <= now - _HOUR:
            start = max(start, now - _HOUR)
            slots = tuple(slot for slot in slots if slot.end > now - _HOUR)
            continue
        fitting = min(len(slots) - 1, messages.MOST_SLOTS, len(slots) * _LONGEST // len(text))
        slots, end = slots[:fitting], slots[fitting].start
    return Content(said=said, text=text, digest=hashlib.sha256(text).hexdigest())


def _said(
    start: datetime,
    end: datetime,
    volume: int,
    slots: tuple[Slot, ...],
    renditions: Mapping[str, Rendition],
    rules: messages.Rules | None,
) -> messages.PlaylistContent:
    needed = sorted({item.rendition for slot in slots for item in slot.items})
    # Its parts are checked, the whole is not: it may still hold more than a message takes, and is cut then.
    return messages.PlaylistContent.model_construct(
        start=start,
        end=end,
        volume=volume,
        renditions=tuple(_reference(digest, renditions[digest]) for digest in needed),
        slots=tuple(_slot(slot) for slot in slots),
        rules=rules,
    )


def _rules(in_force: InForce, start: datetime) -> messages.Rules | None:
    """Return the rules as the box is told them: without holds that are over, and nobody's name or reason.

    A list of quiet hours or holds that is longer than the wire allows is cut: every slot has been checked against
    all of it here. How loud it may be, only the box sees to: such a list is told by the hour, the lowest of each.
    """
    holds = [hold for hold in in_force.holds if hold.end > start][: messages.MOST_HOLDS]
    rules = in_force.rules
    if rules == LocalRules() and not holds:
        return None
    return messages.Rules(
        time_zone=in_force.zone.key,
        quiet=tuple(_hours(hours) for hours in rules.quiet[: messages.MOST_HOURS]),
        weekdays=tuple(day + 1 for day in sorted(rules.weekdays)) if rules.weekdays is not None else None,
        longest_session=_seconds(rules.longest_session),
        most_a_day=_seconds(rules.most_a_day),
        sessions_a_day=rules.sessions_a_day,
        gap=_seconds(rules.gap),
        loudest=tuple(
            messages.Loudest(start=_clock(each.hours.start), end=_clock(each.hours.end), volume=each.volume)
            for each in (rules.loudest if len(rules.loudest) <= messages.MOST_HOURS else _by_the_hour(rules.loudest))
        ),
        holds=tuple(messages.Hold(kind=hold.kind, start=hold.start, end=hold.end) for hold in holds),
    )


def _by_the_hour(loudest: Sequence[Loudest]) -> Iterator[Loudest]:
    for hour in range(24):
        start, end = time(hour), time((hour + 1) % 24)
        limits = [each.volume for each in loudest if _meet(each.hours, start, time(hour, 59, 59))]
        if limits:
            yield Loudest(hours=Hours(start=start, end=end), volume=min(limits))


def _meet(hours: Hours, first: time, last: time) -> bool:
    """Say whether ``hours`` hold a time of day from ``first`` to ``last``."""
    if hours.start < hours.end:
        return hours.start <= last and first < hours.end
    return hours.start <= last or first < hours.end


def _hours(hours: Hours) -> messages.Hours:
    return messages.Hours(start=_clock(hours.start), end=_clock(hours.end))


def _clock(shown: time) -> str:
    return shown.isoformat("seconds")


def _seconds(limit: timedelta | None) -> float | None:
    return None if limit is None else limit.total_seconds()


def _reference(digest: str, rendition: Rendition) -> messages.RenditionReference:
    return messages.RenditionReference(
        digest=digest,
        size_bytes=rendition.size_bytes,
        duration=rendition.duration.total_seconds(),
        url=_MEDIA + digest,
    )


def _slot(slot: Slot) -> messages.Slot:
    return messages.Slot(
        id=slot.id,
        title=slot.title,
        level=int(slot.level),
        start=slot.start,
        duration=(slot.end - slot.start).total_seconds(),
        items=tuple(
            messages.SlotItem(
                rendition=item.rendition,
                offset=item.offset.total_seconds(),
                duration=item.duration.total_seconds(),
            )
            for item in slot.items
        ),
        cut=slot.cut,
        if_late=None if slot.if_late.action is Late.JOIN else slot.if_late.action.value,
        within=_seconds(slot.if_late.within),
    )
