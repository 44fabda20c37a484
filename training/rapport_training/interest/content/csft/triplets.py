"""<q, i, i->: a batch of interest pairs with their hard negatives, each picture and title of it encoded once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rapport_training.interest.content.catalogue import Catalogue
from rapport_training.interest.content.language import Titles
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.pictures import Pictures


class Triplets(NamedTuple):
    """n triplets of rows, (n,) int64 each; a query from the number of items on is a row of `Pairs.searched`."""

    query: Tensor
    item: Tensor
    other: Tensor


class Encoded(NamedTuple):
    """Equation (2) and (4) for n triplets.

    Attributes:
        query: h_q^img, (n, d).
        fused, texts, images: h^MM, h^txt and h^img of i and i-, (n, 2, d).
    """

    query: Tensor
    fused: Tensor
    texts: Tensor
    images: Tensor


def encode(
    network: ContentNetwork, catalogue: Catalogue, searched: Pictures, triplets: Triplets, shown: NDArray[np.bool_]
) -> Encoded:
    """Encodes what occurs in a batch, each picture and each title once.

    Args:
        network: the encoder.
        catalogue: the items.
        searched: pictures that users searched with.
        triplets: rows.
        shown: (items, 2) bool: which items' pictures and titles the fusion sees.
    """
    device = network.logit_scale.device
    both = torch.stack([triplets.item, triplets.other], dim=1)
    items, of_both = torch.unique(both, return_inverse=True)
    pictures, place = torch.unique(torch.cat([triplets.query, items]), return_inverse=True)
    images = network.encode_images(_pixels(catalogue.pictures, searched, pictures).to(device))
    query, item_images = images[place[: len(triplets.query)]], images[place[len(triplets.query) :]]
    texts = network.encode_titles(Titles(*(part.to(device) for part in catalogue.titles.rows(items))))
    seen = torch.from_numpy(shown[items.numpy()]).to(images)
    fused = network.fuse(item_images * seen[:, :1], texts * seen[:, 1:])
    return Encoded(query, fused[of_both], texts[of_both], item_images[of_both])


def _pixels(pictures: Pictures, searched: Pictures, rows: Tensor) -> Tensor:
    own = rows < len(pictures)
    return torch.cat([pictures.rows(rows[own]), searched.rows(rows[~own] - len(pictures))])  # rows are sorted
