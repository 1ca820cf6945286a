"""The AWS backend keeps the contract over BleepStore itself."""

import pytest
from aws_kit import AwsKit


class TestOverBleepStore(AwsKit):
    @pytest.fixture
    def upstream_name(self) -> str:
        return "bleepstore"
