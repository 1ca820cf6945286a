"""The ``bleepstore`` command. Nothing heavy is imported before a command runs.

Whatever is wrong with what was asked for is one line on standard error, and exit code 2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bleepstore import __version__

if TYPE_CHECKING:
    from bleepstore.config import Configuration
    from bleepstore.discovery import Plugins
    from bleepstore.settings import Settings

WRONG = 2
"""Exit code for what the operator must change."""
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""
DATA = "bleepstore-data"
"""The data directory where none is given, below the current folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parser = _parser(given)
        options = parser.parse_args(given)
        if options.run is None:
            parser.print_help()
            return WRONG
        code: int = options.run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not _is_for_the_operator(error):
            raise
        return _complain(str(error))
    return code


def _is_for_the_operator(error: Exception) -> bool:
    from bleepstore.app import StartFailed
    from bleepstore.config_file import ConfigError
    from bleepstore.discovery import DiscoveryError
    from bleepstore.supervisor import BindFailed

    return isinstance(error, ConfigError | DiscoveryError | BindFailed | StartFailed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(text: str) -> int:
    from bleepstore.supervisor import complain

    complain(text)
    return WRONG


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bleepstore", description="The S3 server you pip install.")
    parser.add_argument("--version", action="version", version=f"bleepstore {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    _add_serve(commands)
    _add_presign(commands)
    plugins = commands.add_parser("plugins", help="list the installed plugins")
    plugins.add_argument("--json", action="store_true", help="as JSON")
    _add_config_option(plugins)
    plugins.set_defaults(run=_plugins)
    _add_config(commands)
    _add_conformance(commands)
    _add_plugin(commands)
    if not given or given[0] in ("-h", "--help"):
        # Whoever asks for help may need it because of what is refused here.
        with contextlib.suppress(Exception):
            _add_plugin_commands(commands)
    elif given[0] not in (*commands.choices, "--version"):
        _add_plugin_commands(commands)
    return parser


def _add_config_option(parser: argparse.ArgumentParser) -> None:
    text = "configuration file (default: $BLEEPSTORE_CONFIG, ./bleepstore.yaml or .toml when there is one)"
    parser.add_argument("--config", type=Path, metavar="FILE", help=text)


def _add_plugin_commands(commands: Any) -> None:
    _, plugins = _discover(None)
    for specs in plugins.manager.hook.bleepstore_commands():
        for spec in specs:
            parser = commands.add_parser(spec.name, help=spec.help)
            if spec.store:
                _add_store_options(parser)
            spec.configure(parser)
            parser.set_defaults(run=_on_store(spec.run) if spec.store else spec.run)


def _add_store_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help=f"data directory (default: ./{DATA})"
    )
    _add_config_option(parser)


def _on_store(run: Callable[[Any], int]) -> Callable[[argparse.Namespace], int]:
    """``run`` with arguments that can open the store of the configuration."""

    def run_on_store(options: argparse.Namespace) -> int:
        from bleepstore.app import open_store

        loaded, plugins, _ = _read(options.config, _in_directory(options.directory))
        for warning in loaded.warnings:
            _complain(warning)
        options.open_store = partial(open_store, loaded.settings, plugins)
        return run(options)

    return run_on_store


# --- what every command reads -----------------------------------------------------------------------


def _discover(config: Path | None) -> tuple[Path | None, Plugins]:
    """The file in use, and the plugins that it leaves enabled. Raises ConfigError, DiscoveryError."""
    from bleepstore.config import disabled_plugins, find_file
    from bleepstore.discovery import discover

    path = find_file(config, os.environ, Path())
    disabled = disabled_plugins(path, os.environ)
    return path, discover(disabled.names, source=disabled.source)


def _read(
    config: Path | None, overrides: dict[str, Any] | None = None
) -> tuple[Configuration, Plugins, Path | None]:
    """Configuration and plugins. Raises ConfigError, DiscoveryError."""
    from bleepstore.config import Choices, load

    path, plugins = _discover(config)
    choices = Choices.of(plugins.manager.hook)
    loaded = load(path, environ=os.environ, overrides=overrides, choices=choices)
    return loaded, plugins, path


# --- serve ------------------------------------------------------------------------------------------


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser("serve", help="run the server")
    _add_store_options(parser)
    parser.add_argument("--host", help="address to bind (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind (9000); 0 takes a free one")
    parser.add_argument("--workers", metavar="N", help="processes that answer requests (auto)")
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="create this bucket (repeatable)"
    )
    parser.add_argument("--json-logs", action="store_true", help="log JSON lines")
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from bleepstore import logs, supervisor

    overrides = _in_directory(options.directory)
    for name in ("host", "port", "workers"):
        value = getattr(options, name)
        if value is not None:
            overrides[f"server.{name}"] = value
    loaded, plugins, path = _read(options.config, overrides)
    settings = loaded.settings
    if options.bucket:
        from dataclasses import replace

        settings = replace(settings, buckets=(*settings.buckets, *options.bucket))
    server = settings.server
    _check_exposure(loaded)
    logs.configure(json_lines=options.json_logs)
    _warn(loaded)
    sockets = supervisor.bind(server.host, server.port)
    port = sockets[0].getsockname()[1]
    return supervisor.run(settings, plugins, sockets, lambda: _say(_banner(loaded, port, path)))


def _in_directory(directory: Path | None) -> dict[str, Any]:
    """What naming a data directory overrides."""
    if directory is None:
        return {}
    return {
        "metadata.sqlite.path": directory / "metadata.db",
        "storage.local.root_dir": directory / "objects",
    }


def _check_exposure(loaded: Configuration) -> None:
    """The documented key pair is for this machine alone, unless somebody wrote it down."""
    from bleepstore.config import ConfigError
    from bleepstore.supervisor import is_loopback

    host = loaded.settings.server.host
    if not loaded.credentials and not is_loopback(host):
        raise ConfigError(
            f"server.host: {host} can be reached from outside, and no credentials are configured: set "
            "auth.access_key and auth.secret_key (BLEEPSTORE_AUTH_ACCESS_KEY, BLEEPSTORE_AUTH_SECRET_KEY)"
        )


def _warn(loaded: Configuration) -> None:
    import logging

    log = logging.getLogger("bleepstore")
    for warning in loaded.warnings:
        log.warning("%s", warning)
    if loaded.credentials and _is_documented(loaded.settings):
        log.warning("the configured key pair is the documented default: everybody knows it")


def _is_documented(settings: Settings) -> bool:
    from bleepstore.settings import DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY

    auth = settings.auth
    return auth.access_key == DEFAULT_ACCESS_KEY and auth.secret_key.matches(DEFAULT_SECRET_KEY)


def _banner(loaded: Configuration, port: int, path: Path | None) -> str:
    settings = loaded.settings
    server = settings.server
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    scheme = "https" if server.tls.certificate is not None else "http"
    endpoint = f"{scheme}://{host}:{port}"
    region = "" if server.region == "us-east-1" else f" --region {server.region}"
    access_key = settings.auth.access_key
    # The documented pair is no secret; any other is not printed.
    secret = settings.auth.secret_key.reveal() if _is_documented(settings) else "***"
    quoted = f"AWS_ACCESS_KEY_ID={shlex.quote(access_key)} AWS_SECRET_ACCESS_KEY={shlex.quote(secret)}"
    lines = [
        f"BleepStore {__version__}",
        f"  endpoint    {endpoint}",
        *(f"  data        {path}" for path in _data(settings)),
        f"  access key  {access_key}",
    ]
    if not loaded.credentials:
        lines.append(f"  secret key  {secret}  (the documented default: this machine only)")
    if path is not None:
        lines.append(f"  config      {path}")
    lines += [
        "",
        f"  {quoted} \\",
        f"    aws --endpoint-url {endpoint}{region} s3 ls",
        "",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def _data(settings: Settings) -> list[str]:
    """Where the data is: one directory, or what the engines have instead."""
    sections = settings.sections
    metadata = getattr(sections.get(f"metadata.{settings.metadata.engine}"), "path", None)
    storage = getattr(sections.get(f"storage.{settings.storage.backend}"), "root_dir", None)
    places = [
        metadata.absolute().parent if metadata is not None else settings.metadata.engine,
        storage.absolute().parent if storage is not None else settings.storage.backend,
    ]
    return list(dict.fromkeys(str(place) for place in places))


# --- presign ----------------------------------------------------------------------------------------


def _add_presign(commands: Any) -> None:
    parser = commands.add_parser("presign", help="make a URL that carries its own signature")
    parser.add_argument("method", choices=("get", "put"), help="what the URL allows")
    parser.add_argument("object", metavar="s3://BUCKET/KEY")
    parser.add_argument("--expires", type=int, default=3600, metavar="SECONDS", help="1 to 604800 (3600)")
    parser.add_argument("--endpoint", metavar="URL", help="the server's address as its clients know it")
    _add_config_option(parser)
    parser.set_defaults(run=_presign)


def _presign(options: argparse.Namespace) -> int:
    from bleepstore.auth.presign import presign

    settings = _read(options.config)[0].settings
    name: str = options.object
    bucket, _, key = name.removeprefix("s3://").partition("/")
    if not name.startswith("s3://") or not bucket or not key:
        return _complain(f"{name}: expected s3://BUCKET/KEY")
    server = settings.server
    scheme = "https" if server.tls.certificate is not None else "http"
    try:
        url = presign(
            options.method.upper(),
            bucket,
            key,
            access_key=settings.auth.access_key,
            secret_key=settings.auth.secret_key,
            endpoint=options.endpoint or f"{scheme}://{server.host}:{server.port}",
            region=server.region,
            expires=options.expires,
        )
    except ValueError as error:
        return _complain(str(error))
    _say(url)
    return 0


# --- conformance ------------------------------------------------------------------------------------


def _add_conformance(commands: Any) -> None:
    from bleepstore.conformance import configure

    configure(commands.add_parser("conformance", help="run the S3 conformance kit against any server"))


# --- plugin -----------------------------------------------------------------------------------------


def _add_plugin(commands: Any) -> None:
    from bleepstore.skeleton.command import configure

    configure(commands.add_parser("plugin", help="begin a plugin of your own"))


# --- plugins, config --------------------------------------------------------------------------------


def _plugins(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    inventory = _discover(options.config)[1].inventory
    if options.json:
        _say(json.dumps([asdict(plugin) for plugin in inventory], indent=2))
        return 0
    rows = [("NAME", "VERSION", "DISTRIBUTION", "ACTIVE", "REGISTERS")]
    rows += [
        (p.name, p.version, p.distribution, "yes" if p.active else "no", ", ".join(p.registers))
        for p in inventory
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        _say("  ".join([*cells, row[4]]).rstrip())
    return 0


def _add_config(commands: Any) -> None:
    parser = commands.add_parser("config", help="check, show or begin a configuration")
    parser.set_defaults(run=None)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read it, and say what is wrong")
    show = actions.add_parser("show", help="the values in effect, secrets as ***")
    for action, run in ((check, _config_check), (show, _config_show)):
        _add_config_option(action)
        action.set_defaults(run=run)
    schema = actions.add_parser("schema", help="the JSON Schema of the file")
    schema.set_defaults(run=_config_schema)
    init = actions.add_parser("init", help="write a commented sample")
    init.add_argument("file", nargs="?", type=Path, default=Path("bleepstore.yaml"))
    init.set_defaults(run=_config_init)


def _config_check(options: argparse.Namespace) -> int:
    loaded, _, path = _read(options.config)
    _check_exposure(loaded)
    for warning in loaded.warnings:
        _say(f"warning: {warning}")
    _say(f"{path or 'no file'}: ok")
    return 0


def _config_show(options: argparse.Namespace) -> int:
    from bleepstore.config_text import show

    sys.stdout.write(show(_read(options.config)[0].settings))
    return 0


def _config_schema(options: argparse.Namespace) -> int:
    from bleepstore.config import Choices
    from bleepstore.config_schema import config_schema

    _say(json.dumps(config_schema(Choices.of(_discover(None)[1].manager.hook).sections), indent=2))
    return 0


def _config_init(options: argparse.Namespace) -> int:
    from bleepstore.config import Choices
    from bleepstore.config_text import sample

    text = sample(Choices.of(_discover(None)[1].manager.hook).sections)
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return _complain(f"{options.file}: exists already, and is left as it is")
    except OSError as error:
        return _complain(f"{options.file}: {error.strerror}")
    _say(f"{options.file}: written")
    return 0
