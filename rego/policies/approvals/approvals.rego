# METADATA
# title: Approvals
# description: |
#   What goes on only when somebody else has agreed. A hold is met by an approval that covers its rule; approvers are
#   members of the groups named, never the one who asks nor anyone on whose behalf it asks.
package policies.approvals

import data.airlock.lib
import data.airlock.powers
import data.policies.guardrails
import data.policies.masking

# Schema changes in production. Temporary objects are nobody else's business.
hold contains object.union(terms(data.settings.changes), {
	"rule": "approvals.schema_change",
	"message": sprintf("schema changes in production need an approval by %s", [approvers(data.settings.changes)]),
	"severity": "medium",
	"controls": ["SOC2:CC8.1", "ISO27001:A.8.32", "NIST:CM-3", "NIST:CM-5"],
}) if {
	some s in lib.changing
	input.resource.environment == "prod"
	schema_change(s)
}

schema_change(s) if {
	"ddl" in s.kinds
	not lib.planned(s)
	not lib.temporary(s)
}

schema_change(s) if lib.moves_sequence(s)

# Changes of rows that no key names (`WHERE created_at < …`): the condition may hold for more rows than meant, or for
# all. A second person looks; a small table (`mass_change.small_rows`, by the server's estimate) goes without. Without an
# effective WHERE there is nothing to approve (guardrails.mass_change).
hold contains object.union(terms(data.settings.mass_change), {
	"rule": "approvals.mass_change",
	"message": sprintf(
		"a change that pins no key may reach many rows in production and needs an approval by %s; name the rows by their key to go without",
		[approvers(data.settings.mass_change)],
	),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "SOC2:PI1.3", "ISO27001:A.8.3", "NIST:AC-3", "NIST:AC-5"],
}) if {
	some s in lib.changing
	input.resource.environment == "prod"
	mass_change(s)
	not lib.planned(s)
	not lib.temporary(s)
}

mass_change(s) if {
	some kind in s.kinds
	kind in {"update", "delete"}
	lib.restricted(s)
	not lib.bounded(s)
	not lib.upsert(s)
}

mass_change(s) if {
	"merge" in s.kinds
	not lib.bounded(s)
}

mass_change(s) if "truncate" in s.kinds

# An upsert of a query's rows changes as many as that finds.
mass_change(s) if {
	lib.upsert(s)
	"update" in s.kinds
	"select" in s.kinds
	not lib.bounded(s)
}

# Powers that the privileged groups may use with an approval.
hold contains object.union(terms(data.settings.changes), {
	"rule": concat(".", ["approvals", power]),
	"message": sprintf("%s; this needs an approval by %s", [text.what, approvers(data.settings.changes)]),
	"severity": text.severity,
	"controls": text.controls,
}) if {
	some power in powers.used
	text := powers.texts[power]
	powers.approvable(text)
	within(text)
}

within(_) if input.resource.environment == "prod"

within(text) if text.server

# Guesses at masked values, where the settings ask for a second person rather than refuse (policies/masking).
hold contains object.union(terms(data.settings.changes), {
	"rule": "masking.inference",
	"message": sprintf(
		"comparing or sorting by the column %s, which is masked for you, would reveal it and needs an approval by %s",
		[name, approvers(data.settings.changes)],
	),
	"severity": "high",
	"controls": masking.inference_controls,
}) if {
	some name in masking.guessed
	masking.guarding.effect == "hold"
}

# An agent's read of a whole table's tagged columns, likewise (policies/guardrails).
hold contains object.union(object.union(terms(data.settings.changes), guardrails.unbounded_read), {"message": sprintf(
	"%s; this needs an approval by %s, a WHERE that names the rows or a LIMIT does not",
	[guardrails.unbounded_text, approvers(data.settings.changes)],
)}) if {
	input.principal.kind == "agent"
	some s in guardrails.unbounded_reads
	data.settings.agents.unbounded_reads == "hold"
}

terms(settings) := {
	"approvers": settings.approvers,
	"quorum": settings.quorum,
	"expires_s": settings.expires_s,
	"wait_s": settings.wait_s,
	"auto": "",
}

approvers(settings) := concat(" or ", sort(settings.approvers))
