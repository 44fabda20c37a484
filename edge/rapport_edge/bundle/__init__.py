"""The contract between desktop and robot: a folder with a manifest, ONNX files and arrays, and nothing executable."""

from rapport_edge.bundle.loader import Bundle, default_bundle_path, load_bundle, read_bundle
from rapport_edge.bundle.manifest import BundleManifest
from rapport_edge.bundle.policy import Policy, load_policy
from rapport_edge.bundle.writer import write_bundle

__all__ = [
    "Bundle",
    "BundleManifest",
    "Policy",
    "default_bundle_path",
    "load_bundle",
    "load_policy",
    "read_bundle",
    "write_bundle",
]
