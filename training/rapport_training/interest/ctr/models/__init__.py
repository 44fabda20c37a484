"""User-behaviour models, one file each."""
