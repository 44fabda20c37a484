"""Masked image modelling, equation (4) of the demographic user modelling paper, as FaRL and BEiT do it."""
