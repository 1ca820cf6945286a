"""A request that was verified is known again, and nothing else is taken for it."""

from typing import Any

import pytest
from bleepstore.auth import sigv4, verified
from bleepstore.auth.sigv4 import SKEW
from bleepstore.errors import S3Error
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
NOW = 1_369_353_600_000
HOST = {"Host": "localhost"}
SIGNED_STREAM = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were signed by the server."""
    texts: list[str] = []
    sign = sigv4.sign

    def noted(key: bytes, text: str) -> str:
        texts.append(text)
        return sign(key, text)

    monkeypatch.setattr(sigv4, "sign", noted)
    return texts


async def verdict(authenticator: Any, x: Any) -> Any:
    try:
        return await authenticator.authenticate(x)
    except S3Error as error:
        return error.code


async def test_a_presigned_url_is_computed_once(
    authenticator: Any, ask: Any, presigned: Any, computed: list[str]
) -> None:
    target = presigned("GET", "/b/k")
    first = await authenticator.authenticate(ask("GET", target, HOST))
    again = await authenticator.authenticate(ask("GET", target, {**HOST, "User-Agent": "another"}))
    assert first == again
    assert len(computed) == 1


async def test_a_signed_request_is_computed_once(
    authenticator: Any, ask: Any, signed: Any, computed: list[str]
) -> None:
    headers = signed("GET", "/b/k")
    first = await authenticator.authenticate(ask("GET", "/b/k", headers))
    assert await authenticator.authenticate(ask("GET", "/b/k", headers)) == first
    assert len(computed) == 1


async def test_it_is_known_no_longer_than_it_holds(authenticator: Any, ask: Any, presigned: Any) -> None:
    target = presigned("GET", "/b/k", expires="60")
    for now, expected in ((NOW, None), (NOW + 60_000, None), (NOW + 60_001, "AccessDenied")):
        found = await verdict(authenticator, ask("GET", target, HOST, now=now))
        assert (found if isinstance(found, str) else None) == expected


async def test_a_signed_request_is_known_no_longer_than_clocks_may_differ(
    authenticator: Any, ask: Any, signed: Any
) -> None:
    headers = signed("GET", "/b/k")
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))
    late = ask("GET", "/b/k", headers, now=NOW + SKEW + 1)
    assert await verdict(authenticator, late) == "RequestTimeTooSkewed"


@pytest.mark.parametrize(
    ("method", "target", "changed", "code"),
    [
        ("PUT", "/b/k", {}, "SignatureDoesNotMatch"),
        ("GET", "/b/other", {}, "SignatureDoesNotMatch"),
        ("GET", "/b/k?versionId=1", {}, "SignatureDoesNotMatch"),
        ("GET", "/b/k", {"host": "other"}, "SignatureDoesNotMatch"),
        ("GET", "/b/k", {"range": "bytes=1-"}, "SignatureDoesNotMatch"),
        ("GET", "/b/k", {"x-amz-content-sha256": "0" * 64}, "SignatureDoesNotMatch"),
        ("GET", "/b/k", {"x-amz-acl": "public-read"}, "AccessDenied"),
        ("GET", "/b/k", {"x-amz-security-token": "token"}, "InvalidToken"),
    ],
)
async def test_whatever_is_signed_makes_another_request(
    authenticator: Any, ask: Any, signed: Any, method: str, target: str, changed: dict[str, str], code: str
) -> None:
    headers = signed("GET", "/b/k", {"range": "bytes=0-"})
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))
    assert await verdict(authenticator, ask(method, target, {**headers, **changed})) == code


async def test_a_refusal_is_computed_again(
    authenticator: Any, ask: Any, presigned: Any, computed: list[str]
) -> None:
    target = presigned("GET", "/b/k").replace("Signature=", "Signature=0")
    for _ in range(2):
        assert await verdict(authenticator, ask("GET", target, HOST)) == "SignatureDoesNotMatch"
    assert len(computed) > 1


async def test_signatures_of_chunks_begin_anew_with_each_request(
    authenticator: Any, ask: Any, signed: Any
) -> None:
    headers = signed("PUT", "/b/k", payload=SIGNED_STREAM)
    findings = [await authenticator.authenticate(ask("PUT", "/b/k", headers)) for _ in range(2)]
    assert findings[0].chunk_signer is not findings[1].chunk_signer


async def test_what_is_remembered_is_bounded(
    authenticator: Any, ask: Any, presigned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "MOST", 3)
    for n in range(10):
        assert await authenticator.authenticate(ask("GET", presigned("GET", f"/b/{n}"), HOST))
        assert len(authenticator._verified._findings) <= 3
    long = "/b/" + "k" * verified.LONGEST
    known = dict(authenticator._verified._findings)
    assert await authenticator.authenticate(ask("GET", presigned("GET", long), HOST))
    assert authenticator._verified._findings == known


_names = st.sampled_from(
    ["host", "range", "x-amz-date", "date", "x-amz-acl", "x-amz-content-sha256", "accept", "authorization"]
)


@given(
    changes=st.dictionaries(_names, st.sampled_from(["", "localhost", "20130524T000000Z", "x"]), max_size=3),
    method=st.sampled_from(["GET", "GET", "HEAD"]),
    path=st.sampled_from(["/b/k", "/b/k", "/b/k2"]),
    late=st.sampled_from([0, SKEW, SKEW + 1, 3_600_001]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_who_remembers_decides_as_who_does_not(
    accounts: Any,
    ask: Any,
    signed: Any,
    presigned: Any,
    changes: dict[str, str],
    method: str,
    path: str,
    late: int,
) -> None:
    for target, headers in (("/b/k", signed("GET", "/b/k")), (presigned("GET", "/b/k"), HOST)):
        warm, cold = (sigv4.SignatureV4(accounts, "us-east-1") for _ in range(2))
        assert await warm.authenticate(ask("GET", target, headers))
        bent = {**{name.lower(): value for name, value in headers.items()}, **changes}
        asked = target.replace("/b/k", path)
        verdicts = [await verdict(a, ask(method, asked, bent, now=NOW + late)) for a in (warm, cold)]
        assert verdicts[0] == verdicts[1]
