package policies.guardrails_test

import data.airlock.powers
import data.airlock.testing as t
import data.policies.approvals
import data.policies.guardrails

dropped(tags) := {
	"kinds": ["ddl"],
	"operations": [t.operation("drop", "table", [])],
	"relations": [t.table("payments", ["ddl"], tags)],
}

test_a_critical_table_is_not_dropped_in_production if {
	"guardrails.drop_critical" in t.rules(guardrails.deny) with input as t.prod(t.dba, dropped(["critical"]))
}

test_another_table_or_environment_is_not_its_business if {
	count(guardrails.deny) == 0 with input as t.prod(t.dba, dropped([]))
	count(guardrails.deny) == 0 with input as t.dev(t.dba, dropped(["critical"]))
}

test_a_critical_table_is_not_truncated_in_production if {
	truncated := {"kinds": ["truncate"], "relations": [t.table("payments", ["write"], ["critical"])]}
	t.rules(guardrails.deny) == {"guardrails.drop_critical"} with input as t.prod(t.human, truncated)
}

test_an_index_of_a_critical_table_may_go if {
	index := object.union(dropped(["critical"]), {"operations": [t.operation("drop", "index", [])]})
	count(guardrails.deny) == 0 with input as t.prod(t.human, index)
}

container(verb, kind, options) := {"kinds": ["ddl"], "operations": [t.operation(verb, kind, options)]}

test_what_may_take_tables_with_it_is_not_dropped if {
	t.rules(guardrails.deny) == {"guardrails.drop_container"} with input as t.prod(t.human, container("drop", "schema", ["cascade"]))
	every who in [t.human, t.dba, t.agent] {
		"guardrails.drop_container" in t.rules(guardrails.deny) with input as t.dev(who, container("drop", "database", []))
		"guardrails.drop_container" in t.rules(guardrails.deny) with input as t.prod(who, container("drop", "database", []))
	}
	count(guardrails.deny) == 0 with input as t.prod(t.human, container("drop", "schema", ["restrict"]))
}

changed(kind, predicate) := {
	"kinds": [kind],
	"relations": [t.table("orders", ["write"], [])],
	"predicate": predicate,
}

test_a_change_without_where_is_refused if {
	every kind in ["update", "delete"] {
		t.rules(guardrails.deny) == {"guardrails.mass_change"} with input as t.prod(t.human, changed(kind, null))
	}
}

test_a_where_that_always_holds_is_none if {
	always := object.union(t.where([], false), {"always_true": true})
	t.rules(guardrails.deny) == {"guardrails.mass_change"} with input as t.prod(t.human, changed("delete", always))
}

test_a_where_elsewhere_an_upsert_and_a_plan_are_fine if {
	count(guardrails.deny) == 0 with input as t.prod(t.human, changed("delete", t.where(["id"], true)))
	count(guardrails.deny) == 0 with input as t.dev(t.human, changed("delete", null))
	upsert := object.union(changed("update", null), {"kinds": ["insert", "update"], "flags": ["on_conflict"]})
	count(guardrails.deny) == 0 with input as t.prod(t.human, upsert)
	plan := object.union(changed("delete", null), {"kinds": ["explain", "delete"], "flags": ["explain"]})
	count(guardrails.deny) == 0 with input as t.prod(t.human, plan)
}

test_explain_analyze_is_no_plan if {
	run := object.union(changed("delete", null), {"kinds": ["explain", "delete"], "flags": ["explain", "explain_analyze"]})
	t.rules(guardrails.deny) == {"guardrails.mass_change"} with input as t.prod(t.human, run)
}

test_a_temporary_table_may_be_emptied if {
	emptied := {"kinds": ["delete"], "relations": [t.temporary("x", ["write"])]}
	count(guardrails.deny) == 0 with input as t.prod(t.human, emptied)
}

test_agents_are_read_only_in_production if {
	written := {"kinds": ["insert"], "relations": [t.table("orders", ["write"], [])]}
	t.rules(guardrails.deny) == {"guardrails.agent_read_only"} with input as t.prod(t.agent, written)
	count(guardrails.deny) == 0 with input as t.dev(t.agent, written)
	count(guardrails.deny) == 0 with input as t.prod(t.human, written)
	count(guardrails.deny) == 0 with input as t.prod(t.agent, {})
}

test_a_select_that_writes_is_no_read if {
	every write in [
		{"functions": [t.function("nextval", ["writes"])]},
		{"flags": ["row_lock"]},
		{"relations": [t.table("orders", ["write"], [])]},
	] {
		t.rules(guardrails.deny) == {"guardrails.agent_read_only"} with input as t.prod(t.agent, write)
	}
}

test_listen_and_discard_are_reads if {
	every verb in ["listen", "unlisten", "discard"] {
		quiet := {"kinds": ["utility"], "operations": [t.operation(verb, "channel", [])]}
		count(guardrails.deny) == 0 with input as t.prod(t.agent, quiet)
	}
}

test_agents_do_not_change_schemas_in_production if {
	made := {"kinds": ["ddl"], "operations": [t.operation("create", "table", [])]}
	"guardrails.agent_schema_change" in t.rules(guardrails.deny) with input as t.prod(t.agent, made)
	count(guardrails.deny) == 0 with input as t.dev(t.agent, made)
	count(guardrails.deny) == 0 with input as t.prod(t.human, made)
	sequence := {"kinds": ["select"], "functions": [t.function("setval", ["writes"])]}
	"guardrails.agent_schema_change" in t.rules(guardrails.deny) with input as t.prod(t.agent, sequence)
	count(guardrails.deny) == 0 with input as t.prod(t.human, sequence)
}

test_agents_send_several_statements_only_if_all_read if {
	write := t.statement({"kinds": ["insert"]})
	"guardrails.agent_multi_statement" in t.rules(guardrails.deny) with input as t.message(t.agent, "dev", [t.plain_statement, write])
	count(guardrails.deny) == 0 with input as t.message(t.agent, "prod", [t.plain_statement, t.plain_statement])
	count(guardrails.deny) == 0 with input as t.message(t.human, "prod", [t.plain_statement, write])
}

# A power by name, and a statement that uses it.
uses := {
	"server_files": {"files": ["/tmp"]},
	"server_programs": {"programs": ["cat"]},
	"network": {"functions": [t.function("dblink", ["network"])]},
	"dynamic_sql": {"kinds": ["do"]},
	"kills_sessions": {"functions": [t.function("pg_terminate_backend", ["kills_sessions"])]},
	"replication": {"kinds": ["ddl"], "operations": [t.operation("create", "publication", [])]},
	"extensions": {"kinds": ["ddl"], "operations": [t.operation("create", "extension", [])]},
	"privileges": {"kinds": ["dcl"], "operations": [t.operation("grant", "table", [])]},
	"server_settings": {"kinds": ["ddl"], "operations": [t.operation("alter", "system", [])]},
	"server_objects": {"kinds": ["ddl"], "operations": [t.operation("alter", "database", [])]},
	"server_control": {"flags": ["admin"], "functions": [t.function("pg_promote", ["writes"])]},
	"role_change": {"kinds": ["session"], "flags": ["role_change"]},
	"security_setting": {"kinds": ["session"], "settings": ["session_replication_role"]},
	"large_objects": {"functions": [t.function("lo_get", ["large_object"])]},
	"lexer_setting": {"kinds": ["session"], "flags": ["lexer_setting"]},
	"locks": {"kinds": ["utility"], "operations": [t.operation("lock", "table", ["access_exclusive"])]},
	"row_security": {"kinds": ["ddl"], "flags": ["policy"], "operations": [t.operation("alter", "table", ["disablerowsecurity"])]},
	"security_definer": {
		"kinds": ["ddl"],
		"flags": ["security_definer"],
		"operations": [t.operation("create", "function", [])],
	},
}

# Other ways to the same powers.
also := [
	["locks", {"kinds": ["maintenance"], "operations": [t.operation("vacuum", "table", ["full"])]}],
	["locks", {"kinds": ["maintenance"], "operations": [t.operation("reindex", "system", [])]}],
	["locks", {"kinds": ["tcl"], "flags": ["transaction_control"], "operations": [t.operation("prepare", "transaction", [])]}],
	["privileges", {"kinds": ["ddl"], "operations": [t.operation("alter", "table", ["changeowner"])]}],
	["server_files", {"kinds": ["ddl"], "operations": [t.operation("create", "tablespace", [])]}],
	[
		"server_settings",
		{"kinds": ["ddl"], "settings": ["work_mem"], "operations": [t.operation("alter", "database", [])]},
	],
	["server_settings", {"flags": ["admin"], "functions": [t.function("pg_reload_conf", ["changes_settings"])]}],
	["replication", {"flags": ["replication"], "functions": [t.function("pg_create_logical_replication_slot", ["writes"])]}],
	["large_objects", {"relations": [object.union(t.table("pg_largeobject", ["read"], []), {"schema": "pg_catalog"})]}],
	["extensions", {"kinds": ["utility"], "operations": [t.operation("load", "library", [])]}],
]

test_other_ways_to_a_power_are_refused_too if {
	every way in also {
		found := t.rules(guardrails.deny) with input as t.prod(t.human, way[1])
		concat(".", ["guardrails", way[0]]) in found
		count(found - {concat(".", ["guardrails", way[0]]), "guardrails.server_objects"}) == 0
	}
}

test_powers_are_refused_to_agents_everywhere if {
	every power, change in uses {
		rule := concat(".", ["guardrails", power])
		rule in t.rules(guardrails.deny) with input as t.dev(t.agent, change)
		rule in t.rules(guardrails.deny) with input as t.prod(t.agent, change)
	}
}

test_powers_are_refused_to_everyone_in_production if {
	every power, change in uses {
		t.rules(guardrails.deny) == {concat(".", ["guardrails", power])} with input as t.prod(t.human, change)
	}
}

test_people_use_powers_in_dev_except_the_lexers_and_the_servers if {
	every power, change in uses {
		refused := t.rules(guardrails.deny) with input as t.dev(t.human, change)
		text := powers.texts[power]
		closed := {"server", "always"} & object.keys(text)
		refused == {rule | rule := concat(".", ["guardrails", power]); count(closed) > 0}
	}
}

test_the_privileged_need_an_approval_for_the_whole_servers_objects_everywhere if {
	every change in [uses.server_objects, uses.server_settings, uses.kills_sessions] {
		count(guardrails.deny) == 0 with input as t.dev(t.dba, change)
		count(approvals.hold) == 1 with input as t.dev(t.dba, change)
	}
	count(approvals.hold) == 0 with input as t.dev(t.dba, uses.privileges)
}

test_the_servers_own_catalogs_are_changed_by_commands_only if {
	every kind in ["insert", "update", "delete", "merge", "copy_in"] {
		every who in [t.human, t.dba, t.agent] {
			changes := {
				"kinds": [kind],
				"relations": [object.union(t.table("pg_authid", ["read", "write"], []), {"schema": "pg_catalog"})],
				"predicate": t.where(["oid"], true),
			}
			"guardrails.system_catalogs" in t.rules(guardrails.deny) with input as t.dev(who, changes)
		}
	}
	settings := {
		"kinds": ["update"],
		"relations": [object.union(t.table("pg_settings", ["read", "write"], []), {"schema": "pg_catalog"})],
		"predicate": t.where(["name"], true),
	}
	count(guardrails.deny) == 0 with input as t.prod(t.human, settings)
}

test_an_upsert_of_a_querys_rows_is_held if {
	rows := {
		"kinds": ["insert", "update"],
		"flags": ["on_conflict"],
		"relations": [t.table("orders", ["read", "write"], [])],
	}
	count(approvals.hold) == 0 with input as t.prod(t.human, rows)
	found := object.union(rows, {"kinds": ["insert", "select", "update"]})
	t.rules(approvals.hold) == {"approvals.mass_change"} with input as t.prod(t.human, found)
	small := object.union(found, {"estimated_rows": 5})
	count(approvals.hold) == 0 with input as t.prod(t.human, small)
}

test_every_power_is_tested if {
object.keys(uses) | {"sleep", "channels", "advisory_locks"} == object.keys(data.airlock.powers.texts)}

test_agents_do_not_sleep_in_production if {
	sleeps := {"functions": [t.function("pg_sleep", ["sleeps"])]}
	"guardrails.sleep" in t.rules(guardrails.deny) with input as t.prod(t.agent, sleeps)
	count(guardrails.deny) == 0 with input as t.prod(t.human, sleeps)
	count(guardrails.deny) == 0 with input as t.dev(t.agent, sleeps)
}

test_agents_send_no_notifications_and_take_no_advisory_locks_in_production if {
	waits := {"flags": ["advisory_lock"], "functions": [t.function("pg_advisory_lock", ["writes"])]}
	tells := {"kinds": ["utility"], "flags": ["notify"], "operations": [t.operation("notify", "channel", [])]}
	"guardrails.advisory_locks" in t.rules(guardrails.deny) with input as t.prod(t.agent, waits)
	"guardrails.channels" in t.rules(guardrails.deny) with input as t.prod(t.agent, tells)
	listens := {"kinds": ["utility"], "flags": ["notify"], "operations": [t.operation("listen", "channel", [])]}
	count(guardrails.deny) == 0 with input as t.prod(t.agent, listens)
	every change in [waits, tells] {
		count(guardrails.deny) == 0 with input as t.prod(t.human, change)
		count(guardrails.deny) == 0 with input as t.dev(t.agent, change)
	}
}

whole_table(transform, predicate) := {
	"output": [t.output("email", transform, ["pii.email"], false)],
	"columns": [t.column("email", ["output"], ["pii.email"])],
	"predicate": predicate,
}

unbounded := object.union(t.where([], false), {"present": false})

test_agents_read_tagged_columns_by_a_condition_or_a_limit if {
	rule := {"guardrails.agent_unbounded_read"}
	whole := t.prod(t.agent, whole_table("identity", unbounded))
	t.rules(guardrails.deny) == rule with input as whole with data.settings.agents.limits.rows as null
	unknown := t.prod(t.agent, whole_table("identity", null))
	t.rules(guardrails.deny) == rule with input as unknown with data.settings.agents.limits.rows as null
	count(guardrails.deny) == 0 with input as whole with data.settings.agents.limits.rows as 1000
	limited := object.union(unbounded, {"limit": 10})
	every allowed in [
		t.prod(t.agent, whole_table("identity", limited)),
		t.prod(t.agent, whole_table("identity", t.where(["id"], true))),
		t.prod(t.human, whole_table("identity", unbounded)),
		t.dev(t.agent, whole_table("identity", unbounded)),
		t.prod(t.agent, {"output": [t.output("id", "identity", [], false)], "predicate": unbounded}),
	] {
		count(guardrails.deny) == 0 with input as allowed with data.settings.agents.limits.rows as null
	}
}

test_a_limit_does_not_bound_what_an_aggregate_takes_in if {
	limited := object.union(unbounded, {"limit": 1})
	gathers := object.union(whole_table("aggregate", limited), {"functions": [t.function("string_agg", [])]})
	t.rules(guardrails.deny) == {"guardrails.agent_unbounded_read"} with input as t.prod(t.agent, gathers)
	counts := object.union(whole_table("aggregate", unbounded), {"functions": [t.function("count", [])]})
	count(guardrails.deny) == 0 with input as t.prod(t.agent, counts)
}

test_an_unbounded_read_may_be_held_or_allowed_instead if {
	gathers := {"functions": [t.function("string_agg", [])]}
	read := t.prod(t.agent, object.union(whole_table("aggregate", unbounded), gathers))
	held := t.rules(approvals.hold) with input as read with data.settings.agents.unbounded_reads as "hold"
	held == {"guardrails.agent_unbounded_read"}
	every setting in ["hold", "allow"] {
		count(guardrails.deny) == 0 with input as read with data.settings.agents.unbounded_reads as setting
	}
	count(approvals.hold) == 0 with input as read with data.settings.agents.unbounded_reads as "allow"
}

test_harmless_neighbours_are_no_powers if {
	every harmless in [
		{"kinds": ["tcl"], "flags": ["transaction_control"], "operations": [t.operation("begin", "transaction", [])]},
		{"kinds": ["utility"], "operations": [t.operation("lock", "table", ["access_share"])]},
		{"kinds": ["maintenance"], "operations": [t.operation("vacuum", "table", [])]},
		{"kinds": ["maintenance"], "operations": [t.operation("reindex", "database", ["concurrently"])]},
		{"functions": [t.function("nextval", ["writes"])]},
		{"kinds": ["select"], "flags": ["security_definer"]},
		{"kinds": ["session"], "settings": ["statement_timeout"]},
		{"kinds": ["session"], "flags": ["discard", "role_change"]},
		{"kinds": ["session"], "flags": ["reset_all", "role_change"], "settings": ["role", "search_path"]},
		{"kinds": ["select"], "flags": ["search_path_change", "setting"], "settings": ["search_path"]},
		{"kinds": ["utility"], "operations": [t.operation("checkpoint", "system", [])]},
	] {
		count(guardrails.deny) == 0 with input as t.prod(t.human, harmless)
	}
}

test_a_trusted_function_is_none if {
	called := {"functions": [t.function("mystery", ["opaque"])]}
	count(guardrails.deny) == 1 with input as t.prod(t.human, called)
	count(guardrails.deny) == 0 with input as t.prod(t.human, called)
		with data.settings.trusted_functions as [{"schema": "pg_catalog", "name": "mystery"}]
}

test_agents_results_are_bounded if {
	bounds := {{"rule": "guardrails.agent_limits", "rows": 1000, "timeout_ms": 30000}}
	guardrails.limit == bounds with input as t.prod(t.agent, {})
	guardrails.limit == bounds with input as t.dev(t.agent, {})
	count(guardrails.advice) == 2 with input as t.prod(t.agent, {})
	count(guardrails.limit) == 0 with input as t.prod(t.human, {})
}

test_agents_plan_what_they_may_not_run if {
	planned := {"kinds": ["explain", "select"], "flags": ["dos", "explain"], "functions": [t.function("pg_sleep", ["sleeps"])]}
	count(guardrails.deny) == 0 with input as t.prod(t.agent, planned)
	run := object.union(planned, {"flags": ["dos", "explain", "explain_analyze"]})
	"guardrails.sleep" in t.rules(guardrails.deny) with input as t.prod(t.agent, run)
	own := {"schema": "public", "name": "snooze", "effects": ["sleeps"]}
	called := object.union(planned, {"functions": [own, t.function("pg_sleep", ["sleeps"])]})
	"guardrails.sleep" in t.rules(guardrails.deny) with input as t.prod(t.agent, called)
}

credential(table, column) := {"columns": [{
	"schema": "pg_catalog",
	"table": table,
	"column": column,
	"usage": ["output"],
	"tags": [],
}]}

test_the_databases_own_credentials_are_closed_to_everyone_everywhere if {
	every who in [t.human, t.dba, t.agent] {
		"guardrails.credentials" in t.rules(guardrails.deny) with input as t.dev(who, credential("pg_authid", "rolpassword"))
	}
	count(guardrails.deny) == 0 with input as t.prod(t.human, credential("pg_authid", "rolname"))
}

subscription(usage) := {"columns": [{
	"schema": "pg_catalog",
	"table": "pg_subscription",
	"column": "subconninfo",
	"usage": usage,
	"tags": [],
}]}

test_a_person_may_read_subscriptions_masked_but_compute_nothing_with_their_secrets if {
	not "guardrails.credentials" in t.rules(guardrails.deny) with input as t.prod(t.human, subscription(["output"]))
	every change in [subscription(["filter"]), subscription(["output", "order"])] {
		"guardrails.credentials" in t.rules(guardrails.deny) with input as t.prod(t.human, change)
	}
	"guardrails.credentials" in t.rules(guardrails.deny) with input as t.prod(t.agent, subscription(["output"]))
}

test_dropping_what_a_role_owns_is_dropping_a_container if {
	owned := {"kinds": ["dcl"], "operations": [t.operation("drop_owned", "role", [])]}
	"guardrails.drop_container" in t.rules(guardrails.deny) with input as t.prod(t.dba, owned)
}

test_an_empty_statement_is_a_read if {
	count(guardrails.deny) == 0 with input as t.prod(t.agent, {"kinds": ["utility"], "flags": ["empty"]})
}

test_an_object_without_a_schema_is_named_alone if {
	bare := object.union(t.table("payments", ["ddl"], ["critical"]), {"schema": ""})
	said := guardrails.deny with input as t.prod(t.dba, object.union(dropped([]), {"relations": [bare]}))
	some r in said
	startswith(r.message, "payments is tagged critical")
}
