"""An engine that answers by rule, for tests and planted behaviours. It reads byte ids (`evalsuite.bytetext`).

Path: `stub:<behaviour>?<option>=<value>&...`. Every answer is a function of the path and the request alone, so it depends
neither on order nor on neighbours; its only trace is the option `log`.

Behaviours: `first` takes the first candidate, `key` the right one (by a sheet), `uniform` any, `silent` says nothing,
`chatty` wraps the right answer in talk, `fails` fails for some requests and is `first` for the others (or `key` with a sheet).
`text` takes the choice whose text stands in the sheet as the right one of any question, wherever and however it is listed, and
the first one where none does; `copies` takes the choice that somebody in the prompt names, and is `text` where nobody does. How
these two write is told by the option `writes`.

Log-probabilities of `next` and `continuation` are a softmax over what was offered plus a stated mass outside; those of
`prompt` are a fixed random language model over bytes, unrelated to the behaviour.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

import numpy as np

from evalsuite.bytetext import EOS, N_VOCABULARY, decode, encode
from evalsuite.engines._limits import Limits, refusal
from evalsuite.engines._stub_numbers import along_prompt, chance, log_softmax, vector_of
from evalsuite.engines._stub_prompts import Endings, asked_cue, endings_of, find_right, shown_labels, taken_choice, written
from evalsuite.engines.base import EngineInfo, EngineSettings
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.types import Failure, FinishReason, Kind, Outcome, Request, Response

KINDS: frozenset[Kind] = frozenset({"generate", "next", "continuation", "prompt", "embed"})
BEHAVIOURS = ("first", "key", "uniform", "silent", "chatty", "fails", "text", "copies")
NEED_SHEET = ("key", "chatty", "text", "copies")
FORMS = ("line", "talk", "json")

INTERPRETED = True
"""It answers in the interpreter itself, and waits for nothing outside."""

GAP = 12.0
"""Log-odds of what a behaviour prefers against each of the rest."""

T = TypeVar("T")


def _share(text: str) -> float:
    return _checked(float(text), lambda value: 0 < value < 1)


def _positive(text: str) -> int:
    return _checked(int(text), lambda value: value > 0)


def _seconds(text: str) -> float:
    return _checked(float(text), lambda value: 0 <= value < math.inf)


def _flag(text: str) -> bool:
    return _checked(text, lambda value: value in ("true", "false")) == "true"


def _log(text: str) -> str:
    return _checked(text, lambda value: bool(value) and Path(value).absolute().parent.is_dir() and not Path(value).is_dir())


def _form(text: str) -> str:
    return _checked(text, lambda value: value in FORMS)


def _kinds(text: str) -> frozenset[str]:
    return _checked(frozenset(text.split(",")), lambda value: value <= KINDS)


def _checked(value: T, allowed: Callable[[T], bool]) -> T:
    if not allowed(value):
        raise ValueError("not allowed")
    return value


OPTIONS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "sheet": (str, "path of a JSON object {question: text of the right choice}"),
    "seed": (int, "a whole number"),
    "mass": (_share, "probability of all that is offered taken together, above 0 and below 1"),
    "cue": (str, "word before the answer in generated text"),
    "writes": (_form, "line, talk or json: how `text` and `copies` write"),
    "distracted_by": (lambda text: frozenset(text.split("|")), "strings, separated by |"),
    "every": (_positive, "1 or more: one request in so many fails"),
    "transient": (_flag, "true or false"),
    "recovers": (_flag, "true or false: a request that the log knows no longer fails"),
    "n_context_tokens": (_positive, "1 or more"),
    "delay_s": (_seconds, "seconds per request, 0 or more"),
    "log": (_log, "path of a file, in a folder that is there, that gets one line per request"),
    "kinds": (_kinds, "some of generate,next,continuation,prompt,embed"),
}
"""Options with their reader and what is allowed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """A stub's path, read."""

    behaviour: str
    """One of `BEHAVIOURS`."""
    sheet: Mapping[str, str]
    """Question to text of the right choice; empty unless given."""
    right_texts: frozenset[str] = frozenset()
    """Texts of the sheet's right choices."""
    endings: Endings | None = None
    """The sheet's questions by what they end with; None where there is none."""
    seed: int = 0
    """Of `uniform` and of the language model behind `prompt`."""
    mass: float = 0.95
    """Probability on what is offered, taken together."""
    cue: str = "Answer"
    """Word before the answer in generated text."""
    writes: str = "line"
    """`text` and `copies`: an answer line with the cue that the prompt asks for, talk around the answer, or a JSON object."""
    distracted_by: frozenset[str] = frozenset()
    """`text` and `copies`: know nothing where any of these strings stands in the prompt."""
    every: int = 10
    """`fails`: one request in so many."""
    transient: bool = True
    """`fails`: of which sort the failures are."""
    recovers: bool = False
    """`fails`: a request that stands in the log when the engine is loaded does not fail again."""
    n_context_tokens: int = 8192
    """Context."""
    delay_s: float = 0.0
    """Pause before each request."""
    log: str = ""
    """File that gets the sha256 of each request that was asked; empty: none."""
    kinds: frozenset[Kind] = KINDS
    """Supported kinds."""


def load(path: str, settings: EngineSettings) -> StubEngine:
    """A stub from its path.

    Raises:
        UserError: an unknown behaviour or option, a value that is not allowed, or a sheet that cannot be read.
    """
    faults = _setting_faults(settings)
    if faults:
        raise UserError(faults)
    return StubEngine(read_path(path), settings)


def check(path: str, settings: EngineSettings) -> tuple[Fault, ...]:
    """Everything for which `load` would refuse this path with these settings."""
    faults = _setting_faults(settings)
    try:
        read_path(path)
    except UserError as error:
        faults.extend(error.faults)
    return tuple(faults)


def kinds_of(path: str) -> frozenset[Kind]:
    """Request kinds that the stub at this path supports. Raises UserError as `load` does."""
    return read_path(path).kinds


def read_path(path: str) -> Rules:
    """The rules that a stub's path states. Raises UserError as `load` does."""
    scheme, _, rest = path.partition(":")
    behaviour, _, query = rest.partition("?")
    if scheme != "stub" or behaviour not in BEHAVIOURS:
        raise UserError(Fault(file=path, key="", value=behaviour, allowed=f"stub:<behaviour>; {nearest(behaviour, BEHAVIOURS)}"))
    options: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            raise UserError(Fault(file=path, key=name, value=text, allowed=nearest(name, OPTIONS)))
        read, allowed = OPTIONS[name]
        try:
            options[name] = read(text)
        except (ValueError, KeyError) as error:
            raise UserError(Fault(file=path, key=name, value=text, allowed=allowed)) from error
    sheet = _read_sheet(path, str(options.pop("sheet", "")))
    if behaviour in NEED_SHEET and not sheet:
        raise UserError(Fault(file=path, key="sheet", value="", allowed=f"{behaviour} needs one: {OPTIONS['sheet'][1]}"))
    right_texts = frozenset(sheet.values())
    return Rules(behaviour=behaviour, sheet=sheet, right_texts=right_texts, endings=endings_of(sheet), **options)  # type: ignore[arg-type]  # each was read by its own reader


def request_id(request: Request) -> str:
    """sha256 of all that is asked, as 64 hex digits: the line of the log."""
    s = request.sampling
    sampling = None if s is None else [s.max_tokens, s.temperature, s.top_p, s.stop, s.seed]
    asked = [request.kind, request.prompt.token_ids, sampling, request.candidates, request.continuations, request.moments]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


class StubEngine:
    """See the module. Satisfies `evalsuite.engines.base.Engine`."""

    def __init__(self, rules: Rules, settings: EngineSettings) -> None:
        self._rules = rules
        n_context_tokens = min(rules.n_context_tokens, settings.max_model_len or rules.n_context_tokens)
        self._limits = Limits(kinds=rules.kinds, n_context_tokens=n_context_tokens, n_vocabulary=N_VOCABULARY)
        known = rules.recovers and rules.log and Path(rules.log).is_file()
        self._recovered = frozenset(Path(rules.log).read_text(encoding="utf-8").split()) if known else frozenset()
        self._info = EngineInfo(
            name="stub",
            dtype="float64",
            quantisation=None,
            device="none",
            n_context_tokens=n_context_tokens,
            versions={"stub": "1"},
        )

    @property
    def info(self) -> EngineInfo:
        """What is loaded."""
        return self._info

    @property
    def kinds(self) -> frozenset[Kind]:
        """All five, unless the option `kinds` says otherwise."""
        return self._rules.kinds

    def close(self) -> None:
        """Nothing to give back."""

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Outcome]]:
        """Answer requests one by one, in their order."""
        for index, request in enumerate(requests):
            if self._rules.delay_s:
                time.sleep(self._rules.delay_s)
            outcome = self._outcome(request)
            if self._rules.log:
                with Path(self._rules.log).open("a", encoding="utf-8") as file:
                    file.write(f"{request_id(request)}\n")
            yield index, outcome

    def _outcome(self, request: Request) -> Outcome:
        failure = refusal(request, self._limits)
        if failure is not None:
            return failure
        if self._rules.behaviour == "fails":
            name = request_id(request)
            if int(name, 16) % self._rules.every == 0 and name not in self._recovered:
                return Failure(reason="engine_error", message="planted failure", transient=self._rules.transient)
        if request.kind == "generate":
            return _generated(request, self._rules)
        if request.kind == "prompt":
            return along_prompt(request, self._rules.seed)
        n_prompt_tokens = len(request.prompt.token_ids)
        if request.kind == "embed":
            return Response(vector=vector_of(request.prompt.token_ids), n_prompt_tokens=n_prompt_tokens)
        if request.kind == "next":
            logprobs = _offered([(token,) for token in request.candidates], request, self._rules)
            return Response(logprobs=tuple(values[0] for values in logprobs), n_prompt_tokens=n_prompt_tokens)
        logprobs = _offered(request.continuations, request, self._rules)
        n_output_tokens = sum(map(len, request.continuations))
        return Response(continuation_logprobs=tuple(logprobs), n_prompt_tokens=n_prompt_tokens, n_output_tokens=n_output_tokens)


def _setting_faults(settings: EngineSettings) -> list[Fault]:
    allowed = "the stub's options are part of its path: stub:<behaviour>?<option>=<value>"
    return [Fault(file="engine", key=name, value=str(value), allowed=allowed) for name, value in settings.options.items()]


def _read_sheet(path: str, sheet: str) -> Mapping[str, str]:
    if not sheet:
        return {}
    try:
        table = json.loads(Path(sheet).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(Fault(file=path, key="sheet", value=sheet, allowed=OPTIONS["sheet"][1])) from error
    if not isinstance(table, dict) or not all(isinstance(value, str) and question for question, value in table.items()):
        raise UserError(Fault(file=path, key="sheet", value=sheet, allowed=OPTIONS["sheet"][1]))
    return table


def _offered(offers: Sequence[tuple[int, ...]], request: Request, rules: Rules) -> list[tuple[float, ...]]:
    """Log-probabilities of each offer's tokens. The probabilities of different offers add up to at most `mass`."""
    different = sorted(set(offers))
    preferred = _preferred(offers, request, rules)
    if preferred is not None:
        values = _stated(len(different), different.index(preferred), rules.mass)
    elif rules.behaviour == "silent":
        values = _stated(len(different), None, rules.mass)
    else:
        # Drawn for sorted offers: each keeps its score when the request lists them in another order.
        scores = chance(rules.seed, request.prompt.token_ids, different).normal(size=len(different))
        values = (log_softmax(scores) + math.log(rules.mass)).tolist()
    totals = dict(zip(different, values, strict=True))
    found = []
    for offer in offers:
        # What is not preferred pays its price per token, so that it loses under every length normalisation too.
        n_shares = 1 if preferred is not None and offer != preferred else len(offer)
        found.append((totals[offer] / n_shares,) * len(offer))
    return found


@lru_cache(maxsize=1024)
def _stated(n: int, preferred: int | None, mass: float) -> Sequence[float]:
    """Log-probabilities of so many offers, of which one, by its place, or none is preferred."""
    scores = np.zeros(n)
    if preferred is not None:
        scores[preferred] = GAP
    values: list[float] = (log_softmax(scores) + math.log(mass)).tolist()
    return tuple(values)


def _preferred(offers: Sequence[tuple[int, ...]], request: Request, rules: Rules) -> tuple[int, ...] | None:
    """The offer that the behaviour takes; None if it has no preference."""
    if rules.behaviour == "first" or (rules.behaviour == "fails" and not rules.sheet):
        return offers[0]
    if not rules.sheet:
        return None
    text = decode(request.prompt.token_ids)
    if rules.behaviour in ("text", "copies"):
        return _offered_for(text, offers, rules)
    right = find_right(text, rules.sheet, rules.endings)
    if right is None:
        return None
    choice, label = right
    texts = {decode(offer).strip(): offer for offer in reversed(offers)}
    if label:
        # A label of several bytes is told from the others by its first one, as in the request.
        return texts.get(label) or texts.get(label[0]) or texts.get(choice)
    return texts.get(choice.strip())


def _offered_for(text: str, offers: Sequence[tuple[int, ...]], rules: Rules) -> tuple[int, ...]:
    """The offer that `text` or `copies` takes: by label, by the choice's own text, else the first."""
    texts = {decode(offer).strip(): offer for offer in reversed(offers)}
    known = _known_in(text, rules)
    label, _ = taken_choice(text, known, copies=rules.behaviour == "copies")
    by_label = (texts.get(label) or texts.get(label[0])) if label else None
    by_text = next((offer for said, offer in texts.items() if said in known), None)
    return by_label or by_text or offers[0]


def _known_in(text: str, rules: Rules) -> frozenset[str]:
    return frozenset() if any(said in text for said in rules.distracted_by) else rules.right_texts


def _generated(request: Request, rules: Rules) -> Response:
    """The behaviour's text, ended by EOS, a stop string or the token limit, whichever comes first."""
    sampling = request.sampling
    if sampling is None:
        raise ValueError("generate without sampling parameters is refused before")
    token_ids = (*encode(_answer(request, rules)), EOS)[: sampling.max_tokens]
    finish_reason: FinishReason = "stop" if token_ids[-1] == EOS else "length"
    text = decode(token_ids)
    ends = [(text.find(stop) + len(stop), len(stop)) for stop in sampling.stop if stop in text]
    if ends:
        end, n_characters = min(ends)
        finish_reason, token_ids, text = "stop", encode(text[:end]), text[: end - n_characters]
    return Response(
        text=text,
        token_ids=token_ids,
        finish_reason=finish_reason,
        n_prompt_tokens=len(request.prompt.token_ids),
        n_output_tokens=len(token_ids),
    )


def _answer(request: Request, rules: Rules) -> str:
    if rules.behaviour == "silent":
        return ""
    if rules.behaviour == "first" or (rules.behaviour == "fails" and not rules.sheet):
        return f"{rules.cue}: A"
    text = decode(request.prompt.token_ids)
    if rules.behaviour in ("text", "copies"):
        label, choice = taken_choice(text, _known_in(text, rules), copies=rules.behaviour == "copies")
        return written(label or choice or shown_labels(text)[0], rules.writes, asked_cue(text, rules.cue) if label or not choice else "")
    right = find_right(text, rules.sheet, rules.endings)
    if right is None:
        labels = shown_labels(text)
        seed = request.sampling.seed if request.sampling is not None and request.sampling.temperature > 0 else None
        said = labels[int(chance(rules.seed, request.prompt.token_ids, seed).integers(len(labels)))]
    else:
        said = right[1] or right[0]
    if rules.behaviour == "chatty":
        return written(said, "talk")
    return f"{rules.cue}: {said}" if right is None or right[1] else said
