# METADATA
# title: Access
# description: |
#   Who may do what at all. Without an allow from here everything is denied; guardrails and approvals narrow it.
#
#   Grants for agents in production stand in `data.settings.agents.write_grants`:
#   `{"issuer": "…", "subject": "…", "databases": ["shop"], "tables": ["public.orders"], "kinds": ["insert", "update"]}`.
package policies.access

import data.airlock.lib

# Sessions: a database that the settings list is open to its groups only, any other to whoever is authenticated.
allow contains {
	"rule": "access.session",
	"message": "may open a session to this database",
	"severity": "low",
	"controls": ["SOC2:CC6.1", "ISO27001:A.5.15", "NIST:AC-3"],
} if {
	input.phase == "session"
	admitted
}

deny contains {
	"rule": "access.session_group",
	"message": sprintf("database %s is open to members of %s only; ask for one of these groups", [
		input.resource.database,
		concat(", ", sort(data.settings.sessions.databases[input.resource.database].groups)),
	]),
	"severity": "medium",
	"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.5.15", "NIST:AC-3"],
} if {
	input.phase == "session"
	not admitted
}

admitted if not data.settings.sessions.databases[input.resource.database]

admitted if {
	some group in data.settings.sessions.databases[input.resource.database].groups
	group in input.principal.groups
}

# Approvals are given by people.
allow contains {
	"rule": "access.approval",
	"message": "people may vote on approvals that name one of their groups",
	"severity": "low",
	"controls": ["SOC2:CC6.3", "ISO27001:A.5.3", "NIST:AC-5"],
} if {
	input.phase == "approval"
	input.principal.kind == "human"
}

# A message without a statement (`;`) does nothing.
allow contains {
	"rule": "access.empty",
	"message": "an empty message does nothing",
	"severity": "low",
	"controls": ["NIST:AC-3"],
} if {
	input.phase == "statement"
	input.statement.statements == []
}

# dev and staging are permissive; what happens there is recorded all the same.
allow contains {
	"rule": "access.non_production",
	"message": "dev and staging databases are open to those who may open a session",
	"severity": "low",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.31", "NIST:AC-3"],
} if {
	input.phase == "statement"
	input.resource.environment in {"dev", "staging"}
}

# People and services may do in production what guardrails and approvals leave.
allow contains {
	"rule": "access.production",
	"message": "people and services may use production within the guardrails",
	"severity": "low",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-3"],
} if {
	input.phase == "statement"
	input.resource.environment == "prod"
	input.principal.kind in {"human", "service"}
	every s in input.statement.statements {
		s.kinds != []
		every kind in s.kinds { kind in production_kinds }
	}
}

production_kinds := {
	"select", "insert", "update", "delete", "merge", "truncate", "copy_in", "copy_out", "ddl", "dcl", "tcl",
	"session", "explain", "cursor", "prepare", "execute", "maintenance", "utility", "do", "call",
}

# Agents read in production.
allow contains {
	"rule": "access.agent_read",
	"message": "agents may read production within the guardrails",
	"severity": "low",
	"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-6"],
	"statement": i,
} if {
	input.phase == "statement"
	input.principal.kind == "agent"
	input.resource.environment == "prod"
	some i in lib.reading
}

# An agent writes in production where a grant names it, the database, the kinds and every table.
allow contains {
	"rule": "access.agent_write",
	"message": "a grant lets this agent write to these tables",
	"severity": "low",
	"controls": ["SOC2:CC6.3", "ISO27001:A.5.18", "NIST:AC-6"],
	"statement": i,
} if {
	input.phase == "statement"
	input.principal.kind == "agent"
	input.resource.environment == "prod"
	some i, s in input.statement.statements
	lib.granted(s)
}
