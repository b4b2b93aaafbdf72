"""Which distribution a package came from, where several bring the same one."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_ALIKE = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-rocm"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
}


def provider_of(package: str) -> str:
    """The installed distribution that brings a package; the best known one if none is installed."""
    for name in _ALIKE.get(package, ()):
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return name
    return package
