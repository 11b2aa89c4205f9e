"""Tags, digests, canonical values and ids."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.clock import Uuid7Source
from decision.digest import Digester
from decision.keys import load_or_make_key
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.errors import SettingsError
from decision.model.facts import RelationKind
from decision.model.session import ParameterValue
from decision.tags import parse_name, with_tags
from decision.values import canonical


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("public.users", ("public", "users")),
        ("Public.Users.Email", ("public", "users", "email")),
        ('"Odd.Name"."a""b".c', ("Odd.Name", 'a"b', "c")),
    ],
)
def test_names_fold_as_in_sql(text: str, parts: tuple[str, ...]) -> None:
    """Unquoted parts fold to lower case, quoted ones stay."""
    assert parse_name(text) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", 'a."b', '"a"b.c', '""'])
def test_what_is_no_name_is_refused(text: str) -> None:
    """The error quotes it."""
    with pytest.raises(SettingsError):
        parse_name(text)


def snapshot() -> CatalogSnapshot:
    columns = (CatalogColumn("email", 1, 25, "text", tags=("pii.email",)), CatalogColumn("note", 2, 25, "text"))
    return CatalogSnapshot("shop", 180000, "v1",
                           relations=(CatalogRelation("public", "users", 1, RelationKind.TABLE, columns),))  # fmt: skip


def test_settings_add_and_remove_tags_and_change_the_version() -> None:
    """`!tag` takes a detected tag away."""
    tagged = with_tags(snapshot(), {"public.users": ["critical"], "public.users.email": ["!pii.email", "contact"]})
    assert tagged.relations[0].tags == ("critical",)
    assert tagged.relations[0].columns[0].tags == ("contact",)
    assert tagged.version != "v1"
    assert tagged.version != with_tags(snapshot(), {"public.users": ["critical"]}).version


def test_equal_values_of_different_columns_have_different_digests() -> None:
    """The column is bound into the digest, without ambiguity at its borders."""
    digester = Digester(bytes(32))
    assert digester.value("public", "users", "id", b"42") != digester.value("public", "orders", "id", b"42")
    assert digester.value("a", "b", "c", b"x") != digester.value("a", "bc", "", b"x")


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.binary(max_size=3))), min_size=1, max_size=3))
def test_parameter_digests_tell_every_list_of_values_apart(values: list[tuple[int, bytes | None]]) -> None:
    """NULL, empty and split values never collide."""
    digester = Digester(bytes(32))
    parameters = [ParameterValue(oid, 0, value) for oid, value in values]
    changed = [*parameters[:-1], ParameterValue(parameters[-1].type_oid, 0, (parameters[-1].value or b"") + b"x")]
    assert digester.parameters(parameters) != digester.parameters(changed)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """The file is private and read back the same."""
    path = tmp_path / "digest.key"
    key = load_or_make_key(path)
    assert load_or_make_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_broken_key_file_is_no_key(tmp_path: Path) -> None:
    """It is not replaced: old digests would no longer match."""
    path = tmp_path / "digest.key"
    path.write_bytes(b"short")
    with pytest.raises(SettingsError):
        load_or_make_key(path)


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (ParameterValue(23, 1, struct.pack("!i", -42)), b"-42"),
        (ParameterValue(23, 0, b"-42"), b"-42"),
        (ParameterValue(25, 1, b"abc"), b"abc"),
        (ParameterValue(16, 1, b"\1"), b"true"),
        (ParameterValue(16, 0, b"t"), b"true"),
        (ParameterValue(701, 1, struct.pack("!d", 1.5)), b"1.5"),
        (ParameterValue(2950, 1, uuid.UUID(int=7).bytes), str(uuid.UUID(int=7)).encode()),
        (ParameterValue(23, 1, None), None),
        (ParameterValue(1700, 1, b"\0\1"), None),
        (ParameterValue(23, 1, b"\0"), None),
    ],
)
def test_binary_and_text_forms_of_a_value_agree(parameter: ParameterValue, text: bytes | None) -> None:
    """Types that are not known in binary have no canonical form."""
    assert canonical(parameter) == text


def test_ids_are_version_7_and_strictly_increasing() -> None:
    """Also within one millisecond."""
    source = Uuid7Source()
    ids = [source.new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
