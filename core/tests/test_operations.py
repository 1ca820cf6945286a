"""The compiled operation table: which row takes a request."""

import pytest
from bleepstore.operations import AclRight, Clash, Operation, OperationTable, Permission, Scope
from hypothesis import given
from hypothesis import strategies as st

READ = Permission(action="s3:Read", right=AclRight.READ, on=Scope.BUCKET)


def row(
    name: str,
    *query: str,
    method: str = "GET",
    scope: Scope = Scope.BUCKET,
    headers: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        name=name, method=method, scope=scope, query=query, headers=headers, aliases=aliases, permission=READ
    )


ROWS = (
    row("List"),
    row("ListV2", "list-type=2"),
    row("ListThings", "things"),
    row("GetThing", "things", "id"),
    row("GetAcl", "acl"),
    row("Put", method="PUT", scope=Scope.OBJECT),
    row("Copy", method="PUT", scope=Scope.OBJECT, headers=("x-source",)),
    row("PutPart", "upload", "part", method="PUT", scope=Scope.OBJECT),
    row("CopyPart", "upload", "part", method="PUT", scope=Scope.OBJECT, headers=("x-source",)),
    row("PutAcl", "acl", method="PUT", scope=Scope.OBJECT),
)
TABLE = OperationTable(ROWS)


def found(
    table: OperationTable,
    *query: str,
    method: str = "GET",
    scope: Scope = Scope.BUCKET,
    headers: tuple[str, ...] = (),
) -> str | None:
    pairs = (item.partition("=") for item in query)
    operation = table.find(method, scope, {n: v for n, _, v in pairs}, dict.fromkeys(headers, "value"))
    return operation.name if operation else None


REQUESTS = [
    ((), "List"),
    (("list-type=2",), "ListV2"),
    (("list-type=1",), "List"),
    (("list-type",), "List"),
    (("things",), "ListThings"),
    (("things=anything",), "ListThings"),
    (("things", "id=1"), "GetThing"),
    (("id=1", "things"), "GetThing"),
    (("id=1",), "List"),
    (("acl",), "GetAcl"),
    (("acl", "list-type=2"), "GetAcl"),
]
PUTS = [
    ((), (), "Put"),
    ((), ("x-source",), "Copy"),
    (("upload=u", "part=1"), (), "PutPart"),
    (("upload=u", "part=1"), ("x-source",), "CopyPart"),
    (("acl",), (), "PutAcl"),
    (("acl",), ("x-source",), "PutAcl"),
]


@pytest.mark.parametrize(("query", "expected"), REQUESTS)
def test_most_specific_row_by_its_query_wins(query: tuple[str, ...], expected: str):
    assert found(TABLE, *query) == expected


@pytest.mark.parametrize(("query", "headers", "expected"), PUTS)
def test_most_specific_row_by_its_headers_wins(
    query: tuple[str, ...], headers: tuple[str, ...], expected: str
):
    assert found(TABLE, *query, method="PUT", scope=Scope.OBJECT, headers=headers) == expected


@given(st.permutations(ROWS))
def test_order_of_the_rows_does_not_matter(rows: list[Operation]):
    shuffled = OperationTable(rows)
    assert [found(shuffled, *query) for query, _ in REQUESTS] == [name for _, name in REQUESTS]
    assert [found(shuffled, *q, method="PUT", scope=Scope.OBJECT, headers=h) for q, h, _ in PUTS] == [
        name for _, _, name in PUTS
    ]


@given(st.permutations([row("B", "b"), row("A", "a"), row("C", "c")]))
def test_rows_that_are_equally_specific_have_one_order(rows: list[Operation]):
    assert found(OperationTable(rows), "c", "b", "a") == "A"


@pytest.mark.parametrize(
    ("method", "scope"), [("GET", Scope.OBJECT), ("PUT", Scope.BUCKET), ("get", Scope.BUCKET)]
)
def test_no_row_of_the_method_and_scope_is_no_operation(method: str, scope: Scope):
    assert found(TABLE, method=method, scope=scope) is None


NAMES = {"list-type", "things", "id", "acl", "upload", "part"}


@given(st.dictionaries(st.text().filter(lambda name: name not in NAMES), st.text(), max_size=4))
def test_unknown_query_names_are_ignored(query: dict[str, str]):
    """S3-CHECKLIST 24: an unknown query name is ignored."""
    for name in ("", "acl"):
        known = {name: ""} if name else {}
        bare, noisy = (TABLE.find("GET", Scope.BUCKET, q, {}) for q in (known, {**query, **known}))
        assert noisy is bare is not None


@pytest.mark.parametrize(
    ("method", "scope", "query"),
    [
        ("GET", Scope.BUCKET, ("upload=u",)),
        ("PUT", Scope.OBJECT, ("things",)),
        ("PUT", Scope.OBJECT, ("upload=u",)),
        ("PUT", Scope.OBJECT, ("upload=u", "things=1")),
    ],
)
def test_subresource_never_falls_through(method: str, scope: Scope, query: tuple[str, ...]):
    """S3-CHECKLIST 24: what a sub-resource names is not answered by a row that knows nothing of it."""
    assert found(TABLE, *query, method=method, scope=scope) is None


@pytest.mark.parametrize(
    "twin",
    [
        row("Twin"),
        row("Twin", "things"),
        row("Twin", "id", "things"),
        row("Twin", "list-type=2"),
        row("Twin", method="PUT", scope=Scope.OBJECT, headers=("x-source",)),
    ],
)
def test_equal_claims_refuse(twin: Operation):
    with pytest.raises(Clash, match=r"the operations \w+ and \w+ claim the same requests") as caught:
        OperationTable((*ROWS, twin))
    assert "Twin" in str(caught.value)


@pytest.mark.parametrize(
    "second",
    [row("List", "other"), row("New", "other", aliases=("List",)), row("Other", "other", aliases=("Old",))],
)
def test_names_and_aliases_are_registered_once(second: Operation):
    first = (*ROWS, row("Present", "present", aliases=("Old",)))
    with pytest.raises(Clash, match="is registered twice"):
        OperationTable((*first, second))


def test_unlike_values_of_one_name_are_unlike_claims():
    table = OperationTable((row("One", "v=1"), row("Two", "v=2"), row("Any", "v")))
    assert [found(table, f"v={value}") for value in ("1", "2", "3")] == ["One", "Two", "Any"]
