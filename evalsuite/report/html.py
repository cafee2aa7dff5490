"""report.html: one file that needs no network, no script and no other file, in light and dark, on paper and on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from evalsuite.report.blocks import CONTROLS, Report
from evalsuite.report.figures.canvas import BAND, INK, MODEL_COLORS, MUTED, PAPER, RULE

_PAGE_COLORS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", BAND: "var(--band)", PAPER: "var(--paper)"} | {
    color: f"var(--model-{at})" for at, color in enumerate(MODEL_COLORS)
}


def render_html(report: Report, svgs: Mapping[str, bytes]) -> str:
    """The whole page.

    Args:
        report: what is said; every text is escaped.
        svgs: figure name to its SVG file.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = visible_controls
    environment.tests["a_block"] = _is_a
    folder = files("evalsuite.report")
    template = environment.from_string(folder.joinpath("report.html.jinja").read_text(encoding="utf-8"))
    # The style sheet and the drawings are ours (Matplotlib escapes the names in them); everything else stays subject to autoescape.
    style = Markup(folder.joinpath("style.css").read_text(encoding="utf-8"))  # noqa: S704
    return template.render(report=report, style=style, drawings={name: inline_svg(name, svg) for name, svg in svgs.items()}) + "\n"


def inline_svg(name: str, svg: bytes) -> Markup:
    """An SVG file as an element of the page: ids made unique, colours taken from the page, nothing that refers outside."""
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    if box is None:
        raise ValueError(f"figure {name}: no viewBox")
    rest = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', rest)
    rest = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", rest)
    rest = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{name}-\1"', rest)
    rest = rest.replace("'DejaVu Sans'", "system-ui").replace("DejaVu Sans", "system-ui")
    for color, variable in _PAGE_COLORS.items():
        rest = re.sub(rf"(fill|stroke): {color}", rf"\1: {variable}", rest, flags=re.IGNORECASE)
    rest = re.sub(r"\s*\n\s*", "\n", rest)
    return Markup(f'<svg {box.group(0)} aria-hidden="true" focusable="false">{rest.strip()}')  # noqa: S704


def visible_controls(text: str) -> Markup:
    """Text, escaped, with control characters, bidirectional marks and lone surrogates as what they are instead of what they do."""
    shown = CONTROLS.sub(lambda found: f'<span class="control">U+{ord(found[0]):04X}</span>', str(escape(text)))
    return Markup(shown)  # noqa: S704 (escaped on the line above)


def _is_a(block: object, name: str) -> bool:
    return type(block).__name__ == name
