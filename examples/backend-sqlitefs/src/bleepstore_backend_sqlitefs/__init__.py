"""Storage backend ``sqlitefs`` of BleepStore."""
