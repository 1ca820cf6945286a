"""A string that does not show itself: what every credential is kept in."""

from __future__ import annotations

import hmac


class Secret:
    """A secret string whose ``repr`` and ``str`` are a placeholder.

    Read it with :meth:`reveal` at the place that needs it, and compare it with :meth:`matches`,
    which takes the same time whatever the difference.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def matches(self, other: str) -> bool:
        """Tell in constant time whether ``other`` is the secret."""
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "***"
