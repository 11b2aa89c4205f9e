package policies.guardrails

import data.airlock.lib

# Powers that reach past the tables: agents are refused them everywhere, everyone in production. Where `approvals` says
# so, the privileged groups get an approval instead (approvals/powers.rego).
deny contains {
	"rule": concat(".", ["guardrails", power]),
	"message": concat("; ", [text.what, way_out(text)]),
	"severity": text.severity,
	"controls": text.controls,
} if {
	input.phase == "statement"
	some power in lib.powers
	text := lib.power_texts[power]
	refused(text)
}

refused(text) if {
	lib.agent
	not text.people
}

refused(text) if {
	lib.agent
	lib.prod
	text.people
}

refused(text) if {
	lib.prod
	not lib.agent
	not text.people
	not lib.approvable(text)
}

refused(text) if text.always

way_out(text) := text.way_out if not lib.agent

way_out(_) := "a person has to do this" if lib.agent
