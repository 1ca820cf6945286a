"""The OpenAPI document of the S3 API and README's table, held together with the operation table."""

import importlib.util
import re
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml
from bleepstore.operations import OperationTable, Scope
from bleepstore.s3.table import ROWS
from bleepstore.xml.bodies import REPLIES, REQUESTS
from bleepstore.xml.shape import NAMESPACE, parts
from openapi_spec_validator import validate

ROOT = Path(__file__).parents[3]
TABLE = OperationTable(ROWS)
IMPLEMENTED = [row for row in ROWS if row.handler is not None]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"schemas_{name}", ROOT / "schemas" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # A script finds its neighbours beside it.
        patch.syspath_prepend(ROOT / "schemas")
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "schemas" / "s3-api.openapi.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(text: str) -> Any:
    return yaml.safe_load(text)


def operations(document: Any) -> dict[str, tuple[str, str, Any]]:
    """Path, method and operation by operationId; an id that is there twice fails."""
    found: dict[str, tuple[str, str, Any]] = {}
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:
            name = item[method]["operationId"]
            assert name not in found
            found[name] = (path, method.upper(), item[method])
    return found


def resolved(document: Any, node: Any) -> Any:
    while "$ref" in node:
        kind, name = node["$ref"].removeprefix("#/components/").split("/")
        node = document["components"][kind][name]
    return node


def test_document_is_valid(document: Any):
    validate(document)


def test_document_is_fresh(text: str):
    generate = script("generate")
    assert generate.dump(generate.document()) == text, "run make schemas"


def test_served_document_is_the_published_one(text: str):
    assert files("bleepstore.admin").joinpath("s3-api.openapi.yaml").read_bytes() == text.encode()


def test_document_has_every_implemented_operation_and_no_other(document: Any):
    assert set(operations(document)) == {row.name for row in IMPLEMENTED}


@pytest.mark.parametrize("row", IMPLEMENTED, ids=lambda row: row.name)
def test_path_and_required_parameters_find_their_row(document: Any, row: Any):
    path, method, operation = operations(document)[row.name]
    path, _, constant = path.partition("?")
    scope = {"/": Scope.SERVICE, "/{Bucket}": Scope.BUCKET, "/{Bucket}/{Key}": Scope.OBJECT}[path]
    parameters = [resolved(document, parameter) for parameter in operation.get("parameters", ())]
    required = [parameter for parameter in parameters if parameter.get("required")]
    query = dict(parse_qsl(constant, keep_blank_values=True))
    query |= {p["name"]: "1" for p in required if p["in"] == "query"}
    headers = {p["name"].lower(): "1" for p in required if p["in"] == "header"}
    assert TABLE.find(method, scope, query, headers) is row
    # What is in the path is no parameter too: it would be there twice.
    assert not set(query) & {p["name"] for p in parameters if p["in"] == "query" and not p.get("required")}


def element_names(document: Any, schema: Any) -> set[str]:
    schema = resolved(document, schema)
    return {properties.get("xml", {}).get("name", name) for name, properties in schema["properties"].items()}


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_request_documents_are_those_that_are_read(document: Any, name: str):
    schema = operations(document)[name][2]["requestBody"]["content"]["application/xml"]["schema"]
    assert resolved(document, schema)["xml"] == {"name": REQUESTS[name].__name__, "namespace": NAMESPACE}
    assert {part.name for part in parts(REQUESTS[name])} == element_names(document, schema)


@pytest.mark.parametrize("name", sorted(set(REPLIES) - {"GetBucketLocation"}))
def test_reply_documents_are_those_that_are_written(document: Any, name: str):
    schema = operations(document)[name][2]["responses"]["200"]["content"]["application/xml"]["schema"]
    schema = schema.get("oneOf", [schema])[0]
    assert resolved(document, schema)["xml"] == {"name": REPLIES[name].__name__, "namespace": NAMESPACE}
    # One shape serves both versions of the listing.
    assert {part.name for part in parts(REPLIES[name])} >= element_names(document, schema)


def test_every_operation_says_how_it_fails(document: Any):
    for _, method, operation in operations(document).values():
        error = resolved(document, operation["responses"]["default"])
        assert ("content" in error) == (method != "HEAD")


def test_summaries_are_sentences(document: Any):
    for name, (_, _, operation) in operations(document).items():
        assert re.sub(r"\W", "", operation["summary"]).lower() == name.lower()


def test_readme_has_the_table_of_what_works():
    readme_table = script("readme_table")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme_table.BEGIN in text
    assert readme_table.END in text
    assert readme_table.replaced(text) == text, "run make schemas"


def test_table_names_every_operation():
    table = script("readme_table").table()
    for row in ROWS:
        for name in (row.name, *row.aliases):
            assert re.search(rf"^\| (.* / )?{name}( / .*)? \|", table, re.MULTILINE)
