package airlock.main_test

import data.airlock
import data.airlock.testing as t

ok := {"rule": "x.ok", "message": "m", "severity": "low", "controls": []}

no := object.union(ok, {"rule": "x.no"})

wait := object.union(ok, {"rule": "x.wait", "approvers": ["g"], "quorum": 1, "expires_s": 1, "wait_s": 0, "auto": ""})

voice(said) := object.union(
	{"allow": set(), "deny": set(), "hold": set(), "mask": set(), "limit": set(), "advice": set()},
	said,
)

effect(said) := e if {
	e := airlock.decision.effect with input as t.prod(t.human, {}) with data.airlock.index.voice as voice(said)
}

test_nothing_said_is_a_denial if {
	effect({}) == "deny"
}

test_deny_beats_hold_beats_allow if {
	effect({"allow": {ok}}) == "allow"
	effect({"allow": {ok}, "hold": {wait}}) == "hold"
	effect({"allow": {ok}, "hold": {wait}, "deny": {no}}) == "deny"
}

test_a_hold_needs_an_allow_too if {
	effect({"hold": {wait}}) == "deny"
}

grant(rules) := object.union(t.prod(t.human, {}), {"context": {"approval": {
	"approval_id": "a",
	"rules": rules,
	"approvers": [],
}}})

test_an_approval_meets_the_hold_that_it_covers if {
	said := voice({"allow": {ok}, "hold": {wait}})
	airlock.decision.effect == "allow" with input as grant(["x.wait"]) with data.airlock.index.voice as said
	airlock.decision.effect == "hold" with input as grant(["x.other"]) with data.airlock.index.voice as said
}

bot(human) := object.union(t.agent, {"on_behalf_of": [human]})

test_every_member_of_the_chain_must_be_allowed if {
	airlock.decision.effect == "allow" with input as t.prod(bot(t.human), {})
	airlock.decision.effect == "deny" with input as t.prod(bot(t.human), {"kinds": ["insert"]})
	nested := object.union(t.human, {"on_behalf_of": [t.dba]})
	airlock.decision.effect == "deny" with input as t.prod(bot(nested), {})
}

test_an_agent_does_not_inherit_its_humans_sight if {
	reader := t.member("human", ["pii_readers", "secret_readers"])
	masks := airlock.decision.masks with input as t.prod(object.union(t.agent, {"on_behalf_of": [reader]}), {})
	"pii.email" in {m.tag | some m in masks}
}

test_an_allow_for_one_statement_covers_no_other if {
	two := t.message(t.human, "prod", [t.plain_statement, t.plain_statement])
	first := object.union(ok, {"statement": 0})
	second := object.union(ok, {"statement": 1})
	airlock.decision.effect == "deny" with input as two with data.airlock.index.voice as voice({"allow": {first}})
	airlock.decision.effect == "allow" with input as two with data.airlock.index.voice as voice({"allow": {first, second}})
}

test_what_was_not_understood_needs_an_allow_that_says_so if {
	dark := t.prod(t.human, {"unresolved": [{"what": "x", "why": "y"}]})
	airlock.decision.effect == "deny" with input as dark with data.airlock.index.voice as voice({"allow": {ok}})
	knowing := object.union(ok, {"incomplete": true})
	airlock.decision.effect == "allow" with input as dark with data.airlock.index.voice as voice({"allow": {knowing}})
	said := {r.rule | some r in airlock.decision.results} with input as dark with data.airlock.index.voice as voice({})
	said == {"airlock.not_understood"}
}

test_the_strongest_mask_and_the_smallest_limit_win if {
	weak := {"rule": "a", "tag": "pii", "method": "partial"}
	strong := {"rule": "b", "tag": "pii", "method": "null"}
	said := voice({"allow": {ok}, "mask": {weak, strong}, "limit": {{"rule": "a", "rows": 9}, {"rule": "b", "rows": 3, "read_only": true}}})
	airlock.decision.masks == {strong} with input as t.prod(t.human, {}) with data.airlock.index.voice as said
	airlock.decision.limits == {"rows": 3, "read_only": true} with input as t.prod(t.human, {}) with data.airlock.index.voice as said
}

test_a_mask_with_exceptions_does_not_outdo_one_without if {
	narrow := {"rule": "a", "tag": "pii", "method": "full", "except_tags": ["pii.email"]}
	wide := {"rule": "b", "tag": "pii", "method": "partial"}
	said := voice({"mask": {narrow, wide}})
	airlock.decision.masks == {narrow, wide} with input as t.prod(t.human, {}) with data.airlock.index.voice as said
}

test_a_decision_has_every_field if {
	found := airlock.decision with input as t.prod(t.agent, {})
	object.keys(found) == {"effect", "results", "masks", "limits", "advice", "holds"}
	found.effect == "allow"
	found.limits == {"rows": 1000, "timeout_ms": 30000}
	some r in found.results
	object.keys(r) == {"effect", "rule", "message", "severity", "controls"}
}

test_a_default_denial_says_so if {
	said := airlock.decision.results with input as t.prod(t.human, {}) with data.airlock.index.voice as voice({})
	{r.rule | some r in said} == {"airlock.default_deny"}
	airlock.decision.limits == {} with input as t.prod(t.human, {}) with data.airlock.index.voice as voice({})
}

test_sessions_and_approvals_need_some_allow if {
	every name in ["session", "approval"] {
		airlock.decision.effect == "allow" with input as t.phase(name, t.human) with data.airlock.index.voice as voice({"allow": {ok}})
		airlock.decision.effect == "deny" with input as t.phase(name, t.human) with data.airlock.index.voice as voice({})
	}
}

test_a_rule_that_lacks_a_field_shows_it if {
	said := airlock.decision.results with input as t.prod(t.human, {}) with data.airlock.index.voice as voice({"deny": {{"rule": "x"}}})
	{"effect": "deny", "rule": "x", "message": "", "severity": "", "controls": []} in said
}
