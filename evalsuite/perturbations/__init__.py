"""Perturbations, one file each; `SPEC` makes a module a plugin."""
