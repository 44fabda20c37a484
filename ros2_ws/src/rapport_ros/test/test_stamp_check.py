"""Stamps: what is late is dropped, and clocks that differ or jump do not stop the stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rapport_ros.stamp_check import TIME_WENT_BACKWARDS, TOO_OLD, StampCheck

T0 = 1_700_000_000.0


def test_fresh_frames_pass():
    check = StampCheck(max_age=0.5)
    assert all(check.refusal(T0 + k / 30, T0 + k / 30 + 0.02) is None for k in range(100))
    assert check.offset == 0.0


def test_a_frame_that_was_held_up_is_dropped():
    check = StampCheck(max_age=0.5)
    assert check.refusal(T0, T0 + 0.01) is None
    assert check.refusal(T0 + 0.1, T0 + 2.0) == TOO_OLD
    assert check.refusal(T0 + 2.0, T0 + 2.01) is None


def test_a_growing_delay_is_never_taken_for_an_offset():
    check = StampCheck(max_age=0.5)
    reasons = [check.refusal(T0 + k / 30, T0 + 1.0 + k * 0.2) for k in range(100)]
    assert set(reasons) == {TOO_OLD}


def test_a_steady_age_is_an_offset_between_clocks():
    check = StampCheck(max_age=0.5)
    reasons = [check.refusal(T0 + k / 30, T0 + k / 30 + 5.0 + 0.01 * (k % 3)) for k in range(30)]
    assert reasons[: StampCheck.PATIENCE - 1] == [TOO_OLD] * (StampCheck.PATIENCE - 1)
    assert set(reasons[StampCheck.PATIENCE - 1 :]) == {None}
    assert abs(check.offset - 5.0) < 0.05


def test_a_recording_from_last_year_loses_no_frame():
    check = StampCheck(max_age=0.5)
    assert all(check.refusal(T0 + k / 30, T0 + 3e7 + k / 30) is None for k in range(50))


def test_a_clock_that_is_set_back_does_not_stop_the_stream():
    check = StampCheck(max_age=0.5)
    assert check.refusal(T0, T0) is None
    reasons = [check.refusal(T0 + k / 30, T0 + k / 30 - 7200.0) for k in range(1, 20)]
    assert set(reasons) == {None}
    assert check.refusal(T0 + 1.0, T0 + 1.0) is None and check.offset == 0.0


def test_an_overtaken_frame_is_dropped_and_a_restarted_source_is_not():
    check = StampCheck(max_age=0.0)
    assert check.refusal(T0, T0) is None
    assert check.refusal(T0 - 0.03, T0) == TIME_WENT_BACKWARDS
    assert check.refusal(T0 - 60.0, T0) is None


@given(offset=st.floats(-1e8, 1e8), step=st.floats(0.001, 0.2), jump=st.floats(-1e6, 1e6))
def test_whatever_the_clocks_do_a_regular_stream_flows_again(offset: float, step: float, jump: float):
    check = StampCheck(max_age=0.5)
    for k in range(40):
        check.refusal(T0 + k * step, T0 + k * step + offset)
    last = [check.refusal(T0 + k * step, T0 + k * step + offset + jump) for k in range(40, 80)]
    assert last[-1] is None
