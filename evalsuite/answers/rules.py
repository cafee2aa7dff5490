"""The lenient rules, in the order in which they are tried; each is one function with a sentence and a source.

A rule looks at a `Page` and returns what it found, or None. The first rule that finds something decides. Rules 1 to 6
share the assertions of the output, of which `assertions.settle` says which one stands: a conclusion over what was said on
the way to it, a correction over what the output takes back. Other assertions that disagree are a `conflict` and nothing
is read, whichever comes last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from evalsuite.answers import cues, rejection, several
from evalsuite.answers.assertions import CONCLUDED, WEAK, Assertion, settle
from evalsuite.answers.labels import Found, label_at, label_list, own_end, text_list
from evalsuite.answers.lines import LabelLine
from evalsuite.answers.page import Page
from evalsuite.answers.tokens import asserted_mentions, first_clause, words_of

_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*|__([^_\n]{1,200})__")
_PARENTHESIS = re.compile(r"\(\s?(\w{1,3})\s?\)")
_NOT_THAT = re.compile(r"[\s.,):\]–—-]*+(?:(?:and|y)\s+)?(?:not|no|rather\s+than)\s+(?:la\s+|option\s+|opción\s+)?\(?", re.IGNORECASE)
_LONG_WORD = re.compile(r"[^\W\d_]{3,}")
_BECAUSE = re.compile(r"\s*+,?+\s*+(?:because|since|porque|ya que|pues|car|parce que)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A named way of reading."""

    name: str
    """Name in `Reading.rule`."""
    read: Callable[[Page], Found | None]
    """What it finds on a page."""


def contract_line(page: Page) -> Found | None:
    """A line "Answer: X", in any case, decoration and language, with label or text (openai/simple-evals, made a line)."""
    return _settled(page, "contract_line")


def boxed(page: Page) -> Found | None:
    r"""A \boxed{B} (convention of the MATH data set, Hendrycks et al. 2021, arXiv 2103.03874)."""
    return _settled(page, "boxed")


def answer_field(page: Page) -> Found | None:
    """A JSON key "answer..." or element <answer> (MIRAGE asks for `answer_choice`, Xiong et al. 2024, arXiv 2402.13178)."""
    return _settled(page, "answer_field")


def final_statement(page: Page) -> Found | None:
    """A sentence "therefore the answer is B" that concludes (cue of MMLU-Pro, arXiv 2406.01574; ours the markers)."""
    return _settled(page, "final_statement")


def statement(page: Page) -> Found | None:
    """Sentences "the correct answer is B", "la respuesta correcta es la B", "I would choose B", "B is correct".

    All must agree, with a leading letter too (lm-evaluation-harness `multi_choice_regex`; ours the agreement).
    """
    return _settled(page, "statement")


def refusal(page: Page) -> Found | None:
    """Where a contract allows it, a statement that no choice is right: "None of the above" (ours, in `unlisted`)."""
    return _settled(page, "refusal")


def leading(page: Page) -> Found | None:
    """A first line that begins with a label: "B", "B.", "(B)", "B) text", "B: text", "B because".

    Not the first line of a list of choices; where several are asked, a list of some of the choices is the answer
    (Hendrycks et al. 2021, MMLU, arXiv 2009.03300: the letter opens the answer; ours the guard against lists).
    """
    if not page.lines:
        return None
    if page.options.several and (listed := _listed(page)) is not None:
        return listed
    if not page.label_lines:
        return _leading_word(page)
    first = page.label_lines[0]
    distinct = {line.index for line in page.label_lines}
    found = _line_answer(page, first)
    if (
        found is not None
        and found.conflict
        and found.end > first.after
        and page.asserted
        and len(_LONG_WORD.findall(page.text, found.end, first.end)) > 1
    ):
        return None  # "A and C lower the pressure, so the answer is D": what a sentence begins with answers nothing
    bare = _is_bare(page, first)
    if len(distinct) == 1:
        return found if bare or (first.number == 0 and not _line_rejected(page, first)) else None
    follower = page.label_lines[1]
    if first.number == 0 and bare and follower.number > 1:
        return found
    return None


def verdicts(page: Page) -> Found | None:
    """Where several are asked, choice by choice "A. Vrai", "B. Faux": those called right, if no line is left undecided (ours).

    Not where the question asks for what is wrong: there "Faux" may speak of the choice or of the answer.
    """
    if not page.options.several or page.inverted:
        return None
    return several.verdicts_of(page.text, page.label_lines, page.options)


def everything(page: Page) -> Found | None:
    """Where several are asked, a line "Toutes les propositions sont exactes" (ours)."""
    if not page.options.several or page.inverted:
        return None
    return several.all_of(page.text, page.options)


def bare_line(page: Page) -> Found | None:
    """A last line that is nothing but a label, or labels where several are asked, after an explanation or an echo (ours)."""
    if page.options.several and page.lines:
        start, end = page.lines[-1]
        listed = label_list(page.text, start, page.options)
        if listed is not None and len(listed.indices) > 1 and not page.text[listed.end : end].strip(" .)"):
            return listed
    if not page.label_lines:
        return None
    last = page.label_lines[-1]
    line = page.text[last.start : last.end].strip(" \t.()[]\"'-•")
    above = page.label_lines[-2] if len(page.label_lines) > 1 else last
    if above.index != last.index and above.number == last.number - 1 and not page.text[above.after : above.end].strip(" .)"):
        return None  # labels one below the other, of which none is the answer more than another
    is_alone = line.casefold() == page.options.labels[last.index].casefold()
    return Found(indices=(last.index,), end=last.end) if is_alone and last.number == len(page.lines) - 1 else None


def cued_text(page: Page) -> Found | None:
    """The one choice that the clause after a cue names further on: "the best step is to give aspirin at once" (ours)."""
    found = []
    for end in page.open_ends:
        span = first_clause(page.text[end : end + 200])
        named = asserted_mentions(span, words_of(span), page.options.texts, unwanted=page.unwanted)
        if len(named) == 1:
            found.append(Found(indices=tuple(named), end=end))
    return _only(found)


def bold(page: Page) -> Found | None:
    """The only label or choice that stands in bold, if its clause does not reject it (ours)."""
    found = []
    for match in _BOLD.finditer(page.raw):
        content = (match.group(1) or match.group(2)).strip()
        label = label_at(content, 1 if content.startswith("(") else 0, page.options)
        index = label[0] if label is not None else page.options.texts.exactly(content)
        if index is not None and not rejection.is_rejected(page.raw, match.start(), match.end(), unwanted=page.unwanted):
            found.append(Found(indices=(index,), end=match.end()))
    return _only(found)


def option(page: Page) -> Found | None:
    """The only label after "option", "opción", "choice", "letra" whose clause does not reject it (ours)."""
    if page.inverted and rejection.says_right(page.text):
        return None
    found = []
    for end in cues.option_ends(page.text):
        listed = label_list(page.text, end + (page.text[end : end + 1] == "("), page.options)
        if listed is not None and not rejection.is_rejected(page.text, end, listed.end, unwanted=page.unwanted):
            found.append(listed)
    return _only(found)


def parenthesis(page: Page) -> Found | None:
    """The only label in parentheses whose clause does not reject it: "this is pericarditis (E)" (lm-evaluation-harness)."""
    places = {label: index for index, label in enumerate(page.options.labels)}
    found = [
        Found(indices=(places[match.group(1)],), end=match.end())
        for match in _PARENTHESIS.finditer(page.text)
        if match.group(1) in places
        and not match.group(1).isdigit()
        and not rejection.is_rejected(page.text, match.start(), match.end(), unwanted=page.unwanted)
    ]
    return _only(found)


def marked_correct(page: Page) -> Found | None:
    """In an analysis of the choices line by line, the only line that calls its choice correct (ours)."""
    if page.inverted or len({line.index for line in page.label_lines}) < 2:
        return None
    found = []
    for line in page.label_lines:
        # a choice's own text may hold the word "correct"
        begin = own_end(page.text, line.after, line.index, page.options) or line.after
        if rejection.is_marked_right(page.text[begin : line.end]):
            found.append(Found(indices=(line.index,), end=line.end))
    return _only(found)


def choice_line(page: Page) -> Found | None:
    """A first or last line that is a choice's text, or a first line that begins with it: "Yes, because ..." (ours)."""
    if not page.lines or _in_echo(page):
        return None
    start = page.lines[0][0]
    short = [page.text[begin:end] for begin, end in page.lines if end - begin <= 2000]
    if len({page.options.texts.exactly(line) for line in short} - {None}) > 1:
        return None  # a list of choices without labels
    for span in (page.lines[0], page.lines[-1]):
        whole = page.options.texts.exactly(page.text[slice(*span)]) if span[1] - span[0] <= 2000 else None
        if whole is not None:
            return Found(indices=(whole,), end=span[1])
    found = text_list(page.text, start, page.options)
    if found is None or found.conflict or rejection.is_rejected(page.text, start, found.end, unwanted=page.unwanted):
        return _short_word(page, start, found)
    return found if all(page.options.texts.telling(index) for index in found.indices) else _short_word(page, start, found)


def only_choice(page: Page) -> Found | None:
    """The text of exactly one choice, named as a whole in a finished clause that does not negate it.

    A longer choice that contains a shorter one wins (ours; the containment metrics of open question answering lack both guards).
    """
    if page.inverted and rejection.says_right(page.text):
        return None
    stop = max((match.end() for match in re.finditer(r"[.!?:)]|\n", page.text)), default=0)
    text = page.text[:stop] if stop else page.text
    named = asserted_mentions(text, words_of(text), page.options.texts, unwanted=page.unwanted)
    if len(named) != 1 or _in_echo(page):
        return None
    # "B. Incorrect. Ibuprofen is slow": what rejects a letter rejects its choice
    heads = [line for line in page.label_lines if line.number == 0 and line.index in named]
    return None if any(_line_rejected(page, line) for line in heads) else Found(indices=tuple(named), end=len(text))


RULES: tuple[Rule, ...] = tuple(
    Rule(name=read.__name__, read=read)
    for read in (
        contract_line,
        boxed,
        answer_field,
        final_statement,
        statement,
        refusal,
        leading,
        verdicts,
        everything,
        bare_line,
        cued_text,
        bold,
        option,
        parenthesis,
        marked_correct,
        choice_line,
        only_choice,
    )
)
"""The lenient rules in their order."""


def _settled(page: Page, rule: str) -> Found | None:
    """The assertion that stands, if this rule reads it; a conflict whichever rule asks first."""
    if not page.asserted:
        return None
    first = leading(page)
    asserted = list(page.asserted)
    if first is not None:
        opens = not page.label_lines or page.label_lines[0].number == 0
        start = page.lines[0][0] if opens else page.label_lines[0].start
        # a letter that stands alone further down may head an explanation, so that it disturbs no conclusion
        if opens or max(one.rank for one in asserted) < CONCLUDED:
            rank = CONCLUDED if opens else WEAK
            asserted.append(Assertion(rule="leading", start=start, begin=start, found=first, rank=rank, strong=True))
            asserted.sort(key=lambda one: (one.begin, one.start))
    held = settle(page.text, asserted, page.withdrawals)
    return held.found if held is not None and (held.rule == rule or held.found.conflict) else None


def _in_echo(page: Page) -> bool:
    """Whether the output holds a list of choices."""
    return len({line.index for line in page.label_lines}) > 1


def _is_bare(page: Page, line: LabelLine) -> bool:
    """Whether a label line holds nothing but the label, with or without its choice."""
    rest = page.text[line.after : min(line.end, line.after + 2000)]
    return not any(character.isalnum() for character in rest) or page.options.texts.exactly(rest) == line.index


def _line_rejected(page: Page, line: LabelLine) -> bool:
    """Whether a label line rejects its choice; where the question asks for what is wrong, "B. Oedema is not a sign" gives B."""
    own = own_end(page.text, line.after, line.index, page.options)
    if page.inverted and own is not None and not cues.speaks_of_answer(page.text[own : line.end]):
        return False
    end, stop = own or line.after, min(line.end, line.after + 200)
    contrast = _NOT_THAT.match(page.text, end)
    if contrast is not None and (label := label_at(page.text, contrast.end(), page.options)) is not None and label[0] != line.index:
        return False
    return rejection.is_opening_rejected(page.text, end, stop, named=own is not None, unwanted=page.unwanted)


def _line_answer(page: Page, line: LabelLine) -> Found | None:
    """What a label line answers; "A:" may stand for "Answer:", as in question-and-answer layouts."""
    text, options = page.text, page.options
    if options.labels[line.index] == "A" and text[line.after : line.after + 1] == ":" and not _is_bare(page, line):
        rest = text[line.after + 1 : min(line.end, line.after + 2000)].strip(" .")
        named = options.texts.exactly(rest)
        labelled = next((index for index, label in enumerate(options.labels) if label == rest), None)
        if labelled is not None or named is not None:
            return Found(indices=(labelled if labelled is not None else named or 0,), end=line.end)
    return label_list(text, line.after - len(options.labels[line.index]), options)


def _leading_word(page: Page) -> Found | None:
    """A first line "B because ..."."""
    start = page.lines[0][0]
    label = label_at(page.text, start, page.options)
    if label is None or not _BECAUSE.match(page.text, label[1]):
        return None
    return Found(indices=(label[0],), end=label[1])


def _listed(page: Page) -> Found | None:
    """Several answers as bare label lines, one below the other, or joined on one line; not all choices."""
    if not page.label_lines:
        found = label_list(page.text, page.lines[0][0], page.options)
        if found is None:
            return None
        alone = not page.text[found.end : page.lines[0][1]].strip(" .)")
        # "A et C, car ..."; one letter before a reason is read as everywhere else
        return found if alone or (len(found.indices) > 1 and _BECAUSE.match(page.text, found.end)) else None
    lines = page.label_lines
    indices = {line.index for line in lines}
    together = all(line.number == number for number, line in enumerate(lines))
    if len(lines) < 2 or not together or len(indices) == len(page.options.labels) or not all(_is_bare(page, line) for line in lines):
        return None
    return Found(indices=tuple(sorted(indices)), end=lines[-1].end)


def _short_word(page: Page, start: int, found: Found | None) -> Found | None:
    """A first word such as "Yes" or "No" that punctuation sets apart."""
    if found is None or found.conflict or rejection.is_refuted(page.text, found.end, unwanted=page.unwanted):
        return None
    key = page.options.texts.keys[found.indices[0]]
    following = page.text[found.end : found.end + 1]
    is_short = len(found.indices) == 1 and len(key) == 1 and found.end - start <= 40
    return found if is_short and following in {"", ".", ",", ";", ":", "!", "\n"} else None


def _only(found: list[Found]) -> Found | None:
    """The one reading if there is exactly one, else nothing (to name several is not to assert any)."""
    distinct = {one.indices for one in found}
    return found[-1] if len(distinct) == 1 and not found[-1].conflict else None
