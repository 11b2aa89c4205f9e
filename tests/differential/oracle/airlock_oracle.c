/*
 * What PostgreSQL itself says a statement touches, for differential tests of the statement analysis.
 *
 * Loaded into a session (LOAD 'airlock_oracle'), it sends one INFO message, "airlock_oracle {json}", for
 *   - each permission check of the executor: every relation of the plan's range table, views, inheritance children and
 *     what they expand to included, with the permissions asked for and the columns selected, inserted, updated;
 *   - each analysed query: the functions and aggregates called by name;
 *   - each access to a relation's definition: created, altered, dropped, truncated. An index stands for its table.
 * Nested statements (function bodies, triggers, foreign keys) are reported like the client's own, with their depth.
 *
 * Written for PostgreSQL 15 to 18; since 16 the permissions stand in a list of their own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_relation.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static ExecutorCheckPerms_hook_type earlier_check_perms = NULL;
static post_parse_analyze_hook_type earlier_analyze = NULL;
static object_access_hook_type earlier_access = NULL;
static ExecutorRun_hook_type earlier_run = NULL;
static ExecutorFinish_hook_type earlier_finish = NULL;
static int	depth = 0;
static bool busy = false;

/* A worker runs a part of what its leader has begun. */
static int
level(void)
{
	return depth + (IsParallelWorker() ? 1 : 0);
}

static void
tell(StringInfo text)
{
	ereport(INFO, (errmsg_internal("airlock_oracle %s", text->data)));
	pfree(text->data);
}

static void
put_columns(StringInfo out, const char *label, Oid relid, Bitmapset *columns)
{
	int			bit = -1;
	bool		first = true;

	appendStringInfo(out, ",\"%s\":[", label);
	while ((bit = bms_next_member(columns, bit)) >= 0)
	{
		AttrNumber	number = bit + FirstLowInvalidHeapAttributeNumber;
		char	   *name = number == InvalidAttrNumber ? "*" : get_attname(relid, number, true);

		if (!first)
			appendStringInfoChar(out, ',');
		first = false;
		escape_json(out, name ? name : "?");
	}
	appendStringInfoChar(out, ']');
}

/* The relation as this very command has left it: what it has just made is not yet visible to the caches. */
static void
put_relation(StringInfo out, Oid relid)
{
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(classes, ClassOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	appendStringInfo(out, "\"oid\":%u", relid);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		char	   *schema = get_namespace_name(form->relnamespace);

		appendStringInfoString(out, ",\"schema\":");
		escape_json(out, schema ? schema : "");
		appendStringInfoString(out, ",\"name\":");
		escape_json(out, NameStr(form->relname));
		appendStringInfo(out, ",\"kind\":\"%c\"", form->relkind);
	}
	else
		appendStringInfoString(out, ",\"schema\":\"\",\"name\":\"\",\"kind\":\"?\"");
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
}

static void
put_permissions(StringInfo out, Oid relid, AclMode asked, Bitmapset *selected, Bitmapset *inserted, Bitmapset *updated)
{
	appendStringInfo(out, ",\"select\":%s,\"insert\":%s,\"update\":%s,\"delete\":%s",
					 asked & ACL_SELECT ? "true" : "false",
					 asked & ACL_INSERT ? "true" : "false",
					 asked & ACL_UPDATE ? "true" : "false",
					 asked & ACL_DELETE ? "true" : "false");
	put_columns(out, "selected", relid, selected);
	put_columns(out, "inserted", relid, inserted);
	put_columns(out, "updated", relid, updated);
}

static void
report_range_table(List *range_table, List *permissions)
{
	ListCell   *cell;
	StringInfoData text;
	bool		first = true;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"what\":\"execute\",\"depth\":%d,\"relations\":[", level());
	foreach(cell, range_table)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

#if PG_VERSION_NUM >= 160000
		/* since 16 a view's entry is turned into its subquery, and keeps the view's oid */
		if (entry->rtekind != RTE_RELATION && !(entry->rtekind == RTE_SUBQUERY && OidIsValid(entry->relid)))
			continue;
#else
		if (entry->rtekind != RTE_RELATION)
			continue;
#endif
		if (!first)
			appendStringInfoChar(&text, ',');
		first = false;
		appendStringInfoChar(&text, '{');
		put_relation(&text, entry->relid);
#if PG_VERSION_NUM >= 160000
		if (entry->perminfoindex != 0)
		{
			RTEPermissionInfo *info = getRTEPermissionInfo(permissions, entry);

			put_permissions(&text, entry->relid, info->requiredPerms, info->selectedCols, info->insertedCols,
							info->updatedCols);
		}
		else
			put_permissions(&text, entry->relid, 0, NULL, NULL, NULL);
#else
		put_permissions(&text, entry->relid, entry->requiredPerms, entry->selectedCols, entry->insertedCols,
						entry->updatedCols);
#endif
		appendStringInfoChar(&text, '}');
	}
	appendStringInfoString(&text, "]}");
	tell(&text);
}

#if PG_VERSION_NUM >= 160000
static bool
check_perms(List *range_table, List *permissions, bool raise)
{
	report_range_table(range_table, permissions);
	return earlier_check_perms ? earlier_check_perms(range_table, permissions, raise) : true;
}
#else
static bool
check_perms(List *range_table, bool raise)
{
	report_range_table(range_table, NIL);
	return earlier_check_perms ? earlier_check_perms(range_table, raise) : true;
}
#endif

typedef struct
{
	StringInfo	text;
	bool		first;
} Walk;

static void
put_function(Walk *walk, Oid function)
{
	char	   *schema = get_namespace_name(get_func_namespace(function));
	char	   *name = get_func_name(function);

	if (!name)
		return;
	if (!walk->first)
		appendStringInfoChar(walk->text, ',');
	walk->first = false;
	appendStringInfoString(walk->text, "{\"schema\":");
	escape_json(walk->text, schema ? schema : "");
	appendStringInfoString(walk->text, ",\"name\":");
	escape_json(walk->text, name);
	appendStringInfoChar(walk->text, '}');
}

/* Calls as f(x), and those with a syntax of their own such as EXTRACT; neither operators nor casts. */
static bool
walk_functions(Node *node, void *context)
{
	Walk	   *walk = (Walk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_functions, context, 0);
	if (IsA(node, FuncExpr))
	{
		CoercionForm form = ((FuncExpr *) node)->funcformat;

		if (form == COERCE_EXPLICIT_CALL || form == COERCE_SQL_SYNTAX)
			put_function(walk, ((FuncExpr *) node)->funcid);
	}
	else if (IsA(node, Aggref))
		put_function(walk, ((Aggref *) node)->aggfnoid);
	else if (IsA(node, WindowFunc))
		put_function(walk, ((WindowFunc *) node)->winfnoid);
	return expression_tree_walker(node, walk_functions, context);
}

static void
analyzed(ParseState *state, Query *query, JumbleState *jumble)
{
	StringInfoData text;
	Walk		walk;

	if (earlier_analyze)
		earlier_analyze(state, query, jumble);
	initStringInfo(&text);
	appendStringInfo(&text, "{\"what\":\"analyze\",\"depth\":%d,\"command\":%d,\"functions\":[",
					 level() + (state->p_sourcetext == debug_query_string ? 0 : 1), /* a body is below what calls it */
					 (int) query->commandType);
	walk.text = &text;
	walk.first = true;
	walk_functions((Node *) query, &walk);
	appendStringInfoString(&text, "]}");
	tell(&text);
}

static void
accessed(ObjectAccessType access, Oid class, Oid object, int sub, void *argument)
{
	static const char *const words[] = {"create", "drop", "alter", "search", "execute", "truncate"};
	StringInfoData text;
	Oid			table = InvalidOid;

	if (earlier_access)
		earlier_access(access, class, object, sub, argument);
	if (busy || class != RelationRelationId || access == OAT_NAMESPACE_SEARCH || access == OAT_FUNCTION_EXECUTE)
		return;
	busy = true;
	if (get_rel_relkind(object) == RELKIND_INDEX || get_rel_relkind(object) == RELKIND_PARTITIONED_INDEX)
		table = IndexGetRelation(object, true);
	initStringInfo(&text);
	/* a column that comes or goes changes its table */
	appendStringInfo(&text, "{\"what\":\"%s\",\"depth\":%d,",
					 (sub != 0 || OidIsValid(table)) ? "alter" : words[access], level());
	put_relation(&text, OidIsValid(table) ? table : object);
	appendStringInfoChar(&text, '}');
	tell(&text);
	busy = false;
}

#if PG_VERSION_NUM >= 180000
#define RUN_ARGUMENTS QueryDesc *query, ScanDirection direction, uint64 count
#define RUN_VALUES query, direction, count
#else
#define RUN_ARGUMENTS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define RUN_VALUES query, direction, count, once
#endif

static void
run(RUN_ARGUMENTS)
{
	depth++;
	PG_TRY();
	{
		if (earlier_run)
			earlier_run(RUN_VALUES);
		else
			standard_ExecutorRun(RUN_VALUES);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

/* Triggers and foreign keys run here. */
static void
finish(QueryDesc *query)
{
	depth++;
	PG_TRY();
	{
		if (earlier_finish)
			earlier_finish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

void
_PG_init(void)
{
	earlier_check_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_perms;
	earlier_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = analyzed;
	earlier_access = object_access_hook;
	object_access_hook = accessed;
	earlier_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
	earlier_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish;
}
