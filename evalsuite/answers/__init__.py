"""Reading a free generation: under the exact output contract, and as a careful human reader would.

`read_strict` and `read_lenient` are for samples with choices, `read_quantity_strict` and `read_quantity` for quantities,
`read_text` for free text; `read_reasoned_strict` and `read_reasoned` are for outputs that reason first, of every kind. All are
pure and take time linear in the length of the output. What is read is never guessed: if an output asserts two different
answers and none of them finally, or nothing at all, the reading is `unparsed`.
"""

from evalsuite.answers.quantities import read_quantity, read_quantity_strict
from evalsuite.answers.reading import read_lenient, read_strict, read_text, without_thinking
from evalsuite.answers.reasoned import Written, read_reasoned, read_reasoned_strict, taken_apart
from evalsuite.answers.rules import RULES, Rule

__all__ = [
    "RULES",
    "Rule",
    "Written",
    "read_lenient",
    "read_quantity",
    "read_quantity_strict",
    "read_reasoned",
    "read_reasoned_strict",
    "read_strict",
    "read_text",
    "taken_apart",
    "without_thinking",
]
