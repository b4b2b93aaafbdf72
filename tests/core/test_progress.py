"""Progress bars, on a pseudo terminal: what a person sees, and where nobody should see anything."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Watch = Callable[..., str]

BEGIN = """
    import io, sys, threading, time
    from pathlib import Path
    from ratoon.tracking import progress
    from ratoon.tracking.client import Client
    progress.LONG = 100_000
    client = Client()
    run = client.start_run()
    Path("large.bin").write_bytes(bytes(300_000))
    Path("small.bin").write_bytes(bytes(1000))
"""


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Run a script with a terminal as its standard error; what stands there."""

    def watch(script: str, returncode: int = 0, **environ: str) -> str:
        (tmp_path / ".ratoon").mkdir(exist_ok=True)
        ours, theirs = pty.openpty()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RATOON_", "MLFLOW_"))}
        command = [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(script)]
        terminal = {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
        with subprocess.Popen(
            command, cwd=tmp_path, env=inherited | terminal | environ, stdout=subprocess.DEVNULL, stderr=theirs
        ) as process:
            os.close(theirs)
            shown = _read(ours)
        os.close(ours)
        assert process.returncode == returncode, shown
        return shown

    return watch


def _read(terminal: int) -> str:
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody writes any more
            piece = b""
        if not piece:
            return seen.decode()
        seen += piece


def screen(shown: str) -> str:
    """What is left on a terminal after lines were erased."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.rpartition("\x1b[2K")[2]).strip()


def test_a_long_upload_shows_how_far_it_is_and_leaves_nothing(watch: Watch) -> None:
    shown = watch("run.log_artifact('large.bin')")
    assert "large.bin" in shown and "300.0/300.0 kB" in shown
    assert screen(shown) == ""


def test_a_folder_and_a_download_show_one_bar(watch: Watch) -> None:
    shown = watch("""
        from ratoon.tracking.models import download_model
        run.log_artifacts(".", "all")
        model = run.log_model(lambda values: values, flavor="python_function", name="double")
        progress.LONG = 1
        folder = Path("down")
        folder.mkdir()
        download_model(client, f"models:/{model.model_id}", folder)
        assert (folder / "MLmodel").exists()
    """)
    assert re.search(r"(\d+\.\d)/\1 kB", shown) and "models:/m-" in shown
    assert "large.bin" not in shown and screen(shown) == ""


def test_a_short_transfer_shows_nothing(watch: Watch) -> None:
    assert watch("run.log_artifact('small.bin')") == ""


def test_a_slow_transfer_is_shown_after_a_while(watch: Watch) -> None:
    shown = watch("""
        progress.SLOW_SECONDS = 0.2
        with progress.Transfer("slow", 1000, client.settings) as transfer:
            for _ in transfer.passing([bytes(500)] * 2):
                time.sleep(0.3)
    """)
    assert "slow" in shown and screen(shown) == ""


@pytest.mark.parametrize("environ", [{"RATOON_PROGRESS": "0"}, {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}])
def test_it_can_be_switched_off(watch: Watch, environ: dict[str, str]) -> None:
    assert watch("run.log_artifact('large.bin')", **environ) == ""


def test_other_threads_show_nothing(watch: Watch) -> None:
    script = """
        thread = threading.Thread(target=run.log_artifact, args=("large.bin",))
        thread.start()
        thread.join()
    """
    assert watch(script) == ""


def test_what_goes_wrong_is_told_on_a_line_of_its_own(watch: Watch) -> None:
    shown = watch(
        """
        class Broken(io.BytesIO):
            def read(self, size=-1):
                if self.tell() > 150_000:
                    raise OSError(5, "the disk is gone")
                return super().read(50_000)
        with progress.Transfer("large.bin", 300_000, client.settings) as transfer:
            run.log_stream(transfer.reading(Broken(bytes(300_000))), "large.bin")
    """,
        returncode=1,
    )
    assert "large.bin" in shown
    assert screen(shown).startswith("Traceback") and "the disk is gone" in screen(shown)


def test_a_stream_that_goes_back_is_counted_once(watch: Watch) -> None:
    shown = watch("""
        with progress.Transfer("again", 300_000, client.settings) as transfer:
            stream = transfer.reading(open("large.bin", "rb"))
            for _ in range(2):
                stream.seek(0)
                while stream.read(100_000):
                    pass
            stream.close()
    """)
    assert "300.0/300.0 kB" in shown and "600" not in shown


def test_nobody_sees_a_bar_in_a_pipe(tmp_path: Path) -> None:
    (tmp_path / ".ratoon").mkdir()
    script = textwrap.dedent(BEGIN) + "run.log_artifact('large.bin')"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
