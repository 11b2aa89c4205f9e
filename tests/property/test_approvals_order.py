"""However the approvals topic comes to be and is read, all who read it know the same, and first events win."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from decision.approvals.book import CLOSED, ApprovalBook
from decision.approvals.partitioned import PartitionedBook
from decision.model.decision import HoldTerms
from decision.model.events import (
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalUsed,
    AuditEvent,
    EventDraft,
    Payload,
)
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import Approval, ApprovalState

PARTITIONS = 3
IDS = ("a", "b", "c")  # b needs two votes
PRODUCERS = ("node-1", "node-2", "node-3")
HOUR = 3600 * 10**9
REQUESTER = Principal("https://idp", "alice", PrincipalKind.HUMAN)
PEOPLE = tuple(Principal("https://idp", name, PrincipalKind.HUMAN, groups=("dba",)) for name in ("bob", "carol", "dan"))
AGENT = Principal("https://idp", "bot", PrincipalKind.AGENT, groups=("dba",))

Topic = list[list[AuditEvent]]


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    """Any event about any approval, however little sense it makes."""
    approval_id, voter = draw(st.sampled_from(IDS)), draw(st.sampled_from((*PEOPLE, *PEOPLE, AGENT, REQUESTER)))
    kind = draw(st.sampled_from("rggggddeuuu"))
    if kind == "r":
        return asked(approval_id)
    if kind == "g":
        return ApprovalGranted(approval_id, voter)
    if kind == "d":
        return ApprovalDenied(approval_id, voter)
    return ApprovalExpired(approval_id) if kind == "e" else ApprovalUsed(approval_id, "d", "s")


def asked(approval_id: str = "a") -> ApprovalRequested:
    terms = HoldTerms("approvals.schema_change", ("dba",), quorum=1 + IDS.index(approval_id) % 2)
    return ApprovalRequested(approval_id, "d", "s", REQUESTER, "shop", "x", b"x", b"", (terms,), HOUR)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Payload]]:
    """Events with their producers; mostly each approval is asked for before anything else happens to it."""
    entries = draw(st.lists(st.tuples(st.sampled_from(PRODUCERS), payloads()), min_size=1, max_size=40))
    first = [(draw(st.sampled_from(PRODUCERS)), asked(one)) for one in IDS if draw(st.integers(0, 4))]
    return [*first, *entries]


journals = stories()
chances = st.randoms(use_true_random=False)


def journal_events(entries: list[tuple[str, Payload]]) -> dict[str, list[AuditEvent]]:
    """The entries in the journals of their producers; each restarts (a new epoch) now and then."""
    made: dict[str, list[AuditEvent]] = {producer: [] for producer in PRODUCERS}
    for number, (producer, payload) in enumerate(entries):
        own = made[producer]
        draft = EventDraft(f"e{number}", number, "test", "s", payload)
        own.append(AuditEvent(draft, producer, 1 + len(own) // 5, len(own) + 1, b"", b""))
    return made


def relayed(journals: dict[str, list[AuditEvent]], chance: random.Random) -> Topic:
    """The topic: each journal in its order, some of it more than once, as a relay sends again what may be lost."""
    topic: Topic = [[] for _ in range(PARTITIONS)]
    cursors = dict.fromkeys(journals, 0)
    while open_ones := [name for name, events in journals.items() if cursors[name] < len(events)]:
        name = chance.choice(open_ones)
        event = journals[name][cursors[name]]
        topic[IDS.index(event.payload.approval_id) % PARTITIONS].append(event)  # type: ignore[union-attr]
        cursors[name] += 1
        if chance.random() < 0.2:
            cursors[name] = max(0, cursors[name] - chance.randrange(6))
    return topic


def read(topic: Topic, chance: random.Random) -> tuple[PartitionedBook, list[AuditEvent]]:
    """One reader of it all: partitions in any interleaving, some records twice. And the events that counted."""
    folded, positions, counted = PartitionedBook(ApprovalBook()), [0] * PARTITIONS, []
    while open_ones := [number for number in range(PARTITIONS) if positions[number] < len(topic[number])]:
        number = chance.choice(open_ones)
        event = topic[number][positions[number]]
        if folded.take(event, number, positions[number]):
            counted.append(event)
        positions[number] += 1
        if chance.random() < 0.1:
            positions[number] = max(0, positions[number] - chance.randrange(4))
    return folded, counted


def state(folded: PartitionedBook) -> dict[str, Approval]:
    return {one.approval_id: one for one in folded.book.approvals(include_closed=True)}


def by_hand(topic: Topic) -> dict[str, ApprovalState]:
    """What each approval has to be, told again from the rules: the first record of each event, in the order."""
    found: dict[str, ApprovalState] = {}
    spent: set[str] = set()
    granted: dict[str, set[str]] = {}
    for records in topic:
        seen: set[str] = set()
        for event in records:
            if event.draft.id in seen:
                continue
            seen.add(event.draft.id)
            payload = event.payload
            one: str = payload.approval_id  # type: ignore[union-attr]
            now = found.get(one)
            match payload:
                case ApprovalRequested() if now is None:
                    found[one] = ApprovalState.EXPIRED if one in spent else ApprovalState.REQUESTED
                case ApprovalGranted(_, voter) if now is ApprovalState.REQUESTED and voter in PEOPLE:
                    granted.setdefault(one, set()).add(voter.subject)
                    if len(granted[one]) > IDS.index(one) % 2:
                        found[one] = ApprovalState.GRANTED
                case ApprovalDenied(_, voter) if now is ApprovalState.REQUESTED and voter in PEOPLE:
                    found[one] = ApprovalState.DENIED
                case ApprovalExpired() if now is not None and now not in CLOSED:
                    found[one] = ApprovalState.EXPIRED
                case ApprovalUsed() if now is ApprovalState.GRANTED:
                    found[one] = ApprovalState.USED
                case ApprovalUsed() if now is ApprovalState.REQUESTED:
                    found[one] = ApprovalState.EXPIRED
                case ApprovalUsed() if now is None:
                    spent.add(one)
    return found


@settings(max_examples=120, deadline=None)
@given(journals, chances)
def test_all_readers_know_the_same(entries: list[tuple[str, Payload]], chance: random.Random) -> None:
    """Three readers of one topic, each in its own interleaving and with records read twice, hold equal approvals, which
    are those that the rules say."""
    topic = relayed(journal_events(entries), chance)
    books = [read(topic, chance)[0] for _ in range(3)]
    assert state(books[0]) == state(books[1]) == state(books[2])
    assert {key: one.state for key, one in state(books[0]).items()} == by_hand(topic)


@settings(max_examples=120, deadline=None)
@given(journals, chances)
def test_one_use_and_one_outcome_count(entries: list[tuple[str, Payload]], chance: random.Random) -> None:
    """Of all Used events of an approval at most one counts, and none after a denial or an expiry; and every reader sees
    the same ones count."""
    topic = relayed(journal_events(entries), chance)
    (_, first), (_, second) = read(topic, chance), read(topic, chance)
    assert {event.draft.id for event in first} == {event.draft.id for event in second}
    closing = (ApprovalDenied, ApprovalExpired, ApprovalUsed)
    for one in IDS:
        about = [event for event in first if event.payload.approval_id == one]  # type: ignore[union-attr]
        assert len([event for event in about if isinstance(event.payload, closing)]) <= 1
        assert not [event for event in about[:-1] if isinstance(event.payload, closing)]


@settings(max_examples=80, deadline=None)
@given(journals, chances)
def test_repetition_changes_nothing(entries: list[tuple[str, Payload]], chance: random.Random) -> None:
    """The whole topic once more behind itself leaves every approval as it was, though closed ones were forgotten."""
    topic = relayed(journal_events(entries), chance)
    folded = PartitionedBook(ApprovalBook(limit=1))
    for number, records in enumerate(topic):
        for offset, event in enumerate(records):
            folded.take(event, number, offset)
    before = state(folded)
    for number, records in enumerate(topic):
        for offset, event in enumerate(records, start=len(records)):
            assert not folded.take(event, number, offset)
    assert state(folded) == before


@settings(max_examples=80, deadline=None)
@given(journals, chances)
def test_more_partitions_let_nothing_run_twice(entries: list[tuple[str, Payload]], chance: random.Random) -> None:
    """Where an approval's records come to lie in two partitions, readers in any interleaving of them end with the same
    approvals open, and none that was used is open."""
    made = journal_events(entries)
    topic = relayed(made, chance)
    grown: Topic = [list(records) for records in topic] + [[]]
    for records in relayed(made, chance):
        grown[-1] += [replace(event, epoch=9) for event in records]  # as another producer's would be: nothing is known
    (one, _), (other, _) = read_grown(grown, chance), read_grown(grown, chance)
    open_ones = [{key for key, value in state(book).items() if value.state not in CLOSED} for book in (one, other)]
    assert open_ones[0] == open_ones[1]
    used = {key for book in (one, other) for key, value in state(book).items() if value.state is ApprovalState.USED}
    assert not used & open_ones[0]


def read_grown(topic: Topic, chance: random.Random) -> tuple[PartitionedBook, None]:
    folded, positions = PartitionedBook(ApprovalBook()), [0] * len(topic)
    while open_ones := [number for number, records in enumerate(topic) if positions[number] < len(records)]:
        number = chance.choice(open_ones)
        folded.take(topic[number][positions[number]], number, positions[number])
        positions[number] += 1
    return folded, None


def event(seq: int, payload: Payload, producer: str = "node-1") -> AuditEvent:
    return AuditEvent(EventDraft(f"{producer}/{seq}", seq, "test", "s", payload), producer, 1, seq, b"", b"")


def test_records_in_another_partition_count_for_nothing() -> None:
    """A vote or a use there neither grants nor closes."""
    folded = PartitionedBook(ApprovalBook())
    assert folded.take(event(1, asked()), 0, 0)
    assert not folded.take(event(2, ApprovalGranted("a", PEOPLE[0])), 1, 0)
    assert not folded.take(event(3, ApprovalDenied("a", PEOPLE[0])), 1, 1)
    assert state(folded)["a"].state is ApprovalState.REQUESTED
    assert folded.take(event(4, ApprovalGranted("a", PEOPLE[0])), 0, 1)
    assert not folded.take(event(5, ApprovalUsed("a", "d", "s")), 1, 2)
    assert state(folded)["a"].state is ApprovalState.GRANTED


def test_what_is_asked_for_in_two_partitions_is_closed() -> None:
    """Whichever is read first: used in one, it could look free to who reads the other first."""
    used = [event(1, asked()), event(2, ApprovalGranted("a", PEOPLE[0])), event(3, ApprovalUsed("a", "d", "s"))]
    free = [event(1, asked(), "node-2"), event(2, ApprovalGranted("a", PEOPLE[0]), "node-2")]
    for order in ((0, 1), (1, 0)):
        folded = PartitionedBook(ApprovalBook())
        for partition in order:
            for offset, one in enumerate((used, free)[partition]):
                folded.take(one, partition, offset)
        assert state(folded)["a"].state in CLOSED


@settings(max_examples=80, deadline=None)
@given(chances)
def test_what_was_used_is_not_free_in_a_topic_made_again(chance: random.Random) -> None:
    """Asked for at one service, granted at the second, used at the third: into a new topic each relays its own journal,
    in any order. However they come to lie there, nobody can use the grant again."""
    story: list[tuple[str, Payload]] = [
        ("node-1", asked()), ("node-2", ApprovalGranted("a", PEOPLE[0])), ("node-3", ApprovalUsed("a", "d", "s"))
    ]  # fmt: skip
    made = journal_events(story)
    folded, _ = read(relayed(made, chance), chance)
    assert folded.book.approvals() == []
    for offset, voter in enumerate(PEOPLE, 100):
        folded.take(event(offset, ApprovalGranted("a", voter), "node-9"), 0, offset)
    assert folded.book.approvals() == []
