"""Scores that come from elsewhere or go elsewhere, and two sets of scores side by side."""
