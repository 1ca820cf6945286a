"""A plugin for ``bleepstore.testing.memory_native``, found where PYTHONPATH has this folder."""

from bleepstore.plugin import API_VERSION, StorageSpec, hookimpl


def build(context):
    from bleepstore.testing.memory_native import NativeMemoryBackend

    return NativeMemoryBackend()


class MemoryNative:
    name = "memory-native"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_storage_backends(self):
        return (StorageSpec(name="memory-native", build=build),)


plugin = MemoryNative()
