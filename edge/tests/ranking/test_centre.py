"""A ranker with a representation centre beside its bundle: new items are ranked as soon as the centre knows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_ranker import DIM, ENCODER, VECTORS, write_ranker

from rapport_edge.cli import main
from rapport_edge.profiles.item_ranking import ItemRanking, RankSettings
from rapport_edge.ranking import Event, Item, RankingError, create_ranker
from rapport_edge.ranking.files import open_sources
from rapport_edge.representation import CentreFormat, EmbeddedCentre


def fill(folder: Path, encoder: str = ENCODER) -> EmbeddedCentre:
    centre = EmbeddedCentre(folder, CentreFormat(encoder=encoder, dimension=DIM))
    centre.put(["comet", "stew"], [VECTORS["stars"], VECTORS["soup"]], ["a", "b"])
    centre.publish()
    return centre


def test_an_item_is_ranked_by_its_content_before_its_window_is_published(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    centre = fill(tmp_path / "centre")
    (reader,) = open_sources(str(tmp_path / "centre"))
    ranker = create_ranker(bundle, sources=[reader])
    asked = [Item(id=name) for name in ("stew", "comet", "galaxy")]
    assert [item.id for item in ranker.rank([Event(id="stars")], asked)] == ["comet", "stew", "galaxy"]
    centre.put(["galaxy"], [(2.0, 0.0, 0.0, 0.0)], ["c"])
    assert [item.id for item in ranker.rank([Event(id="stars")], asked)] == ["galaxy", "comet", "stew"]
    reader.close()
    centre.close()


def test_a_centre_of_another_encoder_is_refused_with_both_digests(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    fill(tmp_path / "centre", "f" * 64).close()
    with pytest.raises(RankingError, match=f"{'f' * 64}.*{ENCODER}"):
        ItemRanking(RankSettings(bundle_path=str(bundle.path), centre=str(tmp_path / "centre")))


def test_the_command_asks_a_centre(tmp_path):
    bundle = write_ranker(tmp_path / "ranker")
    fill(tmp_path / "centre").close()
    options = ["rank", "--bundle", str(bundle.path), "--history", "stars", "--candidates", "stew,comet"]
    ranked = CliRunner().invoke(main, [*options, "--centre", str(tmp_path / "centre")])
    assert ranked.exit_code == 0, ranked.output
    assert ranked.output.splitlines()[0].endswith("comet  (resembles Stars (1.00); not in the training)")
    refused = CliRunner().invoke(main, [*options, "--centre", str(tmp_path / "nowhere")])
    assert refused.exit_code == 2
    assert refused.output.startswith("Error: ")
    assert "nowhere" in refused.output
