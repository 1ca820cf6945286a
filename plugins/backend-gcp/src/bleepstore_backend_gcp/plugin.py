"""The plugin that offers ``storage.backend: gcp``."""
