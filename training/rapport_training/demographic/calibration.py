"""Fits a zero-shot head's scale and bias on faces that training did not see (temperature scaling, Guo et al. 2017)."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rapport_edge.bundle.manifest import Calibration
from rapport_edge.faces import FloatArray


def fit_calibration(embeddings: FloatArray, prompts: FloatArray, truth: NDArray[object]) -> Calibration:
    """The calibration with the least negative log-likelihood.

    Args:
        embeddings: (n, d) unit vectors.
        prompts: (k, d) unit vectors, one per label.
        truth: (n,) int, index of the true label.
    """
    cosines = torch.from_numpy(embeddings @ prompts.T).double()
    target = torch.as_tensor(truth.astype("int64"))
    log_scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(prompts), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_scale, bias], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(log_scale.exp() * cosines + bias, target)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    centred = (bias - bias.mean()).detach()
    return Calibration(scale=float(log_scale.detach().exp()), bias=tuple(float(value) for value in centred))
