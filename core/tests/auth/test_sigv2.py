"""Signature Version 2, where the documentation's examples and boto3 do not reach.

Whole requests are in ``tests/test_legacy_signatures.py``.
"""

import base64
import hmac
import time
from types import SimpleNamespace

import pytest
from bleepstore.auth.sigv2 import SignatureV2
from bleepstore.errors import S3Error

pytestmark = pytest.mark.anyio
THIRD = {"awsaccesskeyid": "third"}


def signed(text: str) -> str:
    return base64.b64encode(hmac.digest(b"third-secret", text.encode(), "sha1")).decode()


@pytest.mark.parametrize("policy", ["eyJhIjogMX0=", "\u00fc", "\u4e2d"])
async def test_a_form_is_signed_over_the_bytes_of_its_policy(accounts, ask, policy):
    authenticator = SignatureV2(accounts, headers=False)
    fields = {**THIRD, "policy": policy, "signature": signed(policy)}
    identity = await authenticator.authenticate_form(ask("POST", "/b"), fields)
    assert (identity.access_key, identity.signature) == ("third", "AWS")
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        await authenticator.authenticate_form(ask("POST", "/b"), {**fields, "policy": policy + "\u4e2d"})


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
async def test_the_clock_is_compared_in_utc(accounts, ask, zone, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        date = f"Fri, 24 May 2013 00:00:00 {zone}"
        text = f"GET\n\n\n{date}\n/b/k"
        headers = {"host": "localhost", "date": date, "authorization": f"AWS third:{signed(text)}"}
        authenticator = SignatureV2(accounts, headers=True)
        x = ask("GET", "/b/k", headers)
        x.bucket_name, x.key, x.operation = "b", "k", SimpleNamespace(name="GetObject", query=())
        finding = await authenticator.authenticate(x)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert finding.identity.access_key == "third"
