"""Subcommands of `rapport-edge`: each module has a click command named `command`.

Modules import what is slow to import inside their functions, so that `rapport-edge --help` answers at once.
"""
