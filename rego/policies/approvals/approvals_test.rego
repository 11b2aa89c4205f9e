package policies.approvals_test

import data.airlock.testing as t
import data.policies.approvals

made := {
	"kinds": ["ddl"],
	"operations": [t.operation("create", "table", [])],
	"relations": [t.table("x", ["ddl"], [])],
}

test_a_schema_change_in_production_is_held_for_the_dba if {
	some h in approvals.hold with input as t.prod(t.human, made)
	h.rule == "approvals.schema_change"
	h.approvers == ["dba"]
	contains(h.message, "dba")
}

test_a_schema_change_elsewhere_or_of_a_temporary_table_is_not if {
	count(approvals.hold) == 0 with input as t.dev(t.human, made)
	temporary := object.union(made, {"relations": [t.temporary("x", ["ddl"])]})
	count(approvals.hold) == 0 with input as t.prod(t.human, temporary)
}

calls(name) := {
	"kinds": ["select"],
	"functions": [t.function(name, ["writes"])],
	"relations": [object.union(t.table("orders_id_seq", ["write"], []), {"kind": "sequence"})],
}

test_setting_a_sequence_is_a_schema_change_and_taking_from_it_is_not if {
	some h in approvals.hold with input as t.prod(t.human, calls("setval"))
	h.rule == "approvals.schema_change"
	count(approvals.hold) == 0 with input as t.prod(t.human, calls("nextval"))
	count(approvals.hold) == 0 with input as t.dev(t.human, calls("setval"))
	planned := object.union(calls("setval"), {"kinds": ["explain", "select"], "flags": ["explain"]})
	count(approvals.hold) == 0 with input as t.prod(t.human, planned)
	known := [{"schema": "pg_catalog", "name": "setval"}]
	count(approvals.hold) == 0 with input as t.prod(t.human, calls("setval")) with data.settings.trusted_functions as known
}

test_setting_a_sequence_beside_a_temporary_table_is_held if {
	beside := object.union(calls("setval"), {"kinds": ["ddl", "select"], "relations": [t.temporary("x", ["ddl"])]})
	some h in approvals.hold with input as t.prod(t.human, beside)
	h.rule == "approvals.schema_change"
}

changed(kind, predicate) := {
	"kinds": [kind],
	"relations": [t.table("orders", ["write"], [])],
	"predicate": predicate,
}

test_a_change_that_pins_no_key_is_held if {
	every change in [
		changed("delete", t.where([], false)),
		changed("update", t.where(["customer_id"], false)),
		changed("merge", null),
		changed("truncate", null),
	] {
		t.rules(approvals.hold) == {"approvals.mass_change"} with input as t.prod(t.human, change)
		count(approvals.hold) == 0 with input as t.dev(t.human, change)
	}
}

test_a_change_by_key_or_of_a_small_table_is_not if {
	count(approvals.hold) == 0 with input as t.prod(t.human, changed("delete", t.where(["id"], true)))
	small := object.union(changed("delete", t.where([], false)), {"estimated_rows": 40})
	count(approvals.hold) == 0 with input as t.prod(t.human, small)
}

test_without_an_effective_where_there_is_nothing_to_approve if {
	count(approvals.hold) == 0 with input as t.prod(t.human, changed("delete", null))
}

test_an_unknown_size_is_not_small if {
	unknown := object.union(changed("delete", t.where([], false)), {"estimated_rows": -1})
	t.rules(approvals.hold) == {"approvals.mass_change"} with input as t.prod(t.human, unknown)
}

test_privileged_groups_get_an_approval_where_others_are_refused if {
	granted := {"kinds": ["dcl"], "operations": [t.operation("grant", "table", [])]}
	t.rules(approvals.hold) == {"approvals.privileges"} with input as t.prod(t.dba, granted)
	count(approvals.hold) == 0 with input as t.prod(t.human, granted)
	count(approvals.hold) == 0 with input as t.dev(t.dba, granted)
	count(data.policies.guardrails.deny) == 0 with input as t.prod(t.dba, granted)
}

test_server_files_are_approved_by_nobody if {
	count(approvals.hold) == 0 with input as t.prod(t.dba, {"files": ["/tmp"]})
}
