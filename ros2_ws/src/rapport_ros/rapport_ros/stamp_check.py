"""Which stamps are worth processing: neither late, nor out of order, whatever the clocks do."""

from __future__ import annotations

TOO_OLD = "too_old"
TIME_WENT_BACKWARDS = "time_went_backwards"


class StampCheck:
    """Refuses late frames and frames out of order, and survives clocks that differ or jump.

    A frame is late when its age exceeds `max_age`. But an age that stays the same over several frames is not a delay:
    it is the offset between the camera's clock and this one (a recording, simulated time on one side, a clock that was
    set). That offset is then subtracted. More than `LONGEST_DELAY` can only be an offset.

    Args:
        max_age: seconds; 0 switches the age limit off.

    Attributes:
        offset: seconds by which the camera's clock is believed to be behind this one.
    """

    LONGEST_DELAY = 60.0
    #: Frames in a row with the same age, within `max_age`, that prove an offset.
    PATIENCE = 10
    #: A step back of more than this is a source that started anew; less is a frame that was overtaken.
    LONGEST_OVERTAKING = 1.0

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._last_stamp: float | None = None
        self._late: list[float] = []
        self.offset = 0.0

    def refusal(self, stamp: float, now: float) -> str | None:
        """The reason to drop the frame with this stamp at this time (both seconds), or None."""
        if self._last_stamp is not None and 0.0 < self._last_stamp - stamp <= self.LONGEST_OVERTAKING:
            return TIME_WENT_BACKWARDS
        if self._is_late(now - stamp):
            return TOO_OLD
        self._last_stamp = stamp
        return None

    def age(self, stamp: float, now: float) -> float:
        """Seconds since the stamp, corrected by the offset."""
        return now - stamp - self.offset

    def _is_late(self, age: float) -> bool:
        if self._max_age <= 0.0:
            return False
        if abs(age) <= self._max_age:
            self.offset, self._late = 0.0, []
            return False
        if abs(age - self.offset) <= self._max_age:
            self._late = []
            return False
        self._late = [*self._late, age][-self.PATIENCE :]
        if not self._is_offset():
            return True
        self.offset, self._late = min(self._late), []
        return False

    def _is_offset(self) -> bool:
        """Whether the late ages are the difference of two clocks."""
        if abs(self._late[-1]) > self.LONGEST_DELAY:
            self._late = self._late[-1:]
            return True
        steady = max(self._late) - min(self._late) <= self._max_age
        return len(self._late) == self.PATIENCE and steady
