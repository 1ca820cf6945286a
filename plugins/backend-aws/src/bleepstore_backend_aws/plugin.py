"""The plugin that offers ``storage.backend: aws``."""
