"""Whether a box's receipts on disk are the ones that it wrote: the chain followed, and begun anew where it breaks."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from devices.agent.memory.bound import Span, merged
from devices.agent.memory.held import let_go, read_spans, write_spans
from devices.agent.memory.tables import register
from devices.chain import START, link
from devices.messages import Receipt

_MOST_TOLD: Final = 20
"""Findings in one line of the log; a worn card has hundreds."""


@dataclass(slots=True)
class Findings:
    """What was found on the way through a box's receipts."""

    breaks: list[int] = field(default_factory=list)
    """Sequences at which a receipt does not fit what is before it; one above the highest: the end does not."""
    begun: list[int] = field(default_factory=list)
    """Sequences at which it was begun anew earlier, for such a reason."""
    unreadable: list[Span] = field(default_factory=list)
    """Rows that hold no receipt, with the chain's value that they claim."""
    missing: list[Span] = field(default_factory=list)
    """What is neither held nor known to have left; its chain is the value before it."""

    @property
    def broken(self) -> bool:
        """Whether something was found that is not yet mended."""
        return bool(self.breaks or self.unreadable or self.missing)

    @property
    def whole(self) -> bool:
        """Whether the chain is the one that the box wrote from its beginning on."""
        return not (self.broken or self.begun)

    def told(self) -> str:
        """Return it as a line of the log tells it."""
        told = [f"break={sequence}" for sequence in self.breaks]
        told += [f"unreadable={span.first}" for span in self.unreadable]
        told += [f"missing={span.first}-{span.last}" for span in self.missing]
        told += [f"begun={sequence}" for sequence in self.begun]
        return " ".join(told[:_MOST_TOLD] + ([f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []))


def check(connection: sqlite3.Connection, box: str) -> Findings:
    """Follow the chain of what a box holds; changes nothing."""
    findings = Findings()
    row = connection.execute("SELECT last, chain, base FROM boxes WHERE box = ?", (box,)).fetchone()
    if row is None:
        return findings
    last, end, chain = row
    behind = {span.last: span for span in read_spans(connection, box)}
    position: int | None = None
    for sequence, previous, stored, receipt in _rows(connection, box):
        if sequence - 1 in behind:
            chain = behind[sequence - 1].chain
        elif position is not None and sequence != position + 1:
            findings.missing.append(Span(position + 1, sequence - 1, chain))
        if receipt is None:
            findings.unreadable.append(Span(sequence, sequence, stored))
        elif link(previous, receipt) != stored or previous not in (chain, START):
            findings.breaks.append(sequence)
        elif previous != chain:
            findings.begun.append(sequence)
        position, chain = sequence, stored
    if last in behind:
        chain = behind[last].chain
    elif position is not None and position < last:
        findings.missing.append(Span(position + 1, last, chain))
    elif position is not None and position > last:
        return findings  # the box's own line was lost; the receipts say how far it counted
    if chain != end and not (end == START and last):
        findings.breaks.append(last + 1)
    elif chain != end:
        findings.begun.append(last + 1)
    return findings


def mend(connection: sqlite3.Connection, box: str) -> Findings:
    """Keep what is readable and begin a new chain at the first receipt that does not fit; return what was wrong.

    The server learns of it: the new chain's ``previous`` is not the value that it has verified. Part of a
    transaction of the caller.
    """
    register(connection, box)
    findings = check(connection, box)
    gaps = findings.unreadable + findings.missing
    connection.executemany(
        "DELETE FROM receipts WHERE box = ? AND sequence = ?", [(box, span.first) for span in findings.unreadable]
    )
    if gaps or findings.breaks:
        write_spans(connection, box, merged([*read_spans(connection, box), *gaps]))
        _begin_anew(connection, box, min([*findings.breaks, *(span.last + 1 for span in gaps)]))
        let_go(connection, box, surplus=0)  # a message tells of so many holes only
    connection.execute(
        "UPDATE boxes SET held = (SELECT count(*) FROM receipts WHERE box = ?1), last = max(last,"
        " (SELECT coalesce(max(sequence), 0) FROM receipts WHERE box = ?1)) WHERE box = ?1 AND"
        " (held, last) IS NOT (SELECT count(*), max(last, coalesce(max(sequence), 0)) FROM receipts WHERE box = ?1)",
        (box,),
    )
    return findings


def _begin_anew(connection: sqlite3.Connection, box: str, first: int) -> None:
    """Write the chain anew from ``first`` on."""
    chain = START
    spans = {span.last: span for span in read_spans(connection, box)}
    for sequence, _, _, receipt in list(_rows(connection, box)):
        if sequence < first or receipt is None:
            continue
        if sequence - 1 in spans and sequence != first:
            spans[sequence - 1] = spans[sequence - 1]._replace(chain=chain)
        previous, chain = chain, link(chain, receipt)
        connection.execute(
            "UPDATE receipts SET previous = ?, chain = ? WHERE box = ? AND sequence = ?",
            (previous, chain, box, sequence),
        )
    write_spans(connection, box, spans.values())
    connection.execute("UPDATE boxes SET chain = ? WHERE box = ?", (chain, box))


def _rows(connection: sqlite3.Connection, box: str) -> Iterator[tuple[int, str, str, Receipt | None]]:
    rows = connection.execute(
        "SELECT sequence, previous, chain, body FROM receipts WHERE box = ? ORDER BY sequence", (box,)
    )
    for sequence, previous, chain, body in rows:
        try:
            yield sequence, previous, chain, Receipt.model_validate_json(body)
        except ValueError:
            yield sequence, previous, chain, None
