"""A ranker that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence

from rapport_edge.bundle.golden import check_golden, golden_case
from rapport_edge.bundle.loader import Bundle
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.ranking.content import ContentSource
from rapport_edge.ranking.ranker import InterestRanker
from rapport_edge.ranking.tables import ranker_manifest, read_tables


def create_ranker(
    bundle: Bundle, settings: EngineSettings | None = None, sources: Sequence[ContentSource] = ()
) -> InterestRanker:
    """Loads a bundle's model, which must answer its golden inputs as its exporter did.

    Args:
        bundle: an interest-ranker.
        settings: of the engine; by default the CPU: a ranking now and then is no reason to occupy a GPU.
        sources: tables of embeddings that are asked before the bundle's own.

    Raises:
        BundleError: if the bundle has another task, or its parts do not fit together.
        RankingError: if a source holds embeddings of another encoder.
        ModelError: if no engine can run it.
    """
    model = ranker_manifest(bundle).models[0]
    tables = read_tables(bundle)
    case = golden_case(bundle, model)
    chosen = settings or EngineSettings(name="onnxruntime-cpu")
    engine = create_engine(bundle.path / model.file, chosen, [case.inputs] if case else [])
    ranker = InterestRanker(bundle, engine, tables, sources)
    if case is not None:
        check_golden(case, engine)
    return ranker
