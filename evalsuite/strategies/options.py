"""Options that every single-answer strategy shares, and what follows from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalsuite.formats import Format
from evalsuite.strategies.ask import Normalisation
from evalsuite.strategies.chains import Reasoning
from evalsuite.strategies.exemplars import Choosing
from evalsuite.tasks import TaskCard
from evalsuite.types import Kind


class FormatOptions(BaseModel):
    """How samples are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    format: Literal["auto", "letters", "cloze", "generate"] = "auto"
    """`auto`: the card's, else letters for choices and labels and generate for free text, quantities and several right choices."""
    normalisation: Normalisation | None = None
    """`cloze` only; byte by default."""
    selection: Literal["shared", "per_model"] = "shared"
    """One prompt for all models, or for each model the one that does best on a validation split."""
    templates: Annotated[int, Field(ge=0, le=1000)] = 10
    """`per_model`: sampled templates among which it is chosen, beside the default one."""
    validation: str | None = None
    """`per_model`: split on which it is chosen; left out: the card's split of such a name."""
    validation_limit: Annotated[int, Field(ge=1)] = 500
    """`per_model`: most samples of that split, as whole groups in a seeded order."""
    prompt_from: str | None = None
    """`per_model`: registry name of the model whose prompt all models are asked with; left out: each its own."""

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Exemplar seeds among which the prompt is chosen; one None where exemplars are not drawn."""
        return (None,)

    @model_validator(mode="after")
    def _selection_of_per_model(self) -> FormatOptions:
        named = sorted({"templates", "exemplar_seeds", "validation", "validation_limit", "prompt_from"} & self.model_fields_set)
        if self.selection == "shared":
            if named:
                raise ValueError(f"{', '.join(named)}: only with `selection: per_model`")
        elif self.templates == 0 and len(self.seeds) == 1:
            raise ValueError("selection = per_model: there is one prompt only; more templates or exemplar_seeds")
        return self

    @model_validator(mode="after")
    def _normalisation_of_cloze(self) -> FormatOptions:
        if self.normalisation is not None and self.format != "cloze":
            raise ValueError("normalisation belongs to `format: cloze`")
        return self

    def form_for(self, card: TaskCard) -> Format:
        """The format for a task.

        Raises:
            ValueError: letters or cloze for free text, a quantity or several right choices: the likeliest one choice is no set of choices.
        """
        if self.format == "auto" and card.form == "native":
            return "native"
        written = {"text": "free text needs", "quantity": "a quantity needs"}.get(card.kind)
        written = "several right choices need" if card.several else written
        if written is not None:
            if self.format not in ("auto", "generate"):
                raise ValueError(f"format = {self.format}: {written} `generate` (or `auto`)")
            return "generate"
        return card.form or "letters" if self.format == "auto" else self.format

    def kinds_for(self, card: TaskCard) -> frozenset[Kind]:
        """Request kinds that the format makes for a task.

        Raises:
            ValueError: as `form_for`.
        """
        form = self.form_for(card)
        return card.kinds if form == "native" else frozenset({KIND_OF_FORMAT[form]})


class ExemplarOptions(FormatOptions):
    """How samples are asked, and after which exemplars."""

    shots: Annotated[int, Field(ge=1, le=100)] = 5
    """Exemplars per prompt."""
    exemplars: Literal["fixed", "random", "knn"] = "fixed"
    """The same for every sample, drawn anew for each, or its nearest neighbours in the exemplar pool."""
    exemplar_seed: Annotated[int, Field(ge=0)] = 0
    """Another number gives other drawn exemplars under the same study seed."""
    embedder: str = "tfidf"
    """`knn`: tfidf, bm25, self (the model's own mean hidden state) or sentence-transformers:PATH."""
    compare: Literal["question", "question_and_choices"] = "question"
    """`knn`: what must be alike."""
    order: Literal["nearest_last", "nearest_first"] = "nearest_last"
    """`knn`: where the nearest stands."""
    exemplar_seeds: Annotated[int, Field(ge=1, le=1000)] | tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """`selection: per_model`: draws of exemplars among which the prompt is chosen: so many (from 0), or these; left out: one."""

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Exemplar seeds among which the prompt is chosen; one None where exemplars are not drawn."""
        if not self.shots or self.exemplars == "knn":
            return (None,)
        if self.exemplar_seeds is None:
            return (self.exemplar_seed,)
        return tuple(range(self.exemplar_seeds)) if isinstance(self.exemplar_seeds, int) else self.exemplar_seeds

    @model_validator(mode="after")
    def _embedder_of_neighbours(self) -> ExemplarOptions:
        named = sorted({"embedder", "compare", "order"} & self.model_fields_set)
        if named and (self.exemplars != "knn" or not self.shots):
            raise ValueError(f"{', '.join(named)}: only with `exemplars: knn` and `shots` of at least 1")
        return self

    @model_validator(mode="after")
    def _seeds_of_drawn_exemplars(self) -> ExemplarOptions:
        if self.exemplar_seeds is None:
            return self
        if not self.shots or self.exemplars == "knn":
            raise ValueError("exemplar_seeds: only where exemplars are drawn (`shots` of at least 1, `exemplars: fixed` or `random`)")
        if "exemplar_seed" in self.model_fields_set:
            raise ValueError("exemplar_seed and exemplar_seeds: one of them")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("exemplar_seeds: at least one, each once")
        return self

    def choosing(self) -> Choosing | None:
        """How exemplars are chosen; None for no shots."""
        if not self.shots:
            return None
        return Choosing(
            n=self.shots,
            by=self.exemplars,
            seed=self.exemplar_seed,
            embedder=self.embedder,
            shows=self.compare,
            nearest_first=self.order == "nearest_first",
        )


class ReasonedOptions(ExemplarOptions):
    """How samples are asked, and after which exemplars, if these show reasoning that a model wrote."""

    cot_from: str | None = None
    """Registry name of the model that writes the exemplars' reasoning for all models; left out: each writes its own."""
    chain_attempts: Annotated[int, Field(ge=1, le=20)] = 1
    """Most attempts per exemplar; from the second on with its choices in another order, or, above temperature 0, as another draw."""

    def chains(self) -> Reasoning:
        """How the exemplars' reasoning comes about."""
        return Reasoning(source=self.cot_from, attempts=self.chain_attempts)

    @model_validator(mode="after")
    def _lent_reasoning_fits(self) -> ReasonedOptions:
        if self.cot_from is not None and not self.shots:
            raise ValueError("cot_from belongs to exemplars: `shots` of at least 1")
        if self.cot_from is not None and self.exemplars == "knn" and self.embedder == "self":
            raise ValueError(
                "embedder: self with cot_from: the neighbours would be those of the model that lends its reasoning, not of the one under "
                "test; tfidf, bm25 or sentence-transformers:PATH"
            )
        return self


KIND_OF_FORMAT: dict[Format, Kind] = {"letters": "next", "cloze": "continuation", "generate": "generate", "reasoned": "generate"}
"""Which request kind each of our formats makes."""
