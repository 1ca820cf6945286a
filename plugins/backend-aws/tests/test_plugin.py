"""The AWS backend has the manners of plugins."""

from typing import Any

from bleepstore.testing.plugin_hygiene import PluginHygiene
from bleepstore_backend_aws.plugin import AwsSettings


class TestPlugin(PluginHygiene):
    name = "aws"

    def section(self, spec: Any) -> Any:
        return AwsSettings(bucket="objects")
