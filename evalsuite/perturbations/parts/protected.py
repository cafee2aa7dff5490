"""What edits of a text leave alone: numbers and their units, names of medicines, the choices' words, and words that turn a question.

Source: ours; the issue's rule that noise touches no number, unit, medicine or choice unless asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Literal

from evalsuite.perturbations.parts.drug_names import is_drug

Kind = Literal["numbers", "units", "drugs", "choices"]
KINDS: tuple[Kind, ...] = ("numbers", "units", "drugs", "choices")

UNITS = (
    r"(?:mm ?Hg|cm ?H2O|m?Osm|m?Eq|mEq|mmol|[µμu]mol|nmol|pmol|mol|[µμu]g|mcg|mg|ng|pg|kg|Kg|gr|g|m[lL]|d[lL]|f[lL]|[µμu][lL]|L|"
    r"mm[23]?|cm[23²]?|[µμ]m|nm|km|m[UI]?U|UI|IU|U|kcal|kJ|kPa|Hz|cc|ppm|bpm|lpm|rpm|"
    r"[°º] ?[CF]|℃|℉|%|mV|mA|mSv|Gy|mCi)"
)
"""A unit as it stands behind a number; what follows a stroke (per litre, per day) goes with it."""
QUANTITY = re.compile(
    rf"(?<![\w.,])(?P<number>\d+(?:[.,]\d+)*)(?P<space> ?)(?P<unit>{UNITS}(?![\w²³])"
    r"(?:[/·](?:[a-zA-Zµμ]+\d?|24 ?h|\d+ ?[a-zA-Zµμ]+)(?!\w))*)"
)
"""A number with its unit. Numbers behind a letter, a hyphen's word or another number's mark (CD4, 1.2.3) are read whole or not at all."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

_UNIT_WORDS = (
    "año años mes meses semana semanas día días hora horas h min minuto minutos seg segundo segundos gramo gramos kilo kilos kilogramo "
    "kilogramos miligramo miligramos microgramo microgramos litro litros mililitro mililitros metro metros centímetro centímetros cm mm "
    "milímetro milímetros grado grados latido latidos lpm rpm bpm ppm mmhg hg mg kg ml dl ng pg mcg meq mmol cc mol molar unidad unidades "
    "dioptría dioptrías hz decibelio decibelios por ciento porcentaje cigarrillo cigarrillos paquete paquetes puntos punto veces vez gr "
    "year years month months week weeks day days hour hours minute minutes second seconds gram grams kilogram kilograms milligram "
    "milligrams microgram micrograms litre litres liter liters millilitre milliliter milliliters metre metres meter meters centimetre "
    "centimeter centimeters millimeter millimeters inch inches foot feet pound pounds lb lbs oz ounce ounces degree degrees beat beats "
    "unit units percent percentage percentile pack packs cigarette cigarettes point points times mol "
    "diario diaria diarias diarios semanal mensual anual daily weekly monthly yearly hourly"
)
_NUMBER_WORDS = (
    "cero un uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis veinte treinta cuarenta "
    "cincuenta sesenta setenta ochenta noventa cien ciento cientos mil millón millones medio media mitad tercio cuarto cuarta quinto "
    "doble triple primer primero primera primeros primeras segunda segundas tercer tercero tercera ambos ambas único única par "
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen twenty thirty forty fifty sixty seventy "
    "eighty ninety hundred hundreds thousand thousands million millions half third quarter twice once double triple first fourth fifth "
    "both single pair dozen several varios varias"
)
_TURNING_WORDS = (
    "no ni sin nunca jamás excepto salvo menos más mas tampoco nada nadie ningún ninguno ninguna todo toda todos todas alguno alguna algún "
    "algunos algunas solo sólo sola solamente únicamente siempre incorrecta incorrecto incorrectas incorrectos correcta correcto correctas "
    "correctos cierta cierto ciertas ciertos falsa falso falsas falsos verdadera verdadero verdaderas verdaderos errónea erróneo "
    "contraindicado contraindicada contraindicados contraindicadas mayor menor mejor peor mayoría minoría mucho mucha poco poca muy "
    "bajo baja bajos bajas alto alta altos altas aumento aumenta aumentado aumentada disminuye disminución disminuido disminuida elevado "
    "elevada elevados elevadas reduce reducido reducida izquierdo izquierda derecho derecha antes después durante desde hasta si sí "
    "positivo positiva negativo negativa normal anormal presencia ausencia ausente ausentes presente cualquier cada pero sino aunque "
    "not never neither nor none nothing nobody without except excepting exclude excluded excludes excluding all any some most least more "
    "less fewer few many much only always every each either incorrect correct incorrectly true false wrong right left contraindicated "
    "best worst better worse greater lower higher high low increase increased increases decrease decreased decreases elevated reduced "
    "before after during until since if unless but although however positive negative normal abnormal absent present absence presence "
    "likely unlikely cannot can't don't doesn't isn't aren't wasn't weren't didn't hasn't hadn't haven't won't no yes rather than too very "
    "lacks lack fails fail failed denies deny denied niega carece lowest highest probable improbable"
)
_ALIKE_WORDS = (
    "abducción aducción abduction adduction abductor adductor aductor ileum ilium íleon ilion perineal peroneal ureter urethra "
    "uréter uretra afferent efferent aferente eferente mucus mucous moco dysphagia dysphasia disfagia disfasia palpation "
    "palpitation prostate prostrate anterior interior exterior inferior superior ulterior medial median lateral bilateral "
    "unilateral contralateral ipsilateral etanol metanol etanal ethanol methanol metano etano propano butano acute agudo aguda "
    "crónico crónica chronic hombre hombro mujer man woman men women male female boy girl niño niña varón padre madre hijo hija "
    "father mother son daughter brother sister his her she he proximal distal dorsal ventral coronal corona caudal rostral acid "
    "ácido basic básico amina imina amida amine imine amide cetona alcano alqueno alquino alkane alkene alkyne nitrito nitrato "
    "nitrite nitrate sulfito sulfato sulfuro sulfite sulfate sulfide fosfato fosfito phosphate phosphite cloruro clorato chloride "
    "chlorate"
)
"""Words that one slip, or nearly one, makes into another word of the clinic; they are left alone."""


def folded(word: str) -> str:
    """A word in small letters without accents; ñ stays a letter of its own."""
    if word.isascii():
        return word.lower()
    kept = word.lower().replace("ñ", "\0")
    bare = "".join(mark for mark in unicodedata.normalize("NFD", kept) if not unicodedata.combining(mark))
    return bare.replace("\0", "ñ")


UNIT_WORDS = frozenset(folded(word) for word in _UNIT_WORDS.split())
NUMBER_WORDS = frozenset(folded(word) for word in _NUMBER_WORDS.split())
TURNING_WORDS = frozenset(folded(word) for word in (*_TURNING_WORDS.split(), *_ALIKE_WORDS.split()))

# A word of letters that stands free: no figure, hyphen, stroke, apostrophe or sign belongs to it.
_FREE_WORD = re.compile(r"(?<![^\s(\"“‘«'¿¡\[])[^\W\d_]{3,}(?![^\s.,;:?!)\"”’»'\]…]|['’.]\w)")
_WORD = re.compile(r"[^\W_]+")


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """All words of some texts, folded."""
    return frozenset(folded(word) for text in texts for word in _WORD.findall(text))


def quantities(text: str) -> tuple[tuple[str, str], ...]:
    """Every number of a text in its order, as written, with the unit behind it (without blanks; empty if none is known)."""
    units = {found.start(): found["unit"].replace(" ", "") for found in QUANTITY.finditer(text)}
    return tuple((found[0], units.get(found.start(), "")) for found in NUMBER.finditer(text))


@lru_cache(maxsize=65536)
def kind_of(word: str) -> str:
    """Why a word is left alone: numbers, units, drugs, turning (always), or an empty text.

    Args:
        word: in small letters, with its accents; one without them is known too.
    """
    bare = folded(word)
    if bare in TURNING_WORDS:
        return "turning"
    if bare in NUMBER_WORDS:
        return "numbers"
    if bare in UNIT_WORDS:
        return "units"
    return "drugs" if is_drug(word) or (bare != word and is_drug(bare)) else ""


def free_words(text: str, choices: Sequence[str], kept: Collection[Kind] = KINDS, n_letters: int = 4) -> list[re.Match[str]]:
    """The words that noise may touch, in order.

    Free are words of small letters only (the first one of a sentence may be a capital) that stand by themselves. Never free are negations,
    quantifiers, directions, sexes and words that a slip makes into another term; names, codes and capitals; and words of what is `kept`.

    Args:
        text: the stem.
        choices: the choices' texts.
        kept: what is left alone beside that; `numbers` and `units` mean words here (figures are no words).
        n_letters: fewest letters, at least 3.
    """
    in_choices = words_of(choices) if "choices" in kept else frozenset()
    found = []
    for word in _FREE_WORD.finditer(text):
        bare = word[0]
        if len(bare) < n_letters or not bare[1:].islower() or (bare[0].isupper() and not _begins(text, word.start())):
            continue
        if is_free(bare.lower(), kept) and folded(bare) not in in_choices:
            found.append(word)
    return found


def is_free(word: str, kept: Collection[Kind] = KINDS) -> bool:
    """Whether a word in small letters is none of those that are left alone, choices aside."""
    kind = kind_of(word)
    return not kind or (kind != "turning" and kind not in kept)


def _begins(text: str, start: int) -> bool:
    """Whether a sentence begins there, so that a capital says nothing."""
    before = text[:start].rstrip(" \"“‘«'¿¡([")
    return not before or before[-1] in ".?!:\n-"
