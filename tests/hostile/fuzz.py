"""One target under atheris: guided by coverage, from its corpus, for some seconds.

``python fuzz.py TARGET SECONDS WORKDIR``. New inputs go to WORKDIR/TARGET; one that fails to
WORKDIR/TARGET-crash-... : once fixed, it belongs into ``corpus/TARGET`` under a name that begins with
``found``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "wire")]

with atheris.instrument_imports(
    include=["bleepstore", "python_multipart", "defusedxml", "email", "json", "urllib"]
):
    import harness

    name, seconds, work = sys.argv[1:4]
    found = harness.target(name)


def _entry(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def main() -> None:
    """Run libFuzzer; it ends the process."""
    corpus = Path(work) / name
    corpus.mkdir(parents=True, exist_ok=True)
    words = Path(work) / f"{name}.dict"
    words.write_text("".join(map(_entry, found.words)))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={found.largest}",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    options += [f"-dict={words}", f"-artifact_prefix={work}/{name}-crash-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(HERE / "corpus" / name)], found.run)
    atheris.Fuzz()


main()
