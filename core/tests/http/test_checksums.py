import base64
import hashlib
import subprocess
import sys

import pytest
from bleepstore.errors import S3Error
from bleepstore.http.checksums import (
    ALGORITHMS,
    HEADERS,
    checksummer,
    combine,
    composite,
    parse_value,
    upload_type,
)
from hypothesis import given
from hypothesis import strategies as st

# The check values of "123456789" published for each algorithm.
KNOWN = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": hashlib.sha1(b"123456789").hexdigest(),
    "SHA256": hashlib.sha256(b"123456789").hexdigest(),
    "SHA512": hashlib.sha512(b"123456789").hexdigest(),
    "MD5": hashlib.md5(b"123456789").hexdigest(),
    "XXHASH64": "8cb841db40e6ae83",
}
EMPTY = {
    "XXHASH64": "ef46db3751d8e999",
    "XXHASH3": "2d06800538d394c2",
    "XXHASH128": "99aa06d3014798d86001c324468d497f",
}


@pytest.mark.parametrize("algorithm", KNOWN)
def test_check_values_of_the_algorithms(algorithm: str) -> None:
    """S3-CHECKLIST 6"""
    running = checksummer(algorithm)
    running.update(b"1234")
    running.update(b"56789")
    assert running.digest().hex() == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", EMPTY)
def test_check_values_of_the_xxhash_family(algorithm: str) -> None:
    """S3-CHECKLIST 6"""
    assert checksummer(algorithm).digest().hex() == EMPTY[algorithm]


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_of_the_model_runs_and_has_its_header(algorithm: str) -> None:
    """S3-CHECKLIST 6"""
    running = checksummer(algorithm)
    running.update(b"a")
    text = running.base64()
    assert parse_value(algorithm, text) == base64.b64decode(text)
    assert HEADERS[f"x-amz-checksum-{algorithm.lower()}"] == algorithm
    for bad in ("", "a", text[:-4], text + "AAAA", text[:-1] + "!", text + "-3", "\u00e9"):
        with pytest.raises(S3Error) as caught:
            parse_value(algorithm, bad)
        assert caught.value.message == f"Value for x-amz-checksum-{algorithm.lower()} header is invalid."


@given(st.lists(st.binary(max_size=50), max_size=6), st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]))
def test_combined_crcs_are_those_of_all_bytes(parts: list[bytes], algorithm: str) -> None:
    """S3-CHECKLIST 7"""

    def value(data: bytes) -> str:
        running = checksummer(algorithm)
        running.update(data)
        return running.base64()

    assert combine(algorithm, [(value(p), len(p)) for p in parts]) == value(b"".join(parts))


def test_composite_is_the_checksum_of_the_checksums() -> None:
    """S3-CHECKLIST 7"""
    digests = [hashlib.sha256(d).digest() for d in (b"a", b"b")]
    whole = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    assert composite("SHA256", [base64.b64encode(d).decode() for d in digests]) == whole + "-2"


def test_types_have_awss_defaults_and_refusals() -> None:
    """S3-CHECKLIST 7"""
    assert (
        upload_type("CRC32", None) == upload_type("CRC32C", None) == upload_type("SHA1", None) == "COMPOSITE"
    )
    assert upload_type("CRC64NVME", None) == "FULL_OBJECT"
    assert upload_type("CRC32", "FULL_OBJECT") == "FULL_OBJECT"
    for algorithm, asked in (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "WHOLE")):
        with pytest.raises(S3Error) as caught:
            upload_type(algorithm, asked)
        assert caught.value.code == "InvalidRequest"


def test_importing_loads_no_checksum_library() -> None:
    code = (
        "import sys, bleepstore.http.body, bleepstore.http.entry;"
        "print([m for m in ('awscrt', 'google_crc32c', 'email.header') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
