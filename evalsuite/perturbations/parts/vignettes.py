"""What a stem is about: whether it tells of one patient, which sentences can change places, and where another one can stand.

Source: ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from evalsuite.perturbations.parts.protected import folded
from evalsuite.perturbations.parts.sentences import is_terminal

_AGED = re.compile(
    r"\b\d+[\s-](?:years?|months?|weeks?|days?)[\s-]old|\b(?:aged|age of) \d+|\b(?:de|con) \d+ (?:años|meses|semanas|días)\b", re.IGNORECASE
)
_PERSON = re.compile(
    r"\b(?:a|an|the|this|your|our) (?:[\w-]+ ){0,2}(?:patient|man|woman|boy|girl|infant|child)\b|\b(?:Mr|Mrs|Ms|Sr|Sra|señora?)\b|"
    r"\b(?:acude|consulta|ingresa|ingresado|ingresada|remitid[oa])\b|"
    r"\b(?:una?|el|la|est[ea]|su|nuestr[oa]) (?:paciente|enferm[oa]|varón|mujer|hombre|niñ[oa]|lactante|ancian[oa]|gestante|joven)\b|"
    r"\A(?:mujer|varón|hombre|niñ[oa]|paciente|lactante|woman|man|male|female|patient)\b",
    re.IGNORECASE,
)

_REFERRING = {
    "en": frozenset(
        "it its they them their theirs this that these those such former latter above same similar similarly other others another "
        "also too additionally furthermore moreover however therefore thus hence consequently otherwise but still remaining remainder "
        "rest both neither second third instead yet nevertheless nonetheless despite because so further during result accordingly "
        "below here there one ones confirmed confirms confirm corroborates said says states asks asked tells told".split()
    ),
    "es": frozenset(
        "esto eso ello este esta estos estas ese esa esos esas aquel aquella dicho dicha dichos dichas mismo misma mismos mismas "
        "anterior anteriores tal tales otro otra otros otras tambien ademas asimismo igualmente embargo tanto consiguiente restante "
        "restantes resto demas ambos ambas segundo segunda tercero tercera pero aunque pese pues porque asi cuyo cuya le les lo ante "
        "dado respecto arriba abajo ahi alli aqui confirma confirman confirmo informa informan dice pregunta comenta manifiesta "
        "refiere".split()
    ),
}
"""Words, folded, by which a sentence leans on what was said before: demonstratives, comparison, reports."""
_NARRATING = {
    "en": frozenset(
        "then next later after afterwards afterward subsequently meanwhile before again now currently today tonight yesterday "
        "following thereafter since until previously upon finally soon shortly eventually repeat repeated recheck started starts "
        "begun given gives administered treated initiated returns returned returning develops developed performed undergoes underwent "
        "admitted discharged improves improved worsens worsened prescribed transferred intubated ordered obtained drawn decides "
        "decided placed taken recovers recovered dies died referred inserted injected injects removed remitted reverted disappeared "
        "resolved progressed became becomes received receives suffers suffered fell falls presented".split()
    ),
    "es": frozenset(
        "entonces luego despues posteriormente posterior seguidamente mientras antes ahora actualmente hoy ayer siguiente siguientes "
        "nuevamente nuevo previamente tras durante hasta desde finalmente pronto inicia inicio inician administra administro "
        "administran trata trato tratado realiza realizo realizan ingresa ingresado alta mejora mejoro empeora evoluciona desarrolla "
        "desarrollo vuelve regresa prescribe pauta decide solicita solicitan interviene intervenido deriva derivado fallece coloca "
        "retira extrae remite remitio desaparece desaparecio cede cedio aparece aparecio recibe recibio sufre sufrio presento".split()
    ),
}
"""Words, folded, that set what is told in time: what was told before stays before, and what is told after stays after."""
_POINTING = {
    "en": frozenset("this these that those such it its they them".split()),
    "es": frozenset("esto eso este esta estos estas ese esa esos esas dicho dicha dichos dichas mismo misma tal tales ello".split()),
}
"""Words by which a question points at the sentence right before it."""
_PERSONS = {
    "en": re.compile(
        r"\b(?:mother|father|parents?|wife|husband|partner|son|daughter|brother|sister|siblings?|uncle|aunt|cousin|grand\w+|friend|roommate|"
        r"boyfriend|girlfriend|neighbor|teacher|nurse|caregiver|twin|colleague|donor|fetus|baby|newborn|Mr|Mrs|Ms)\b"
    ),
    "es": re.compile(
        r"\b(?:madre|padre|padres|esposa|esposo|marido|pareja|hij[oa]s?|herman[oa]s?|tí[oa]s?|abuel[oa]s?|niet[oa]s?|prim[oa]s?|"
        r"amig[oa]s?|vecin[oa]s?|cuidador\w*|enfermera|profesor\w*|donante|feto|bebé|recién nacido|familiar(?:es)?|Sra?|señora?)\b"
    ),
}
_PRONOUNS = {"en": frozenset("he she his her hers him".split()), "es": frozenset("él ella su sus".split())}
# What can be told in any order: history, habits, signs, examination, tests.
_INDEPENDENT = {
    "en": re.compile(
        r"\b(?:history|medications?|takes|smokes?|smoked|smoker|drinks?|alcohol|tobacco|allerg\w+|immuni[sz]ations?|vaccinations?|temperature|"
        r"pulse|blood pressure|vital signs|vitals|respirations?|respiratory rate|heart rate|bmi|height|weight|oxygen saturation|oximetry|"
        r"examination|exam|auscultation|palpation|inspection|fundoscopy|ophthalmoscopy|laboratory|labs|serum|plasma|urinalysis|urine|"
        r"hemoglobin|haemoglobin|leukocytes?|platelets?|creatinine|glucose|sodium|potassium|electrocardiogram|electrocardiography|ecg|ekg|"
        r"x-ray|radiographs?|radiography|ct|mri|ultrasound|ultrasonography|echocardiogram|echocardiography|biopsy|cultures?|stain|smear|"
        r"spirometry|colonoscopy|endoscopy|tests?|analysis|chemistry|count|antibodies|abdomen|lungs|skin|appears)\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"\b(?:antecedentes?|historia|medicación|tratamiento habitual|toma|fuma|fumador[a]?|bebedor[a]?|bebe|alcohol|alergias?|alérgic[oa]|"
        r"vacunas?|vacunad[oa]|temperatura|pulso|tensión arterial|presión arterial|TA|PA|constantes|frecuencia|saturación|IMC|peso|talla|"
        r"exploración|auscultación|palpación|inspección|examen|fondo de ojo|analítica|análisis|laboratorio|hemograma|bioquímica|sangre|"
        r"orina|sedimento|gasometría|hemoglobina|leucocitos|plaquetas|creatinina|glucemia|sodio|potasio|electrocardiograma|ECG|radiografía|"
        r"radiología|Rx|TC|TAC|RM|RMN|resonancia|ecografía|ecocardiograma|biopsia|cultivos?|hemocultivos?|punción|espirometría|colonoscopia|"
        r"endoscopia|gastroscopia|abdomen|pruebas?|serología|anticuerpos)\b",
        re.IGNORECASE,
    ),
}
_EPISODE = re.compile(
    r"(?:[\w-]+ ){1,3}(?:minutes?|hours?|days?|weeks?|months?|years?) (?:ago|later|earlier)|"
    r"hace (?:[\w-]+ ){1,2}(?:min|hora|día|semana|mes|año)",
    re.IGNORECASE,
)
"""How a sentence begins that tells of an episode."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")
_DEFINITE = {
    "en": re.compile(r"\bthe (?:[\w-]+ )?([^\W\d_]{4,})", re.IGNORECASE),
    "es": re.compile(r"\b(?:el|la|los|las|del|al) ([^\W\d_]{4,})", re.IGNORECASE),
}
N_START = 45
"""Characters at a sentence's start in which a demonstrative points at the sentence before it."""
N_HEAD = 110
"""Characters of a sentence in which it must say what it tells of, to be one that can stand anywhere."""
_WHOLE_CASE = re.compile(
    r"\b(?:this|these|est[eao]s?) (?:[\w-]+ )?(?:patients?|man|woman|boy|girl|infant|child|case|findings|results|data|symptoms|condition|"
    r"presentation|situation|information|paciente|enferm[oa]|mujer|hombre|niñ[oa]|caso|hallazgos|datos|síntomas|cuadro|situación|información)",
    re.IGNORECASE,
)
"""What a demonstrative may point at without leaning on one sentence."""
_ANNOUNCES = re.compile(
    r"\b(?:below|as follows|following|shown|seen|listed|figure|image|a continuación|siguientes?|se muestran?|imagen|figura|adjunt[oa]s?)\b",
    re.IGNORECASE,
)
"""A sentence that says so is followed by what it announces."""


def tells_of_a_patient(pieces: Sequence[str], asking: int) -> bool:
    """Whether a stem tells of one patient, as far as its words show: somebody has an age, or somebody is told of before the question.

    Args:
        pieces: its sentences.
        asking: position from which it asks.
    """
    return any(_AGED.search(piece) for piece in pieces) or any(_PERSON.search(piece) for piece in pieces[:asking])


def leans(piece: str, language: str) -> bool:
    """Whether a sentence leans on what was said before it; naming the patient or the whole case is none of that."""
    return not _REFERRING[language].isdisjoint(_words(_WHOLE_CASE.sub(" ", piece)))


def narrates(piece: str, language: str) -> bool:
    """Whether a sentence sets what is told in time, so that what stands before and behind it must stay there."""
    return _EPISODE.match(piece) is not None or not _NARRATING[language].isdisjoint(_words(piece))


def allows_before(pieces: Sequence[str], at: int, language: str) -> bool:
    """Whether another sentence can stand before a piece (not the first) without coming between two that belong together."""
    before, words = pieces[at - 1], _words(_WHOLE_CASE.sub(" ", pieces[at])[:N_START])
    if not is_terminal(before) or before.rstrip().endswith((":", "?")) or _ANNOUNCES.search(before):
        return False
    return _POINTING[language].isdisjoint(words)


def movable_blocks(pieces: Sequence[str], asking: int, language: str) -> tuple[tuple[int, int], ...]:
    """The sentences of a vignette that can change places, as neighbouring blocks that stay together.

    A block begins with a sentence that tells of history, habits, signs, examination or tests, and leans on nothing before it: no
    demonstrative, no pronoun where the text names another person than the patient. All other sentences stay behind the one before them,
    and so do lines of a table. Blocks are joined where a later one says `the` of what an earlier one brought in. A sentence that tells what
    came next (order in time, a treatment or another event) is a wall: of the stretches between walls the one with most blocks is taken, the
    first of equal ones. The first sentence stands, with those that lean on it; so does the last block where the question points at it.

    Args:
        pieces: of `sentences`.
        asking: position from which it asks.
        language: `en` or `es`.

    Returns:
        Blocks as (start, end), each beginning where the one before it ends; empty where fewer than two can change places.
    """
    told = pieces[:asking]
    others = any(_PERSONS[language].search(piece) for piece in told)
    starts = [at for at in range(1, asking) if _opens_block(told, at, language, others)]
    if not starts:
        return ()
    first = starts[0]
    for at in range(first + 1, asking):
        known = [then for then in range(first, at) if _names(told[then]) & _referred(told[at], language)]
        if known:
            starts = [start for start in starts if not known[0] < start <= at]
    blocks = list(zip(starts, [*starts[1:], asking], strict=True))
    if not _POINTING[language].isdisjoint(_words(_WHOLE_CASE.sub(" ", pieces[asking]))):
        blocks.pop()
    stretches: list[list[tuple[int, int]]] = [[]]
    for start, end in blocks:
        if any(narrates(piece, language) for piece in told[start:end]):
            stretches.append([])
        else:
            stretches[-1].append((start, end))
    longest = max(stretches, key=len)
    return tuple(longest) if len(longest) > 1 else ()


def _opens_block(told: Sequence[str], at: int, language: str, others: bool) -> bool:
    """Whether a sentence can be told without the one before it."""
    piece, before = told[at], told[at - 1]
    if not is_terminal(before) or before.rstrip().endswith((":", "?")) or _ANNOUNCES.search(before) or len(piece.split()) < 3:
        return False
    if "?" in piece or not _INDEPENDENT[language].search(piece[:N_HEAD]) or leans(piece, language):
        return False
    if narrates(piece, language):
        return False
    return not (others and not _PRONOUNS[language].isdisjoint(_WORD.findall(piece.lower())))


def _words(piece: str) -> frozenset[str]:
    # Without its accent, está would be esta.
    return frozenset(folded(word) for word in _WORD.findall(piece) if word not in ("está", "Está"))


def _names(piece: str) -> frozenset[str]:
    """Words of a sentence that a later one may refer to."""
    return frozenset(word[:7] for word in _words(piece) if len(word) > 3)


def _referred(piece: str, language: str) -> frozenset[str]:
    """Words that a sentence says `the` of."""
    return frozenset(folded(found[1])[:7] for found in _DEFINITE[language].finditer(piece))
