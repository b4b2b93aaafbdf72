"""The options of a sweep that are Kedro's: read by Kedro's own code, so that they mean what they mean there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ratoon.errors import InvalidInput
from ratoon_kedro.replaying.recorded import parse_params
from ratoon_kedro.sweeping.plan import FILE_NAME
from ratoon_kedro.sweeping.space import dotted, read_value

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


def check_run_options(metadata: ProjectMetadata, words: Sequence[str]) -> tuple[str, ...]:
    """The words, if ``kedro run`` takes them.

    Raises:
        InvalidInput: It does not; the message is Kedro's.
    """
    from kedro.framework.cli.utils import find_run_command

    try:
        context = find_run_command(metadata.package_name).make_context("run", list(words))
    except click.exceptions.Exit:
        raise InvalidInput("options of 'kedro run' are not read here; see 'kedro run --help'") from None
    except click.ClickException as error:
        raise InvalidInput(
            f"options '{' '.join(words)}' are refused by 'kedro run' ({error.format_message()}); see 'kedro run --help'"
        ) from error
    if context.params.get("params"):
        raise InvalidInput(f"parameters are among the options of 'kedro run'; give them as 'params' in {FILE_NAME}")
    return tuple(words)


def read_params(texts: Sequence[str]) -> dict[str, Any]:
    """The values of ``--params``, typed as Kedro types them."""
    return dict(dotted({key: read_value(text) for key, text in parse_params(texts).items()}))
