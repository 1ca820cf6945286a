"""The AWS backend keeps the contract over moto."""

import pytest
from aws_kit import AwsKit


class TestOverMoto(AwsKit):
    copies = copies_parts = False

    def spoils(self, key: str) -> bool:
        """It lists line ends as they are in XML, or does not take them in a path."""
        return "\n" in key or "\r" in key

    @pytest.fixture
    def upstream_name(self) -> str:
        return "moto"
