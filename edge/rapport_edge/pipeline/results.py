"""What the pipeline says about a frame."""

from __future__ import annotations

from dataclasses import dataclass

from rapport_edge.faces import DemographicEstimate, FaceQuality, Track


@dataclass(frozen=True, slots=True)
class ObservedFace:
    """One face of one frame.

    Attributes:
        track: its id and place.
        quality: None on frames that the detector did not see: quality is measured where the landmarks were.
        gate_refusal: why this view was too poor to be encoded (`QualityGate.REASONS`, or "landmarks"), else None.
        estimate: what is believed about the face so far; None until a view was good enough.
        encoded_now: True if this frame's view went into the estimate.
    """

    track: Track
    quality: FaceQuality | None = None
    gate_refusal: str | None = None
    estimate: DemographicEstimate | None = None
    encoded_now: bool = False


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What one frame gave.

    Attributes:
        stamp: seconds, of the image.
        faces: confirmed tracks, the largest first.
        timings: seconds by stage ("detect", "track", "quality", "align", "encode", "fuse"), only of stages that ran;
            "detect_network" and "encode_network" are the parts of "detect" and "encode" that the networks took.
        removed: ids that were in an earlier result and will not come again.
    """

    stamp: float
    faces: list[ObservedFace]
    timings: dict[str, float]
    removed: list[str]
