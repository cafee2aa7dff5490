"""One task of lm-evaluation-harness as the rest of the package sees it: rows, asks and judgements (`evalsuite.foreign`)."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evalsuite.errors import Fault, UserError
from evalsuite.foreign import ROW, WORDS, Ask, Group, Judged, Result, Style, is_as_made, words_of
from evalsuite.task_sources.lm_eval_metrics import plain, value_of
from evalsuite.types import Kind, Message, Sample

SEED = 1234
"""lm-eval's default `fewshot_random_seed`."""

KINDS: Mapping[str, frozenset[Kind]] = {
    "multiple_choice": frozenset({"next", "continuation"}),
    "loglikelihood": frozenset({"continuation"}),
    "loglikelihood_rolling": frozenset({"prompt"}),
    "generate_until": frozenset({"generate"}),
}
"""Request kinds of each output type."""


def has_choices(task: Any, row: Mapping[str, Any]) -> bool:
    """Whether a row has choices that can be shown, shuffled and named; bare labels of choices that stand in the question cannot."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return False
    return any(len(str(choice).strip(" ().:")) > 1 for choice in task.doc_to_choice(row))


def shows_the_sample_itself(task: Any) -> bool:
    """Whether a question can be its own exemplar: lm-eval leaves it out only where `fewshot_split` is named and is `test_split`."""
    config, shots = task.config, task.fewshot_cfg
    if shots.split is None and config.fewshot_config is not None and shots.samples is not None:
        return False
    pool = shots.split or config.training_split or config.validation_split or config.test_split
    evaluated = config.test_split or config.validation_split
    return bool(pool == evaluated and shots.split != config.test_split)


def kinds_of(task: Any) -> frozenset[Kind]:
    """Request kinds that a task makes."""
    return KINDS[task.OUTPUT_TYPE]


@dataclass(frozen=True, kw_only=True, slots=True)
class LmEvalTask:
    """A task as lm-eval loaded it. See `evalsuite.foreign.Foreign`."""

    name: str
    """lm-eval's name."""
    task: Any = field(repr=False)
    """lm-eval's object."""
    rows_held: Any = field(repr=False)
    """Rows of the evaluated split by number, as `process_docs` left them."""
    groups: tuple[Group, ...] = ()
    """Groups that it was named through."""
    contexts: dict[Style, list[Any]] = field(default_factory=dict, repr=False)
    """Prompts with exemplars of every row, in order, since the sampler's draws depend on it."""

    @property
    def configuration(self) -> str:
        """sha256 over lm-eval's own dump of the task's configuration, in which functions stand with their sources, and its version."""
        from importlib.metadata import version

        text = json.dumps([version("lm_eval"), self.task.dump_config()], sort_keys=True, default=str)
        # Functions without a source stand with their address, which is another one in every process.
        return hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", text).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def kinds(self) -> frozenset[Kind]:
        """Request kinds of its output type."""
        return kinds_of(self.task)

    def rows(self, split: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Rows of the evaluated split, or of the one that exemplars come from, as the task's `process_docs` leaves them."""
        config = self.task.config
        held = self.rows_held if split == (config.test_split or config.validation_split or "test") else self.task.fewshot_docs()
        yield from enumerate((dict(row) for row in held), start=1)

    def to_sample(self, row: Mapping[str, Any], number: int) -> Sample:
        """A row as a sample: its question and choices as the task words them, for reports, links and formats of ours."""
        task = self.task
        choices: tuple[str, ...] = ()
        targets: tuple[int, ...] = ()
        references: tuple[str, ...] = ()
        if task.multiple_input:
            # Its text is the number of the right choice; what is read are the choices themselves.
            question, references = "\n".join(map(str, task.doc_to_choice(row))), (str(task.doc_to_target(row)),)
        elif task.OUTPUT_TYPE == "loglikelihood_rolling":
            question = str(task.doc_to_target(row))
        else:
            question, target = str(task.doc_to_text(row)), task.doc_to_target(row)
            if has_choices(task, row):
                choices = tuple(map(str, task.doc_to_choice(row)))
                targets = _targets(target, choices)
            else:
                references = tuple(map(str, target)) if isinstance(target, list) else (str(target),)
        made = Sample(id=str(number), group="-", question=question, choices=choices, targets=targets, references=references, language="und")
        words = words_of(made)
        # Rows that word the same question and choices are one unit, in whichever task they stand.
        return replace(made, group=f"lm_eval:{words}", metadata={WORDS: words, ROW: f"lm_eval:{_row_hash(row)}"})

    def asks(self, sample: Sample, style: Style) -> tuple[Ask, ...]:
        """Its instances of a row as asks; none for a sample that was changed after the row was read."""
        row = self._row(sample)
        if row is None:
            return ()
        return tuple(_as_ask(part, greedy=self._needs_greedy()) for part in self._instances(sample, row, style))

    def judge(self, sample: Sample, style: Style, results: Sequence[Result]) -> Judged:
        """Filters and metrics of the task on the results of a row, filter by filter as its evaluator does."""
        row = self._row(sample)
        if row is None:
            raise ValueError(f"sample {sample.id} is not as task {self.name} made it")
        instances = self._instances(sample, row, style)
        for part, result in zip(instances, results, strict=True):
            part.resps = list(result) if isinstance(result, tuple) and part.request_type == "generate_until" else [result]
        items: dict[str, Any] = {}
        values: dict[str, float] = {}
        unread: set[str] = set()
        shown = None
        for ensemble in self.task._filters:
            ensemble.apply(instances)
            filtered = [part.filtered_resps[ensemble.name] for part in instances]
            shown = filtered[0] if shown is None else shown
            empty = _nothing_read(ensemble, filtered)
            for name, raw in self.task.process_results(dict(row), filtered).items():
                full = name if ensemble.name == "none" else f"{name},{ensemble.name}"
                items[full] = plain(raw)
                value = value_of(items[full], self._how(name))
                if value is not None:
                    values[full] = value
                if empty:
                    unread.add(full)
        scored_choices = self.task.OUTPUT_TYPE == "multiple_choice" and not self.task.multiple_input
        p_choices = _p_choices(results, len(self.task.doc_to_choice(row))) if scored_choices else None
        index = (
            None if p_choices is None or not sample.choices else max(range(len(p_choices)), key=lambda place: (p_choices[place], -place))
        )
        text = str(shown) if self.task.OUTPUT_TYPE == "generate_until" else None
        return Judged(items=items, values=values, unread=frozenset(unread), index=index, text=text, p_choices=p_choices)

    def aggregate(self, metric: str, items: Sequence[Any]) -> float:
        """lm-eval's own aggregation (the mean where the task names none)."""
        from lm_eval.api.metrics import mean

        aggregation = self.task.aggregation().get(metric.partition(",")[0], mean)
        return float(aggregation([tuple(item) if isinstance(item, list) else item for item in items]))

    def _how(self, name: str) -> str:
        aggregation = self.task.aggregation().get(name)
        return getattr(aggregation, "__name__", "mean")

    def _needs_greedy(self) -> bool:
        """Whether the metrics look at it: asking costs a comparison per token, and forbids the short way for letters."""
        config = self.task.config
        own_judge = callable(getattr(config, "process_results", None))
        return self.task.OUTPUT_TYPE == "loglikelihood" or own_judge or "exact_match" in self.task.aggregation()

    def _row(self, sample: Sample) -> Mapping[str, Any] | None:
        """The row of a sample; None if the sample is not as it was made of it."""
        if not is_as_made(sample):
            return None
        row = dict(self.rows_held[int(sample.id)])
        if sample.metadata.get(ROW) != f"lm_eval:{_row_hash(row)}":
            raise ValueError(f"sample {sample.id} is no row of the evaluated split of task {self.name}")
        return row

    def _instances(self, sample: Sample, row: Mapping[str, Any], style: Style) -> list[Any]:
        context = self._context(int(sample.id), row, style)
        metadata = (self.name, int(sample.id), self.task.config.repeats)
        made = self.task.construct_requests(
            doc=dict(row), ctx=context, metadata=metadata, apply_chat_template=style.chat, chat_template=_turns if style.chat else None
        )
        return sorted(made, key=lambda one: int(one.idx)) if isinstance(made, list) else [made]

    def _context(self, number: int, row: Mapping[str, Any], style: Style) -> Any:
        if self._n_shots(style) == 0:
            return self._rendered(row, style)
        if shows_the_sample_itself(self.task):
            allowed = "0: lm-eval would draw exemplars from the evaluated split without leaving out the question itself, key included"
            raise UserError(Fault(file=f"lm_eval task {self.name}", key="shots", value=str(self._n_shots(style)), allowed=allowed))
        if style not in self.contexts:
            self.task.set_fewshot_seed(SEED)
            self.contexts[style] = [self._rendered(one, style) for one in self.rows_held]
        return self.contexts[style][number]

    def _n_shots(self, style: Style) -> int:
        return int(self.task.config.num_fewshot or 0) if style.shots is None else style.shots

    def _rendered(self, row: Mapping[str, Any], style: Style) -> Any:
        """The prompt of a row: text without a chat template, turns with one, or a list of either."""
        parameters = inspect.signature(self.task.fewshot_context).parameters
        known = {
            "system_instruction": style.system,
            "apply_chat_template": style.chat,
            "fewshot_as_multiturn": style.turns,
            "chat_template": _turns if style.chat else None,
            "gen_prefix": self.task.doc_to_prefix(row),
        }
        takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
        return self.task.fewshot_context(
            row, num_fewshot=self._n_shots(style), **{name: value for name, value in known.items() if takes_all or name in parameters}
        )


def _turns(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> tuple[Message, ...]:
    """Stands where lm-eval would apply a chat template: the turns come to us, and our renderer applies it."""
    del add_generation_prompt
    return tuple(Message(role=turn["role"], text=turn["content"]) for turn in messages)  # type: ignore[arg-type]  # lm-eval's roles are ours


def _as_ask(part: Any, *, greedy: bool) -> Ask:
    arguments = part.args
    if part.request_type == "loglikelihood_rolling":
        return Ask(text=arguments[0], rolling=True)
    context = arguments[0]
    # Text also where the model chats: an unconditional continuation has an empty context, which no template makes a conversation of.
    text, turns = (context, ()) if isinstance(context, str) else ("", context)
    if part.request_type == "loglikelihood":
        return Ask(text=text, turns=turns, continuation=arguments[1], greedy=greedy)
    kwargs = arguments[1]
    until = kwargs.get("until") or ()
    stop = tuple(text for text in ([until] if isinstance(until, str) else until) if text)
    limit = kwargs.get("max_gen_toks") or kwargs.get("max_new_tokens") or kwargs.get("max_tokens")
    return Ask(text=text, turns=turns, stop=stop, max_tokens=None if limit is None else int(limit), n_draws=int(part.repeats or 1))


def _row_hash(row: Mapping[str, Any]) -> str:
    """lm-eval's `doc_hash` of a row (its evaluator, 0.4.13), by which its sample logs and our scores pair."""
    from lm_eval.utils import handle_non_serializable

    text = json.dumps(dict(row), indent=2, default=handle_non_serializable, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _targets(target: Any, choices: Sequence[str]) -> tuple[int, ...]:
    """Positions of the right choices; a target that names none is left out, and the task's own metrics say what that means."""
    wanted = target if isinstance(target, list) else [target]
    found = []
    for one in wanted:
        if isinstance(one, int) and 0 <= one < len(choices):
            found.append(one)
        elif isinstance(one, str) and one in choices:
            found.append(list(choices).index(one))
    return tuple(found)


def _nothing_read(ensemble: Any, filtered: Sequence[Any]) -> bool:
    """Whether a filter that reads an answer out of the text gave its own sign for finding none."""
    signs = [getattr(part, "fallback", None) for part in _parts(ensemble)]
    return any(sign is not None and all(text == sign for text in filtered) for sign in signs)


def _parts(ensemble: Any) -> Iterator[Any]:
    for part in ensemble.filters:
        yield part() if callable(part) and not hasattr(part, "apply") else part


def _p_choices(results: Sequence[Result], n_choices: int) -> tuple[float, ...] | None:
    """Softmax of the choices' log-likelihoods; the unconditional ones, where asked, stand behind them."""
    logs = [result[0] for result in results[:n_choices] if isinstance(result, tuple) and isinstance(result[0], float)]
    if len(logs) < n_choices:
        return None
    top = max(logs)
    weights = [math.exp(value - top) for value in logs]
    return tuple(weight / math.fsum(weights) for weight in weights)
