"""The option ``--trust`` of the commands that load a model."""

from __future__ import annotations

import click

from ratoon.errors import InvalidInput
from ratoon.models.trust import Trust, policy_from


def _trust_of(ctx: click.Context, param: click.Parameter, text: str) -> Trust:
    """What :func:`ratoon.load_model` takes as ``trust``."""
    if text in ("data", "code"):
        return None if text == "data" else text
    names = [name.strip() for name in text.split(",")]
    try:
        policy_from(names)
    except InvalidInput as error:
        problem = f"{text!r} is neither 'data' nor 'code' nor a list of types such as 'my_package.Net'"
        raise click.BadParameter(problem, ctx, param) from error
    return names


trust_option = click.option(
    "--trust",
    metavar="data|code|TYPES",
    default="data",
    show_default=True,
    callback=_trust_of,
    help="What loading may run: data, nothing; names of types with commas between, these too; code, anything.",
)
