"""``kedro ratoon sweep``: try many values of parameters and keep the best."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ratoon_kedro.commands.core_cli import env_option, one_line_errors, project_store

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command(context_settings={"ignore_unknown_options": True})
@env_option
@click.option("--metric", help="What is to be as large as possible: evaluation.accuracy, for example.")
@click.option("--direction", type=click.Choice(["maximize", "minimize"]), help="Or as small.  [default: maximize]")
@click.option("--space", "-s", multiple=True, metavar="NAME=FORM", help="model.depth='int(1,20)'; may be repeated.")
@click.option("--trials", type=click.IntRange(1), help="How many runs.  [default: 20]")
@click.option("--jobs", "-j", type=click.IntRange(1), help="How many at a time.  [default: 1]")
@click.option("--study", help="The sweep's name; one that is there already goes on.")
@click.option("--resume", metavar="RUN", help="Go on with the sweep of this parent run.")
@click.option("--sampler", type=click.Choice(["tpe", "random"]), help="What chooses the values.  [default: tpe]")
@click.option("--seed", type=click.IntRange(0), help="Makes the values repeatable, with one job.")
@click.option(
    "--pruner",
    type=click.Choice(["median", "hyperband", "none"]),
    help="What stops trials that are worse than others were at the same step.  [default: median]",
)
@click.option(
    "--intermediate", metavar="METRIC", help="The metric it looks at while nodes log it.  [default: --metric]"
)
@click.option("--warmup", type=click.IntRange(0), help="Steps before a trial may be stopped.  [default: 1]")
@click.option("--params", multiple=True, metavar="KEY=VALUE,…", help="Parameters that are the same in every run.")
@click.option("--fresh", is_flag=True, help="A new Python for each run, instead of one that has imported the project.")
@click.argument("run_options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF KEDRO RUN]")
@click.pass_obj
def sweep(
    metadata: ProjectMetadata,
    /,
    env: str | None,
    space: tuple[str, ...],
    resume: str | None,
    params: tuple[str, ...],
    fresh: bool,
    run_options: tuple[str, ...],
    **given: Any,
) -> None:
    """Run a pipeline with many values of its parameters, each a tracked run under one parent run.

    Every other option is one of 'kedro run', such as --pipelines. A form is int(1,20), int(0,100,step=10),
    intlog(1,1000), float(0,1), log(1e-4,1e-1) or choice(a,b). All of it may stand in conf/<env>/sweep.yml, too.
    """
    logging.getLogger("ratoon_kedro").setLevel(logging.INFO)
    with one_line_errors():
        from ratoon_kedro.sweeping import plan, printing, starting
        from ratoon_kedro.sweeping.options import check_run_options, read_params

        store = project_store(metadata, env)
        if store.env:
            os.environ["KEDRO_ENV"] = store.env
        given |= {"params": read_params(params), "command": run_options}
        content = {} if resume else plan.read_file(store.config_loader)
        values = plan.merged(content, given, space)
        check_run_options(metadata, values.get("command", ()))
        prepared = starting.prepare(store, values, resume, fresh=fresh)
        printing.print_start(prepared.plan, prepared.parent)
        result = starting.sweep(prepared, lambda record: printing.print_trial(prepared.plan, record))
        printing.print_result(result, store.redactor)
    sys.exit(130 if result.interrupted else 0 if result.best else 1)
