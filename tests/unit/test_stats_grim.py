"""GRIM against enumeration, published values that are known to fit, and some that are known not to."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.stats.grim import fitting_denominators, grim

WAYS = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN)


def every_print(n_samples: int, decimals: int) -> set[str]:
    """All that n samples can be printed as, with so many decimals of a percentage."""
    step = Decimal(1).scaleb(-decimals)
    with localcontext() as context:
        context.prec = 50
        return {str((100 * Decimal(k) / n_samples).quantize(step, rounding=way)) for k in range(n_samples + 1) for way in WAYS}


@pytest.mark.parametrize(("n_samples", "decimals"), [(1, 0), (3, 0), (7, 1), (16, 1), (37, 0), (173, 1), (272, 2)])
def test_a_percentage_is_possible_where_enumeration_finds_it(n_samples, decimals):
    found = every_print(n_samples, decimals)
    for units in range(100 * 10**decimals + 1):
        printed = str(Decimal(units).scaleb(-decimals))
        assert grim(printed, n_samples, unit="percent").possible is (printed in found), printed


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5000), st.data())
def test_what_arose_is_never_called_impossible(n_samples, data):
    count = data.draw(st.integers(0, n_samples))
    share = count / n_samples
    for printed in (f"{share:.3f}", repr(share), str(np.float32(share).astype(float))):
        result = grim(printed, n_samples, unit="share")
        assert result.possible is not False
        assert result.lowest is not None and result.lowest <= count <= result.highest
    for percentage in (f"{100 * share:.2f}", f"{100 * share:.1f}%", repr(100 * share)):
        assert grim(percentage, n_samples, unit="percent").possible is not False


def test_counts_behind_a_value():
    result = grim("66.76", 1420, unit="percent")
    result = grim("66.76", 1420, unit="percent")
    assert (result.possible, result.n_possible, result.lowest, result.highest) == (True, 1, 948, 948)
    assert result.nearest == pytest.approx(948 / 1420, abs=1e-15)
    several = grim("0.7", 30, unit="share")
    assert (several.possible, several.n_possible, several.lowest, several.highest) == (
        None,
        4,
        20,
        23,
    )  # 20/30 to 22/30 are rounded, 21/30 to 23/30 cut
    # 22/33 = 66.7 % is rounded to 67 and truncated to 66
    assert grim("67", 33, unit="percent").roundings == ("rounded",)
    assert grim("66", 33, unit="percent").roundings == ("truncated",)


def test_ties_go_either_way():
    for printed in ("0.12", "0.13"):
        assert grim(printed, 8, unit="share").possible is True  # 1/8 = 0.125
    assert grim("0.14", 8, unit="share").possible is False


def test_the_digits_decide_what_can_be_decided():
    assert grim("0.66", 99, unit="share").possible is not None
    assert grim("0.66", 100, unit="share").possible is None
    assert grim("66.4", 1000, unit="percent").possible is None
    assert grim("66.40", 1273, unit="percent").decimals == 4
    # numbers lose their final zeros: 66.4 may have been 66.40
    assert grim(66.4, 1273, unit="percent").possible is None
    assert grim(66.0, 99, unit="percent").decimals == 2


def test_floating_point_numbers_are_fractions():
    assert grim(213 / 272, 272, unit="share").lowest == 213
    assert grim(100 * 736 / 1273, 1273, unit="percent").lowest == 736
    assert grim(0.7830882352941176, 271, unit="share").possible is False
    assert grim("0.7830882353", 272, unit="share").possible is True
    assert grim(float(np.float32(83 / 272)), 272, unit="share").possible is True
    assert grim(float(np.float32(100 * 83 / 272)), 272, unit="percent").possible is True
    assert grim(83 / 272 + 1e-9, 272, unit="share").possible is False


def test_out_of_range_is_impossible_and_no_number_is_an_error():
    assert grim("101.0", 10**6, unit="percent").possible is False
    assert grim("-1", 50, unit="percent").possible is False
    assert grim("101", 50, unit="percent").nearest == 1.0
    for printed in ("", "n/a", "nan", float("inf")):
        with pytest.raises(ValueError, match="number"):
            grim(printed, 10, unit="share")
    with pytest.raises(ValueError, match="n_samples"):
        grim("0.5", 0, unit="share")
    with pytest.raises(ValueError, match="no printed value"):
        fitting_denominators([], [10], unit="share")


def test_one_denominator_must_explain_a_whole_column():
    # 1/3 and 2/3 rounded; truncation explains 0.33 and 0.66, nothing that is shortened one way explains 0.67 with 0.14 of 7
    assert fitting_denominators(["0.33", "0.67"], range(2, 8), unit="share") == (3, 6)
    assert fitting_denominators(["0.33", "0.66"], range(2, 8), unit="share") == (3, 6)
    # 0.67 of 3 is rounded, 0.66 of 3 truncated: one table does not do both
    assert fitting_denominators(["0.67", "0.66"], range(2, 8), unit="share") == ()


def test_clue_mednli_has_1420_denominators_only(shared):
    rows = yaml.safe_load((shared / "papers" / "published_2404.04067.yaml").read_text(encoding="utf-8"))
    values = [row["value"] for row in rows if row["task"] == "CLUE/MedNLI" and row["table"].startswith("v3")]
    assert len(values) == 26
    assert fitting_denominators(values, range(1300, 1500), unit="percent") == (1420,)


def test_submitted_leaderboard_files_hold_impossible_values(shared):
    rows = yaml.safe_load((shared / "papers" / "published_open_medical_llm_leaderboard.yaml").read_text(encoding="utf-8"))
    verdicts: dict[str, list[bool | None]] = {}
    for row in rows:
        verdicts.setdefault(row["table"].split()[0], []).append(grim(row["value"], row["n_items"], unit="share").possible)
    submitted = verdicts.pop("results_2024-04-26")
    assert (submitted.count(False), len(submitted)) == (15, 18)
    assert sum(len(others) for others in verdicts.values()) > 30
    assert all(possible is not False for others in verdicts.values() for possible in others)
