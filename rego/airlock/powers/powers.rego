# METADATA
# title: Powers
# description: |
#   Powers that reach past the tables, found in the facts by name; `texts` says what each is.
package airlock.powers

import data.airlock.lib

# The powers that the message uses, by name. `texts` says what each is.
used := {power |
	some s in lib.changing
	some power in of_statement(s)
}

of_statement(s) := union({
	{power | some fn in s.functions; some effect in fn.effects; power := of_effect[effect]; not lib.trusted(fn)},
	{power | some flag in s.flags; power := of_flag[flag]},
	{power | some kind in s.kinds; power := of_kind[kind]},
	{power |
		some op in s.operations
		power := of_object[op.object_type]
		not op.verb in {"checkpoint", "comment", "grant", "reindex", "revoke"}
	},
	{power | some op in s.operations; some option in op.options; power := of_option[op.verb][option]},
	{power | some op in s.operations; power := of_verb[op.verb]},
	{"locks" | some op in s.operations; op.verb == "reindex"; not "concurrently" in op.options},
	{power | some op in s.operations; power := of_operation[op.object_type][op.verb]},
	{"large_objects" | some relation in s.relations; relation.name == "pg_largeobject"; relation.schema == "pg_catalog"},
	{"role_change" | some flag in s.flags; flag == "role_change"; not lib.resets(s)},
	{power | input.statement.dialect != "postgres"; some flag in s.flags; power := of_other_flag[flag]},
	{"server_files" | count(s.files) > 0; not "client_file" in s.flags},
	{"server_programs" | count(s.programs) > 0},
	{"security_definer" | "security_definer" in s.flags; "ddl" in s.kinds},
	{"server_settings" | "admin" in s.flags; some fn in s.functions; fn.effects == ["changes_settings"]},
	{"server_objects" | some op in s.operations; op.object_type in server_objects; not op.verb in tending},
	{"server_control" | "admin" in s.flags; some fn in s.functions; fn.schema == "pg_catalog"; "writes" in fn.effects},
	{"server_settings" | count(s.settings) > 0; some op in s.operations; op.object_type == "database"},
	{"security_setting" | some name in s.settings; lower(name) in data.settings.security_settings},
})

# A privileged person may do it with an approval.
approvable(text) if {
	text.approval
	lib.privileged
	not lib.agent
}

of_effect := {
	"reads_files": "server_files",
	"writes_files": "server_files",
	"os_command": "server_programs",
	"network": "network",
	"dynamic_sql": "dynamic_sql",
	"opaque": "dynamic_sql",
	"kills_sessions": "kills_sessions",
	"large_object": "large_objects",
	"sleeps": "sleep",
}

of_flag := {
	"dynamic_unknown": "dynamic_sql",
	"lexer_setting": "lexer_setting",
	"opaque_code": "dynamic_sql",
	"replication": "replication",
	"policy": "row_security",
	"notify": "channels",
	"advisory_lock": "advisory_locks",
}

# Of other databases' statements, whose settings, programs and functions are not known one by one.
of_other_flag := {
	"kills_sessions": "kills_sessions",
	"load": "extensions",
	"program": "server_programs",
	"remote": "network",
	"security_setting": "security_setting",
	"xa": "locks",
}

of_kind := {
	"do": "dynamic_sql",
	"dcl": "privileges",
}

of_object := {
	"publication": "replication",
	"subscription": "replication",
	"replication_slot": "replication",
	"extension": "extensions",
	"language": "extensions",
	"access_method": "extensions",
	"event_trigger": "extensions",
	"transform": "extensions",
	"foreign_server": "network",
	"foreign_data_wrapper": "network",
	"user_mapping": "network",
	"foreign_schema": "network",
	"foreign_table": "network",
	"library": "extensions",
	"system": "server_settings",
	"role": "privileges",
	"user": "privileges",
	"group": "privileges",
	"large_object": "large_objects",
	"tablespace": "server_files",
}

# What concerns the session's own database, or nothing but a text.
tending := {"analyze", "cluster", "comment", "reindex", "vacuum"}

# There is one of each for all databases of the server.
server_objects := {"database", "tablespace", "role", "user", "group", "subscription"}

# Whatever its object. It writes tables anew, which nobody may read meanwhile.
of_verb := {"cluster": "locks"}

# By the verb, then by one of its options.
of_option := {
	"alter": {"changeowner": "privileges"},
	"lock": {
		"access_exclusive": "locks",
		"exclusive": "locks",
		"share_row_exclusive": "locks",
		"share": "locks",
	},
	"vacuum": {"full": "locks"},
}

# By the object, then by the verb. A prepared transaction keeps its locks after the session is gone.
of_operation := {"transaction": {"prepare": "locks"}}

# `approval`: the privileged groups may, with an approval. `always`: for nobody, anywhere. `people`: agents only.
# `server`: it reaches past the database, so that it is refused outside of production as well.
texts := {
	"server_files": {
		"what": "this reads or writes files of the database server",
		"way_out": "move data over the connection instead, as \\copy or COPY … FROM STDIN do",
		"severity": "critical",
		"controls": ["SOC2:CC6.1", "SOC2:CC6.7", "ISO27001:A.8.3", "ISO27001:A.8.12", "NIST:AC-3", "NIST:AC-6"],
		"server": true,
	},
	"server_programs": {
		"what": "this runs a program on the database server",
		"way_out": "run it on your own machine and move the data over the connection",
		"severity": "critical",
		"controls": ["SOC2:CC6.1", "SOC2:CC6.8", "ISO27001:A.8.18", "NIST:AC-3", "NIST:CM-7"],
		"server": true,
	},
	"network": {
		"what": "this makes the database server connect to somewhere else",
		"way_out": "fetch the data with a client and load it over the connection",
		"severity": "critical",
		"controls": ["SOC2:CC6.6", "SOC2:CC6.7", "ISO27001:A.8.12", "NIST:AC-4", "NIST:SC-7"],
	},
	"dynamic_sql": {
		"what": "this runs code that can't be read beforehand (DO, dynamic SQL or an opaque function)",
		"way_out": "write the statements out, or have the function listed in trusted_functions",
		"severity": "high",
		"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-3", "NIST:SI-10"],
		"approval": true,
	},
	"kills_sessions": {
		"what": "this ends or cancels other sessions",
		"way_out": "ask a database administrator",
		"severity": "high",
		"controls": ["SOC2:CC6.3", "SOC2:A1.2", "ISO27001:A.8.2", "NIST:AC-6(1)"],
		"approval": true,
		"server": true,
	},
	"replication": {
		"what": "this sets up or reads replication, which carries data past the policies",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.7", "ISO27001:A.8.12", "NIST:AC-4", "NIST:AC-6(1)"],
		"approval": true,
		"server": true,
	},
	"extensions": {
		"what": "this loads or changes code inside the database server",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.8", "SOC2:CC8.1", "ISO27001:A.8.19", "NIST:CM-7", "NIST:CM-11"],
		"approval": true,
	},
	"privileges": {
		"what": "this changes roles or privileges",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.2", "SOC2:CC6.3", "ISO27001:A.8.2", "ISO27001:A.5.18", "NIST:AC-2", "NIST:AC-6(1)"],
		"approval": true,
	},
	"server_settings": {
		"what": "this changes settings of the whole server",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC8.1", "ISO27001:A.8.9", "NIST:CM-5", "NIST:CM-6"],
		"approval": true,
		"server": true,
	},
	"server_objects": {
		"what": "this changes what all databases of the server share: databases, roles, tablespaces or subscriptions",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.3", "SOC2:CC8.1", "ISO27001:A.8.2", "ISO27001:A.8.31", "NIST:AC-6(1)", "NIST:CM-5"],
		"approval": true,
		"server": true,
	},
	"server_control": {
		"what": "this controls the server itself: its role, backups, logs or statistics",
		"way_out": "ask a database administrator",
		"severity": "high",
		"controls": ["SOC2:A1.2", "SOC2:CC8.1", "ISO27001:A.8.2", "NIST:AC-6(1)", "NIST:CP-10"],
		"approval": true,
		"server": true,
	},
	"role_change": {
		"what": "this changes the role of the session, so that its rights are no longer yours",
		"way_out": "sign in with the rights that you need",
		"severity": "high",
		"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.8.2", "NIST:AC-6(1)", "NIST:IA-2"],
	},
	"lexer_setting": {
		"what": "this changes how the server reads statements or encodes text",
		"way_out": "leave standard_conforming_strings on and client_encoding UTF8",
		"severity": "high",
		"controls": ["SOC2:CC6.1", "ISO27001:A.8.9", "NIST:SI-10", "NIST:CM-6"],
		"always": true,
	},
	"security_setting": {
		"what": "this changes a setting on which the safety of the database depends",
		"way_out": "ask a database administrator",
		"severity": "high",
		"controls": ["SOC2:CC6.1", "SOC2:CC8.1", "ISO27001:A.8.9", "NIST:CM-5", "NIST:CM-6"],
		"approval": true,
	},
	"large_objects": {
		"what": "this uses large objects, which no table's policy covers",
		"way_out": "keep the data in a bytea column",
		"severity": "high",
		"controls": ["SOC2:CC6.1", "ISO27001:A.8.3", "NIST:AC-3"],
		"approval": true,
	},
	"locks": {
		"what": "this locks out others for as long as it likes",
		"way_out": "take a lock of rows (SELECT … FOR UPDATE) or of a weaker mode, and leave VACUUM FULL to a maintenance window",
		"severity": "high",
		"controls": ["SOC2:A1.1", "SOC2:A1.2", "ISO27001:A.8.6", "NIST:SC-5"],
		"approval": true,
	},
	"advisory_locks": {
		"what": "this takes an advisory lock, on which people's programs may wait",
		"way_out": "coordinate on your own side",
		"severity": "low",
		"controls": ["SOC2:A1.1", "ISO27001:A.8.6", "NIST:SC-5"],
		"people": true,
	},
	"row_security": {
		"what": "this changes which rows of a table people may see",
		"way_out": "ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.8.3", "NIST:AC-3", "NIST:AC-6(1)"],
		"approval": true,
	},
	"security_definer": {
		"what": "this makes code that runs with its owner's rights instead of the caller's",
		"way_out": "leave SECURITY DEFINER out, or ask a database administrator",
		"severity": "critical",
		"controls": ["SOC2:CC6.1", "SOC2:CC6.3", "SOC2:CC8.1", "ISO27001:A.8.2", "NIST:AC-6(1)", "NIST:AC-6(8)"],
		"approval": true,
	},
	"channels": {
		"what": "this sends a notification, a way by which data leaves past the policies",
		"way_out": "return what you found as rows",
		"severity": "medium",
		"controls": ["SOC2:CC6.7", "ISO27001:A.8.12", "NIST:AC-4"],
		"people": true,
	},
	"sleep": {
		"what": "this keeps a connection of a production server busy doing nothing",
		"way_out": "wait on your own side",
		"severity": "low",
		"controls": ["SOC2:A1.1", "ISO27001:A.8.6", "NIST:SC-5"],
		"people": true,
	},
}
