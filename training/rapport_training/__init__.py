"""What the desktop computes: data, models, recipes, evaluation and the export of bundles."""

from rapport_training.torchvision_ops import declare_missing_operators

__version__ = "0.1.0"

declare_missing_operators()
