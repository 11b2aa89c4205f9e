from decision.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RelationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELATION_KIND_UNSPECIFIED: _ClassVar[RelationKind]
    RELATION_KIND_TABLE: _ClassVar[RelationKind]
    RELATION_KIND_VIEW: _ClassVar[RelationKind]
    RELATION_KIND_MATERIALIZED_VIEW: _ClassVar[RelationKind]
    RELATION_KIND_FOREIGN_TABLE: _ClassVar[RelationKind]
    RELATION_KIND_SYSTEM: _ClassVar[RelationKind]
    RELATION_KIND_TEMPORARY: _ClassVar[RelationKind]
    RELATION_KIND_PARTITIONED: _ClassVar[RelationKind]
    RELATION_KIND_SEQUENCE: _ClassVar[RelationKind]
    RELATION_KIND_UNKNOWN: _ClassVar[RelationKind]
RELATION_KIND_UNSPECIFIED: RelationKind
RELATION_KIND_TABLE: RelationKind
RELATION_KIND_VIEW: RelationKind
RELATION_KIND_MATERIALIZED_VIEW: RelationKind
RELATION_KIND_FOREIGN_TABLE: RelationKind
RELATION_KIND_SYSTEM: RelationKind
RELATION_KIND_TEMPORARY: RelationKind
RELATION_KIND_PARTITIONED: RelationKind
RELATION_KIND_SEQUENCE: RelationKind
RELATION_KIND_UNKNOWN: RelationKind

class CatalogColumn(_message.Message):
    __slots__ = ("name", "number", "type_oid", "type_name", "not_null", "has_default", "generated", "tags", "expression")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TYPE_OID_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    NOT_NULL_FIELD_NUMBER: _ClassVar[int]
    HAS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    type_oid: int
    type_name: str
    not_null: bool
    has_default: bool
    generated: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    expression: str
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., type_oid: _Optional[int] = ..., type_name: _Optional[str] = ..., not_null: _Optional[bool] = ..., has_default: _Optional[bool] = ..., generated: _Optional[bool] = ..., tags: _Optional[_Iterable[str]] = ..., expression: _Optional[str] = ...) -> None: ...

class ForeignKey(_message.Message):
    __slots__ = ("name", "columns", "target_schema", "target_table", "target_columns", "on_delete", "on_update")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TARGET_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TARGET_TABLE_FIELD_NUMBER: _ClassVar[int]
    TARGET_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ON_DELETE_FIELD_NUMBER: _ClassVar[int]
    ON_UPDATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    target_schema: str
    target_table: str
    target_columns: _containers.RepeatedScalarFieldContainer[str]
    on_delete: str
    on_update: str
    def __init__(self, name: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., target_schema: _Optional[str] = ..., target_table: _Optional[str] = ..., target_columns: _Optional[_Iterable[str]] = ..., on_delete: _Optional[str] = ..., on_update: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ("name", "events", "function_schema", "function_name", "enabled", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    events: _containers.RepeatedScalarFieldContainer[str]
    function_schema: str
    function_name: str
    enabled: bool
    after: bool
    def __init__(self, name: _Optional[str] = ..., events: _Optional[_Iterable[str]] = ..., function_schema: _Optional[str] = ..., function_name: _Optional[str] = ..., enabled: _Optional[bool] = ..., after: _Optional[bool] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("name", "event", "instead", "definition")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    INSTEAD_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    event: str
    instead: bool
    definition: str
    def __init__(self, name: _Optional[str] = ..., event: _Optional[str] = ..., instead: _Optional[bool] = ..., definition: _Optional[str] = ...) -> None: ...

class RowPolicy(_message.Message):
    __slots__ = ("name", "command", "using_expression", "check_expression")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    USING_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    CHECK_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    command: str
    using_expression: str
    check_expression: str
    def __init__(self, name: _Optional[str] = ..., command: _Optional[str] = ..., using_expression: _Optional[str] = ..., check_expression: _Optional[str] = ...) -> None: ...

class Names(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class QualifiedName(_message.Message):
    __slots__ = ("schema", "name")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    schema: str
    name: str
    def __init__(self, schema: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RelationIndex(_message.Message):
    __slots__ = ("name", "unique", "expressions", "predicate")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    PREDICATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    unique: bool
    expressions: str
    predicate: str
    def __init__(self, name: _Optional[str] = ..., unique: _Optional[bool] = ..., expressions: _Optional[str] = ..., predicate: _Optional[str] = ...) -> None: ...

class CatalogRelation(_message.Message):
    __slots__ = ("schema", "name", "oid", "kind", "columns", "definition", "keys", "foreign_keys", "triggers", "rules", "row_policies", "row_security", "parents", "children", "estimated_rows", "tags", "indexes", "checks", "foreign_server")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_KEYS_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ROW_POLICIES_FIELD_NUMBER: _ClassVar[int]
    ROW_SECURITY_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_ROWS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_SERVER_FIELD_NUMBER: _ClassVar[int]
    schema: str
    name: str
    oid: int
    kind: RelationKind
    columns: _containers.RepeatedCompositeFieldContainer[CatalogColumn]
    definition: str
    keys: _containers.RepeatedCompositeFieldContainer[Names]
    foreign_keys: _containers.RepeatedCompositeFieldContainer[ForeignKey]
    triggers: _containers.RepeatedCompositeFieldContainer[Trigger]
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    row_policies: _containers.RepeatedCompositeFieldContainer[RowPolicy]
    row_security: bool
    parents: _containers.RepeatedCompositeFieldContainer[QualifiedName]
    children: _containers.RepeatedCompositeFieldContainer[QualifiedName]
    estimated_rows: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    indexes: _containers.RepeatedCompositeFieldContainer[RelationIndex]
    checks: _containers.RepeatedScalarFieldContainer[str]
    foreign_server: str
    def __init__(self, schema: _Optional[str] = ..., name: _Optional[str] = ..., oid: _Optional[int] = ..., kind: _Optional[_Union[RelationKind, str]] = ..., columns: _Optional[_Iterable[_Union[CatalogColumn, _Mapping]]] = ..., definition: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[Names, _Mapping]]] = ..., foreign_keys: _Optional[_Iterable[_Union[ForeignKey, _Mapping]]] = ..., triggers: _Optional[_Iterable[_Union[Trigger, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ..., row_policies: _Optional[_Iterable[_Union[RowPolicy, _Mapping]]] = ..., row_security: _Optional[bool] = ..., parents: _Optional[_Iterable[_Union[QualifiedName, _Mapping]]] = ..., children: _Optional[_Iterable[_Union[QualifiedName, _Mapping]]] = ..., estimated_rows: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., indexes: _Optional[_Iterable[_Union[RelationIndex, _Mapping]]] = ..., checks: _Optional[_Iterable[str]] = ..., foreign_server: _Optional[str] = ...) -> None: ...

class CatalogFunction(_message.Message):
    __slots__ = ("schema", "name", "oid", "argument_types", "return_type", "language", "volatility", "kind", "security_definer", "returns_set", "body", "argument_names", "configuration", "argument_defaults")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OID_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    RETURN_TYPE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SECURITY_DEFINER_FIELD_NUMBER: _ClassVar[int]
    RETURNS_SET_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_NAMES_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    schema: str
    name: str
    oid: int
    argument_types: _containers.RepeatedScalarFieldContainer[str]
    return_type: str
    language: str
    volatility: str
    kind: str
    security_definer: bool
    returns_set: bool
    body: str
    argument_names: _containers.RepeatedScalarFieldContainer[str]
    configuration: _containers.RepeatedCompositeFieldContainer[_common_pb2.NameValue]
    argument_defaults: str
    def __init__(self, schema: _Optional[str] = ..., name: _Optional[str] = ..., oid: _Optional[int] = ..., argument_types: _Optional[_Iterable[str]] = ..., return_type: _Optional[str] = ..., language: _Optional[str] = ..., volatility: _Optional[str] = ..., kind: _Optional[str] = ..., security_definer: _Optional[bool] = ..., returns_set: _Optional[bool] = ..., body: _Optional[str] = ..., argument_names: _Optional[_Iterable[str]] = ..., configuration: _Optional[_Iterable[_Union[_common_pb2.NameValue, _Mapping]]] = ..., argument_defaults: _Optional[str] = ...) -> None: ...

class CatalogOperator(_message.Message):
    __slots__ = ("schema", "name", "function_schema", "function_name")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    schema: str
    name: str
    function_schema: str
    function_name: str
    def __init__(self, schema: _Optional[str] = ..., name: _Optional[str] = ..., function_schema: _Optional[str] = ..., function_name: _Optional[str] = ...) -> None: ...

class CatalogCast(_message.Message):
    __slots__ = ("source", "target", "method", "context", "function_schema", "function_name")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    method: str
    context: str
    function_schema: str
    function_name: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., method: _Optional[str] = ..., context: _Optional[str] = ..., function_schema: _Optional[str] = ..., function_name: _Optional[str] = ...) -> None: ...

class CatalogDomain(_message.Message):
    __slots__ = ("schema", "name", "type_name", "checks", "default")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    schema: str
    name: str
    type_name: str
    checks: _containers.RepeatedScalarFieldContainer[str]
    default: str
    def __init__(self, schema: _Optional[str] = ..., name: _Optional[str] = ..., type_name: _Optional[str] = ..., checks: _Optional[_Iterable[str]] = ..., default: _Optional[str] = ...) -> None: ...

class EventTrigger(_message.Message):
    __slots__ = ("name", "event", "function_schema", "function_name", "tags")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    event: str
    function_schema: str
    function_name: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., event: _Optional[str] = ..., function_schema: _Optional[str] = ..., function_name: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class CatalogHeader(_message.Message):
    __slots__ = ("database", "server_version", "version", "search_path", "extensions", "relation_count", "function_count", "operators", "casts", "domains", "event_triggers")
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEARCH_PATH_FIELD_NUMBER: _ClassVar[int]
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    RELATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    CASTS_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    database: str
    server_version: int
    version: str
    search_path: _containers.RepeatedScalarFieldContainer[str]
    extensions: _containers.RepeatedScalarFieldContainer[str]
    relation_count: int
    function_count: int
    operators: _containers.RepeatedCompositeFieldContainer[CatalogOperator]
    casts: _containers.RepeatedCompositeFieldContainer[CatalogCast]
    domains: _containers.RepeatedCompositeFieldContainer[CatalogDomain]
    event_triggers: _containers.RepeatedCompositeFieldContainer[EventTrigger]
    def __init__(self, database: _Optional[str] = ..., server_version: _Optional[int] = ..., version: _Optional[str] = ..., search_path: _Optional[_Iterable[str]] = ..., extensions: _Optional[_Iterable[str]] = ..., relation_count: _Optional[int] = ..., function_count: _Optional[int] = ..., operators: _Optional[_Iterable[_Union[CatalogOperator, _Mapping]]] = ..., casts: _Optional[_Iterable[_Union[CatalogCast, _Mapping]]] = ..., domains: _Optional[_Iterable[_Union[CatalogDomain, _Mapping]]] = ..., event_triggers: _Optional[_Iterable[_Union[EventTrigger, _Mapping]]] = ...) -> None: ...

class CatalogChunk(_message.Message):
    __slots__ = ("relations", "functions")
    RELATIONS_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    relations: _containers.RepeatedCompositeFieldContainer[CatalogRelation]
    functions: _containers.RepeatedCompositeFieldContainer[CatalogFunction]
    def __init__(self, relations: _Optional[_Iterable[_Union[CatalogRelation, _Mapping]]] = ..., functions: _Optional[_Iterable[_Union[CatalogFunction, _Mapping]]] = ...) -> None: ...
