"""What a perturbation is: a pure map from one sample to its variants, or to a refusal that says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.types import Need, Sample

Family = Literal["meaning-preserving", "target-changing", "two-step", "multi-prompt", "instruction-guided", "adversarial"]
"""What a perturbation asks of a model; the order is that of the report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """The perturbation does not apply to this sample."""

    reason: str
    """Why, in one sentence without text of the sample."""


Perturb = Callable[[Sample, int], tuple[Sample, ...] | Refusal]
"""(sample, study seed) -> variants, numbered by `variant` from 0, all with the sample's id and group; or a refusal. Random choices are
seeded by `derive_seed(seed, name of the perturbation, sample.id, ...)`, so that they depend on nothing else."""


class NoOptions(BaseModel):
    """Options of a perturbation that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def always(perturb: Perturb) -> Callable[[Any], Perturb]:
    """Builds one and the same map, whatever the options: for perturbations without any."""

    def build(options: Any) -> Perturb:
        del options
        return perturb

    return build


def needing(*needs: Need) -> Callable[[Any], frozenset[Need]]:
    """What a strategy must offer where that is the same whatever the options."""
    wanted = frozenset(needs)

    def needed(options: Any) -> frozenset[Need]:
        del options
        return wanted

    return needed


NOTHING = needing()
"""It can be asked in every way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerturbationSpec:
    """A perturbation as a plugin; each module in `evalsuite/perturbations` that defines `SPEC` is one."""

    name: str
    """Name in study.yaml."""
    summary: str
    """One sentence."""
    source: str
    """Where it is from; `ours` where nobody printed it before."""
    family: Family
    """What it asks of a model."""
    preserves_meaning: bool | Callable[[Any], bool]
    """True: the right choice is the same one as before and a careful reader would answer as before, so that answers can be compared with
    the unperturbed ones, choice by choice. A function where checked options decide it; `preserves` asks either."""
    options: type[BaseModel]
    """pydantic model (`extra="forbid"`) of the options in study.yaml."""
    build: Callable[[Any], Perturb]
    """Makes the map from checked options."""
    languages: frozenset[str] | None = None
    """ISO 639-1 codes of the languages in which it has a sensible form; samples of others are refused. None: it writes no words."""
    needs: Callable[[Any], frozenset[Need]] = NOTHING
    """What a strategy must offer, from checked options; cells of strategies that do not offer it are left out of the plan."""

    def preserves(self, options: Any) -> bool:
        """Whether the meaning is preserved under checked options."""
        return self.preserves_meaning(options) if callable(self.preserves_meaning) else self.preserves_meaning
