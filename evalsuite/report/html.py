"""report.html: one file that needs no network and no other file, in light and dark, on paper and on a phone.

Only the explorer has a script. A content security policy (W3C, CSP Level 3) lets that one run, by its hash, and nothing else be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from evalsuite.controls import CONTROLS
from evalsuite.report.blocks import Explorer, Report, blocks_of, facing_of
from evalsuite.report.explorer_packing import pack
from evalsuite.report.explorer_tables import ExplorerData
from evalsuite.report.figures.canvas import BAND, INK, MODEL_COLORS, MUTED, PAPER, RULE

LONG_TABLE = 30
"""Rows of a table above which a screen shows it on demand: what comes after it must stay in reach. Paper shows it all."""

MAX_BYTES = 14_900_000
"""Of the file, so that it stays under 15 MB: what a mail server takes and a phone opens."""

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
    explorer = next((block.data for block in blocks_of(report) if isinstance(block, Explorer)), None)
    sheets = ["style.css", *(["facing.css"] if facing_of(report) else []), *(["explorer.css"] if explorer else [])]
    style = Markup("".join(folder.joinpath(name).read_text(encoding="utf-8") for name in sheets))  # noqa: S704
    script = folder.joinpath("explorer.js").read_text(encoding="utf-8") if explorer else ""
    drawings = {name: inline_svg(name, svg) for name, svg in svgs.items()}
    page = template.render(report=report, style=style, drawings=drawings, policy=policy_for(script), long_table=LONG_TABLE) + "\n"
    return page if explorer is None else with_explorer(page, explorer, script)


def with_explorer(page: str, data: ExplorerData, script: str) -> str:
    """The page with the explorer's data and script at its end, as much of the data as leaves the file below `MAX_BYTES`."""
    head, end, tail = page.rpartition("</body>")
    packed = pack(data, MAX_BYTES - len(page.encode("utf-8", "backslashreplace")) - len(script.encode()) - 10_000)
    parts = {"explorer-index": packed.index} | {f"explorer-page-{number}": content for number, content in enumerate(packed.pages)}
    blobs = "".join(f'<script type="application/octet-stream" id="{name}">{content}</script>\n' for name, content in parts.items())
    return f"{head}{blobs}<script>{script}</script>\n{end}{tail}"


def policy_for(script: str) -> str:
    """Nothing is loaded, nothing sent; inline styles hold, and of scripts the given one alone; empty: none."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    own = f" script-src 'sha256-{digest}';" if script else ""
    return f"default-src 'none';{own} style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


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
