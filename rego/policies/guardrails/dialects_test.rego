# Statements of other databases than PostgreSQL, as their facts tell of them.
package policies.guardrails.dialects_test

import data.airlock.testing as t
import data.policies.approvals
import data.policies.guardrails

asked(who, dialect, changes) := object.union(t.prod(who, changes), {"statement": {"dialect": dialect}})

# Dialect, rule, what is refused, its twin.
evasions := [
	# LOAD DATA INFILE; LOAD DATA LOCAL INFILE, whose file is the client's
	[
		"mysql", "guardrails.server_files",
		{"kinds": ["copy_in"], "flags": ["copy_from", "file"], "files": [""]},
		{"kinds": ["copy_in"], "flags": ["client_file", "copy_from", "file"], "files": [""]},
	],
	# SELECT … INTO OUTFILE
	["mysql", "guardrails.server_files", {"kinds": ["select", "copy_out"], "flags": ["file"], "files": [""]}, {"kinds": ["select"]}],
	# KILL 5; KILL QUERY is the same
	[
		"mysql", "guardrails.kills_sessions",
		{"kinds": ["utility"], "flags": ["admin", "kills_sessions"], "operations": [t.operation("kill", "session", [])]},
		{"kinds": ["utility"], "flags": ["show"]},
	],
	# SET GLOBAL; SET @a
	[
		"mysql", "guardrails.security_setting",
		{"kinds": ["session"], "flags": ["admin", "security_setting", "setting"], "settings": ["max_connections"]},
		{"kinds": ["session"], "flags": ["variable"]},
	],
	# XA START, whose locks outlive the session; START TRANSACTION
	[
		"mysql", "guardrails.locks",
		{"kinds": ["tcl"], "flags": ["transaction_control", "xa"]},
		{"kinds": ["tcl"], "flags": ["transaction_control"]},
	],
	["tsql", "guardrails.server_programs", {"kinds": ["call"], "flags": ["procedural", "program"]}, {"kinds": ["select"]}],
	# EXPORT DATA
	["bigquery", "guardrails.network", {"kinds": ["copy_out"], "flags": ["copy_to", "remote"]}, {"kinds": ["copy_out"], "flags": ["copy_to"]}],
	# INSTALL
	["duckdb", "guardrails.extensions", {"kinds": ["utility"], "flags": ["admin", "load"]}, {"kinds": ["utility"], "flags": ["show"]}],
	["snowflake", "guardrails.role_change", {"kinds": ["session"], "flags": ["role_change"]}, {"kinds": ["select"], "flags": ["time_travel"]}],
]

test_what_evades_is_refused_to_people_and_agents if {
	every one in evasions {
		every who in [t.human, t.agent] {
			one[1] in t.rules(guardrails.deny) with input as asked(who, one[0], one[2])
		}
	}
}

test_what_looks_like_it_is_not_refused_to_people if {
	every one in evasions {
		count(guardrails.deny) == 0 with input as asked(t.human, one[0], one[3])
	}
}

test_agents_look_at_what_there_is if {
	count(guardrails.deny) == 0 with input as asked(t.agent, "mysql", {"kinds": ["utility"], "flags": ["show"]})
	count(guardrails.deny) == 0 with input as asked(t.agent, "snowflake", {"flags": ["time_travel"]})
}

test_replace_and_with_are_no_mass_change if {
	replaced := {"kinds": ["insert", "delete"], "flags": ["on_conflict"], "relations": [t.table("t", ["write"], [])]}
	count(guardrails.deny) == 0 with input as asked(t.human, "mysql", replaced)
	count(approvals.hold) == 0 with input as asked(t.human, "mysql", replaced)
	"guardrails.agent_read_only" in t.rules(guardrails.deny) with input as asked(t.agent, "mysql", replaced)
	deleted := {"kinds": ["select", "delete"], "flags": ["dml_in_cte"], "relations": [t.table("t", ["write"], [])]}
	"guardrails.mass_change" in t.rules(guardrails.deny) with input as asked(t.human, "mysql", deleted)
}
