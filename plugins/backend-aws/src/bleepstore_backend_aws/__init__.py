"""Amazon S3 as storage of BleepStore: objects under their own bucket and key, see README.md."""
