"""Tasks that come from elsewhere than a plugin; one module per source."""

from evalsuite.task_sources.named import PREFIX, Expanded, expand

__all__ = ["PREFIX", "Expanded", "expand"]
