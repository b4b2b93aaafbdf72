"""What the working tree holds beyond its commit, kept with a run so that it can be repeated.

Credentials and ``conf/local`` are left out, and a patch that shows a secret in another file is not kept at all.
"""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ratoon_kedro.recording.params import Redactor, join

if TYPE_CHECKING:
    from ratoon.tracking.run import ActiveRun

PATCH = "kedro/git.patch"
COMMIT = "mlflow.source.git.commit"
DIRTY = "ratoon.git.dirty"
LARGEST = 20 * 2**20  # bytes; more than that is data, not code

# Whatever the user has configured, the patch is one that `git apply` takes.
_DIFF = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative")
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
_FILES = (
    ":(top)",
    ":(top,exclude,glob)**/credentials*",
    ":(top,exclude,glob)**/credentials*/**",
    ":(top,exclude,glob)**/conf/local/**",
)

# A key and its value as YAML and JSON have them: on a line, in a comment too, and within braces.
_LINE = re.compile(r"""(?P<indent>[\s#-]*)["']?(?P<key>[A-Za-z_][\w.\-]*)["']?\s*:(?:\s+(?P<value>.*))?$""")
_WITHIN = re.compile(r"""(?<!\$)[{,]\s*["']?(?P<key>[A-Za-z_][\w.\-]*)["']?\s*:\s*(?P<value>[^,}]+)""")
_NO_SECRET = re.compile(r"""null|~|true|false|\$\{.*\}|\{.*|\[\]?|""|''|""", re.IGNORECASE)

logger = logging.getLogger(__name__)


def keep_patch(run: ActiveRun, folder: Path, redactor: Redactor | None = None) -> None:
    """Keep the changes of tracked files with the run, if its tags say that there are some.

    Args:
        run: The run.
        folder: The project.
        redactor: Knows which keys hide a secret; the built-in ones if None.
    """
    if run.info.tags.get(DIRTY) != "true":
        return
    patch = working_patch(folder)
    if patch is None:
        return
    if len(patch) > LARGEST:
        logger.warning(
            "the uncommitted changes are %d MB and not kept; commit them if this run is to be repeated",
            len(patch) // 2**20,
        )
        return
    secret = secret_in(patch, redactor or Redactor())
    if secret is not None:
        logger.warning(
            "the uncommitted changes are not kept, because '%s' in them looks like a secret; commit them, or move it to"
            " conf/local, if this run is to be repeated",
            secret,
        )
        return
    from io import BytesIO

    run.log_stream(BytesIO(patch), PATCH)


def working_patch(folder: Path) -> bytes | None:
    """The changes of the whole repository against its commit, credentials aside; None if git cannot say."""
    command = ["git", "-C", str(folder), *_DIFF, *_PREFIXES, "--", *_FILES]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def secret_in(patch: bytes, redactor: Redactor) -> str | None:
    """The first key in the lines of a patch that were added or removed whose value is a secret; None if there is none.

    Args:
        patch: What ``git diff`` says.
        redactor: Knows which keys hide a secret.
    """
    path, parents = "", list[tuple[int, str]]()
    for line in patch.decode(errors="replace").splitlines():
        if line.startswith(("diff --git ", "@@ ")):
            path, parents = (line if line.startswith("diff") else path), []
        elif line.startswith(("--- ", "+++ ", "index ")) or line[:1] not in ("+", "-", " "):
            continue
        else:
            for key, value in _pairs(line[1:], parents, plain=path.endswith((".yml", ".yaml"))):
                if line[0] != " " and _is_secret(key, value, path, redactor):
                    return key
    return None


def _pairs(line: str, parents: list[tuple[int, str]], *, plain: bool) -> Iterator[tuple[str, str]]:
    """The keys of a line, with dots as far as the lines above it are known, and their values.

    With ``plain``, a line without a key is a value, too: of a list, or of a text over several lines.
    """
    found = _LINE.match(line)
    if found is not None:
        depth = len(found["indent"])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        parents.append((depth, found["key"]))
        yield _dotted(parents), (found["value"] or "").strip().rstrip(",")
    elif plain and parents and len(line) - len(line.lstrip(" ")) >= parents[-1][0]:
        yield _dotted(parents), line.strip(" -")
    for inner in _WITHIN.finditer(line):
        yield join(_dotted(parents), inner["key"]), inner["value"].strip()


def _dotted(parents: list[tuple[int, str]]) -> str:
    return ".".join(key for _, key in parents)


def _is_secret(key: str, value: str, path: str, redactor: Redactor) -> bool:
    if _NO_SECRET.fullmatch(value):
        return False
    if path.endswith((".py", ".pyi")) and value[:1] not in ("'", '"'):
        return False  # an annotation
    if key.rpartition(".")[2] == "credentials" and ("catalog" in path or "ratoon" in path):
        return False  # the name of some
    return bool(redactor.clean(key, value) != value)
