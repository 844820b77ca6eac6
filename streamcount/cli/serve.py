"""`streamcount serve`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from streamcount import __version__
from streamcount.cli.terminal import DataOption, err, fail, load_settings, out
from streamcount.config import PlatformSettings, Settings, YouTubeSettings


def serve(  # noqa: PLR0913, PLR0917 (options)
    data: DataOption = None,
    redis_url: Annotated[
        str | None,
        typer.Option(
            help="A real Redis 6.2+ or Valkey: redis://host:port/0, or a deployment of several, "
            "redis+sentinel://host:port,.../master-name, redis+cluster://host:port,... "
            "Embedded when not given. See docs/deployment.md."
        ),
    ] = None,
    buckets: Annotated[
        int | None,
        typer.Option(
            help="Buckets an event is shared out over, for a cluster: as many as masters, or twice.",
            show_default="1",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Ingest processes.", show_default="2")] = None,
    public_host: Annotated[
        str | None, typer.Option(help="Address viewers connect to.", show_default="127.0.0.1")
    ] = None,
    public_port: Annotated[
        int | None, typer.Option(help="Port viewers connect to; 0 for any.", show_default="8080")
    ] = None,
    operator_host: Annotated[
        str | None, typer.Option(help="Address of console and API.", show_default="127.0.0.1")
    ] = None,
    operator_port: Annotated[
        int | None, typer.Option(help="Port of console and API.", show_default="8081")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    standby: Annotated[
        bool,
        typer.Option(
            "--standby",
            help="Wait while another service runs on the data directory; take its place when it ends.",
        ),
    ] = False,
) -> None:
    """Run the service: viewers on one port, console and API on another.

    Every other setting is an environment variable, STREAMCOUNT_ and a name of config.py in capitals.
    Ctrl-C, or SIGTERM, ends it in good order: viewers are asked to reconnect, what was heard is archived.
    """
    settings = load_settings(
        Settings,
        data=data,
        redis_url=redis_url,
        buckets=buckets,
        workers=workers,
        public_host=public_host,
        public_port=public_port,
        operator_host=operator_host,
        operator_port=operator_port,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    # The notary reads them; what is wrong with them is told here.
    load_settings(PlatformSettings)
    load_settings(YouTubeSettings)
    from streamcount.app import set_up_logging
    from streamcount.limits import raise_open_files
    from streamcount.supervise import Service, ServiceError

    set_up_logging("serve")
    raise_open_files()

    async def begin(service: Service) -> None:
        if standby:
            await service.stand_by()
        await service.start()

    async def work() -> None:
        service = Service(settings)
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        told = asyncio.create_task(ending.wait())
        watching: asyncio.Task[None] | None = None
        try:
            starting = asyncio.create_task(begin(service))
            await asyncio.wait({told, starting}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return
            starting.result()
            _greet(service.addresses(), settings.data, service.store_name)
            watching = asyncio.create_task(service.watch())
            await asyncio.wait({told, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            err.print("ending: viewers are asked to reconnect, what was heard is archived ...")
        finally:
            told.cancel()
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await service.end()

    try:
        asyncio.run(work())
    except ServiceError as error:
        fail(error)


def _greet(addresses: dict[str, str], data: Path, store: str) -> None:
    token = (data / "operator.token").read_text().strip()
    viewers = addresses["public"].replace("http", "ws", 1)
    out.print(f"streamcount {__version__} counts, in {store}. Data in {data}/", style="bold")
    out.print(f"  viewers   {viewers}/v1/viewers")
    out.print(f"  try page  {addresses['public']}/examples/watch.html")
    out.print(f"  console   {addresses['operator']}/#token={token}", soft_wrap=True)
    out.print("Ctrl-C ends it.")
