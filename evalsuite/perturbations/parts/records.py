"""A long administrative and nursing record of another person's stay, made up by seed: lines without any clinical bearing.

Source: ours. No line holds a symptom, a diagnosis, a drug, a measurement or a laboratory value; names are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

FIRST_HOUR, LAST_HOUR = 8, 21
"""Entries are made from the first to the last hour of a day."""

MOST_MINUTES = 90
"""An entry follows the one before after at least five and less than five plus so many minutes, drawn uniformly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """What a record is made of in one language."""

    heading: str
    """Names another file with `{number}`, `{name}` and `{ward}`, and says that it has nothing to do with the question."""
    end: str
    """Last line."""
    names: tuple[str, ...]
    """Whose file it is."""
    wards: tuple[str, ...]
    """Where."""
    visitors: tuple[str, ...]
    """Who calls or comes."""
    entries: tuple[str, ...]
    """Entries with `{room}`, `{number}`, `{bed}` and `{visitor}`."""


LINES: Mapping[str, Lines] = {
    "en": Lines(
        heading="Administrative and nursing record of another admission: file {number}, {name}, {ward}. It belongs to another person's "
        "file and has nothing to do with the question below.",
        end="End of file {number}.",
        names=(
            "Mr Alan Priorwood",
            "Mrs Joan Tillery",
            "Mr Peter Haddlesey",
            "Mrs Ruth Colverson",
            "Mr Dennis Marlowby",
            "Mrs Edith Wainford",
        ),
        wards=("ward 4 East", "ward 6 West", "ward 2 North", "ward 8 South"),
        visitors=("a sister", "a nephew", "a neighbour", "a friend", "a cousin", "a daughter"),
        entries=(
            "Room {room}, bed {bed}: bedside lamp replaced by maintenance, job {number}.",
            "Telephone call from {visitor}, who asked about visiting hours; told from four to eight in the afternoon.",
            "Tray {number} brought to room {room} and collected an hour later.",
            "Locker {number} assigned; key handed over and signed for.",
            "List of belongings: a wristwatch, a grey overcoat, a wallet, a bunch of keys and a paperback.",
            "Television in room {room} switched on for three days, receipt {number}.",
            "Visitor's badge {number} issued to {visitor} and returned at the desk.",
            "Linen of bed {bed} changed; sack {number} sent to the laundry.",
            "Parking permit {number} stamped at the main entrance for {visitor}.",
            "Newspaper delivered to room {room}.",
            "A signature is missing on form {number}; to be completed at the admissions desk.",
            "Copy of the identity document filed under number {number}.",
            "The window of room {room} does not close properly; reported to maintenance, job {number}.",
            "Would like the bed by the window; none is free today.",
            "Menu chosen for tomorrow: vegetable soup, fish with rice, and fruit.",
            "Clock in the corridor by room {room} set to the right time.",
            "Password of the guest network given on request.",
            "A parcel for room {room} was left at reception and collected by {visitor}.",
            "Handover at the desk: no changes to the list of rooms.",
            "Call bell of bed {bed} tested by maintenance; it works.",
            "Bag of clothes {number} taken home by {visitor}.",
            "Asked the way: {visitor} shown to the lift.",
            "Curtain rail of bed {bed} repaired, job {number}.",
            "Survey on the hospital's kitchen handed out; returned without answers.",
            "Telephone call from {visitor}; asked to call again in the morning.",
            "Magazine trolley came by room {room}.",
            "Invoice {number} for the television paid at the desk.",
            "Wardrobe of room {room} checked with {visitor}; a scarf was found and handed over.",
            "Second pillowcase asked for and brought, bed {bed}.",
            "Form {number} returned by the post room; the address was incomplete.",
            "Door of room {room} oiled, job {number}.",
            "Telephone number of {visitor} added to the contact sheet.",
            "Umbrella left at the entrance, ticket {number}.",
            "Leaflet with the times of the bus handed to {visitor}.",
            "Change for the drinks machine given at the desk.",
            "The radio of bed {bed} has no headphones; a pair was lent, receipt {number}.",
            "Flowers for room {room} put in a vase at the desk.",
            "Signed for registered letter {number}, which was taken to room {room}.",
        ),
    ),
    "es": Lines(
        heading="Registro administrativo y de enfermería de otro ingreso: historia n.º {number}, {name}, {ward}. Pertenece a la historia "
        "de otra persona y no guarda relación con la pregunta que sigue.",
        end="Fin de la historia n.º {number}.",
        names=(
            "D. Julián Cobaleda",
            "D.ª Amparo Torrejuela",
            "D. Eusebio Marchamalo",
            "D.ª Remedios Villarejo",
            "D. Anselmo Quintanar",
            "D.ª Pilar Orduña",
        ),
        wards=("planta 4.ª Este", "planta 6.ª Oeste", "planta 2.ª Norte", "planta 8.ª Sur"),
        visitors=("una hermana", "un sobrino", "una vecina", "un amigo", "una prima", "una hija"),
        entries=(
            "Habitación {room}, cama {bed}: mantenimiento cambia la lámpara de la mesilla (parte {number}).",
            "Llama por teléfono {visitor} para preguntar por el horario de visitas; se le informa: de cuatro a ocho de la tarde.",
            "Se lleva a la habitación {room} la bandeja n.º {number}; se retira una hora después.",
            "Se asigna la taquilla {number}; se entrega la llave y firma el recibí.",
            "Relación de pertenencias: un reloj de pulsera, un abrigo gris, una cartera, un manojo de llaves y una novela.",
            "Se activa la televisión de la habitación {room} para tres días (recibo {number}).",
            "Se entrega a {visitor} el pase de visitante n.º {number}, que devuelve en el control.",
            "Cambio de ropa de la cama {bed}; la saca {number} se envía a lavandería.",
            "Se sella en la entrada principal el tique de aparcamiento {number} a {visitor}.",
            "Se deja el periódico en la habitación {room}.",
            "Falta una firma en el impreso {number}; queda pendiente en el mostrador de admisión.",
            "Se archiva copia del documento de identidad con el número {number}.",
            "La ventana de la habitación {room} no cierra bien; se avisa a mantenimiento (parte {number}).",
            "Solicita la cama junto a la ventana; hoy no queda ninguna libre.",
            "Menú elegido para mañana: sopa de verduras, pescado con arroz y fruta.",
            "Se pone en hora el reloj del pasillo, a la altura de la habitación {room}.",
            "Se facilita la clave de la red de invitados.",
            "En recepción dejan un paquete para la habitación {room}; lo recoge {visitor}.",
            "Cambio de turno en el control: sin novedades en la lista de habitaciones.",
            "Mantenimiento comprueba el timbre de la cama {bed}; funciona.",
            "La bolsa de ropa {number} se la lleva a casa {visitor}.",
            "Pregunta por la salida {visitor}; se le acompaña al ascensor.",
            "Se arregla el riel de la cortina de la cama {bed} (parte {number}).",
            "Se reparte la encuesta sobre la cocina del hospital; se devuelve en blanco.",
            "Llama por teléfono {visitor}; se le pide que vuelva a llamar por la mañana.",
            "Pasa por la habitación {room} el carrito de las revistas.",
            "Se abona en el mostrador la factura {number} de la televisión.",
            "Se revisa el armario de la habitación {room} con {visitor}; aparece una bufanda, que se le entrega.",
            "Solicita otra funda de almohada; se lleva a la cama {bed}.",
            "Correos devuelve el impreso {number}: la dirección estaba incompleta.",
            "Se engrasa la puerta de la habitación {room} (parte {number}).",
            "Se añade el teléfono de {visitor} a la hoja de contactos.",
            "Queda en la entrada un paraguas, resguardo {number}.",
            "Se entrega a {visitor} un folleto con el horario del autobús.",
            "Se facilita cambio en el mostrador para la máquina de bebidas.",
            "La radio de la cama {bed} no tiene auriculares; se prestan unos, recibo {number}.",
            "Se ponen en un jarrón del control las flores que traen para la habitación {room}.",
            "Se firma el acuse de la carta certificada {number}, que se lleva a la habitación {room}.",
        ),
    ),
}
"""By ISO 639-1."""


def record(language: str, n_words: int, seed: int) -> str:
    """A record of at least so many words, heading and last line included; at most one entry more than it needs.

    Entries come in a drawn order and none comes again before all have come; their times go on from one to the next, by day only.

    Args:
        language: one of `LINES`.
        n_words: words between white space.
        seed: decides everything in it.
    """
    own, rng = LINES[language], np.random.default_rng(seed)
    number, room, bed, name, ward, day = rng.integers(0, (50_000, 60, 3, len(own.names), len(own.wards), 2_500)).tolist()
    about = {"number": 40_000 + number, "name": own.names[name], "ward": own.wards[ward]}
    heading, end = own.heading.format(**about), own.end.format(**about)
    lines, missing = [heading], n_words - len(heading.split()) - len(end.split())
    when = datetime(2011, 1, 1, FIRST_HOUR, tzinfo=UTC) + timedelta(days=day)
    while missing > 0:
        order = rng.permutation(len(own.entries)).tolist()
        details = rng.integers(0, (9_900, len(own.visitors), MOST_MINUTES), size=(len(order), 3)).tolist()
        for at, (job, visitor, minutes) in zip(order, details, strict=True):
            when += timedelta(minutes=5 + minutes)
            if when.hour >= LAST_HOUR:
                when = (when + timedelta(days=1)).replace(hour=FIRST_HOUR)
            entry = own.entries[at].format(room=401 + room, bed=1 + bed, number=100 + job, visitor=own.visitors[visitor])
            line = f"{when.day:02}/{when.month:02}/{when.year} {when.hour:02}:{when.minute:02} {entry}"
            lines.append(line)
            missing -= line.count(" ") + 1
            if missing <= 0:
                break
    return "\n".join([*lines, end])
