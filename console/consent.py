"""The page of approvals: what waits, what an approver needs to know, and the vote."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from console.access import PORT, now, posted, somebody
from console.pages import nano, page
from console.sessions import SignedIn
from decision.model.errors import AirlockError
from decision.model.session import Approval, ApprovalState

MOST_CLOSED = 30
LONGEST_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One approval, as it looks to who is signed in. `left` is the time until it expires, in milliseconds."""

    approval: Approval
    own: bool
    may_vote: bool
    voted: bool
    left: float


def seen_by(approval: Approval, me: SignedIn, now_unix_nano: int) -> Asked:
    mine = me.principal
    own = mine.involves(approval.requester)
    voted = any(vote.approver.key == mine.key for vote in approval.votes)
    open_ = approval.state is ApprovalState.REQUESTED
    may_vote = open_ and not own and not voted and bool(set(mine.groups) & set(approval.approvers))
    return Asked(approval, own, may_vote, voted, (approval.expires_unix_nano - now_unix_nano) / 1e6)


async def approvals(request: web.Request) -> web.StreamResponse:
    """What concerns who is signed in: requests that they may decide on, and their own."""
    me = somebody(request)
    return await _listed(request, me)


async def vote(request: web.Request) -> web.StreamResponse:
    """Consent or refuse, in the name of who is signed in; the decision service says whether that counts."""
    me = somebody(request)
    fields = await posted(request, me)
    reason, choice = fields.get("reason", "").strip(), fields.get("vote", "")
    approval_id = request.match_info["approval_id"]
    if choice not in ("approve", "deny"):
        return await _listed(request, me, 400, "that is no vote", "choose Approve or Deny")
    if not reason or len(reason) > LONGEST_REASON:
        hint = f"say in 1 to {LONGEST_REASON} characters why; it is recorded with your vote"
        return await _listed(request, me, 400, "a vote needs a reason", hint)
    try:
        done = await request.app[PORT].resolve_approval(
            me.credential, approval_id, grant=choice == "approve", reason=reason
        )
    except AirlockError as error:
        return await _listed(request, me, 409, error.message, error.hint)
    raise web.HTTPSeeOther("/approvals?" + urlencode({"done": done.approval_id}))


async def _listed(
    request: web.Request, me: SignedIn, status: int = 200, error: str = "", hint: str = ""
) -> web.Response:
    moment = now(request)
    try:
        found = await request.app[PORT].list_approvals(me.credential, include_closed=True)
    except AirlockError as failure:
        found, status = [], max(status, 503)
        error, hint = error or failure.message, hint or failure.hint
    now_nano = int(moment.timestamp() * 1e9)
    asked = [seen_by(one, me, now_nano) for one in found]
    open_ = [one for one in asked if one.approval.state is ApprovalState.REQUESTED]
    closed = [one for one in asked if one.approval.state is not ApprovalState.REQUESTED]
    open_.sort(key=lambda one: (not one.may_vote, one.approval.expires_unix_nano))
    closed.sort(key=lambda one: one.approval.requested_unix_nano, reverse=True)
    done = next((one for one in found if one.approval_id == request.query.get("done")), None)
    return page(
        request, "approvals.html", status=status, me=me, here="approvals", open=open_, closed=closed[:MOST_CLOSED],
        error=error, hint=hint, done=done, nano=nano,
    )  # fmt: skip
