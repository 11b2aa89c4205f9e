package policies.access_test

import data.airlock.testing as t
import data.policies.access

test_anyone_may_open_a_session_to_a_database_that_is_not_listed if {
	t.rules(access.allow) == {"access.session"} with input as t.phase("session", t.human)
}

listed := {"shop": {"groups": ["shop_users"]}}

test_a_listed_database_refuses_who_is_in_none_of_its_groups if {
	t.rules(access.deny) == {"access.session_group"} with input as t.phase("session", t.human)
		with data.settings.sessions.databases as listed
	count(access.allow) == 0 with input as t.phase("session", t.human) with data.settings.sessions.databases as listed
}

test_a_listed_database_takes_a_member_of_its_groups if {
	said := access.allow with input as t.phase("session", t.member("human", ["shop_users"]))
		with data.settings.sessions.databases as listed
	t.rules(said) == {"access.session"}
}

test_people_vote_and_agents_do_not if {
	t.rules(access.allow) == {"access.approval"} with input as t.phase("approval", t.human)
	count(access.allow) == 0 with input as t.phase("approval", t.agent)
}

test_a_message_without_statements_is_allowed if {
	"access.empty" in t.rules(access.allow) with input as t.message(t.agent, "prod", [])
}

test_dev_and_staging_are_permissive if {
	t.rules(access.allow) == {"access.non_production"} with input as t.dev(t.agent, {"kinds": ["ddl"]})
	t.rules(access.allow) == {"access.non_production"} with input as t.message(t.agent, "staging", [t.plain_statement])
}

test_people_may_use_production_for_known_kinds if {
	t.rules(access.allow) == {"access.production"} with input as t.prod(t.human, {"kinds": ["select", "delete"]})
	count(access.allow) == 0 with input as t.prod(t.human, {"kinds": ["unknown"]})
	count(access.allow) == 0 with input as t.prod(t.human, {"kinds": []})
}

test_agents_read_production if {
	t.rules(access.allow) == {"access.agent_read"} with input as t.prod(t.agent, {"kinds": ["select"]})
	count(access.allow) == 0 with input as t.prod(t.agent, {"kinds": ["insert"]})
}

grant := [{
	"issuer": "https://idp.example",
	"subject": "agent",
	"databases": ["shop"],
	"tables": ["public.orders"],
	"kinds": ["insert"],
}]

inserted(name) := t.prod(t.agent, {"kinds": ["insert"], "relations": [t.table(name, ["write"], [])]})

test_a_grant_lets_an_agent_write_to_its_tables_only if {
	said := access.allow with input as inserted("orders") with data.settings.agents.write_grants as grant
	t.rules(said) == {"access.agent_write"}
	count(access.allow) == 0 with input as inserted("payments") with data.settings.agents.write_grants as grant
	count(access.allow) == 0 with input as inserted("orders")
}

test_a_grant_is_for_its_kinds_only if {
	deleted := t.prod(t.agent, {"kinds": ["delete"], "relations": [t.table("orders", ["write"], [])]})
	count(access.allow) == 0 with input as deleted with data.settings.agents.write_grants as grant
}

test_a_grant_brings_no_dangerous_function if {
	sneaky := t.prod(t.agent, {
		"kinds": ["insert"],
		"relations": [t.table("orders", ["write"], [])],
		"functions": [t.function("pg_read_file", ["reads_files"])],
	})
	count(access.allow) == 0 with input as sneaky with data.settings.agents.write_grants as grant
}

test_a_granted_write_may_read_other_tables_and_call_trusted_functions if {
	copied := t.prod(t.agent, {
		"kinds": ["insert", "select"],
		"relations": [t.table("orders", ["write"], []), t.table("customers", ["read"], [])],
		"functions": [t.function("nextval", ["writes"]), t.function("mystery", ["opaque"])],
	})
	count(access.allow) == 0 with input as copied with data.settings.agents.write_grants as grant
	said := access.allow with input as copied
		with data.settings.agents.write_grants as grant
		with data.settings.trusted_functions as [{"schema": "pg_catalog", "name": "mystery"}]
	t.rules(said) == {"access.agent_write"}
}
