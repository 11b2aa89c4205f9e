"""Loading bundles: what is taken, what is refused and why, and what a module says about itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from decision.model.errors import BundleRejected
from decision.policy.bundle import INDEX_PATH, Bundle, load_bundle
from decision.policy.embedded import evaluate_with, make_engine
from decision.policy.input import CONTEXT_FIELDS
from tests.support.policy import REGO, document

POLICY = "policies/local/local.rego"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped bundle to change."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "local").mkdir()
    return folder


def with_policy(folder: Path, body: str) -> Bundle:
    (folder / POLICY).write_text(f"package policies.local\n{body}\n")
    return load_bundle(folder)


def test_revision_names_all_that_decides(bundle: Path) -> None:
    """Policies, data and capabilities change it; tests, notes and the index on disk do not."""
    first = load_bundle(bundle).revision
    (bundle / "policies" / "local" / "local_test.rego").write_text("package policies.local_test\n")
    (bundle / INDEX_PATH).write_text("package airlock.index\n")
    (bundle / "NOTES.md").write_text("x")
    assert load_bundle(bundle).revision == first
    data = json.loads((bundle / "data.json").read_text())
    data["settings"]["agents"]["limits"]["rows"] = 5
    (bundle / "data.json").write_text(json.dumps(data))
    second = load_bundle(bundle).revision
    with_policy(bundle, 'advice contains "hello"')
    assert len({first, second, load_bundle(bundle).revision}) == 3


def test_a_new_policy_speaks_without_being_listed_anywhere(bundle: Path) -> None:
    """A file under policies/ is enough."""
    loaded = with_policy(
        bundle,
        'deny contains {"rule": "local.no", "message": "no; ask", "severity": "low", "controls": []}',
    )
    assert "policies.local" in loaded.policies
    assert "local.no" in evaluate_with(make_engine(loaded), document("SELECT 1"))


def test_the_example_of_the_readme_decides(bundle: Path) -> None:
    """What rego/README.md shows as a rule loads and speaks, for its database alone."""
    text = (REGO / "README.md").read_text()
    (bundle / POLICY).write_text(text.split("```rego\n")[1].split("```")[0])
    engine = make_engine(load_bundle(bundle))
    assert "local.no_friday_changes" in evaluate_with(engine, document("DROP TABLE notes", database="ledger"))
    assert "local.no_friday_changes" not in evaluate_with(engine, document("DROP TABLE notes", database="shop"))
    assert "local.no_friday_changes" not in evaluate_with(engine, document("SELECT 1", database="ledger"))


def test_index_on_disk_is_current() -> None:
    """OPA's own tools read the file that the loader would make."""
    assert dict(load_bundle(REGO).modules)[INDEX_PATH] == (REGO / INDEX_PATH).read_text()


def test_imports_are_written_out(bundle: Path) -> None:
    """Aliases of data and input, in references, calls and brackets; nothing else changes."""
    loaded = with_policy(
        bundle,
        "import data.airlock.lib\nimport data.settings as set_\nimport input.context.client as who\n"
        'advice contains who["application"] if {\n'
        'lib.prod; count(set_.critical_tags) > 0; x := {"lib": "set_"}; x.lib }',
    )
    source = dict(loaded.modules)[POLICY]
    assert "import" not in source
    assert 'contains input.context.client["application"] if' in source
    assert "data.airlock.lib.prod; count(data.settings.critical_tags) > 0" in source
    assert 'x := {"lib": "set_"}; x.lib }' in source
    assert "client" in loaded.reads.context


def test_aliases_do_not_get_lost_between_modules(bundle: Path) -> None:
    """A function that uses an import answers alike before and after its module was used by another one."""
    (bundle / "policies" / "helper").mkdir()
    (bundle / "policies" / "helper" / "helper.rego").write_text(
        'package policies.helper\nimport data.airlock.lib\ntable := {"a": 1}\nready(_) if lib.prod\n'
    )
    loaded = with_policy(
        bundle,
        "import data.airlock.lib\nimport data.policies.helper\n"
        'deny contains {"rule": "local.no", "message": "no; ask", "severity": "low", "controls": []} if {\n'
        "\tx := helper.table\n\thelper.ready(x)\n}",
    )
    assert "local.no" in evaluate_with(make_engine(loaded), document("SELECT 1"))


def test_a_package_may_span_files(bundle: Path) -> None:
    """Rules of both files speak, helpers are found across them."""
    (bundle / "policies" / "local" / "more.rego").write_text('package policies.local\nnames := {"do": "x"}\n')
    loaded = with_policy(bundle, 'advice contains v if { some k in ["do"]; v := names[k] }')
    assert '"x"' in evaluate_with(make_engine(loaded), document("SELECT 1"))


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ('advice contains "a" if input.context.time > 5', {"time"}),
        ('advice contains "a" if input["context"]["intent"] == ""', {"intent"}),
        ('advice contains "a" if { c := input.context; c.ticket == "" }', set(CONTEXT_FIELDS)),
        ('advice contains "a" if { some k in ["time"]; input.context[k] }', set(CONTEXT_FIELDS)),
        ('advice contains "a" if count(input) > 2', set(CONTEXT_FIELDS)),
        ('import input as i\nadvice contains "a" if i.context.session', {"session"}),
        ('import input.context.counters\nadvice contains "a" if counters.rows > 2', {"counters"}),
        ('advice contains "a" if { some k in ["x"]; input[k] }', set(CONTEXT_FIELDS)),
        ('advice contains "a" if input.principal.groups[count(input.context.ticket)]', {"ticket"}),
        ('f(x) := x.time\nadvice contains "a" if f(input.context)', set(CONTEXT_FIELDS)),
        ('advice contains "a" if input.resource.environment == "dev"', set()),
    ],
)
def test_reads_are_found_and_anything_unclear_counts(bundle: Path, body: str, reads: set[str]) -> None:
    """What of the context a bundle can read is known before it is evaluated."""
    assert with_policy(bundle, body).reads.context == reads | {"approval"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("deny contains", "local.rego"),
        ('advice contains "a" if time.now_ns() > 5', "time.now_ns"),
        ('advice contains "a" if http.send({})', "http.send"),
        ('advice contains "a" if io.jwt.decode("x")', "io.jwt.decode"),
        ('advice contains "a" if walk(input, [_, 5])', "walk"),
        ('advice contains "a" if no_such_function(5)', "no_such_function"),
        ('import data.airlock.lib\nadvice contains "a" if { some lib in [1] }', "stands alone"),
        ('import data.airlock.lib\nadvice contains "a" if { every lib in [{"x": 1}] { lib.x } }', "lib is an import"),
        ('import data.airlock.lib\nadvice contains "a" if { some lib; [1][lib] }', "lib"),
        ('import data.airlock.lib\nf(lib) := lib.x\nadvice contains "a" if f({"x": 1})', "stands alone"),
    ],
)
def test_broken_or_unportable_policies_are_refused_by_name(bundle: Path, body: str, problem: str) -> None:
    """The refusal names the file or the builtin."""
    with pytest.raises(BundleRejected, match=problem):
        with_policy(bundle, body)


def test_a_bundle_beyond_the_embedded_engine_says_so(bundle: Path) -> None:
    """Marked for OPA it loads, and is not portable."""
    manifest = json.loads((bundle / ".manifest").read_text())
    manifest["metadata"]["airlock"]["capabilities"] = "opa"
    (bundle / ".manifest").write_text(json.dumps(manifest))
    assert not with_policy(bundle, 'advice contains "a" if io.jwt.decode("x")').portable


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        (".manifest", None, "manifest"),
        (".manifest", '{"rego_version": 0, "metadata": {"airlock": {"capabilities": "portable"}}}', "rego_version"),
        ("data.json", "{", "data.json"),
        ("data.json", "[]", "object"),
        ("data.json", '{"settings": {"agents": {}}}', "settings"),
        ("airlock/main.rego", None, "airlock"),
        ("policies/local/data.json", '{"x": 1}', None),
        ("settings/data.json", '{"critical_tags": []}', "critical_tags"),
        ("policies/local/odd.rego", "package elsewhere\nx := 1", "elsewhere"),
        ("policies/local/odd.rego", b"\xff", "UTF-8"),
    ],
)
def test_broken_files_are_refused(bundle: Path, file: str, content: str | bytes | None, problem: str | None) -> None:
    """Manifest, data and modules are checked before anything is swapped."""
    path = bundle / file
    path.parent.mkdir(exist_ok=True)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    if problem is None:
        load_bundle(bundle)
        return
    with pytest.raises(BundleRejected, match=problem):
        load_bundle(bundle)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """With a hint where to point to."""
    with pytest.raises(BundleRejected) as refusal:
        load_bundle(tmp_path / "nowhere")
    assert "policy" in refusal.value.hint
