"""The SDK's protobufs, loaded without the rest of the SDK, which takes longer to load than everything else here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Let modules be imported from packages whose own code does not run; the packages are forgotten afterwards."""
    spec = None if "pulumi" in sys.modules else find_spec("pulumi")
    if spec is None or spec.origin is None:
        yield
        return
    root = Path(spec.origin).parents[1]
    for name in _PACKAGES:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
    try:
        yield
    finally:
        for name in _PACKAGES:
            del sys.modules[name]


with _bare_packages():
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
    )

__all__ = [
    "engine_pb2",
    "engine_pb2_grpc",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
]
