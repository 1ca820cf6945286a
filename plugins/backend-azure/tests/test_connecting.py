"""Which account and credentials are used: those that Azure's own tools would take."""

from typing import Any

import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ExponentialRetry
from azurite import KEY, connection_string
from bleepstore.storage import BackendFailed, Unsupported
from bleepstore_backend_azure.backend import AzureBackend
from bleepstore_backend_azure.calls import connect
from bleepstore_backend_azure.plugin import AzureSettings

LOCAL = "http://127.0.0.1:1/devstoreaccount1"


def client(environ: dict[str, str], **settings: Any) -> Any:
    return connect(AzureSettings(container="objects", **settings), environ)


def test_connection_string_of_the_environment_is_taken():
    found = client({"AZURE_STORAGE_CONNECTION_STRING": connection_string(LOCAL)})
    assert found.url == f"{LOCAL}/objects"
    assert found.credential.account_key == KEY


def test_endpoint_replaces_that_of_the_connection_string():
    environ = {"AZURE_STORAGE_CONNECTION_STRING": connection_string(LOCAL)}
    found = client(environ, endpoint="http://127.0.0.1:2/devstoreaccount1")
    assert found.url == "http://127.0.0.1:2/devstoreaccount1/objects"
    assert found.credential.account_key == KEY


def test_connection_string_of_another_account_is_not_taken():
    environ = {"AZURE_STORAGE_CONNECTION_STRING": connection_string(LOCAL), "AZURE_STORAGE_KEY": KEY}
    found = client(environ, account="mine")
    assert found.url == "https://mine.blob.core.windows.net/objects"
    assert found.credential.account_name == "mine"


def test_account_and_key_of_the_environment_are_taken():
    found = client({"AZURE_STORAGE_ACCOUNT": "mine", "AZURE_STORAGE_KEY": KEY})
    assert (found.account_name, found.credential.account_key) == ("mine", KEY)


def test_shared_access_signature_of_the_environment_is_taken():
    found = client({"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=abc"}, account="mine")
    assert found.get_blob_client("b/k").url == "https://mine.blob.core.windows.net/objects/b/k?sv=1&sig=abc"


def test_without_any_the_standard_chain_is_asked():
    found = client({}, account="mine")
    assert isinstance(found.credential, DefaultAzureCredential)


@pytest.mark.parametrize("environ", [{}, {"AZURE_STORAGE_CONNECTION_STRING": "nonsense"}])
def test_what_names_no_account_is_refused(environ: dict[str, str]):
    with pytest.raises(BackendFailed, match=r"storage\.azure"):
        client(environ)


def test_pauses_between_attempts_differ_and_are_short():
    found = client({}, account="mine", attempts=3)
    (policy,) = (p for p in found._pipeline._impl_policies if isinstance(p, ExponentialRetry))
    pauses = [policy.get_backoff_time({"count": count}) for count in (1, 2) for _ in range(50)]
    assert policy.total_retries == 2
    assert 0 <= min(pauses) < max(pauses) <= 2
    assert len(set(pauses)) == len(pauses)


def test_prefix_takes_from_the_room_for_keys():
    backend = AzureBackend(AzureSettings(container="objects", prefix="/some/where/"))
    room = 1024 - len("some/where/")
    assert len(backend.name_of("b", "k" * (room - 2))) == room
    with pytest.raises(Unsupported):
        backend.name_of("b", "k" * (room - 1))
