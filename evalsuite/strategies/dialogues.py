"""Two turns: the first is asked as if it were alone, the second after what the model said (`types.Dialogue`).

The first turn's request is the unperturbed one, so that it is not asked again. Source: the shape is that of Sharma et al. 2023 (arXiv
2310.13548, "are you sure?") and Laban et al. 2023 (arXiv 2311.08596, FlipFlop): answer, challenge, answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evalsuite import answers, formats
from evalsuite.formats import Format
from evalsuite.strategies.ask import Normalisation, ask, ask_prompted, messages_for
from evalsuite.strategies.base import Context
from evalsuite.strategies.exemplars import Exemplar
from evalsuite.strategies.manners import context_under
from evalsuite.types import Answer, Asking, Dialogue, Message, Sample


def ask_twice(
    sample: Sample, dialogue: Dialogue, shots: Sequence[Exemplar], form: Format, context: Context, normalisation: Normalisation
) -> Asking[Answer]:
    """Ask the first turn, say what the dialogue says, and ask the sample.

    Args:
        sample: what the second turn asks.
        dialogue: its dialogue.
        shots: exemplars, which stand before the first turn.
        form: how both turns are asked.
        context: of the task, not yet under the sample's manner.
        normalisation: `cloze` only.

    Returns:
        The second turn's answer, with the first one's reading and the costs of both. A first turn that failed or was too long gives its
        status; so does one that said nothing but thoughts. One that could not be read goes on, since what was said is what the second
        turn answers to.
    """
    own = context_under(dialogue.first, context)
    first = yield from ask(dialogue.first, shots, form, own, normalisation)
    if first.reading.status in ("failed", "too_long"):
        return first
    said = _said(first, dialogue.first, form, own)
    if not said:
        # Nothing was said that a second turn could answer to, and no template takes an empty turn.
        return replace(first, first=first.reading)
    around = context_under(sample, context)
    opening, _ = messages_for(dialogue.first, shots, form, own)
    layout = formats.lay_out_again(sample, form, around.wording, dialogue.said, repeats=dialogue.repeats)
    turns = (*opening, Message(role="assistant", text=said), Message(role="user", text=layout.user))
    second = yield from ask_prompted(around.renderer.render(turns, joint=layout.joint), layout, sample, form, around, normalisation)
    return replace(
        second,
        first=first.reading,
        n_calls=first.n_calls + second.n_calls,
        n_prompt_tokens=first.n_prompt_tokens + second.n_prompt_tokens,
        n_output_tokens=first.n_output_tokens + second.n_output_tokens,
    )


def _said(first: Answer, sample: Sample, form: Format, context: Context) -> str:
    """The model's first answer as its turn in the conversation: what it wrote without its thoughts, else what it chose."""
    if first.output is not None:
        if context.thinking is not None and first.finish_reason == "length" and context.thinking[1] not in first.output:
            # Cut off while it was thinking, whether its own text or the template opened the thoughts.
            return ""
        return answers.without_thinking(first.output, context.thinking).strip()
    if first.reading.index is None:
        return ""
    return sample.choices[first.reading.index] if form == "cloze" else formats.labels_of(sample)[first.reading.index]
