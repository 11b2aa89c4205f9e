"""A principal to the columns that say who. Pure."""

from __future__ import annotations

from functools import lru_cache

from analytics.project.rows import Who
from decision.model.principal import Principal, PrincipalKind

NOBODY = Who("", "", "", "", "", (), None, (), (), "")


_LATEST: dict[int, tuple[Principal, Who]] = {}
_MOST = 256


def who(principal: Principal) -> Who:
    """`_who`, looked up by the object first: decoding shares equal principals, and to hash one takes longer than all
    other columns of its row. The object is kept, so its id stays its own."""
    found = _LATEST.get(id(principal))
    if found is None or found[0] is not principal:
        if len(_LATEST) >= _MOST:
            _LATEST.clear()
        found = _LATEST[id(principal)] = (principal, _who(principal))
    return found[1]


@lru_cache(maxsize=1024)
def _who(principal: Principal) -> Who:
    """The principal, the human behind it (nearest in the chain) and everyone it acts for, nearest first."""
    chain = tuple(principal.chain())
    human = next((member for member in chain if member.kind is PrincipalKind.HUMAN), None)
    behind = tuple(member.subject for member in chain[1:])
    return Who(
        who=f"{principal.subject} for {', '.join(behind)}" if behind else principal.subject,
        principal=principal.subject,
        principal_kind=principal.kind.value,
        principal_issuer=principal.issuer,
        principal_email=principal.email,
        principal_groups=principal.groups,
        human=None if human is None else human.subject,
        human_groups=() if human is None else human.groups,
        on_behalf_of=behind,
        authentication=principal.authentication.method,
    )
