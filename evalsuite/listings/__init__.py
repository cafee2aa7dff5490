"""What exists and whether it can be used here: lines for `list`, `show`, `check` and `doctor`."""

from __future__ import annotations

from evalsuite.listings.gpus import asked_gpus
from evalsuite.listings.machine import doctor_lines
from evalsuite.listings.models import model_card_lines, model_check_lines, model_lines, model_pin_lines
from evalsuite.listings.stores import store_lines
from evalsuite.listings.tasks import perturbation_spec_lines, spec_lines, task_card_lines, task_check_lines, task_lines
from evalsuite.listings.tokens import Showing

__all__ = [
    "Showing",
    "asked_gpus",
    "doctor_lines",
    "model_card_lines",
    "model_check_lines",
    "model_lines",
    "model_pin_lines",
    "perturbation_spec_lines",
    "spec_lines",
    "store_lines",
    "task_card_lines",
    "task_check_lines",
    "task_lines",
]
