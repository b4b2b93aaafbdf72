from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from ratoon.cli.trusting import trust_option


@click.command
@trust_option
def load(trust: object) -> None:
    click.echo(repr(trust))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], "None"),
        (["--trust", "data"], "None"),
        (["--trust", "code"], "'code'"),
        (["--trust", "nets.Net, nets.Head"], "['nets.Net', 'nets.Head']"),
    ],
)
def test_the_option_says_what_may_be_loaded(given: list[str], meant: str) -> None:
    assert CliRunner().invoke(load, given).output.strip() == meant


@pytest.mark.parametrize("text", ["", "Code", "all", "nets.Net,", "nets.Net;os.system"])
def test_what_is_no_trust_is_refused(text: str) -> None:
    done = CliRunner().invoke(load, ["--trust", text])
    assert done.exit_code == 2 and "is neither 'data' nor 'code' nor a list of types" in done.output
