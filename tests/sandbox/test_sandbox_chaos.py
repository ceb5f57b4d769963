"""The judge of the chaos program: a check that cannot fail proves nothing."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from pathlib import Path

import pytest

from sandbox.chaos import freezing, schedule
from sandbox.chaos.comparison import Verdict, compare, inverted
from sandbox.chaos.ledger import Ledger, Offer, Way
from sandbox.chaos.opening import Conversation
from sandbox.chaos.options import Options
from sandbox.chaos.pulse import Pulse
from sandbox.chaos.rows import Rows
from sandbox.chaos.seen import Seen, note_post
from sandbox.whatsapp import WhatsApp


class Evidence:
    """A run in which everything went well, to be spoilt."""

    def __init__(self) -> None:
        whatsapp = WhatsApp(seed=1)
        shop = whatsapp.phone("+4930900000")
        self.conversations = {
            name: Conversation(name, server, f"{server}-1", f"{server}-1", whatsapp.phone(number), shop)
            for name, server, number in (("c000", "gows", "+491510"), ("c001", "webjs", "+491511"))
        }
        self.ledger, self.seen, self.rows = Ledger(), Seen(), Rows()
        for name in self.conversations:
            self.seen.roots[name] = 1
            for way in ("in", "out", "in", "out"):
                self._goes_well("in" if way == "in" else "out", name)

    def _goes_well(self, way: Way, name: str) -> None:
        offer = self.ledger.offer(way, self.conversations[name])
        offer.acknowledged_at = offer.offered_at
        (self.seen.inbound if way == "in" else self.seen.outbound)[name].append(offer.tag)
        self.rows.positions[offer.tag] = len(self.rows.positions)

    def offer(self, tag: str) -> Offer:
        return self.ledger.offers[tag]

    @property
    def verdict(self) -> Verdict:
        return compare(self.ledger.offers.values(), self.seen, self.rows)


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def test_a_run_in_which_all_went_well_is_clean(evidence: Evidence) -> None:
    verdict = evidence.verdict

    assert verdict.is_clean
    assert str(verdict.inbound) == str(verdict.outbound) == "4 lost 0 doubled 0 inverted 0"


def test_a_customers_message_that_is_missing_in_the_thread_is_lost(evidence: Evidence) -> None:
    evidence.seen.inbound["c000"].remove("in-00001")

    assert evidence.verdict.inbound.lost == ["in-00001"]
    assert not evidence.verdict.is_clean


def test_a_reply_that_is_missing_on_the_phone_is_lost(evidence: Evidence) -> None:
    evidence.seen.outbound["c000"].remove("out-00002")

    assert evidence.verdict.outbound.lost == ["out-00002"]


def test_what_was_never_acknowledged_may_be_missing_but_not_stand_twice(evidence: Evidence) -> None:
    evidence.offer("in-00001").acknowledged_at = None
    evidence.offer("out-00001").acknowledged_at = None
    evidence.seen.inbound["c000"].remove("in-00001")
    evidence.seen.outbound["c000"].append("out-00001")

    assert evidence.verdict.inbound.wrong == []
    assert evidence.verdict.outbound.doubled == ["out-00001"]


def test_two_copies_are_doubled(evidence: Evidence) -> None:
    evidence.seen.inbound["c000"].append("in-00002")
    evidence.seen.outbound["c001"].append("out-00004")

    assert evidence.verdict.inbound.doubled == ["in-00002"]
    assert evidence.verdict.outbound.doubled == ["out-00004"]


def test_a_second_thread_of_a_customer_is_doubled(evidence: Evidence) -> None:
    evidence.seen.roots["c000"] += 1

    assert evidence.verdict.inbound.doubled == ["thread of c000"]


def test_a_message_in_another_customers_thread_is_not_overlooked(evidence: Evidence) -> None:
    evidence.seen.inbound["c000"].remove("in-00001")
    evidence.seen.inbound["c001"].append("in-00001")

    assert evidence.verdict.inbound.doubled == ["in-00001"]


def test_a_second_thread_that_was_begun_on_purpose_is_only_said(evidence: Evidence) -> None:
    evidence.seen.roots["c000"] = evidence.rows.roots["c000"] = 2
    evidence.seen.inbound["c000/2"] = [evidence.seen.inbound["c000"].pop(0)]

    assert evidence.verdict.is_clean
    assert evidence.verdict.second_threads == ["c000"]


def test_a_reply_of_ours_that_is_shown_as_written_on_the_phone_is_doubled(evidence: Evidence) -> None:
    note_post(evidence.seen, "_Sent from the phone_: out-00002 for c000", "c000")

    assert evidence.verdict.outbound.doubled == ["out-00002"]


def test_messages_that_changed_places_are_inverted(evidence: Evidence) -> None:
    evidence.seen.inbound["c000"].reverse()
    evidence.seen.outbound["c001"].reverse()

    assert evidence.verdict.inbound.inverted == ["in-00001"]
    assert evidence.verdict.outbound.inverted == ["out-00003"]


def test_the_order_is_the_one_of_the_commits_and_not_of_the_writing() -> None:
    committed = {"in-00001": 7, "in-00002": 5, "in-00003": 9}

    assert inverted(["in-00002", "in-00001", "in-00003"], committed) == []
    assert inverted(["in-00003", "in-00001", "in-00002"], committed) == ["in-00001", "in-00002"]


def test_a_dead_letter_of_a_trusted_session_is_lost_even_if_it_arrived(evidence: Evidence) -> None:
    evidence.rows.dead.add("out-00001")

    assert evidence.verdict.outbound.lost == ["out-00001"]


def test_only_engines_without_trusted_ids_may_ask_a_person(evidence: Evidence) -> None:
    for tag, name in (("out-00001", "c000"), ("out-00003", "c001")):
        evidence.rows.dead.add(tag)
        evidence.seen.outbound[name].reverse()
        note_post(evidence.seen, f"❓ It is not known whether “{tag} for {name}” was sent.", name)

    assert evidence.verdict.asked == ["out-00003"]
    assert evidence.verdict.outbound.lost == ["out-00001"]
    assert evidence.verdict.outbound.inverted == ["out-00001"]


def test_what_a_person_decided_is_there_once(evidence: Evidence) -> None:
    note_post(evidence.seen, "❓ It is not known whether “out-00003 for c001” was sent.", "c001")
    note_post(evidence.seen, "❓ It is not known whether “out-00004 for c001” was sent.", "c001")
    evidence.seen.outbound["c001"] = ["out-00004", "out-00004"]

    assert evidence.verdict.outbound.lost == ["out-00003"]
    assert evidence.verdict.outbound.doubled == ["out-00004"]


def test_what_a_notice_quotes_is_no_message(evidence: Evidence) -> None:
    note_post(evidence.seen, "❌ Not delivered: “out-00001 for c000”. No reason was given.", "c000")

    assert evidence.seen.failed == {"out-00001"}
    assert evidence.verdict.is_clean


def test_late_marks_are_counted(evidence: Evidence) -> None:
    note_post(evidence.seen, "*Carla*: in-00009 (⏱ written 13:02, arrived late)", "c000")

    assert evidence.verdict.late == 1


def test_a_seed_repeats_its_faults() -> None:
    first, again, other = (list(islice(schedule.faults(seed), 300)) for seed in (7, 7, 8))

    assert first == again
    assert first != other
    assert [one.at for one in first] == sorted(one.at for one in first)


def test_every_kill_and_every_trouble_has_its_turn() -> None:
    names = {fault.name for fault in islice(schedule.faults(3), 400)}

    assert names == {*schedule.KILLS, *schedule.TROUBLES}


def test_daemons_are_frozen_on_demand_only_one_after_the_other() -> None:
    first, second = islice(schedule.freezes(), 2)

    assert [first.name, second.name] == [*schedule.FREEZES]
    assert second.at - first.at > freezing.OVER
    assert not {fault.name for fault in islice(schedule.faults(3), 400)} & set(schedule.FREEZES)


@pytest.mark.parametrize(("messages", "kills", "unknown"), [(200, 1, 4), (10_000, 50, 200), (30_000, 50, 200)])
def test_a_smaller_run_needs_its_share_of_kills(tmp_path: Path, messages: int, kills: int, unknown: int) -> None:
    options = Options(directory=tmp_path, messages=messages)

    assert (options.kills_needed, options.unknown_needed) == (kills, unknown)


async def test_it_is_seen_how_long_the_simulators_stood_still() -> None:
    async with Pulse() as pulse:
        while pulse.longest < 0.2:
            time.sleep(0.3)  # noqa: ASYNC251 - so that nothing else goes on
            await asyncio.sleep(0)

    assert 0.2 <= pulse.longest < 5
