# What the tests beside the policies build their inputs from.
package airlock.testing

plain_statement := {
	"fingerprint": "",
	"normalized_text": "",
	"parameter_count": 0,
	"kinds": ["select"],
	"operations": [],
	"relations": [],
	"columns": [],
	"output": [],
	"functions": [],
	"predicate": null,
	"settings": [],
	"files": [],
	"programs": [],
	"flags": [],
	"unresolved": [],
	"estimated_rows": null,
}

statement(changes) := object.union(plain_statement, changes)

human := member("human", [])

dba := member("human", ["dba"])

agent := member("agent", [])

member(kind, groups) := {
	"issuer": "https://idp.example",
	"subject": kind,
	"kind": kind,
	"email": "",
	"groups": groups,
	"on_behalf_of": [],
	"authentication": {"method": "oidc", "amr": [], "time": 0},
}

prod(who, changes) := message(who, "prod", [statement(changes)])

dev(who, changes) := message(who, "dev", [statement(changes)])

message(who, environment, statements) := {
	"phase": "statement",
	"action": "query",
	"principal": who,
	"resource": {"database": "shop", "engine": "postgres", "environment": environment, "labels": {}},
	"statement": {
		"dialect": "postgres",
		"parser_version": "",
		"catalog_version": "",
		"complete": count([u | some s in statements; some u in s.unresolved]) == 0,
		"multi_statement": count(statements) > 1,
		"statements": statements,
	},
	"context": {
		"session": "s",
		"time": 0,
		"intent": "",
		"ticket": "",
		"client": {"address": "", "application": "", "protocol": "", "tls": ""},
		"enforcement_point": "",
		"transaction_status": "I",
		"counters": {},
	},
}

phase(name, who) := object.union(
	object.remove(message(who, "prod", []), ["statement"]),
	{"phase": name},
)

table(name, access, tags) := {
	"schema": "public",
	"name": name,
	"kind": "table",
	"access": access,
	"via": "direct",
	"tags": tags,
}

temporary(name, access) := object.union(table(name, access, []), {"schema": "pg_temp", "kind": "temporary"})

column(name, usage, tags) := {
	"schema": "public",
	"table": "customers",
	"column": name,
	"usage": usage,
	"tags": tags,
}

output(name, transform, tags, opaque) := {
	"ordinal": 1,
	"name": name,
	"sources": [{"schema": "public", "table": "customers", "column": name}],
	"transform": transform,
	"tags": tags,
	"opaque": opaque,
}

operation(verb, object_type, options) := {
	"verb": verb,
	"object_type": object_type,
	"objects": [],
	"options": options,
}

function(name, effects) := {"schema": "pg_catalog", "name": name, "effects": effects}

where(pinned, pins_key) := {"present": true, "always_true": false, "pinned": pinned, "pins_key": pins_key, "limit": null}

rules(said) := {r.rule | some r in said}
