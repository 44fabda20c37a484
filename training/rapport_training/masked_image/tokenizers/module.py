"""What Lightning trains: a discrete autoencoder on crops of faces."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from rapport_training.demographic.dataset import Batch
from rapport_training.masked_image.tokenizers.autoencoder import DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.base import ImageTokenizerError, unit_pixels
from rapport_training.masked_image.tokenizers.codebook_use import CodebookUse
from rapport_training.masked_image.tokenizers.settings import TokenizerSettings


class AutoencoderModule(pl.LightningModule):
    """Fits the autoencoder and watches how much of its codebook the validation faces use.

    Attributes:
        model: the autoencoder.
        use: over the validation faces of the latest epoch.
    """

    def __init__(self, settings: TokenizerSettings, steps: int) -> None:
        """Random weights; the codebook starts as the cluster centres of the first batch.

        Args:
            settings: what to compute.
            steps: optimizer steps of the whole run.
        """
        super().__init__()
        self.settings, self.steps = settings, steps
        self.model = DiscreteAutoencoder(settings.network).to(memory_format=torch.channels_last)
        self.use = CodebookUse(settings.network.vocabulary)

    def on_train_epoch_start(self) -> None:
        """Codes that nobody uses are replaced by chance: a resumed run must draw the same."""
        torch.manual_seed(self.settings.seed * 100_003 + self.current_epoch)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch of crops.

        Raises:
            ImageTokenizerError: if it is not finite.
        """
        loss, _ = self.model.loss(unit_pixels(batch.crops, self.settings.size))
        if not torch.isfinite(loss):
            raise ImageTokenizerError(
                f"the loss is {float(loss.detach())} at step {self.global_step}; a lower --learning-rate usually helps"
            )
        self.log("train/loss", loss, prog_bar=True, on_step=True, on_epoch=True, batch_size=len(batch.crops))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Counts codes anew."""
        self.use = CodebookUse(self.settings.network.vocabulary)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Reconstructs faces that were not trained on."""
        pixels = unit_pixels(batch.crops, self.settings.size)
        loss, result = self.model.loss(pixels)
        self.log("val/loss", loss, batch_size=len(pixels))
        self.use.update(pixels, result.pixels, result.codes)

    def on_validation_epoch_end(self) -> None:
        """Logs how well that went."""
        self.log("val/psnr", self.use.psnr, prog_bar=True)
        self.log("val/perplexity", self.use.perplexity, prog_bar=True)

    def configure_optimizers(self) -> tuple[list[Adam], list[dict[str, object]]]:
        """Adam with a cosine decay to zero."""
        optimizer = Adam(self.parameters(), lr=self.settings.learning_rate, betas=(0.9, 0.95))
        return [optimizer], [{"scheduler": CosineAnnealingLR(optimizer, self.steps), "interval": "step"}]
