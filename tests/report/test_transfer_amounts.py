"""Amounts of text with a sign, and intervals with an open end."""

from hypothesis import given
from hypothesis import strategies as st

from lingraft.report.transfer_amounts import signed_bytes, span


@given(st.integers(1, 10**12))
def test_a_minus_is_all_that_a_sign_changes(num_bytes):
    assert signed_bytes(-num_bytes) == "−" + signed_bytes(num_bytes)
    assert span([-num_bytes, None]) == f"−{signed_bytes(num_bytes)} to …"
    assert span([None, num_bytes]) == f"… to {signed_bytes(num_bytes)}"
