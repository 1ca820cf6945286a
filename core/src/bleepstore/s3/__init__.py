"""The operations of S3: one coroutine each, from an Exchange to a Reply. ``table`` names them all."""
