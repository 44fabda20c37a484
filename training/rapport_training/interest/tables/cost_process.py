"""The process that measures one step: python -m rapport_training.interest.tables.cost_process QUESTION ANSWER."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_edge.atomic import write_atomically
from rapport_training.interest.batch import Batch
from rapport_training.interest.centre_content import content_of
from rapport_training.interest.content.catalogue import Catalogue, read_catalogue
from rapport_training.interest.content.item_encoder import ItemEncoder, load_item_encoder
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.fit import new_model
from rapport_training.interest.ctr.recipe import CtrRecipe
from rapport_training.interest.data.batches import batches
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.tables.cost import CostAnswer, CostQuestion
from rapport_training.interest.tables.flops import count_flops
from rapport_training.interest.tables.peak_memory import PeakMemory

#: The second step has all that a training holds, the optimizer's moments among it.
_STEPS = 2


def measure(question: CostQuestion) -> CostAnswer:
    """Takes a batch, builds the model and does the step."""
    recipe = msgspec.convert(question.recipe, CtrRecipe)
    prepared = PreparedLog.open(Path(question.prepared))
    content = content_of(prepared.item_ids, Path(question.centre))
    batch = next(
        batches(
            prepared,
            "train",
            batch_size=question.batch_size,
            history_length=recipe.history_length,
            seed=0,
            content=None if question.content == "none" else content,
        )
    )
    items = ItemInputs(question, prepared, batch) if question.content in ("encoder", "end-to-end") else None
    torch.mm(torch.ones(2, 2), torch.ones(2, 2))  # what the libraries load for their first product is no cost
    with PeakMemory() as memory:
        step = _step(question, recipe, prepared, batch.to(memory.device), content, items)
        for _ in range(_STEPS):
            step()
    return CostAnswer(
        gflops=count_flops(step) / len(batch) / 1e9,
        memory=memory.bytes,
        device=memory.device,
        items=0 if items is None else len(items.distinct),
        places=len(batch) + int(batch.length.sum()),
    )


class ItemInputs:
    """Pictures and titles of a batch's items, each item once, in memory before the measuring begins.

    Attributes:
        distinct: item indexes.
        rows: of the catalogue, one per distinct item.
        target: (B,) and history: (B, L), places in `distinct`; padding is place 0, which the mask hides.
    """

    def __init__(self, question: CostQuestion, prepared: PreparedLog, batch: Batch) -> None:
        self.encoder: Callable[[], ItemEncoder] = lambda: load_item_encoder(Path(question.encoder))
        loaded = self.encoder()
        self.catalogue: Catalogue = read_catalogue(
            BehaviourLog.open(Path(question.log)), loaded.network.language, loaded.recipe.vision.image_size
        )
        places = torch.cat([batch.item[:, None], batch.history], dim=1)
        self.distinct = torch.unique(places[places > 1])
        found = torch.searchsorted(self.distinct, places).clamp(max=len(self.distinct) - 1)
        self.target, self.history = found[:, 0], found[:, 1:]
        row_of = {name: row for row, name in enumerate(self.catalogue.ids)}
        self.rows = torch.tensor([row_of[prepared.item_ids[index]] for index in self.distinct.tolist()])
        self.pictures = self.catalogue.pictures.rows(self.rows)
        self.titles = loaded.network.language.tokenise([self.catalogue.title_texts[row] for row in self.rows.tolist()])

    def vectors(self, encoder: ItemEncoder) -> Tensor:
        """(items, D), as `ItemEncoder.embed` makes them, of items that have both parts."""
        network, device = encoder.network, encoder.device
        titles = type(self.titles)(*(part.to(device) for part in self.titles))
        pictures = self.pictures.to(device)
        if encoder.vector == "features":
            parts = network.vision(pictures), network.language(titles)
        else:
            parts = network.encode_images(pictures), network.encode_titles(titles)
        if encoder.vector == "fused":
            return F.normalize(network.fuse(*parts), dim=1)
        return torch.cat([F.normalize(part, dim=1) for part in parts], dim=1)


def _step(
    question: CostQuestion,
    recipe: CtrRecipe,
    prepared: PreparedLog,
    batch: Batch,
    content: ContentTable,
    items: ItemInputs | None,
) -> Callable[[], object]:
    """One training step, or the scoring of a batch."""
    model = new_model(recipe, prepared, content).to(batch.item.device)
    encoder = None if items is None else items.encoder()
    training, together = question.phase == "train", question.content == "end-to-end"
    model.train(training)
    trained: list[nn.Module] = [model]
    if encoder is not None and training and together:
        encoder.network.train().requires_grad_(True)
        trained.append(encoder.network)
    optimizer = torch.optim.Adam(p for module in trained for p in module.parameters() if p.requires_grad)

    def logits() -> Tensor:
        if items is None or encoder is None:
            return model(batch)
        with torch.set_grad_enabled(training and together):
            vectors = items.vectors(encoder)
        return _scored(model, batch, vectors, items)

    def train() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(logits(), batch.label).backward()
        optimizer.step()

    return train if training else torch.no_grad()(logits)


def _scored(model: CtrModel, batch: Batch, vectors: Tensor, items: ItemInputs) -> Tensor:
    """Logits with embeddings that were made in this step, through which gradients can flow."""
    mask = torch.arange(batch.history.shape[1], device=batch.item.device) < batch.length[:, None]
    return model.score_values(
        model.user_values[batch.user],
        model.item_values[batch.item],
        model.item_values[batch.history],
        mask,
        batch.age,
        vectors[items.target.to(vectors.device)],
        vectors[items.history.to(vectors.device)],
    )


def main() -> None:
    """Reads the question and writes the answer."""
    asked, answered = map(Path, sys.argv[1:])
    torch.manual_seed(0)
    write_atomically(answered, msgspec.json.encode(measure(msgspec.json.decode(asked.read_bytes(), type=CostQuestion))))


if __name__ == "__main__":
    main()
