"""Stage 3, CiUBM (Section 3.4): click-through-rate models, alone and with MIM's interest modules."""
