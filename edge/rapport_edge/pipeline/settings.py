"""All settings of the pipeline and its stages in one Struct."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rapport_edge.detection import DetectorSettings
from rapport_edge.engines import EngineSettings
from rapport_edge.fusion import FusionSettings
from rapport_edge.quality import GateSettings
from rapport_edge.tracking import TrackerSettings


class PipelineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the pipeline; `msgspec.convert` or `msgspec.json.decode` checks ranges and refuses unknown names.

    Attributes:
        detector: which detector, at which working size.
        tracker: when a face becomes a track and when it ends.
        gate: which views are too poor to be encoded.
        fusion: how views add up and when they are forgotten.
        engine: what runs the models.
        bundle_path: folder of the encoder's bundle; "" is the one that comes with this package.
        policy_path: the operator's policy file, for bundles that a robot otherwise refuses; "" for none.
        allowed_attributes: what this deployment allows to be estimated, such as ("age", "gender"). Empty, the default:
            no bundle is loaded and nothing is inferred from any face.
        detect_every_n: the detector sees every n-th frame, and any frame after one with a face not yet confirmed.
        reencode_interval_s: seconds after which a track is encoded again even if the view is not better.
        better_view_margin: a view is clearly better, and encoded at once, when its score is higher than the best so far
            by more than this.
        max_faces: the largest faces that are followed; others are left out.
    """

    detector: DetectorSettings = DetectorSettings()
    tracker: TrackerSettings = TrackerSettings()
    gate: GateSettings = GateSettings()
    fusion: FusionSettings = FusionSettings()
    engine: EngineSettings = EngineSettings()
    bundle_path: str = ""
    policy_path: str = ""
    allowed_attributes: tuple[str, ...] = ()
    detect_every_n: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    reencode_interval_s: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 1.0
    better_view_margin: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.1
    max_faces: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
