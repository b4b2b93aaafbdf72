"""Which paths an artifact may have: one function, that every read, write, listing and deletion passes through."""

from __future__ import annotations

import re

from ratoon.errors import InvalidInput

MAX_SEGMENT = 240
MAX_PATH = 1024

_DRIVE = re.compile(r"[A-Za-z]:")


def check_path(path: str) -> str:
    """Refuse a path that could mean something outside the folder it is in.

    The path is a key: it is taken as it is, never decoded or normalised. That a platform would read ``%2e%2e`` as a way
    up is no concern of ours, since no store uses a key as a file name.

    Raises:
        InvalidInput: The path is empty or absolute, has empty, ``.`` or ``..`` parts, a backslash, a drive letter or a
            control character, or is too long.
    """
    reason = _fault(path)
    if reason:
        raise InvalidInput(
            f"artifact path {path[:80]!r} is not allowed ({reason}); give a path such as 'plots/roc.png'"
        )
    return path


def join(*parts: str) -> str:
    """Join parts of a path, leaving out the empty ones."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def _fault(path: str) -> str | None:
    segments = path.split("/")
    checks = {
        "it is empty": not path,
        "it is absolute": path.startswith("/") or bool(_DRIVE.match(path)),
        "it has an empty or dotted part": any(segment in ("", ".", "..") for segment in segments),
        "it has a backslash": "\\" in path,
        "it has a control character or a lone surrogate": any(
            ord(character) < 32 or ord(character) == 127 or "\ud800" <= character <= "\udfff" for character in path
        ),
        "it is too long": len(path) > MAX_PATH
        or any(len(segment.encode(errors="replace")) > MAX_SEGMENT for segment in segments),
    }
    return next((reason for reason, found in checks.items() if found), None)
