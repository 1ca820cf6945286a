"""Times on the wire: HTTP dates (RFC 9110 section 5.6.7) and the ISO form of XML documents.

Times are milliseconds since 1970 in UTC. Both forms have whole seconds: what a client reads in one
place it must be able to compare with what it reads in another.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

_ZERO = frozenset({"GMT", "UTC", "+0000", "-0000"})
"""GMT as RFC 9110 has it, and as the libraries of mail write it."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(at: int) -> str:
    """``Fri, 02 Jan 2026 03:04:05 GMT``."""
    return _http_date(at // 1000)


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    t = time.gmtime(seconds)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def iso_time(at: int) -> str:
    """``2026-01-02T03:04:05.000Z``."""
    minute, second = divmod(at // 1000, 60)
    return f"{_iso_minute(minute)}{second:02}.000Z"


@lru_cache(maxsize=4096)
def _iso_minute(minute: int) -> str:
    # What was uploaded together is listed together: a page has few different minutes.
    t = time.gmtime(minute * 60)
    return f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:"


def parse_http_date(text: str) -> int | None:
    """A date in any of the three forms of RFC 9110, or ISO 8601 in UTC; ``None`` for anything else.

    A two-digit year is the one in 1970 to 2069. A condition with an unreadable date is ignored.
    """
    if len(text) > 40 or not text.isascii():
        return None
    try:
        return _parse(text.strip())
    except (ValueError, IndexError, KeyError, OverflowError):
        return None


def _parse(text: str) -> int | None:
    if text[-1:] == "Z" and text[4:5] == "-":
        moment = datetime.fromisoformat(text)
    else:
        _, comma, rest = text.partition(",")
        if not comma:  # asctime: Sun Nov  6 08:49:37 1994
            _, month, day, clock, year = text.split()
        else:
            words = rest.split()
            if words.pop() not in _ZERO:
                return None
            if len(words) == 2:  # RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
                day, month, year = words[0].split("-")
                clock = words[1]
            else:
                day, month, year, clock = words
        hour, minute, second = clock.split(":")
        number = _number(year)
        if len(year) == 2:
            number += 1900 if number >= 70 else 2000
        moment = datetime(
            number,
            _MONTHS.index(month.title()) + 1,
            _number(day),
            _number(hour),
            _number(minute),
            _number(second),
            tzinfo=UTC,
        )
    return int(moment.timestamp()) * 1000


def _number(text: str) -> int:
    if not text.isdecimal():  # int() also takes signs, spaces and underscores
        raise ValueError(text)
    return int(text)
