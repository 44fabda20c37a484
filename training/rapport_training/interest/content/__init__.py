"""Encoders of an item's content: picture and title to one vector, in the three steps of the MIM paper.

Plain foundation models, pre-training on the catalogue (`pretraining`, Section 3.2), and fine-tuning on what users are
interested in (`csft`, Section 3.3).
"""
