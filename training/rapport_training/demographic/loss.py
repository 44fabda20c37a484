"""The bidirectional contrastive loss, equations (1) to (3) of the demographic user modelling paper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(images: Tensor, captions: Tensor, caption_of_image: Tensor, scale: Tensor) -> Tensor:
    """Equations (1) to (3), where images with the same caption are positives of one another.

    With N images, `captions` holds each distinct caption once, so the text tower runs once per caption. A caption that
    n images share still stands n times in the denominator of (2), which is why log n is added to its logits. In (3) the
    loss of a caption is the mean over its images. Where all captions differ, this is the paper's loss exactly.

    Args:
        images: (N, d) unit vectors.
        captions: (M, d) unit vectors, M at most N, each used by at least one image.
        caption_of_image: (N,) int64, the row of `captions` that describes each image.
        scale: 1 / temperature.

    Returns:
        The mean over both directions, in nats.
    """
    logits = scale * images @ captions.T
    counts = torch.bincount(caption_of_image, minlength=len(captions)).to(logits.dtype)
    image_to_text = F.cross_entropy(logits + counts.log(), caption_of_image)
    # The target is one of counts[c] equal columns: each holds 1 / count of the probability that they share.
    image_to_text = image_to_text + counts[caption_of_image].log().mean()
    text_to_image = -F.log_softmax(logits, dim=0).gather(1, caption_of_image[:, None]).mean()
    return (image_to_text + text_to_image) / 2


def expected_age_error(
    images: Tensor, captions: Tensor, caption_of_image: Tensor, scale: Tensor, years: Tensor
) -> Tensor:
    """Mean absolute error of the expected age, in decades (the mean part of Pan et al. 2018, mean-variance loss).

    Contrast alone treats all wrong ages alike; this makes a distant age worse than a neighbouring one. The
    distribution is the softmax of (2) over the batch's age captions, each counted as often as it occurs.

    Args:
        images: (N, d) unit vectors.
        captions: (M, d) unit vectors, the distinct age captions of the batch.
        caption_of_image: (N,) int64, the row of `captions` that describes each image.
        scale: 1 / temperature.
        years: (M,), the middle of each caption's age bin.
    """
    counts = torch.bincount(caption_of_image, minlength=len(captions)).to(images.dtype)
    probabilities = (scale * images @ captions.T + counts.log()).softmax(dim=1)
    return (probabilities @ years - years[caption_of_image]).abs().mean() / 10.0


def plain_contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Equations (1) to (3) to the letter: only the i-th text is right for the i-th image, even among equal captions.

    Args:
        images: (N, d) unit vectors.
        texts: (N, d) unit vectors, one per image.
        scale: 1 / temperature.
    """
    logits = scale * images @ texts.T
    targets = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
