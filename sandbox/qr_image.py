"""Reading the QR code that Slack shows, as the camera of a phone would."""

from __future__ import annotations

from pathlib import Path

import click


def qr_value(picture_or_value: str) -> str:
    """What the code in a picture says; a text that names no file is such a value itself.

    Raises:
        click.ClickException: the file is no picture, there is no code in it, or nothing here can read one.
    """
    path = Path(picture_or_value)
    if not path.suffix or not path.is_file():
        return picture_or_value
    try:
        import zxingcpp  # noqa: PLC0415 - only development installs have a reader
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415
    except ImportError:
        raise click.ClickException("Reading pictures needs the packages of requirements-dev.txt.") from None
    try:
        with Image.open(path) as picture:
            codes = zxingcpp.read_barcodes(picture)
    except UnidentifiedImageError:
        raise click.ClickException(f"{path} is no picture; --scan takes one that shows a QR code.") from None
    if not codes:
        raise click.ClickException(f"There is no QR code in {path}.")
    return str(codes[0].text)
