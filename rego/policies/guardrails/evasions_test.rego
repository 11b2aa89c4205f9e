# For each category of evasions what is refused, by which rule, and the innocent statement that looks like it.
package policies.guardrails.evasions_test

import data.airlock.testing as t
import data.policies.guardrails
import data.policies.masking

calls(name, effects) := {"functions": [t.function(name, effects)]}

does(kind, verb, object_type, options) := {"kinds": [kind], "operations": [t.operation(verb, object_type, options)]}

# What calls nothing and reads no table, whatever its text says: `SELECT 'DROP TABLE x'`.
says := {}

read(transform, usage, predicate) := {
	"output": [t.output("email", transform, ["pii.email"], false)],
	"columns": [t.column("email", usage, ["pii.email"])],
	"predicate": predicate,
}

nowhere := object.union(t.where([], false), {"present": false})

# Category, rule, principals, what is refused to each of them, its twin.
evasions := [
	["server files", "guardrails.server_files", ["human", "agent"], calls("pg_read_file", ["reads_files"]), says],
	["server files", "guardrails.server_files", ["human", "agent"], calls("lo_export", ["writes_files"]), says],
	["server files", "guardrails.server_files", ["human", "agent"], {"kinds": ["copy_out"], "files": ["/tmp"]}, {"kinds": ["copy_out"]}],
	["server programs", "guardrails.server_programs", ["human", "agent"], {"kinds": ["copy_out"], "programs": ["nc"]}, {"kinds": ["copy_out"]}],
	["server programs", "guardrails.server_programs", ["human", "agent"], calls("xp_cmdshell", ["os_command"]), says],
	["session kill", "guardrails.kills_sessions", ["human", "agent"], calls("pg_terminate_backend", ["kills_sessions"]), calls("pg_backend_pid", [])],
	["settings", "guardrails.server_settings", ["human", "agent"], does("ddl", "alter", "system", []), does("utility", "show", "setting", [])],
	["settings", "guardrails.security_setting", ["human", "agent"], {"kinds": ["session"], "settings": ["Log_Statement"]}, {"kinds": ["session"], "settings": ["work_mem"]}],
	["settings", "guardrails.lexer_setting", ["human", "agent"], {"kinds": ["session"], "flags": ["lexer_setting", "setting"]}, {"kinds": ["session"], "flags": ["setting"]}],
	["settings", "guardrails.role_change", ["human", "agent"], {"kinds": ["session"], "flags": ["role_change"]}, {"kinds": ["session"], "flags": ["role_change", "reset_all"]}],
	[
		"replication slots", "guardrails.replication", ["human", "agent"],
		{"flags": ["replication"], "functions": [t.function("pg_create_physical_replication_slot", ["writes"])]},
		{"relations": [object.union(t.table("pg_replication_slots", ["read"], []), {"schema": "pg_catalog"})]},
	],
	["large objects", "guardrails.large_objects", ["human", "agent"], calls("lo_create", ["large_object"]), calls("length", [])],
	["dblink", "guardrails.network", ["human", "agent"], calls("dblink_exec", ["network"]), says],
	["dblink", "guardrails.network", ["human", "agent"], does("ddl", "create", "foreign_server", []), says],
	["extension load", "guardrails.extensions", ["human", "agent"], does("ddl", "create", "extension", []), says],
	["extension load", "guardrails.extensions", ["human", "agent"], does("utility", "load", "library", []), does("utility", "listen", "channel", [])],
	["privilege changes", "guardrails.privileges", ["human", "agent"], does("dcl", "grant", "role", []), says],
	["privilege changes", "guardrails.row_security", ["human", "agent"], {"kinds": ["ddl"], "flags": ["policy"]}, says],
	["lock bombs", "guardrails.locks", ["human"], does("utility", "lock", "table", ["exclusive"]), does("utility", "lock", "table", ["row_exclusive"])],
	["lock bombs", "guardrails.locks", ["human"], does("maintenance", "cluster", "table", []), does("maintenance", "analyze", "table", [])],
	["lock bombs", "guardrails.agent_read_only", ["agent"], {"flags": ["row_lock"]}, says],
	["unbounded reads", "guardrails.agent_unbounded_read", ["agent"], read("aggregate", ["output", "aggregate"], nowhere), read("identity", ["output"], nowhere)],
	["inference", "masking.inference", ["human", "agent"], read("expression", ["filter"], t.where([], false)), read("expression", ["output"], t.where(["id"], true))],
	["dynamic SQL", "guardrails.dynamic_sql", ["human", "agent"], {"kinds": ["do"]}, says],
	["dynamic SQL", "guardrails.dynamic_sql", ["human", "agent"], calls("query_to_xml", ["dynamic_sql"]), calls("xmlforest", [])],
	["dynamic SQL", "guardrails.dynamic_sql", ["human", "agent"], calls("mystery", ["opaque"]), calls("abs", [])],
]

categories := {
	"server files", "server programs", "session kill", "settings", "replication slots", "large objects", "dblink",
	"extension load", "privilege changes", "lock bombs", "unbounded reads", "inference", "dynamic SQL",
}

denials contains r if some r in guardrails.deny

denials contains r if some r in masking.deny

test_every_category_is_there if {
	{one[0] | some one in evasions} == categories
}

test_what_evades_is_refused if {
	every one in evasions {
		every who in one[2] {
			one[1] in t.rules(denials) with input as t.prod(t.member(who, []), one[3])
		}
	}
}

test_what_looks_like_it_is_not if {
	every one in evasions {
		every who in one[2] {
			count(denials) == 0 with input as t.prod(t.member(who, []), one[4])
		}
	}
}

# Several statements in one message: the harmful one is found wherever it stands, whatever stands beside it.
test_an_evasion_is_found_among_other_statements if {
	every one in evasions {
		every who in one[2] {
			first := t.message(t.member(who, []), "prod", [t.statement(one[3]), t.plain_statement])
			last := t.message(t.member(who, []), "prod", [t.plain_statement, t.statement(one[3])])
			one[1] in t.rules(denials) with input as first
			one[1] in t.rules(denials) with input as last
		}
	}
}

test_several_harmless_statements_are_fine if {
	every one in evasions {
		every who in one[2] {
			count(denials) == 0 with input as t.message(t.member(who, []), "prod", [t.statement(one[4]), t.plain_statement])
		}
	}
}
