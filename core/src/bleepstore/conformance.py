"""``bleepstore conformance``: the S3 kit against any server. pytest and boto3 are imported when it runs."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bleepstore.testing.s3.report import Result
    from bleepstore.testing.s3.target import Account, Target

RIGHT, WRONG_ANSWERS, CANNOT = 0, 1, 2
"""Exit codes: nothing failed, something did, nothing was tested."""
NEEDED = ("pytest", "boto3")
EXTRA = "bleepstore-core[conformance]"
ENDPOINTS = ("BLEEPSTORE_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """What the operator must change, in a line."""


def configure(parser: ArgumentParser) -> None:
    """The options."""
    parser.description = (
        "Run the S3 conformance kit against a server and print a table. Credentials and region are those "
        "of the options, of BLEEPSTORE_AUTH_* and BLEEPSTORE_SERVER_REGION, or whatever boto3 finds "
        "(AWS_*, profiles). Exit code 0: nothing failed; 1: something did; 2: nothing could be tested. "
        "The run makes buckets of its own and removes them."
    )
    parser.add_argument("--endpoint", metavar="URL", help=f"the server (default: ${', $'.join(ENDPOINTS)})")
    parser.add_argument("--access-key", metavar="KEY")
    parser.add_argument("--secret-key", metavar="SECRET")
    parser.add_argument("--profile", metavar="NAME", help="a profile of the AWS configuration")
    parser.add_argument("--region", metavar="NAME", help="the server's region (us-east-1)")
    text = "another account of the server; without one, tests between accounts are skipped"
    parser.add_argument("--alt-access-key", metavar="KEY", help=text)
    parser.add_argument("--alt-secret-key", metavar="SECRET")
    parser.add_argument(
        "--ca-bundle", metavar="FILE", help="who signed the server's certificate ($AWS_CA_BUNDLE)"
    )
    parser.add_argument(
        "-k", dest="expression", metavar="EXPR", help="only these tests: -k 'listing and not v1'"
    )
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for one test (120)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every result there (-: print it instead)"
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Run the kit, print, and return the exit code."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        return _cannot(f"conformance needs {' and '.join(absent)}: pip install '{EXTRA}'")
    from bleepstore.testing.s3.run import CannotRun
    from bleepstore.testing.s3.run import run as run_kit

    try:
        target = _target(options, os.environ)
        report = run_kit(
            target, expression=options.expression, patience=options.timeout, progress=_progress()
        )
        document = json.dumps(report.as_json(), indent=1)
        if options.json and str(options.json) != "-":
            options.json.write_text(document + "\n", encoding="utf-8")
    except (Refused, CannotRun) as error:
        return _cannot(str(error))
    except OSError as error:
        return _cannot(f"--json {options.json}: {error.strerror}")
    sys.stdout.write(document if str(options.json) == "-" else "\n".join(report.lines()))
    sys.stdout.write("\n")
    sys.stdout.flush()
    return WRONG_ANSWERS if report.failed else RIGHT


def _cannot(text: str) -> int:
    sys.stderr.write(f"bleepstore: {text}\n")
    return CANNOT


def _target(options: Namespace, environ: Mapping[str, str]) -> Target:
    from urllib.parse import urlsplit

    from bleepstore.testing.s3.target import Target

    url = options.endpoint or next((environ[name] for name in ENDPOINTS if environ.get(name)), None)
    if not url:
        raise Refused("which server? --endpoint URL, or BLEEPSTORE_ENDPOINT")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise Refused(f"--endpoint {url}: http://HOST:PORT or https://HOST is meant")
    if options.ca_bundle:
        os.environ["AWS_CA_BUNDLE"] = options.ca_bundle
    session = _session(options.profile)
    second = _pair(options.alt_access_key, options.alt_secret_key, "--alt-access-key", "--alt-secret-key")
    region = options.region or environ.get("BLEEPSTORE_SERVER_REGION") or session.region_name
    first = _first(options, environ, session, url)
    return Target(url.rstrip("/"), first, second, region or "us-east-1", timeout=min(options.timeout, 60.0))


def _session(profile: str | None) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.session.Session(profile_name=profile)
    except BotoCoreError as error:
        raise Refused(str(error)) from error


def _first(options: Namespace, environ: Mapping[str, str], session: Any, url: str) -> Account:
    from urllib.parse import urlsplit

    from botocore.exceptions import BotoCoreError

    from bleepstore.testing.s3.target import DOCUMENTED, Account

    given = _pair(options.access_key, options.secret_key, "--access-key", "--secret-key")
    if given is None and not options.profile:
        names = ("BLEEPSTORE_AUTH_ACCESS_KEY", "BLEEPSTORE_AUTH_SECRET_KEY")
        given = _pair(environ.get(names[0]), environ.get(names[1]), *names)
    if given is not None:
        return given
    try:
        found = session.get_credentials()
    except BotoCoreError as error:
        raise Refused(str(error)) from error
    if found is not None:
        return Account(found.access_key, found.secret_key, found.token)
    if urlsplit(url).hostname in LOOPBACK:
        return DOCUMENTED
    raise Refused("no credentials: --access-key and --secret-key, AWS_ACCESS_KEY_ID..., or --profile")


def _pair(access: str | None, secret: str | None, *names: str) -> Account | None:
    from bleepstore.testing.s3.target import Account

    if bool(access) != bool(secret):
        raise Refused(f"{names[0]} and {names[1]} belong together, and only one is given")
    return Account(access, secret) if access and secret else None


def _progress() -> Any:
    """A line that says how far the run is, for who watches it."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, of: int, result: Result) -> None:
        text = "" if done == of else f"{done}/{of} {result.name}"[:78]
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()

    return show
