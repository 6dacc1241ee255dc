"""lingraft grafts a new language onto a language model, and weighs in bytes what carried over."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingraft.pipelines.adapt import adapt as adapt

__version__ = "0.1.0"
__all__ = ["__version__", "adapt"]


def __getattr__(name: str) -> Any:
    # `import lingraft` takes no torch; the main job does, when it is first asked for.
    if name == "adapt":
        from lingraft.pipelines.adapt import adapt

        return adapt
    raise AttributeError(f"module 'lingraft' has no attribute {name!r}")
