"""Statistics of a study: arrays below (NumPy and SciPy only), tables above (pandas), comparisons on top.

`arrays` (groups, intervals, margins), `bootstrap`, `randomisation` (sign flips, McNemar), `restricted` (Tango's variance), `set_metrics`
(functions of a whole cell), `multiplicity`; `tables` (scores to estimates, and pairing), `design` (the analysis as stated), `compare`
(comparisons) and `verdicts`; then one module per further question, gathered by `analyses`. Nothing is imported here, so that the light
modules can be used without pandas.
"""
