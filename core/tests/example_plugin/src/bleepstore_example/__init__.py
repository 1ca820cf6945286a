"""An example of a plugin; ``specs/plugin-api.md`` quotes it, and the tests run it."""
