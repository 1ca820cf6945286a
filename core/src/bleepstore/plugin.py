"""What a plugin is made of: the hook marker, the context, and the specs that hooks return.

A plugin is an object (usually an instance of a class) named by an entry point in the group
``bleepstore``, with methods marked :data:`hookimpl` that implement hooks of ``hookspecs``. Hooks
run while starting and stopping only, never during a request; they return objects that implement
an ABC. A plugin imports its SDK inside ``build``, so an unchosen one costs next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pluggy

from bleepstore.exchange import Services
from bleepstore.metadata import MetadataEngine
from bleepstore.settings import Settings
from bleepstore.storage import StorageBackend

PROJECT = "bleepstore"
API_VERSION = (1, 0)
"""Version of the published modules: a plugin states ``requires_api = (major, minor)`` and is
refused when the major differs or the minor is newer."""

hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a plugin is given to build from."""

    settings: Settings
    section: Any
    """In ``build``: the spec's own section, an instance of its ``section`` dataclass (``None``
    without). In hooks: ``None``; top-level sections are ``settings.sections[NAME]``."""
    log: logging.Logger
    clock: Callable[[], int]
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """A storage backend that can be chosen by ``storage.backend``; its section is ``storage.NAME``."""

    name: str
    build: Callable[[Context], StorageBackend]
    section: type | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataSpec:
    """A metadata engine that can be chosen by ``metadata.engine``; its section is ``metadata.NAME``."""

    name: str
    build: Callable[[Context], MetadataEngine]
    section: type | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSpec:
    """A top-level section of the configuration that a plugin reads."""

    name: str
    section: type


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A subcommand of ``bleepstore``. ``configure`` gets an argparse parser, ``run`` the arguments."""

    name: str
    help: str
    configure: Callable[[Any], None]
    run: Callable[[Any], int]
    store: bool = False
    """It works on a store that no server has open: it takes ``DIR`` and ``--config`` as ``serve`` does,
    and the arguments have ``open_store``: ``async with arguments.open_store() as services``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTask:
    """Work beside requests, run in the process with the writer role and cancelled at stop.

    ``run`` is called once with the services and loops by itself; raising is logged and it is
    started again after a pause.
    """

    name: str
    run: Callable[[Services], Awaitable[None]]
