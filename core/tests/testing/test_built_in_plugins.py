"""The built-in plugins have the manners of all others."""

from bleepstore.testing.plugin_hygiene import PluginHygiene


class TestAdmin(PluginHygiene):
    name = "admin"


class TestAuth(PluginHygiene):
    name = "auth"


class TestS3(PluginHygiene):
    name = "s3"


class TestSqlite(PluginHygiene):
    name = "sqlite"


class TestTransfer(PluginHygiene):
    name = "transfer"


class TestUpkeep(PluginHygiene):
    name = "upkeep"
