"""The peer's side of `transformers_scoring`: lm-eval's own HFLM class, with its own defaults but for dtype and the batch size it is told.

python -m benchmarks.transformers_lm_eval CHECKPOINT
"""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks.questions import N_WRITTEN, questions
from benchmarks.sides import Values, answer_lines


def main() -> None:
    os.environ.update(HF_HUB_OFFLINE="1")
    from lm_eval.models.huggingface import HFLM

    from benchmarks.lm_eval_answers import scored, written

    model = HFLM(pretrained=sys.argv[1], dtype="float32", device="cpu")
    lengths = _lengths_of_what_is_written(model)

    def answer(question: dict[str, Any]) -> Values:
        # What `batch_size` of HFLM sets; it is asked again and again with different ones.
        model.batch_size_per_gpu = question["batch_size"]
        asked = questions(question["n"], question["seed"], form=question["form"])
        if question["form"] != "generation":
            return scored(model, asked)
        lengths.clear()
        values = written(model, asked)
        if lengths != [N_WRITTEN] * len(asked):
            raise RuntimeError(f"{sorted(set(lengths))} tokens were written, not {N_WRITTEN}")
        return values

    answer_lines(answer)


def _lengths_of_what_is_written(model: Any) -> list[int]:
    """Filled with the number of tokens of each text as it is written, the end token not counted: the class itself tells only the text."""
    plain = model._model_generate
    lengths: list[int] = []

    def counted(context: Any, **named: Any) -> Any:
        ids = plain(context=context, **named)
        lengths.extend(
            row.index(model.eot_token_id) if model.eot_token_id in row else len(row) for row in ids[:, context.shape[1] :].tolist()
        )
        return ids

    model._model_generate = counted
    return lengths


if __name__ == "__main__":
    main()
