"""Fonts for the PDFs: the letters that figures use, cut out of the figures' font once per process.

Every PDF embeds the part of a font that it needs, and cutting it out of the whole of DejaVu Sans takes longer than all else in a small
report. Out of a font that holds some 900 glyphs instead of 6,000, and no rules for other scripts, it takes a tenth of the time. A
character that is not in it is taken from the whole font.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from matplotlib import font_manager

FAMILY = "DejaVu Sans"
"""Family of all figures."""
SMALL_FAMILY = "evalsuite figures"
RANGES = ((0x20, 0x250), (0x370, 0x400), (0x2010, 0x2060), (0x2070, 0x20A0), (0x2190, 0x2200), (0x2200, 0x2270), (0x25A0, 0x2600))
"""Latin with accents, Greek, punctuation, raised and lowered digits, arrows, mathematical signs, shapes."""


@cache
def pdf_families() -> list[str]:
    """Families for the text of a PDF, the first that has a character wins."""
    folder = Path(tempfile.mkdtemp(prefix="evalsuite-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for weight in ("normal", "bold"):
        whole = font_manager.findfont(font_manager.FontProperties(family=FAMILY, weight=weight))
        small = folder / f"{weight}.ttf"
        _cut(Path(whole), small)
        font_manager.fontManager.addfont(small)
    return [SMALL_FAMILY, FAMILY]


def _cut(whole: Path, small: Path) -> None:
    from fontTools import subset

    options = subset.Options(layout_features=["kern"], glyph_names=True, recommended_glyphs=True, name_IDs=["*"])
    options.drop_tables += ["FFTM"]  # FontForge's own time stamp
    font = subset.load_font(str(whole), options)
    cutter = subset.Subsetter(options=options)
    cutter.populate(unicodes=[code for low, high in RANGES for code in range(low, high)])
    cutter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 16):
            record.string = SMALL_FAMILY
    subset.save_font(font, str(small), options)
