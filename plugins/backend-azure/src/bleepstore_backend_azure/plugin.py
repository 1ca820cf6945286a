"""The plugin that offers ``storage.backend: azure``."""
