"""Statistics of a study: arrays below (NumPy and SciPy only), tables above (pandas), comparisons on top.

`arrays` (groups, intervals, equivalence), `randomisation` (sign flips, McNemar), `set_metrics` (functions of a whole
cell), `multiplicity` (Holm); `tables` (scores to estimates, and pairing), `compare` (comparisons and verdicts).
Nothing is imported here, so that the light modules can be used without pandas.
"""
