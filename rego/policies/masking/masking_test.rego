package policies.masking_test

import data.airlock.testing as t
import data.policies.approvals
import data.policies.masking

methods(said) := {m.tag: m.method | some m in said; m.rule != "masking.computed"}

test_tags_are_masked_for_whoever_may_not_see_them if {
	found := methods(masking.mask) with input as t.prod(t.human, {})
	found["pii.email"] == "email"
	found.pii == "full"
	found.secret == "full"
}

test_readers_see_their_family_and_no_other if {
	found := methods(masking.mask) with input as t.prod(t.member("human", ["pii_readers"]), {})
	object.keys(found) == {"secret"}
	count(masking.mask) == 0 with input as t.prod(t.member("human", ["pii_readers", "secret_readers"]), {})
}

test_an_environment_that_is_not_listed_is_open if {
	count(masking.mask) == 0 with input as t.dev(t.human, {}) with data.settings.masking.environments as ["prod"]
}

test_every_tag_with_a_method_is_left_out_of_its_familys_mask if {
	every name, family in data.settings.masking.families {
		own := {m.tag | some m in family.masks; m.tag != name}
		others := [m | some m in family.masks; m.tag == name]
		count(others) == 1
		{tag | some tag in object.get(others[0], "except_tags", [])} == own
	}
}

read(transform, opaque) := {
	"columns": [t.column("email", ["output"], ["pii.email"])],
	"output": [t.output("email", transform, ["pii.email"], opaque)],
}

test_a_computed_value_is_masked_in_full if {
	every change in [read("expression", false), read("aggregate", false), read("whole_row", false), read("identity", true)] {
		some m in masking.mask with input as t.prod(t.human, change)
		m == {"rule": "masking.computed", "tag": "pii.email", "method": "full"}
	}
}

test_a_column_of_the_session_may_hold_what_was_computed if {
	kept := object.union(t.output("email", "identity", ["pii.email"], false), {"sources": [
		{"schema": "pg_temp", "table": "t", "column": "e"},
		{"schema": "public", "table": "customers", "column": "email"},
	]})
	some m in masking.mask with input as t.prod(t.human, {"output": [kept]})
	m == {"rule": "masking.computed", "tag": "pii.email", "method": "full"}
}

test_the_column_itself_is_not if {
	every m in masking.mask { m.rule != "masking.computed" } with input as t.prod(t.human, read("identity", false))
}

opaque(columns, functions) := {
	"columns": columns,
	"functions": functions,
	"output": [t.output("x", "expression", [], true)],
}

test_an_output_of_unknown_origin_is_closed_where_something_masked_may_flow if {
	beside := opaque([t.column("email", ["output"], ["pii.email"])], [])
	t.rules(masking.deny) == {"masking.unmaskable"} with input as t.prod(t.human, beside)
	called := opaque([], [t.function("mystery", ["opaque"])])
	t.rules(masking.deny) == {"masking.unmaskable"} with input as t.prod(t.human, called)
}

test_it_stays_open_where_nothing_masked_is_near_or_for_readers if {
	count(masking.deny) == 0 with input as t.prod(t.human, opaque([t.column("id", ["output"], [])], []))
	cleared := t.member("human", ["pii_readers", "secret_readers"])
	count(masking.deny) == 0 with input as t.prod(cleared, opaque([t.column("email", ["filter"], ["pii.email"])], []))
}

copied(relation, usage) := {
	"kinds": ["insert", "select"],
	"relations": [relation],
	"columns": [t.column("email", usage, ["pii.email"])],
}

test_masked_values_are_not_copied_to_where_they_would_lose_their_tag if {
	kept := copied(t.table("notes", ["write"], []), ["inner"])
	t.rules(masking.deny) == {"masking.copy"} with input as t.prod(t.human, kept)
	count(masking.deny) == 0 with input as t.prod(t.member("human", ["pii_readers", "secret_readers"]), kept)
}

test_writing_and_temporary_copies_are_fine if {
	count(masking.deny) == 0 with input as t.prod(t.human, copied(t.table("customers", ["write"], []), ["write"]))
	made := object.union(copied(t.temporary("x", ["write", "ddl"]), ["inner"]), {"kinds": ["ddl", "select"]})
	count(masking.deny) == 0 with input as t.prod(t.human, made)
}

test_a_temporary_table_that_may_compare_gets_no_guarded_value if {
	written := copied(t.temporary("x", ["write"]), ["inner"])
	t.rules(masking.deny) == {"masking.copy"} with input as t.prod(t.human, written)
	named := object.union(written, {"columns": [t.column("segment", ["inner"], [])]})
	cleared := t.member("human", ["pii_readers", "secret_readers"])
	count(masking.deny) == 0 with input as t.prod(t.human, named)
	count(masking.deny) == 0 with input as t.prod(cleared, written)
	count(masking.deny) == 0 with input as t.prod(t.human, written)
		with data.settings.masking.inference.people.effect as "allow"
}

test_returning_masks_and_does_not_copy if {
	returned := object.union(
		copied(t.table("customers", ["write"], []), ["output"]),
		{"kinds": ["update"], "output": [t.output("email", "identity", ["pii.email"], false)]},
	)
	count(masking.deny) == 0 with input as t.prod(t.human, returned)
}

system(name) := {"relations": [object.union(t.table(name, ["read"], []), {"schema": "pg_catalog", "kind": "system"})]}

test_the_planners_statistics_are_closed_to_whoever_is_masked if {
	t.rules(masking.deny) == {"masking.statistics"} with input as t.prod(t.human, system("pg_stats"))
	count(masking.deny) == 0 with input as t.prod(t.human, system("pg_class"))
	cleared := t.member("human", ["pii_readers", "secret_readers"])
	count(masking.deny) == 0 with input as t.prod(cleared, system("pg_stats"))
}

compared(name, usage, tags) := {"columns": [t.column(name, [usage], tags)]}

guessing := {"filter", "join", "group", "order", "window", "check"}

test_a_secret_is_not_guessed_by_comparing if {
	every usage in guessing {
		t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.human, compared("secret", usage, ["secret.key"]))
	}
	count(masking.deny) == 0 with input as t.prod(t.member("human", ["secret_readers"]), compared("secret", "filter", ["secret.key"]))
}

test_a_masked_identifier_is_not_guessed_either if {
	every who in [t.human, t.agent, t.dba] {
		every usage in guessing {
			found := t.rules(masking.deny) with input as t.prod(who, compared("ssn", usage, ["pii.national_id"]))
			found == {"masking.inference"}
		}
	}
	count(masking.deny) == 0 with input as t.prod(t.member("human", ["pii_readers"]), compared("ssn", "filter", ["pii.national_id"]))
}

test_what_is_personal_and_no_more_exact_is_guarded_too if {
	every who in [t.human, t.agent] {
		t.rules(masking.deny) == {"masking.inference"} with input as t.prod(who, compared("body", "filter", ["pii"]))
		count(masking.deny) == 0 with input as t.prod(who, compared("body", "output", ["pii"]))
	}
	count(masking.deny) == 0 with input as t.prod(t.human, compared("body", "filter", ["pii"]))
		with data.settings.masking.inference.people.tags as ["secret"]
}

test_reading_and_untagged_or_unguarded_columns_are_no_guess if {
	count(masking.deny) == 0 with input as t.prod(t.human, compared("ssn", "output", ["pii.national_id"]))
	count(masking.deny) == 0 with input as t.prod(t.human, compared("total", "filter", []))
	count(masking.deny) == 0 with input as t.prod(t.agent, compared("city", "group", ["pii.address"]))
}

test_names_and_birth_dates_are_sorted_by_and_not_compared if {
	every tag in ["pii.name", "pii.birthdate", "pii.address"] {
		every who in [t.human, t.agent] {
			every usage in ["order", "group", "window"] {
				count(masking.deny) == 0 with input as t.prod(who, compared("x", usage, [tag]))
			}
			every usage in ["filter", "join", "check"] {
				t.rules(masking.deny) == {"masking.inference"} with input as t.prod(who, compared("x", usage, [tag]))
			}
			computed := {"columns": [t.column("x", ["order", "probe"], [tag])]}
			t.rules(masking.deny) == {"masking.inference"} with input as t.prod(who, computed)
		}
	}
	cleared := t.member("human", ["pii_readers"])
	count(masking.deny) == 0 with input as t.prod(cleared, compared("x", "filter", ["pii.name"]))
	count(masking.deny) == 0 with input as t.prod(t.human, compared("x", "filter", ["pii.name"]))
		with data.settings.masking.inference.people.compared as []
}

named(name, tag) := {
	"columns": [t.column(name, ["filter", "output"], [tag])],
	"predicate": t.where([name], false),
}

test_a_name_or_address_in_hand_may_be_looked_up if {
	every tag in ["pii.name", "pii.birthdate", "pii.address"] {
		count(masking.deny) == 0 with input as t.prod(t.human, named("x", tag))
	}
	count(masking.deny) == 0 with input as t.prod(t.agent, named("city", "pii.address"))
	t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.agent, named("name", "pii.name"))
}

looked_up := object.union(compared("email", "filter", ["pii.email"]), {"predicate": t.where(["email"], false)})

test_a_person_may_look_a_customer_up_by_an_email_in_hand if {
	count(masking.deny) == 0 with input as t.prod(t.human, looked_up)
	t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.agent, looked_up)
	sorted := object.union(looked_up, compared("email", "order", ["pii.email"]))
	t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.human, sorted)
	like := object.union(looked_up, {"predicate": t.where([], false)})
	t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.human, like)
	ssn := object.union(compared("ssn", "filter", ["pii.national_id"]), {"predicate": t.where(["ssn"], false)})
	t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.human, ssn)
}

test_a_lookup_that_also_probes_is_a_guess if {
	every more in ["probe", "inner", "join", "order"] {
		probing := object.union(looked_up, {"columns": [t.column("email", ["filter", more], ["pii.email"])]})
		t.rules(masking.deny) == {"masking.inference"} with input as t.prod(t.human, probing)
	}
}

test_an_upsert_and_an_index_are_no_guess if {
	upsert := {
		"kinds": ["insert", "update"],
		"flags": ["on_conflict"],
		"relations": [t.table("customers", ["read", "write"], [])],
		"columns": [t.column("email", ["filter", "write"], ["pii.email"])],
	}
	count(masking.deny) == 0 with input as t.prod(t.human, upsert)
	made := {"kinds": ["ddl"], "operations": [t.operation("create", "index", [])]}
	index := object.union(compared("ssn", "check", ["pii.national_id"]), made)
	count(masking.deny) == 0 with input as t.prod(t.dba, index)
	secret := object.union(compared("key", "check", ["secret.key"]), made)
	"masking.inference" in t.rules(masking.deny) with input as t.prod(t.dba, secret)
}

test_a_constraint_a_conversion_and_an_index_of_the_session_are_guesses if {
	constraint := {"kinds": ["ddl"], "operations": [t.operation("alter", "table", ["addconstraint"])]}
	own := {
		"kinds": ["ddl"],
		"operations": [t.operation("create", "index", [])],
		"relations": [t.temporary("t", ["ddl"])],
	}
	every change in [constraint, own] {
		guess := object.union(compared("ssn", "check", ["pii.national_id"]), change)
		"masking.inference" in t.rules(masking.deny) with input as t.dev(t.human, guess)
	}
	every usage in ["output", "inner"] {
		converted := {"kinds": ["update"], "columns": [t.column("ssn", [usage, "check"], ["pii.national_id"])]}
		"masking.inference" in t.rules(masking.deny) with input as t.prod(t.human, converted)
	}
	unique := {"kinds": ["update"], "columns": [t.column("ssn", ["write", "check"], ["pii.national_id"])]}
	count(masking.deny) == 0 with input as t.prod(t.human, unique)
}

test_explain_analyze_measures_no_guarded_column if {
	run := {"kinds": ["explain", "select"], "flags": ["explain", "explain_analyze"]}
	every who in [t.human, t.agent] {
		measured := t.prod(who, object.union(run, compared("email", "inner", ["pii.email"])))
		t.rules(masking.deny) == {"masking.measured"} with input as measured
	}
	cleared := t.member("human", ["pii_readers", "secret_readers"])
	every harmless in [
		t.prod(t.human, object.union(run, compared("total", "output", []))),
		t.prod(t.human, object.union(run, compared("email", "write", ["pii.email"]))),
		t.prod(t.human, object.union(run, compared("email", "output", ["pii.email"]))),
		t.prod(cleared, object.union(run, compared("email", "inner", ["pii.email"]))),
		t.prod(t.human, object.union(
			{"kinds": ["explain", "select"], "flags": ["explain"]},
			compared("email", "inner", ["pii.email"]),
		)),
	] {
		count(masking.deny) == 0 with input as harmless
	}
}

test_a_guess_may_be_held_or_allowed_instead if {
	guess := t.prod(t.human, compared("ssn", "filter", ["pii.national_id"]))
	held := t.rules(approvals.hold) with input as guess
		with data.settings.masking.inference.people.effect as "hold"
	held == {"masking.inference"}
	every effect in ["hold", "allow"] {
		count(masking.deny) == 0 with input as guess with data.settings.masking.inference.people.effect as effect
	}
	count(approvals.hold) == 0 with input as guess with data.settings.masking.inference.people.effect as "allow"
}

passed(tags) := {"columns": [t.column("email", ["output", "passed"], tags)]}

test_a_function_that_passes_values_on_gets_no_masked_one if {
	"masking.passed" in t.rules(masking.deny) with input as t.prod(t.human, passed(["pii.email"]))
	count(masking.deny) == 0 with input as t.prod(t.human, passed([]))
}

test_an_opaque_output_that_is_masked_itself_stays_open if {
	count(masking.deny) == 0 with input as t.prod(t.human, read("expression", true))
}

made(kind) := {
	"kinds": ["ddl", "select"],
	"relations": [object.union(t.table("x", ["ddl"], []), {"kind": kind})],
	"columns": [t.column("email", ["output"], ["pii.email"])],
}

test_a_new_table_is_a_copy_and_a_view_is_not if {
	t.rules(masking.deny) == {"masking.copy"} with input as t.prod(t.human, made("table"))
	t.rules(masking.deny) == {"masking.copy"} with input as t.prod(t.human, made("materialized_view"))
	count(masking.deny) == 0 with input as t.prod(t.human, made("view"))
}

renamed(verb, type, kind) := {
	"kinds": ["ddl"],
	"operations": [t.operation(verb, type, [])],
	"relations": [object.union(t.table("x", ["ddl"], []), {"kind": kind})],
	"columns": [t.column("email", ["inner"], ["pii.email"])],
}

test_another_name_is_a_copy_of_a_view_too if {
	t.rules(masking.deny) == {"masking.copy"} with input as t.dev(t.human, renamed("rename", "table", "table"))
	t.rules(masking.deny) == {"masking.copy"} with input as t.dev(t.human, renamed("rename", "view", "view"))
	t.rules(masking.deny) == {"masking.copy"} with input as t.dev(t.human, renamed("set_schema", "view", "view"))
	t.rules(masking.deny) == {"masking.copy"} with input as t.dev(t.human, object.union(
		renamed("rename", "schema", "view"),
		{"relations": []},
	))
}

test_another_name_is_none_for_readers_and_of_what_is_not_tagged if {
	cleared := t.member("human", ["pii_readers", "secret_readers"])
	count(masking.deny) == 0 with input as t.dev(cleared, renamed("rename", "table", "table"))
	count(masking.deny) == 0 with input as t.dev(t.human, object.union(renamed("rename", "table", "table"), {"columns": []}))
	count(masking.deny) == 0 with input as t.dev(t.human, renamed("comment", "view", "view"))
}

activity(name) := object.union(system("pg_stat_activity"), {
	"functions": [t.function("pg_stat_get_activity", [])],
	"columns": [{"schema": "pg_catalog", "table": "pg_stat_activity", "column": name, "usage": ["output"], "tags": []}],
})

test_the_text_of_other_sessions_statements_is_closed_to_whoever_is_masked if {
	t.rules(masking.deny) == {"masking.other_statements"} with input as t.prod(t.human, activity("query"))
	count(masking.deny) == 0 with input as t.prod(t.human, activity("state"))
	direct := {"functions": [t.function("pg_stat_get_activity", [])]}
	t.rules(masking.deny) == {"masking.other_statements"} with input as t.prod(t.human, direct)
	count(masking.deny) == 0 with input as t.prod(t.member("human", ["pii_readers", "secret_readers"]), direct)
}

test_a_subscriptions_connection_string_is_masked_for_everyone if {
	read_it := {"columns": [{
		"schema": "pg_catalog",
		"table": "pg_subscription",
		"column": "subconninfo",
		"usage": ["output"],
		"tags": [],
	}]}
	every who in [t.human, t.dba, t.member("human", ["secret_readers"])] {
		"masking.credentials" in {m.rule | some m in masking.mask} with input as t.dev(who, read_it)
	}
}
