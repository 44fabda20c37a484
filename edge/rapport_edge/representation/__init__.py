"""The representation centre: item embeddings that are made once, and read from memory ever after.

Three parts (Section 3.5 of the MIM paper): memorisation (`embedded`, `redis_centre`), real-time inference (`realtime`),
and decomposition: whoever reads is another process than the one that writes.
"""

from rapport_edge.representation.contract import (
    CentreFormat,
    CentreReader,
    Counts,
    Encoder,
    RepresentationCentre,
    Rows,
    source_hash,
)
from rapport_edge.representation.embedded import EmbeddedCentre
from rapport_edge.representation.errors import (
    CentreDamagedError,
    CentreError,
    CentreFullError,
    OtherEncoderError,
)
from rapport_edge.representation.keys import Keys, keys_of
from rapport_edge.representation.opening import open_centre, open_writer
from rapport_edge.representation.reader import EmbeddedReader
from rapport_edge.representation.realtime import NewItem, RealTimeInference, forward
from rapport_edge.representation.table import FrozenTable

__all__ = [
    "CentreDamagedError",
    "CentreError",
    "CentreFormat",
    "CentreFullError",
    "CentreReader",
    "Counts",
    "EmbeddedCentre",
    "EmbeddedReader",
    "Encoder",
    "FrozenTable",
    "Keys",
    "NewItem",
    "OtherEncoderError",
    "RealTimeInference",
    "RepresentationCentre",
    "Rows",
    "forward",
    "keys_of",
    "open_centre",
    "open_writer",
    "source_hash",
]
