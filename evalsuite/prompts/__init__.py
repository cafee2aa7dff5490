"""From a conversation to token ids, with the model's own chat template: the only place that renders (DESIGN 2.2, 2.5)."""

from __future__ import annotations

from evalsuite.prompts.conversations import check_letters, conversation, pair_difference
from evalsuite.prompts.messages import MessagesRenderer, renderer_for
from evalsuite.prompts.opening import open_renderer
from evalsuite.prompts.renderer import Renderer

__all__ = ["MessagesRenderer", "Renderer", "check_letters", "conversation", "open_renderer", "pair_difference", "renderer_for"]
