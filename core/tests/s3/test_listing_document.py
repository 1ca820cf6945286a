"""The entries of a listing, which are written by hand, are what their shapes would become."""

from types import SimpleNamespace

from bleepstore import xml
from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.http.dates import iso_time
from bleepstore.metadata import Listing, ObjectEntry
from bleepstore.s3.listing import contents, owner_finder
from bleepstore.settings import AuthSettings, UserSettings
from bleepstore.xml.shapes import ListBucketResult, Object
from hypothesis import given
from hypothesis import strategies as st

ACCOUNTS = ConfiguredAccounts(
    AuthSettings(users=(UserSettings(access_key="k", secret_key="s", user_id="<id>", display_name="a & b"),))
)
EXCHANGE = SimpleNamespace(services=SimpleNamespace(accounts=ACCOUNTS))

entries = st.builds(
    ObjectEntry,
    key=st.text(max_size=20),
    size=st.integers(0, 1 << 50),
    etag=st.sampled_from(["d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-12"]),
    modified=st.integers(0, 4_000_000_000_000),
    owner=st.sampled_from(["<id>", ACCOUNTS.first.id, "gone"]),
    version=st.none(),
    storage_class=st.sampled_from(["STANDARD", "GLACIER_IR"]),
    checksum_algorithm=st.none(),
    checksum_type=st.none(),
) | st.builds(
    ObjectEntry,
    key=st.text(max_size=20),
    size=st.just(1),
    etag=st.just("e"),
    modified=st.just(0),
    owner=st.just("<id>"),
    version=st.none(),
    storage_class=st.just("STANDARD"),
    checksum_algorithm=st.sampled_from(["CRC32", "SHA256"]),
    checksum_type=st.sampled_from(["FULL_OBJECT", "COMPOSITE"]),
)


def shape(entry: ObjectEntry, *, owners: bool) -> Object:
    return Object(
        key=entry.key,
        last_modified=iso_time(entry.modified),
        e_tag=f'"{entry.etag}"',
        checksum_algorithm=(entry.checksum_algorithm,) if entry.checksum_algorithm else (),
        checksum_type=entry.checksum_type,
        size=entry.size,
        storage_class=entry.storage_class,
        owner=owner_finder(EXCHANGE)(entry.owner) if owners else None,
    )


@given(st.lists(entries | st.just("common/"), max_size=8), st.booleans())
def test_entries_are_written_as_their_shapes_are(found, owners):
    page = Listing(entries=found, truncated=False)
    by_hand = ListBucketResult(contents=contents(EXCHANGE, page, str, owners=owners))
    shapes = tuple(shape(entry, owners=owners) for entry in found if not isinstance(entry, str))
    assert xml.write(by_hand) == xml.write(ListBucketResult(contents=shapes))
