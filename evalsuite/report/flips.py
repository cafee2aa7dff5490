"""Example flips side by side: what was asked before and after, what changed in it, and what was answered to either."""

from __future__ import annotations

from collections.abc import Sequence

from evalsuite.contracts import CONTRACTS, asked
from evalsuite.formats import labels_of
from evalsuite.report.blocks import Block, Paragraph, Section, SideBySide, slug
from evalsuite.report.facing import Facing, FacingRow, Line, Piece, changes, marked, remark, shortened, unchanged
from evalsuite.report.findings import Findings
from evalsuite.report.flip_examples import Flip, Rendition, Turned
from evalsuite.report.words import counted, sentence_case
from evalsuite.types import Sample

READING = (
    "What is gone is struck through on the left, what is new stands out on the right; white space that changed is written as ␣, ↵ or ⇥, "
    "and a character that cannot be seen, or only looks like another one, by its code point (U+0430). Of long texts only the surroundings "
    "of a change are shown. The examples were drawn by the study's seed, not picked: answers that were lost before answers that were "
    "gained, families of perturbations in turn."
)

UNREAD = {"unparsed": "no answer could be read", "truncated": "cut off before an answer could be read", "too_long": "too long to be asked"}


def flips_section(findings: Findings) -> Section | None:
    """The examples of every model, and out of how many they were chosen; None where nothing was perturbed or no answer turned."""
    flips = findings.flips
    if flips is None or not any(turned.n_lost + turned.n_gained for turned in flips.counts.values()):
        return None
    left = f"On the left the question as it was asked {_reference(findings) or 'unperturbed'}, on the right as it was asked perturbed."
    blocks: list[Block] = [Paragraph(text=f"{left} {READING}")] if flips.examples else []
    for model, turned in flips.counts.items():
        own = [flip for flip in flips.examples if flip.model == model]
        blocks.append(Paragraph(text=counts_said(model, turned, len(own))))
        if own:
            items = tuple(facing(findings, flip, at) for at, flip in enumerate(own, 1))
            blocks.append(
                SideBySide(name=f"flips_{list(flips.counts).index(model) + 1}_{slug(model)}", title=f"Examples of {model}", items=items)
            )
    return Section(anchor="flips", title="Example flips: the same question before and after", blocks=tuple(blocks))


def _reference(findings: Findings) -> str:
    """`under X` where questions are set against a perturbation X; empty where they are set against unperturbed ones."""
    reference = findings.study.analysis.primary.perturbation
    return "" if reference == "none" else f"under {reference}"


def counts_said(model: str, turned: Turned, n_shown: int) -> str:
    """Out of how many flips of a model the examples are, and what is not shown of them."""
    n_all = turned.n_lost + turned.n_gained
    if not n_all:
        return f"{model}: no answer turned."
    text = (
        f"{model}: {counted(turned.n_lost, 'answer')} turned from right to wrong under a perturbation and {turned.n_gained:,} from wrong "
        "to right, where every variant and replicate counts."
    )
    if turned.n_restricted:
        are = "is on a restricted task" if turned.n_restricted == 1 else "are on restricted tasks"
        text += f" {turned.n_restricted:,} of these {are}, whose texts are never shown."
    return f"{text} {sentence_case(counted(n_shown, 'example'))}:" if n_shown else text


def facing(findings: Findings, flip: Flip, at: int) -> Facing:
    """One flip as two renditions that face each other.

    Args:
        findings: decides whether strategy and replicate need to be named.
        flip: the flip; its task is not restricted.
        at: its number among those of its model, from 1; the first is shown at once.
    """
    before, after = flip.before.sample, flip.after.sample
    where = [f"sample {before.id}", *([f"variant {after.variant}"] if after.variant else [])]
    where += [f"replicate {flip.replicate}"] if findings.study.replicates > 1 else []
    where += [f"under {flip.strategy}"] if len(findings.study.strategies) > 1 else []
    asked_again = after.dialogue is not None and after.dialogue.repeats
    rows = [
        *(_turn_rows(before, after) if asked_again else ()),
        *_text_rows("Passage", before.context, after.context),
        *_text_rows("Question", before.question, after.question),
        *choice_rows(flip.before, flip.after),
        *(() if asked_again else _turn_rows(before, after)),
        *_manner_rows(before, after),
        *_answer_rows(flip),
    ]
    return Facing(
        title=f"{at}. {flip.perturbation}, {flip.task}, {', '.join(where)}: from {_said(flip.before)} to {_said(flip.after)}",
        heads=(
            f"{sentence_case(_reference(findings) or 'unperturbed')}: {_said(flip.before)}",
            f"{flip.perturbation}: {_said(flip.after)}",
        ),
        rows=tuple(rows),
        open=at == 1,
    )


def choice_rows(before: Rendition, after: Rendition) -> list[FacingRow]:
    """The choices of both sides in shown order, each set against the same original choice on the other side."""
    rows = []
    sides = [_choices(before, after, left=True), _choices(after, before, left=False)]
    for at in range(max(len(side) for side in sides)):
        left, right = (side[at] if at < len(side) else () for side in sides)
        rows.append(FacingRow(label="" if at else "Choices", left=left, right=right, narrow=True))
    return rows


def _choices(own: Rendition, other: Rendition, *, left: bool) -> list[Line]:
    """One line per shown choice: label, text, and in our words what it is; changed is what the other side does not have."""
    sample = own.sample
    places = {other.sample.original_index(place): place for place in range(len(other.sample.choices))}
    lines = []
    labels, others = _labels(sample), _labels(other.sample)
    for place, text in enumerate(sample.choices):
        original = sample.original_index(place)
        twin = places.get(original) if original >= 0 else None
        label = f"{labels[place]}. " if labels[place] else ""
        if twin is None:
            line = marked(f"{label}{text}")
        else:
            texts = (text, other.sample.choices[twin]) if left else (other.sample.choices[twin], text)
            head = unchanged(label) if labels[place] == others[twin] or not label else (_new(label.rstrip()), *unchanged(" "))
            line = (*head, *changes(*texts)[0 if left else 1])
        lines.append((*shortened(line)[0], *remark(_remark(own, place, None if left or twin is None or twin == place else others[twin]))))
    return lines


def _new(label: str) -> Piece:
    """A label that changed, without the code point of a Greek one: that is no disguise."""
    return Piece(text=label, kind="changed")


def _remark(own: Rendition, place: int, was: str | None) -> str:
    """What a choice is, beside its text: `right, answered, was C`."""
    sample = own.sample
    said = ["right"] if place in sample.targets else []
    said += ["answered"] if place in own.answered else []
    said += ["called right in the text"] if place == sample.suggested else []
    said += ["not listed"] if place >= len(sample.choices) - sample.n_unlisted else []
    said += [f"was {was}"] if was else []
    return ", ".join(said)


def _text_rows(label: str, before: str, after: str) -> list[FacingRow]:
    if not before and not after:
        return []
    left, right = shortened(*changes(before, after))
    return [FacingRow(label=label, left=left, right=right or remark("not shown"))]


def _turn_rows(before: Sample, after: Sample) -> list[FacingRow]:
    """What went before a second turn; nothing where there is one turn."""
    dialogue = after.dialogue
    if dialogue is None or before.dialogue is not None:
        return []
    then = remark("then the question as below") if dialogue.repeats else ()
    same = all(getattr(before, part) == getattr(dialogue.first, part) for part in ("context", "question", "choices", "manner"))
    first = "after the answer on the left: " if same else "after a first answer, not the one on the left: "
    said = (*remark(first), *shortened(marked(dialogue.said))[0], *then)
    return [FacingRow(label="Second turn", left=(), right=said)]


def _manner_rows(before: Sample, after: Sample) -> list[FacingRow]:
    """How the question was asked, where the perturbation decides it."""
    manner, was = after.manner, before.manner
    if manner is None or manner == was:
        return []
    as_before = remark("as the study asks")
    rows = []
    if manner.contract and (was is None or manner.contract != was.contract):
        words = asked(CONTRACTS[manner.contract], after, _labels(after)) or ""
        rows.append(FacingRow(label="Form asked for", left=as_before, right=shortened(marked(words))[0]))
    if manner.system is not None and (was is None or manner.system != was.system):
        said = shortened(marked(manner.system))[0] if manner.system else remark("none")
        rows.append(FacingRow(label="System prompt", left=as_before, right=said))
    how = [f"template t{manner.template}"] if manner.template is not None else []
    how += ["other exemplars"] if manner.exemplar_seed is not None else []
    how += ["choices before the question"] if manner.choices_first else []
    return [*rows, *([FacingRow(label="Layout", left=as_before, right=remark(", ".join(how)))] if how else [])]


def _answer_rows(flip: Flip) -> list[FacingRow]:
    """What the model wrote, where it wrote anything; without choices also the right answer and the one that was read."""
    rows = []
    if not flip.before.sample.choices:
        right = [shortened(unchanged("; ".join(side.sample.references)))[0] for side in (flip.before, flip.after)]
        rows.append(FacingRow(label="Right answer", left=right[0], right=right[1]))
        read = [shortened(unchanged(side.answer))[0] or remark("none") for side in (flip.before, flip.after)]
        rows.append(FacingRow(label="Answer as read", left=read[0], right=read[1]))
    if flip.before.output or flip.after.output:
        wrote = [shortened(unchanged(side.output.strip()))[0] or remark("nothing") for side in (flip.before, flip.after)]
        rows.append(FacingRow(label="Model wrote", left=wrote[0], right=wrote[1]))
    return rows


def _labels(sample: Sample) -> Sequence[str]:
    return labels_of(sample) if sample.choices else ()


def _said(side: Rendition) -> str:
    """`B (wrong)`: what was answered; a choice without a label is told by its place."""
    if side.status != "scored":
        return f"{UNREAD.get(side.status, side.status)} (wrong)"
    right = "right" if side.right else "wrong"
    labels = _labels(side.sample)
    names = [labels[place] or f"choice {place + 1}" for place in side.answered]
    return f"{' + '.join(names)} ({right})" if names else right
