"""Local disk storage for BleepStore: opaque blobs in a fanned-out directory, checked when read."""
