"""Content-interest modelling, MIM (Yan et al. 2025): what to suggest next to a person.

Three stages: foundation models learn the items' content (`content.pretraining`), then what users are interested in
(`content.csft`); a user-behaviour model combines that with ids (`ctr`). In between stands the representation centre
(`rapport_edge.representation`), which the robot uses, too.
"""
