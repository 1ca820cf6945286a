"""Moments between a gateway and its upstream at which the gateway is killed on purpose.

A server of HTTP stands before the upstream. When a request comes that is aimed at, all processes of
the gateway are killed before upstream hears of it, or after upstream has answered and before the
gateway has the answer: between what was announced, what upstream holds and what the rows say.
"""

from __future__ import annotations

import enum
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from bleepstore.native import RESERVED
from faulty_http import Act, Answer, Faults, Request, ask, listening, passed_on

PATIENCE = 30.0
"""Seconds in which what a dead gateway had sent is answered."""
_HEAD = 2048
"""Bytes of a body in which Google's name of an object stands."""
_DRAINED = "/drained"


class Point(enum.Enum):
    """What is aimed at, and on which side of it the kill is."""

    ANNOUNCED = "before a change of an object"
    PUBLISHED = "after a change of an object"
    NOTED = "after a change of any kind"


@dataclass
class KillPoints(Faults):
    """The server in between."""

    place: str = ""
    """What the names of objects upstream begin with."""
    fallen: Counter[Point] = field(default_factory=Counter)
    """How often the gateway was killed where."""
    fell: threading.Event = field(default_factory=threading.Event)
    """Since it was aimed."""
    _aim: tuple[Point, int, Callable[[], None]] | None = None
    _aiming: threading.Lock = field(default_factory=threading.Lock)

    def aim(self, point: Point, number: int, kill: Callable[[], None]) -> None:
        """Kill at the request of this number, from 1, that the point is about."""
        with self._aiming:
            self.fell.clear()
            self._aim = point, number, kill

    def forget(self) -> None:
        """Aim at nothing."""
        with self._aiming:
            self._aim = None

    def take(self, request: Request) -> Act:
        """What is done with a request."""
        if request.target == _DRAINED:
            return lambda drained: drained.answer(204, {})
        if len(request.body) < int(request.headers.get("content-length", 0)):
            return Request.cut  # the gateway died while it sent it
        with self._aiming:
            if self._aim is None or not self._is_aimed_at(request, self._aim[0]):
                return passed_on
            point, left, kill = self._aim
            self._aim = (point, left - 1, kill) if left > 1 else None
            return passed_on if self._aim else self._killing(point, kill)

    def _is_aimed_at(self, request: Request, point: Point) -> bool:
        if request.method in ("GET", "HEAD"):
            return False
        return point is Point.NOTED or self._is_of_an_object(request)

    def _is_of_an_object(self, request: Request) -> bool:
        query, target = request.query, unquote(request.target)
        if (
            "partNumber" in query
            or "uploads" in query
            or (request.method == "DELETE" and "uploadId" in query)
        ):
            return False  # AWS has uploads under the names of their objects
        return self.place in target or (
            RESERVED not in target and self.place.encode() in request.body[:_HEAD]
        )

    def _killing(self, point: Point, kill: Callable[[], None]) -> Act:
        def act(request: Request) -> None:
            if point is not Point.ANNOUNCED:
                request.forward()
            kill()
            self.fallen[point] += 1
            self.fell.set()
            request.cut()

        return act

    def drain(self) -> None:
        """Wait until all is answered that a gateway, dead now, had sent: nothing changes upstream after."""
        # Connections are accepted in the order in which they came: after this one there is none of it.
        last = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=PATIENCE)
        last.request("GET", _DRAINED)
        last.getresponse().read()
        last.close()
        pause, end = threading.Event(), time.monotonic() + PATIENCE
        while any(connection.fileno() != -1 for connection in self.connections):
            assert time.monotonic() < end, "upstream does not answer what it was asked"
            pause.wait(0.002)
        self.connections.clear()


@contextmanager
def before(endpoint: str, place: str, behind: Callable[[Request], Answer] = ask) -> Iterator[KillPoints]:
    """Start it in front of an upstream, which is asked by ``behind``."""
    found = urlsplit(endpoint)

    def answer(request: Request) -> Answer:
        status, headers, body = behind(request)
        if "location" in headers:  # of a resumable upload, which is to come by here too
            here = urlsplit(request.faults.endpoint).netloc
            headers["location"] = headers["location"].replace(found.netloc, here)
        return status, headers, body

    points = KillPoints(answer, upstream=found.netloc, place=place)
    with listening(points, found.path) as points:
        yield points
