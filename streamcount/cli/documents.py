"""`streamcount report`: what a pack comes to, as documents for adjudicators and press."""

from __future__ import annotations

import dataclasses
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamcount.cli.evidence import key_text, read_kept
from streamcount.cli.report import chosen, phases, report
from streamcount.cli.show import bar_of_phases
from streamcount.cli.terminal import err, fail, load_settings, out, shown
from streamcount.config import PackLimits
from streamcount.evidence.fault import FaultError
from streamcount.evidence.findings import Findings
from streamcount.evidence.verify import verify
from streamcount.evidence.witnessed import Outside
from streamcount.report.content import NoReportError, content
from streamcount.report.legible import Odd, legible

_ODD_SHOWN: Final = 20


class Languages(StrEnum):
    """Which languages the documents are in."""

    AR = "ar"
    EN = "en"
    BOTH = "both"


class Digits(StrEnum):
    """Which digits the Arabic documents have: ٠١٢ or 012."""

    ARABIC = "arabic"
    WESTERN = "western"


def report_command(  # noqa: PLR0913, PLR0917 (options)
    pack: Annotated[Path, typer.Argument(help="The pack, a ZIP file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the documents.")],
    key: Annotated[
        str | None,
        typer.Option(help="The log's key as agreed beforehand, or a file that holds it."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="The file sheet.txt as it was kept when it was signed.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint kept during the event; may be repeated.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Whose cosignatures were agreed to be enough: a C2SP tlog-policy file."),
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(help="An authority's root certificate (PEM) from elsewhere; may be repeated."),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            help="Your certificate with its key (PKCS #12), to sign claim.pdf with; asks for "
            "--passphrase-file, or the environment's STREAMCOUNT_PASSPHRASE."
        ),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file that holds the certificate's passphrase.")
    ] = None,
    lang: Annotated[Languages, typer.Option(help="Languages of the documents.")] = Languages.BOTH,
    digits: Annotated[
        Digits, typer.Option(help="Digits of the Arabic documents.")
    ] = Digits.WESTERN,
) -> None:
    """Write claim.pdf and the forms adjudicators ask for, from a pack that is verified first.

    Exit status 1: the pack does not hold, and nothing was written. 2: it cannot be read.
    """
    words = chosen(None)
    given = key_text(key, words)
    agreed = None if sheet is None else read_kept(sheet, words)
    kept = [read_kept(path, words) for path in checkpoint or []]
    outside = Outside(
        None if policy is None else read_kept(policy, words),
        [read_kept(path, words) for path in root or []],
    )
    limits = load_settings(PackLimits)
    with bar_of_phases(err) as progress:
        findings = verify(
            pack,
            key=given,
            sheet=agreed,
            checkpoints=kept,
            outside=outside,
            limits=limits,
            progress=phases(progress, words),
        )
    if findings.fault is not None:
        for line in report(findings, words):
            out.print(line, soft_wrap=True)
        fail("there is no report of a pack that does not hold", findings.exit_code)
    signer = None if sign is None else _signer(sign, passphrase_file)
    languages = ["ar", "en"] if lang is Languages.BOTH else [lang.value]
    try:
        files = _made(pack, findings, limits, languages, arabic=digits is Digits.ARABIC)
        if signer is not None:
            files["claim.pdf"] = _signed(files["claim.pdf"], signer)
        for name, data in files.items():
            _write(output / name, data)
    except (FaultError, NoReportError, OSError) as error:
        fail(error)
    out.print(f"written to {shown(output)}: {', '.join(files)}", soft_wrap=True)
    if not findings.key_from_outside:
        err.print(
            "claim.pdf says that the key was taken from the pack itself; give the agreed one with --key"
        )


def _made(
    path: Path, findings: Findings, limits: PackLimits, languages: list[str], *, arabic: bool
) -> dict[str, bytes]:
    from streamcount.report.making import make
    from streamcount.report.pages import shows
    from streamcount.report.reading import VerifiedPack
    from streamcount.report.typeset import TypesetError

    with VerifiedPack(path, findings.size, limits) as pack:
        found = content(findings, pack.entries())
        found = dataclasses.replace(found, tokens=tuple(pack.tokens()))
        attached = pack.attachments(found)
    try:
        told, odd = legible(found, shows)
        _tell_odd(odd)
        return dict(make(told, languages, arabic_digits=arabic, attached=attached))
    except TypesetError as error:
        fail(error)


def _signer(certificate: Path, passphrase_file: Path | None) -> Any:
    from streamcount.report.signing import SigningError, load_signer

    try:
        if passphrase_file is None:
            passphrase = os.environ.get("STREAMCOUNT_PASSPHRASE", "").encode()
        else:
            passphrase = passphrase_file.read_bytes().rstrip(b"\r\n")
        return load_signer(certificate.read_bytes(), passphrase)
    except (OSError, SigningError) as error:
        fail(f"--sign: {error}")


def _signed(pdf: bytes, signer: Any) -> bytes:
    from streamcount.report.signing import SigningError, sign

    try:
        return sign(pdf, signer)
    except SigningError as error:
        fail(f"--sign: {error}")


def _tell_odd(odd: list[Odd]) -> None:
    """Say which characters could not be shown, and where: they are replaced in the documents."""
    for one in odd[:_ODD_SHOWN]:
        err.print(f"{shown(one.place)}: {one.number} cannot be shown, so it is replaced there")
    if len(odd) > _ODD_SHOWN:
        err.print(f"and {len(odd) - _ODD_SHOWN} more like these")


def _write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
