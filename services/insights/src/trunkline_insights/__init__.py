"""Live queue depth and waits, from the conversations log, with Faust."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    """`faust -A trunkline_insights` asks for `app`: it is built then, so that importing reads no environment."""
    if name != "app":
        raise AttributeError(name)
    from trunkline_insights.app import from_environment

    # The import bound the name to the module; Faust asks a second time and wants the application again.
    globals()["app"] = built = from_environment()
    return built
