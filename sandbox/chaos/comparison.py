"""The verdict: what was acknowledged against what stands at the far ends. Nothing here knows how it came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from sandbox.chaos.ledger import Offer, Way
from sandbox.chaos.rows import Rows
from sandbox.chaos.seen import Seen


@dataclass
class Tally:
    """One direction. The lists hold tags."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    inverted: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, list[str]]:
        return {"lost": self.lost, "doubled": self.doubled, "inverted": self.inverted}

    @property
    def wrong(self) -> list[str]:
        return list(dict.fromkeys(chain.from_iterable(self.kinds.values())))

    def __str__(self) -> str:
        return f"{self.acknowledged} lost {len(self.lost)} doubled {len(self.doubled)} inverted {len(self.inverted)}"


@dataclass
class Verdict:
    inbound: Tally
    outbound: Tally
    late: int
    asked: list[str]
    second_threads: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.inbound.wrong and not self.outbound.wrong


def compare(offers: Iterable[Offer], seen: Seen, rows: Rows) -> Verdict:
    """Hold every offer against both ends.

    What was not acknowledged may be missing, and must not be there twice. Dead letters count as lost, except where
    nobody can know and a person was asked, which only engines without trusted ids may do: what they decided has to
    be there once, and as late as they decided.
    """
    by_way: dict[Way, list[Offer]] = {"in": [], "out": []}
    for offer in offers:
        by_way[offer.way].append(offer)
    untrusted = {offer.tag for offer in by_way["out"] if not offer.conversation.is_trusted}
    asked = sorted(seen.asked & untrusted)
    return Verdict(
        inbound=_inbound(by_way["in"], seen, rows),
        outbound=_outbound(by_way["out"], seen, rows, asked=set(asked)),
        late=seen.late,
        asked=asked,
        second_threads=sorted(name for name, roots in seen.roots.items() if roots > 1),
    )


def _inbound(offers: Sequence[Offer], seen: Seen, rows: Rows) -> Tally:
    tally = _tally(offers, seen.inbound, rows.positions, excused=set())
    tally.doubled += [
        f"thread of {name}" for name, roots in sorted(seen.roots.items()) if roots > max(1, rows.roots[name])
    ]
    return tally


def _outbound(offers: Sequence[Offer], seen: Seen, rows: Rows, *, asked: set[str]) -> Tally:
    tally = _tally(offers, seen.outbound, rows.positions, excused=asked)
    acknowledged = {offer.tag for offer in offers if offer.acknowledged_at is not None}
    tally.lost = sorted({*tally.lost, *((rows.dead & acknowledged) - asked)})
    # Shown to the team as if somebody else had written it.
    tally.doubled += sorted(set(seen.foreign) - set(tally.doubled))
    return tally


def _tally(
    offers: Sequence[Offer], shown: Mapping[str, Sequence[str]], positions: Mapping[str, int], *, excused: set[str]
) -> Tally:
    copies = Counter(chain.from_iterable(shown.values()))
    acknowledged = [offer.tag for offer in offers if offer.acknowledged_at is not None]
    mine = {offer.tag: offer.conversation.name for offer in offers}
    elsewhere = [tag for name, tags in shown.items() for tag in tags if mine.get(tag) != name.partition("/")[0]]
    return Tally(
        acknowledged=len(acknowledged),
        # Where another customer reads it, it is lost for this one; and said as doubled, so that it cannot be missed.
        lost=[tag for tag in acknowledged if copies[tag] == 0],
        doubled=[*(tag for tag, count in copies.items() if count > 1), *elsewhere],
        inverted=[
            tag for tags in shown.values() for tag in inverted([one for one in tags if one not in excused], positions)
        ],
    )


def inverted(tags: Sequence[str], positions: Mapping[str, int]) -> list[str]:
    """Those that stand behind one which came into the inbox later; of copies only the first counts."""
    found, newest = [], -1
    for tag in dict.fromkeys(tags):
        position = positions.get(tag)
        if position is None:
            continue
        if position < newest:
            found.append(tag)
        newest = max(newest, position)
    return found
