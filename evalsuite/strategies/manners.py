"""How a rendition is asked where a perturbation decides it: the context with another system prompt, template or output contract."""

from __future__ import annotations

from dataclasses import replace

from evalsuite.contracts import CONTRACTS
from evalsuite.formats import Wording
from evalsuite.prompt_templates import sampled_template
from evalsuite.strategies.base import Context
from evalsuite.types import Manner, Sample


def context_under(sample: Sample, context: Context) -> Context:
    """The context as the sample's manner changes it; the same object for the same manner, so that exemplars are laid out once.

    Args:
        sample: as shown; `manner.contract` is a known contract, which only a programming error can make otherwise (KeyError).
        context: of its task.
    """
    manner = sample.manner
    if manner is None:
        return context
    found = context.manners.get(manner)
    if found is None:
        wording = wording_under(manner, context.wording)
        system = context.system if manner.system is None else manner.system
        found = context.manners[manner] = replace(context, wording=wording, system=system, laid_out={}, manners={})
    return found


def wording_under(manner: Manner, wording: Wording) -> Wording:
    """The words around a sample as a manner changes them."""
    return replace(
        wording,
        output=CONTRACTS[manner.contract] if manner.contract else wording.output,
        template=wording.template if manner.template is None else sampled_template(manner.template),
        choices_first=manner.choices_first,
    )
