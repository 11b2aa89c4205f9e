"""The fold of approval events and what a grant may be used for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decision.approvals.book import ApprovalBook, Binding
from decision.model.decision import HoldTerms
from decision.model.errors import ApprovalError
from decision.model.events import ApprovalDenied, ApprovalExpired, ApprovalGranted, ApprovalRequested, ApprovalUsed
from decision.model.principal import Principal, PrincipalKind
from decision.model.session import ApprovalState

HOUR = 3600 * 10**9


def human(name: str, *groups: str) -> Principal:
    return Principal("https://idp", name, PrincipalKind.HUMAN, groups=groups)


ALICE, BOB, CAROL = human("alice"), human("bob", "dba"), human("carol", "dba")
TERMS = HoldTerms("approvals.schema_change", ("dba",))
REQUEST = ApprovalRequested("ap1", "d1", "s1", ALICE, "shop", "ALTER TABLE x", b"digest", b"", (TERMS,), HOUR)
BINDING = Binding.of(ALICE, "shop", b"digest", b"")


def book_of(*payloads: object) -> ApprovalBook:
    book = ApprovalBook()
    for payload in payloads:
        book.apply(payload, 1)  # type: ignore[arg-type]
    return book


def test_a_request_waits_until_an_approver_of_its_group_grants_it() -> None:
    """One grant by a member of the group makes a quorum of one."""
    book = book_of(REQUEST)
    assert book.find(BINDING, 2).state is ApprovalState.REQUESTED
    book.apply(ApprovalGranted("ap1", BOB), 2)
    assert book.find(BINDING, 3).state is ApprovalState.GRANTED


def test_a_quorum_counts_different_people() -> None:
    """The same approver twice is one vote."""
    request = replace(REQUEST, holds=(replace(TERMS, quorum=2),))
    book = book_of(request, ApprovalGranted("ap1", BOB), ApprovalGranted("ap1", BOB))
    assert book.get("ap1").state is ApprovalState.REQUESTED
    book.apply(ApprovalGranted("ap1", CAROL), 2)
    assert book.get("ap1").state is ApprovalState.GRANTED


def test_every_hold_needs_its_own_group() -> None:
    """A grant for one of two rules does not free the statement."""
    request = replace(REQUEST, holds=(TERMS, HoldTerms("approvals.privacy", ("privacy",))))
    book = book_of(request, ApprovalGranted("ap1", BOB))
    assert book.get("ap1").state is ApprovalState.REQUESTED
    book.apply(ApprovalGranted("ap1", human("dora", "privacy")), 2)
    assert book.get("ap1").state is ApprovalState.GRANTED


@pytest.mark.parametrize(
    "other",
    [
        Binding.of(BOB, "shop", b"digest", b""),
        Binding.of(ALICE, "other", b"digest", b""),
        Binding.of(ALICE, "shop", b"other", b""),
        Binding.of(ALICE, "shop", b"digest", b"values"),
        Binding.of(replace(ALICE, on_behalf_of=(BOB,)), "shop", b"digest", b""),
    ],
)
def test_a_grant_fits_nothing_but_what_was_asked_for(other: Binding) -> None:
    """Another principal, chain, database, text or values finds no grant."""
    assert book_of(REQUEST, ApprovalGranted("ap1", BOB)).find(other, 2) is None


def test_a_grant_is_used_once() -> None:
    """After Used, the same message asks anew."""
    book = book_of(REQUEST, ApprovalGranted("ap1", BOB), ApprovalUsed("ap1", "d2", "s1"))
    assert book.find(BINDING, 2) is None
    assert book.get("ap1").state is ApprovalState.USED


def test_a_reserved_grant_is_found_by_nobody_else() -> None:
    """Between choice and durable use the grant is taken; released, it is free again."""
    book = book_of(REQUEST, ApprovalGranted("ap1", BOB))
    book.reserve("ap1")
    assert book.find(BINDING, 2) is None
    with pytest.raises(ApprovalError):
        book.reserve("ap1")
    book.release("ap1")
    assert book.find(BINDING, 2) is not None


def test_a_grant_ends_with_its_time() -> None:
    """An expired grant is not found, and is named for its Expired event."""
    book = book_of(REQUEST, ApprovalGranted("ap1", BOB))
    assert book.find(BINDING, HOUR) is None
    assert book.expired(HOUR) == ["ap1"]
    book.apply(ApprovalExpired("ap1"), HOUR)
    assert book.get("ap1").state is ApprovalState.EXPIRED


def test_one_denial_closes_the_request() -> None:
    """After a denial, later grants change nothing."""
    book = book_of(REQUEST, ApprovalDenied("ap1", CAROL, "no"), ApprovalGranted("ap1", BOB))
    assert book.get("ap1").state is ApprovalState.DENIED


AGENT_FOR_BOB = Principal("https://idp", "robot", PrincipalKind.AGENT, on_behalf_of=(BOB,))


@pytest.mark.parametrize(
    ("requester", "approver"),
    [
        (BOB, BOB),
        (AGENT_FOR_BOB, BOB),
        (ALICE, replace(AGENT_FOR_BOB, groups=("dba",))),
        (ALICE, Principal("https://idp", "ci", PrincipalKind.SERVICE, groups=("dba",))),
        (ALICE, human("dora", "sales")),
    ],
)
def test_who_may_not_vote(requester: Principal, approver: Principal) -> None:
    """Not the requester, not the human behind it, no agent, no service, nobody outside the groups."""
    book = book_of(replace(REQUEST, requester=requester))
    with pytest.raises(ApprovalError):
        book.check_vote("ap1", approver, 2)


def test_a_self_approval_in_the_log_counts_nothing() -> None:
    """Even if the log holds a vote by the requester's own chain, the fold ignores it."""
    book = book_of(replace(REQUEST, requester=AGENT_FOR_BOB), ApprovalGranted("ap1", BOB))
    assert book.get("ap1").state is ApprovalState.REQUESTED


def test_closed_approvals_are_forgotten_oldest_first() -> None:
    """Memory is bounded by closed approvals, never by dropping open ones."""
    book = ApprovalBook(limit=3)
    for number in range(6):
        name = f"ap{number}"
        book.apply(replace(REQUEST, approval_id=name, statement_digest=b"%d" % number), number)
        if number:
            book.apply(ApprovalDenied(name, BOB), number)
    assert book.get("ap0") is not None
    assert book.get("ap1") is None
