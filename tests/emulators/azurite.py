"""Azurite, the emulator of Azure Blob Storage, as `make emulators` installs it."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / ".tools/emulators/azurite/node_modules/.bin/azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Account and key are the emulator's own, and documented."""


def connection_string(endpoint: str) -> str:
    """What tools take from AZURE_STORAGE_CONNECTION_STRING."""
    return f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint}"


@contextmanager
def azurite() -> Iterator[str]:
    """Start it on a free port, everything in memory, and give the endpoint with the account."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: `make emulators` installs it"
    command = [
        *(str(PROGRAM), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        *("--blobHost", "127.0.0.1", "--blobPort", "0"),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"{_address(process.stdout)}/{ACCOUNT}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(output: Iterator[str]) -> str:
    said = []
    for line in output:
        said.append(line)
        if found := re.search(r"listens on (http://127\.0\.0\.1:[1-9]\d*)", line):
            # What it says later is read too: a full pipe would stop it.
            threading.Thread(target=lambda: [None for _ in output], daemon=True).start()
            return found[1]
    raise AssertionError(f"azurite did not start: {''.join(said)}")
