"""Units of measurement: which spellings mean the unit that is asked for, and what is converted.

Converted are only units that differ by an exact factor whatever is measured (ms and s, mg and g, lb and kg). What needs a molar mass or
a body size ("mg/dL" and "mmol/L", "mL/min" for "mL/min/1.73 m²" the other way round) is another unit: the number is not read. Three
equalities are taken from the source of the data, whose worked solutions use them: mEq/L is mmol/L for sodium and for anion gaps
(single charges), mOsm/kg is mOsm/L and mmol/L of a computed osmolality, and a GFR in "mL/min" is one per 1.73 m² where that is asked.
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"\s+|·|\*|\^|\.(?!\d)")
_POWERS = str.maketrans({"²": "2", "³": "3", "µ": "u", "μ": "u", "⁻": "-", "¹": "1", "⁄": "/", "−": "-"})

# asked unit -> {spelling without blanks, in lower case: factor to the asked unit}
_SPELLINGS: dict[str, dict[str, float]] = {
    "mL/min": {"ml/min": 1, "ml/minute": 1, "mlpermin": 1, "mlperminute": 1, "cc/min": 1, "ml/mn": 1, "l/min": 1000},
    "mL/min/1.73 m²": {
        "ml/min/1.73m2": 1, "ml/min/1,73m2": 1, "ml/min/1.73m": 1, "ml/minper1.73m2": 1, "mlperminper1.73m2": 1, "ml/min/m2": 1,
        "ml/minute/1.73m2": 1, "ml/min": 1, "ml/minute": 1, "ml/min/1.73": 1, "ml/min(1.73m2)": 1, "ml/mn/1.73m2": 1, "ml/mn": 1,
    },
    "mm Hg": {"mmhg": 1, "mmofhg": 1, "torr": 1, "cmhg": 10},
    "kg/m²": {"kg/m2": 1, "kgm-2": 1, "kg/m": 1, "kgperm2": 1, "kg/squaremeter": 1},
    "mg/dL": {"mg/dl": 1, "mg/100ml": 1, "mg%": 1, "mgperdl": 1, "g/l": 100, "g/dl": 1000, "mg/l": 0.1},
    "kg": {"kg": 1, "kgs": 1, "kilogram": 1, "kilograms": 1, "kilos": 1, "kilo": 1, "kilogramos": 1, "kilogrammes": 1, "g": 0.001,
           "lb": 0.45359237, "lbs": 0.45359237, "pounds": 0.45359237},
    "msec": {"msec": 1, "ms": 1, "msecs": 1, "millisecond": 1, "milliseconds": 1, "milisegundos": 1, "millisecondes": 1, "s": 1000,
             "sec": 1000, "secs": 1000, "second": 1000, "seconds": 1000, "segundos": 1000, "secondes": 1000},
    "mL/hr": {"ml/hr": 1, "ml/h": 1, "ml/hour": 1, "mlperhour": 1, "cc/hr": 1, "cc/h": 1, "ml/hora": 1, "ml/heure": 1, "l/h": 1000,
              "l/hr": 1000},
    "mg": {"mg": 1, "mgs": 1, "milligram": 1, "milligrams": 1, "miligramos": 1, "milligrammes": 1, "g": 1000, "mcg": 0.001, "ug": 0.001},
    "mEq/L": {"meq/l": 1, "mmol/l": 1, "meqperl": 1, "meq": 1, "mmolperl": 1, "meq/liter": 1},
    "mOsm/kg": {"mosm/kg": 1, "mosm/l": 1, "mosmol/kg": 1, "mosmol/l": 1, "mmol/l": 1, "mmol/kg": 1, "mosm": 1, "mosm/kgh2o": 1,
                "mosm/kgwater": 1},
    "L": {"l": 1, "liter": 1, "liters": 1, "litre": 1, "litres": 1, "litro": 1, "litros": 1, "ml": 0.001, "milliliters": 0.001, "dl": 0.1},
    "%": {"%": 1, "percent": 1, "porcentaje": 1, "porciento": 1, "pourcent": 1},
    "m²": {"m2": 1, "squaremeters": 1, "squaremeter": 1, "squaremetres": 1, "cm2": 0.0001},
    "MME": {"mme": 1, "mmes": 1, "mg": 1, "mg/day": 1, "mme/day": 1, "mg/d": 1, "mme/d": 1, "mgmme": 1, "mgmme/day": 1, "mgperday": 1,
            "mmeperday": 1, "mgmorphineequivalents": 1, "g": 1000, "g/day": 1000},
    "": {},
}  # fmt: skip
# words behind a bare number that are no unit of measurement
_COUNTS = frozenset("point points pts pt punto puntos criterion criteria criterios critères score".split())
_FOREIGN = frozenset(
    "year years yr yrs month months week weeks day days hour hours h hr hrs min minute minutes cm mm m km in inch inches ft bpm °c °f "
    "mmol umol nmol pg/ml ng/ml ng/dl ug/dl iu/l u/l miu/l g/ml mg/kg ml/kg mcg/kg mg/m2 mg/dl mmol/l umol/l mg/mmol ug/ml mmol/mol "
    "kpa bar cal kcal oz stone años meses semanas días ans mois semaines jours heures".split()
)
KNOWN = frozenset({spelling for spellings in _SPELLINGS.values() for spelling in spellings} | _FOREIGN) - _COUNTS
"""Every spelling that is some unit."""

_UNIT = re.compile(
    r"\s?(?:%|(?:per\s+cent|percent|por\s+ciento|pour\s+cent)\b|"
    r"[A-Za-zµμ°]{1,20}[²³23]?(?:(?:\s?(?:/|\bper\b)\s?|\s?[·*]\s?|\s(?=(?:Hg|MME|of\s+Hg|square|water|H2O)\b))"
    r"\(?(?:1[.,]73\s?)?[A-Za-zµμ]{0,12}\^?[²³23]?\)?){0,3})"
)


def unit_at(text: str, position: int) -> tuple[str, int] | None:
    """(spelling without blanks and in lower case, offset after it) of the unit at a position; None if no known unit stands there."""
    found = _UNIT.match(text, position)
    if found is None:
        return None
    raw = found.group()
    # the longest beginning that is a unit: "mg daily" is "mg", "mL/min per day" is "mL/min"
    ends = [len(raw), *(cut.start() for cut in reversed(list(re.finditer(r"[\s/(·*]", raw))) if cut.start() > 1)]
    for end in ends:
        spelling = spelled(raw[:end])
        after = text[position + end : position + end + 1]
        if spelling in KNOWN and not (after.isalnum() and raw[end - 1].isalnum()):
            return spelling, position + end
    return None


def spelled(unit: str) -> str:
    """A unit in lower case, without blanks and raised signs."""
    return _SPACE.sub("", unit.translate(_POWERS).lower())


def factor(asked: str, spelling: str) -> float | None:
    """What a number in a unit is multiplied by to be in the asked one; None where the two do not convert exactly.

    Args:
        asked: the unit asked for, as in `Quantity.unit`.
        spelling: as `unit_at` gives it; empty for a number without unit, which is in the asked one.
    """
    if not spelling or spelling == spelled(asked):
        return 1.0
    return _SPELLINGS.get(asked, {}).get(spelling)
