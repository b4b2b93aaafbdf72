"""The whole loop in two minutes: a Kedro project that knows nothing of ratoon is run, compared, promoted and served.

``make demo`` runs it. Everything that is printed after a ``$`` is the command that is really run; the project stays in
``.demo/wine`` for you to go on with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent / ".demo" / "wine"
BIN = Path(sys.executable).parent
# The demonstration's own store, whatever the shell around it is set up for.
QUIET = {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")} | QUIET
WINE = [13.2, 1.78, 2.14, 11.2, 100.0, 2.65, 2.76, 0.26, 1.28, 4.38, 1.05, 3.4, 1050.0]


def main() -> None:
    say("1. A Kedro project", "Made by 'kedro new', with a pipeline of two nodes on scikit-learn's wine data.")
    make_project()
    print(textwrap.indent((PROJECT / "src/wine/pipelines/training/pipeline.py").read_text(), "    "))

    say("2. Two runs", "No import of ratoon, no setting: that it is installed is enough. First a very small forest.")
    small = kedro_run("--params", "model.n_estimators=1,model.max_depth=1")
    print("\nThen the forest as the project configures it.")
    large = kedro_run()

    say("3. Side by side", "Metrics, and the params that differ. Add --all to see everything.")
    run("ratoon", "compare", small, large)

    say("4. Register both", "A version is immutable and knows the run that it came from.")
    for trained in (small, large):
        run("ratoon", "models", "register", trained, "--name", "wine", "--model", "classifier")

    say("5. Promote through the gate", "The first champion must only be good enough.")
    gate = ("--metric", "evaluation.accuracy", "--minimum", "0.5")
    run("ratoon", "promote", "wine", "1", *gate)
    print("The better one takes over, for it is not worse than the champion.")
    run("ratoon", "promote", "wine", "2", *gate)
    print("And back? The gate refuses: its verdict is kept, nothing moves, the exit code is 1.")
    run("ratoon", "promote", "wine", "1", *gate, expect=1)
    run("ratoon", "models", "show", "wine")

    say("6. Serve the champion", "A process of its own; its health is checked before the command returns.")
    deployment = json.loads(run("ratoon", "deploy", "models:/wine@champion", "--json"))
    try:
        predict(deployment["endpoint"] + "/invocations")
    finally:
        run("ratoon", "undeploy", "wine")

    say("7. What to try next")
    print(f"    cd {PROJECT.relative_to(Path.cwd()) if PROJECT.is_relative_to(Path.cwd()) else PROJECT}")
    print(f"    . {BIN / 'activate'}")
    print("    ratoon runs show latest                         # all that one run recorded")
    print("    kedro run --params model.max_depth=2            # one more run")
    print("    ratoon rollback wine                            # give the alias back to who held it before")
    print("    ratoon serve models:/wine@champion              # serve until Ctrl-C")
    print("    kedro ratoon init                               # conf/base/ratoon.yml with every option explained")


def make_project() -> None:
    """Make the project afresh."""
    shutil.rmtree(PROJECT.parent, ignore_errors=True)
    PROJECT.parent.mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "kedro_wine" / "create.py", PROJECT], env=ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"the project could not be made:\n{done.stdout}{done.stderr}")


def kedro_run(*arguments: str) -> str:
    """Run the pipeline; returns the id of the tracked run."""
    run("kedro", "run", *arguments, show=False)
    latest = json.loads(run("ratoon", "runs", "--limit", "1", "--json", echo=False, show=False))[0]
    metrics = ", ".join(f"{key} {each['value']:.3f}" for key, each in latest["metrics"].items() if "/" not in key)
    print(f"tracked as {latest['run_id'][:8]}: {len(latest['params'])} params, {metrics}")
    return latest["run_id"][:8]


def run(*command: str, echo: bool = True, show: bool = True, expect: int = 0) -> str:
    """Run a command of the virtual environment in the project; stop if it does not end as expected."""
    if echo:
        print(f"\n$ {' '.join(command)}", flush=True)
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode != expect:
        sys.exit(f"{done.stdout}{done.stderr}\n{command[0]} ended with {done.returncode}, expected was {expect}")
    if show:
        print((done.stdout + (done.stderr if expect else "")).strip("\n"), flush=True)
    return done.stdout


def predict(url: str) -> None:
    """Ask the served model which grower a wine is from."""
    columns = (PROJECT / "data/01_raw/wines.csv").read_text().splitlines()[0].split(",")[:-1]
    body = json.dumps({"dataframe_split": {"columns": columns, "data": [WINE]}})
    print(f"\n$ curl {url} -H 'Content-Type: application/json' -d '{body[:60]}…'")
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(answer.read().decode())


def say(title: str, *sentences: Sequence[str]) -> None:
    print(f"\n\n=== {title} ===", *sentences, sep="\n")


if __name__ == "__main__":
    main()
