"""The contrastive loss against a slow, literal reading of equations (1) to (3) in float64."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rapport_training.demographic.loss import contrastive_loss, expected_age_error, plain_contrastive_loss


def unit(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 7, generator=generator, dtype=torch.float64), dim=1)


def literal(images: Tensor, texts: Tensor, positives: list[set[int]], scale: float) -> float:
    """Equations (1) to (3); where an image has several right texts (and the reverse) the mean over them."""
    n = len(images)
    s = [[float(images[i] @ texts[k]) * scale for k in range(n)] for i in range(n)]
    total = 0.0
    for i in range(n):
        of_texts = math.log(sum(math.exp(s[i][k]) for k in range(n)))
        of_images = math.log(sum(math.exp(s[k][i]) for k in range(n)))
        total += sum(s[i][k] - of_texts for k in positives[i]) / len(positives[i])
        total += sum(s[k][i] - of_images for k in positives[i]) / len(positives[i])
    return -total / (2 * n)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.integers(0, 100), st.floats(0.5, 30))
@settings(max_examples=60, deadline=None)
def test_equal_captions_are_positives_of_one_another(captions: list[int], seed: int, scale: float) -> None:
    distinct = sorted(set(captions))
    inverse = torch.tensor([distinct.index(value) for value in captions])
    images, texts = unit(len(captions), seed), unit(len(distinct), seed + 1)
    positives = [{k for k, other in enumerate(captions) if other == value} for value in captions]
    expected = literal(images, texts[inverse], positives, scale)
    found = contrastive_loss(images, texts, inverse, torch.tensor(scale, dtype=torch.float64))
    assert math.isclose(float(found), expected, rel_tol=1e-9, abs_tol=1e-9)


@given(st.integers(2, 9), st.integers(0, 100), st.floats(0.5, 30))
@settings(max_examples=30, deadline=None)
def test_without_equal_captions_it_is_the_papers_loss(n: int, seed: int, scale: float) -> None:
    images, texts = unit(n, seed), unit(n, seed + 1)
    factor = torch.tensor(scale, dtype=torch.float64)
    paper = literal(images, texts, [{i} for i in range(n)], scale)
    assert math.isclose(float(plain_contrastive_loss(images, texts, factor)), paper, rel_tol=1e-9)
    assert math.isclose(float(contrastive_loss(images, texts, torch.arange(n), factor)), paper, rel_tol=1e-9)


def test_encoding_distinct_captions_once_gives_the_same_gradients() -> None:
    inverse = torch.tensor([0, 1, 0, 2, 1, 0])
    scale = torch.tensor(5.0, dtype=torch.float64)
    images = unit(6, 1).requires_grad_()
    texts = unit(3, 2).requires_grad_()
    once = torch.autograd.grad(contrastive_loss(images, texts, inverse, scale), (images, texts))
    repeated = texts[inverse]
    logits = scale * images @ repeated.T
    same = (inverse[:, None] == inverse[None, :]).double()
    weights = same / same.sum(dim=1, keepdim=True)
    image_to_text = -(weights * logits.log_softmax(dim=1)).sum(dim=1).mean()
    text_to_image = -(weights * logits.log_softmax(dim=0).T).sum(dim=1).mean()
    per_pair = torch.autograd.grad((image_to_text + text_to_image) / 2, (images, texts))
    for a, b in zip(once, per_pair, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(0, 100), st.floats(0.5, 30))
@settings(max_examples=40, deadline=None)
def test_the_expected_age_counts_every_caption_as_often_as_it_occurs(
    captions: list[int], seed: int, scale: float
) -> None:
    distinct = sorted(set(captions))
    inverse = torch.tensor([distinct.index(value) for value in captions])
    images, texts = unit(len(captions), seed), unit(len(distinct), seed + 1)
    years = torch.tensor([7.0 * value for value in distinct], dtype=torch.float64)
    errors = []
    for i, own in enumerate(captions):
        weights = [math.exp(scale * float(images[i] @ texts[distinct.index(value)])) for value in captions]
        expected = sum(w * 7.0 * value for w, value in zip(weights, captions, strict=True)) / sum(weights)
        errors.append(abs(expected - 7.0 * own) / 10.0)
    found = expected_age_error(images, texts, inverse, torch.tensor(scale, dtype=torch.float64), years)
    assert math.isclose(float(found), sum(errors) / len(errors), rel_tol=1e-9, abs_tol=1e-12)
