"""What all commands share: the terminal, the options, and how failure is told.

Exit status 1 is "no", 2 is "cannot be read" or "called wrongly".
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.text import Text

from streamcount.core.event import ActRefusedError
from streamcount.core.fields import EventError

# Names, titles and paths are shown as they are, never read as markup; what is styled is a `Text`.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
# Format characters that Arabic and other scripts need inside words.
_JOINERS = "\u200c\u200d"

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Directory of logs, keys and the token.", show_default="streamcount-data"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def shown(value: object) -> str:
    """Return what came from elsewhere as one line that does nothing to a terminal.

    Control characters could hide lines or forge them; so could characters that turn the direction.
    """
    return "".join(
        character if character.isprintable() or character in _JOINERS else "\ufffd"
        for character in str(value)
    )


def fail(message: object, status: int = 1) -> NoReturn:
    """Print one line of what was wrong, and end; a `Text` is printed as it is."""
    if not isinstance(message, Text):
        message = Text.assemble(("streamcount: ", "bold red"), shown(message))
    err.print(message, soft_wrap=True)
    raise typer.Exit(status)


Kind = TypeVar("Kind", bound=BaseSettings)


def load_settings(kind: type[Kind], **given: Any) -> Kind:
    """Return settings: what was given on the command line, over the environment, over defaults."""
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()
        ]
        fail("; ".join(lines), 2)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run something that may be refused; SIGTERM and a closed terminal end it in good order."""
    told: list[int] = []

    async def until_told() -> Any:
        task = asyncio.current_task()

        def end(number: int) -> None:
            told.append(number)
            if task is not None:
                task.cancel()

        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and sys.platform != "win32":
                asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(until_told())
    except (ActRefusedError, EventError) as error:
        fail(error)
    except asyncio.CancelledError:
        raise typer.Exit(128 + told[0] if told else 1) from None
