"""What turns a picture into a grid of tokens that masked image modelling predicts."""

from rapport_training.masked_image.tokenizers.base import ImageTokenizer, ImageTokenizerError
from rapport_training.masked_image.tokenizers.loading import load_image_tokenizer

__all__ = ["ImageTokenizer", "ImageTokenizerError", "load_image_tokenizer"]
