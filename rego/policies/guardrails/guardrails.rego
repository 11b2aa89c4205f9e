# METADATA
# title: Guardrails
# description: |
#   What is refused whoever asks, and what agents are refused everywhere. Each message says what and the way out.
package policies.guardrails

import data.airlock.lib
import data.airlock.powers

# A critical table is not dropped or truncated in production, not even with an approval: take the tag away first, which
# is a change of the settings and as such on record.
deny contains {
	"rule": "guardrails.drop_critical",
	"message": sprintf(
		"%s is tagged critical and can't be dropped or truncated in production; have the tag removed from the settings first",
		[lib.named(relation)],
	),
	"severity": "critical",
	"controls": ["SOC2:CC6.1", "SOC2:A1.2", "ISO27001:A.8.3", "NIST:AC-3", "NIST:CM-5"],
} if {
	some s in lib.changing
	input.resource.environment == "prod"
	destroys(s)
	some relation in s.relations
	lib.changed(relation)
	lib.critical(relation)
}

destroys(s) if "truncate" in s.kinds

destroys(s) if {
	"ddl" in s.kinds
	some op in s.operations
	op.verb in {"drop", "truncate"}
	not op.object_type in partial_objects
}

# Dropping these takes nothing out of the table itself.
partial_objects := {"index", "trigger", "rule", "policy", "constraint", "default", "statistics", "sequence"}

# What falls with a container or an owner can't be told from the statement. A database or tablespace is the whole
# server's: it may be production's, whatever the session's database is.
deny contains {
	"rule": "guardrails.drop_container",
	"message": sprintf(
		"dropping a %s can take tables with it; drop what you mean by name",
		[replace(op.object_type, "_", " ")],
	),
	"severity": "critical",
	"controls": ["SOC2:CC6.1", "SOC2:A1.2", "ISO27001:A.8.3", "NIST:AC-3", "NIST:CM-5"],
} if {
	some s in lib.changing
	some op in s.operations
	op.verb in {"drop", "drop_owned"}
	contains_tables(op)
	reached(op)
}

reached(_) if input.resource.environment == "prod"

reached(op) if op.object_type in {"database", "tablespace"}

contains_tables(op) if op.object_type in {"database", "owned", "tablespace"}

contains_tables(op) if op.verb == "drop_owned"

contains_tables(op) if {
	op.object_type in {"schema", "extension", "type", "domain", "function", "foreign_server", "foreign_data_wrapper"}
	"cascade" in op.options
}

# Whoever writes the server's own catalogs makes himself superuser, or takes a column's name away with its tag.
deny contains {
	"rule": "guardrails.system_catalogs",
	"message": sprintf(
		"%s is the server's own; change it by the command that is meant for it, such as ALTER ROLE or ALTER TABLE",
		[relation.name],
	),
	"severity": "critical",
	"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.8.2", "NIST:AC-3", "NIST:AC-6(1)", "NIST:CM-5"],
} if {
	some s in lib.changing
	some relation in s.relations
	"write" in relation.access
	relation.via == "direct"
	relation.schema in {"pg_catalog", "information_schema", "pg_toast"}
	relation.name != "pg_settings" # whose rule makes it SET
	some kind in s.kinds
	kind in {"insert", "update", "delete", "merge", "truncate", "copy_in"}
}

# Mass changes. That a condition always holds can't always be seen, so a condition which pins no key only opens the way
# to an approval (approvals.mass_change); none at all, or one seen to hold always, is refused.
deny contains {
	"rule": "guardrails.mass_change",
	"message": sprintf(
		"%s without an effective WHERE would change every row in production; name the rows by their key",
		[upper(kind)],
	),
	"severity": "high",
	"controls": ["SOC2:CC6.1", "SOC2:PI1.3", "ISO27001:A.8.3", "NIST:AC-3", "NIST:SI-10"],
} if {
	some s in lib.changing
	input.resource.environment == "prod"
	some kind in s.kinds
	kind in {"update", "delete"}
	not lib.upsert(s)
	not lib.restricted(s)
	not lib.planned(s)
	not lib.temporary(s)
}

deny contains {
	"rule": "guardrails.agent_read_only",
	"message": concat("", [
		"agents are read-only in production, and this statement is no plain read; ",
		"ask for a write grant, or let a person run it",
	]),
	"severity": "high",
	"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.5.15", "NIST:AC-3", "NIST:AC-6"],
} if {
	some s in lib.changing
	input.principal.kind == "agent"
	input.resource.environment == "prod"
	not lib.granted(s)
}

deny contains {
	"rule": "guardrails.agent_schema_change",
	"message": "agents don't change schemas in production; prepare a migration that a person runs",
	"severity": "high",
	"controls": ["SOC2:CC8.1", "ISO27001:A.8.32", "NIST:CM-3", "NIST:CM-5"],
} if {
	some s in lib.changing
	input.principal.kind == "agent"
	input.resource.environment == "prod"
	schema_change(s)
}

schema_change(s) if "ddl" in s.kinds

schema_change(s) if lib.moves_sequence(s)

# A read beside something else in one message is how read-only sessions are escaped from.
deny contains {
	"rule": "guardrails.agent_multi_statement",
	"message": "agents send several statements in one message only if each is a read; send them one by one",
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-6", "NIST:SI-10"],
} if {
	input.statement.multi_statement
	input.principal.kind == "agent"
	count(lib.changing) > 0
}

# Masks hide values, not how many people there are nor what else stands in their rows: what an agent reads of tagged
# columns is named by a condition, or bounded by a LIMIT or by the agents' own limit of rows. An aggregate takes in the
# whole table whatever the limit.
deny contains object.union(unbounded_read, {"message": concat("; ", [unbounded_text, "add a WHERE that names the rows, or a LIMIT"])}) if {
	input.principal.kind == "agent"
	some s in unbounded_reads
	data.settings.agents.unbounded_reads == "deny"
}

unbounded_text := "agents don't read tagged columns of a whole table"

unbounded_read := {
	"rule": "guardrails.agent_unbounded_read",
	"severity": "medium",
	"controls": ["SOC2:C1.1", "SOC2:CC6.1", "ISO27001:A.8.3", "ISO27001:A.8.12", "NIST:AC-6", "NIST:AC-23"],
}

unbounded_reads contains i if {
	input.resource.environment == "prod"
	some i, s in input.statement.statements
	some output in s.output
	some tag in output.tags
	not lib.restricted(s)
	not "cursor" in s.kinds
	family(tag)
	not limited(s, output)
	not lib.planned(s)
}

family(tag) if data.settings.masking.families[split(tag, ".")[0]]

limited(s, output) if {
	bounded(s)
	output.transform != "aggregate"
	not gathers_rows(s, output)
} else if {
	# These give one value, which is masked in full or a number. What gathers without a function (`ARRAY(SELECT …)`)
	# gives all of them.
	output.transform == "aggregate"
	s.functions != []
	every fn in s.functions { fn.name in {"count", "sum", "avg", "min", "max"} }
}

bounded(s) if is_number(s.predicate.limit)

# The obligation that bounds every read of an agent bounds this one, too.
else if is_number(data.settings.agents.limits.rows)

gathers_rows(s, output) if {
	output.transform == "whole_row"
	some column in s.columns
	"aggregate" in column.usage
}

# The database's own credentials stay with Airlock: with one, its owner could connect past the policies.
deny contains {
	"rule": "guardrails.credentials",
	"message": sprintf(
		"%s holds credentials of the database itself; leave the column %s out",
		[column.table, column.column],
	),
	"severity": "critical",
	"controls": ["SOC2:CC6.1", "ISO27001:A.5.17", "ISO27001:A.8.12", "NIST:AC-3", "NIST:IA-5(7)"],
} if {
	input.phase == "statement"
	some s in input.statement.statements
	some column in s.columns
	column.schema == "pg_catalog"
	column.column in credential_columns[column.table]
	unmaskable_credential(column)
}

# pg_dump reads subscriptions on its way, so a person may read them, masked (policies/masking); computing is no reading.
unmaskable_credential(column) if column.table != "pg_subscription"

unmaskable_credential(_) if input.principal.kind != "human"

unmaskable_credential(column) if {
	some usage in column.usage
	usage != "output"
}

credential_columns := {
	"pg_authid": {"rolpassword"},
	"pg_subscription": {"subconninfo"},
	"pg_user_mapping": {"umoptions"},
}

# Powers that reach past the tables: agents are refused them everywhere, everyone in production, and everywhere what
# reaches past the database (`server`), which may share its server with production. Where `approvals` says so, the
# privileged groups get an approval instead (policies/approvals).
deny contains {
	"rule": concat(".", ["guardrails", power]),
	"message": concat("; ", [text.what, way_out(text)]),
	"severity": text.severity,
	"controls": text.controls,
} if {
	input.phase == "statement"
	some power in powers.used
	text := powers.texts[power]
	refused(text)
}

refused(text) if {
	input.principal.kind == "agent"
	not text.people
}

refused(text) if {
	input.principal.kind == "agent"
	input.resource.environment == "prod"
	text.people
}

refused(text) if {
	input.resource.environment == "prod"
	not lib.agent
	not text.people
	not powers.approvable(text)
}

refused(text) if {
	text.server
	not lib.agent
	not powers.approvable(text)
}

refused(text) if text.always

way_out(text) := text.way_out if not lib.agent

way_out(_) := "a person has to do this" if lib.agent

# What an agent gets back is bounded, and so is how long the server works on it; whoever needs more pages through it, or
# asks a person.
limit contains object.union({"rule": "guardrails.agent_limits"}, data.settings.agents.limits) if {
	input.phase == "statement"
	input.principal.kind == "agent"
	count(data.settings.agents.limits) > 0
}

advice contains sprintf("agents get at most %d rows a statement; page with ORDER BY and LIMIT", [rows]) if {
	input.phase == "statement"
	input.principal.kind == "agent"
	rows := data.settings.agents.limits.rows
}

advice contains sprintf("a statement of an agent ends after %v s; ask for less at a time", [timeout_ms / 1000]) if {
	input.phase == "statement"
	input.principal.kind == "agent"
	timeout_ms := data.settings.agents.limits.timeout_ms
}
