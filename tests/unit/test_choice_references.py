"""Choices that speak of each other, and choices that only look as if they did; the wordings are those of real examinations."""

from __future__ import annotations

import pytest

from evalsuite.choice_orders import refers_to_labels, refers_to_order, refers_to_others
from evalsuite.choice_references import names_labels, names_places, says_none, says_not_known, speaks_of_all
from evalsuite.types import Sample

BY_LABEL = (
    "Both A and C", "both a and b", "Both (A) & (C)", "Both AB", "Either B or C", "Neither A nor B", "Only A", "A and C", "A, B and C",
    "A,B", "'B' & 'A'", "a) and b)", "1 and 3", "1, 2, and 3", "Both 1 and 2", "Options B and C are right", "Option B is correct",
    "Answers 1 and 3", "A and B are correct", "All of A, B and C", "A y B", "A y C son correctas", "La a y la c",
    "La 1 y la 3 son ciertas", "Las respuestas 1 y 3", "Son correctas la 1 y la 2", "Son ciertas a y b", "La opción b) es correcta",
    "Respuesta a.", "Ni A ni B", "Sólo A y B",
)  # fmt: skip
BY_PLACE = (
    "All of the above", "None of the above.", "All the above", "all of above", "Any of the above", "Both of the above",
    "d)\tNone of the above", "None of the above, as the main priority is to limit side effects", "Can be any of the above",
    "All of the above are true", "All three of the above", "None of the preceding", "All of the following", "The previous answers",
    "None of the previous options", "Both", "Both.", "Both are correct", "Neither", "Todas las anteriores",
    "Todas las anteriores son correctas", "Ninguna de las anteriores.", "Las dos anteriores son ciertas",
    "Todas las respuestas anteriores", "Todo lo anterior es cierto", "Nada de lo anterior", "Las dos primeras son correctas",
    "Todas las siguientes", "Ambas", "Ambas son correctas", "Ninguna de las dos", "Toutes les propositions précédentes",
)  # fmt: skip
OF_ALL = (
    "All of these", "None of these", "None.", "All", "ALL", "All true", "None of them", "All of the options given are correct",
    "None are correct", "None of the other choices is right.", "Todas son correctas", "Todas son falsas", "Ninguna es correcta",
    "Ninguna", "Ninguna de ellas", "Todas las respuestas son ciertas", "Ninguna de las demás opciones es correcta.",
    "Cualquiera de las mencionadas", "Aucune de ces réponses n'est exacte",
)  # fmt: skip
OF_NOTHING = (
    "Vitamin A", "Hepatitis A and B", "Hepatitis B", "Vitamins A and D", "Both kidneys", "Both arms", "All patients", "Grupo A", "AB",
    "A", "B.", "Factor V Leiden", "1 and a half tablets", "C, H, O, P.", "%A + %T = %G + %C", "A + G = T + C.", "Type A influenza",
    "Answer the patient", "Fever of 38.7°C (101.7°F) after previous vaccination", "Previous placenta.",
    "Attempting pregnancy without any previous treatment.", "A rise in body temperature above 41 ºC", "Above 10%", "98% or above.",
    "All above 3 years", "Inspect the nail-bed angle from above", "Red below the mucogingival junction and light pink above it.",
    "Follow the guidelines in the following days.", "4,5-Octanediol.", "2,4,6-Tribromopiridina.", "1,5 – 2 %.", "4,2", "3,5 mmol/L",
    "2,3-Bisphosphoglycerate.", "Ideas following one another", "Encontrar respuesta a las preguntas fundamentales",
    "La respuesta a eliminar", "Con respuestas a estímulos verbales", "El siguiente descendiente también estará afecto.",
    "Se utiliza la siguiente fórmula: volumen x 0,2.", "Extremidades anteriores", "Al corresponder tras diez años de la anterior.",
    "Hasta el día siguiente de la cirugía.", "Las dos primeras semanas", "La secuencia es la siguiente: a, b",
    "None because you get NADH", "Ambas extremidades", "Todos los pacientes", "El tratamiento de elección",
    "In all patients there are hydrogen bonds.",
)  # fmt: skip


def sample_with(choice: str) -> Sample:
    return Sample(id="a", group="g", question="?", choices=("first", "second", "third", choice), targets=(0,))


@pytest.mark.parametrize("choice", BY_LABEL)
def test_labels_are_named(choice: str) -> None:
    sample = sample_with(choice)
    assert names_labels(choice, 3, 4)
    assert refers_to_labels(sample)
    assert refers_to_order(sample)
    assert refers_to_others(sample)


@pytest.mark.parametrize("choice", BY_PLACE)
def test_places_are_named(choice: str) -> None:
    sample = sample_with(choice)
    assert names_places(choice)
    assert refers_to_order(sample)
    assert not refers_to_labels(sample)


@pytest.mark.parametrize("choice", OF_ALL)
def test_what_speaks_of_all_others_stands_every_order_but_no_change_of_them(choice: str) -> None:
    sample = sample_with(choice)
    assert speaks_of_all(choice)
    assert not refers_to_order(sample)
    assert refers_to_others(sample)


@pytest.mark.parametrize("choice", OF_NOTHING)
def test_what_looks_like_a_reference_is_none(choice: str) -> None:
    assert not refers_to_others(sample_with(choice))


def test_a_list_of_labels_with_the_own_one_or_one_that_is_not_there_orders_items_of_the_stem() -> None:
    assert [names_labels("A, C, B", position, 4) for position in range(4)] == [False, False, False, True]
    assert not names_labels("3, 1, 2, 4", 0, 4)
    assert not names_labels("1 and 5", 3, 4)
    assert names_labels("1 and 5", 3, 6)


def test_who_is_called_right_or_what_is_unlisted_holds_the_order() -> None:
    plain = sample_with("fourth")
    suggested = Sample(id="a", group="g", question="?", choices=plain.choices, targets=(0,), suggested=1)
    unlisted = Sample(id="a", group="g", question="?", choices=plain.choices, targets=(0,), n_unlisted=1, labels=("A", "B", "C", "NONE"))
    assert (refers_to_labels(suggested), refers_to_order(suggested)) == (True, True)
    assert (refers_to_labels(unlisted), refers_to_order(unlisted)) == (False, True)


def test_none_and_not_knowing() -> None:
    assert all(map(says_none, ["None of the above", "None of these", "Ninguna de las anteriores", "Ninguna es correcta"]))
    assert not any(map(says_none, ["All of the above", "Todas son falsas", "None because you get NADH", "Nothing by mouth"]))
    assert all(map(says_not_known, ["I do not know", "I don't know.", "Don’t know", "No lo sé", "no sé", "Je ne sais pas"]))
    assert not any(map(says_not_known, ["She does not know her age", "No se sabe", "Unknown primary tumour"]))


@pytest.mark.parametrize("text", ["a" * 5000, "all of the " * 500, "A, " * 2000, "1, " * 2000, "the option " * 600, "both a and " * 500])
def test_long_texts_take_no_longer_than_their_length(text: str) -> None:
    """Nothing is found in them; a pattern that tries every way would not come back."""
    assert not names_labels(text, 0, 4) or text.startswith(("A, ", "both"))
    assert not names_places(text)
