"""What the desktop computes: data, models, recipes, evaluation and the export of bundles."""

from rapport_training.torchvision_ops import declare_before_torchvision

__version__ = "0.1.0"

declare_before_torchvision()
