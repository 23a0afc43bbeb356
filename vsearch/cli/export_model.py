"""`vsearch models export`."""

from __future__ import annotations

from typing import Annotated

import typer

from vsearch.cli.base import JsonOption, WeightsOption, console_of, given_paths, print_json, settings_of
from vsearch.cli.models import models_app


@models_app.command()
def export(
    name: Annotated[str, typer.Argument(help="An open_clip model, such as ViT-B-32/openai.", show_default=False)],
    folder: Annotated[str, typer.Argument(help="The model folder to write.", show_default=False)],
    weights: WeightsOption = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Store weights in 8 bits: a quarter of the size, a little loss.")
    ] = False,
    pictures: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Pictures to compare on, better real ones.", show_default="made ones"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an open_clip model as a model folder, which needs no torch, and say how close it comes to the original."""
    from vsearch.errors import InputError
    from vsearch.models.registry import load_model

    settings = settings_of(None, name, weights=weights)
    target, *shown = given_paths([folder] if pictures is None else [folder, pictures])
    exact = settings.model_copy(update={"device": "cpu", "precision": "fp32", "compile": False})
    model = load_model(name, exact)
    from vsearch.models.model_folder import FolderModel

    if isinstance(model, FolderModel) or name == "fake":
        raise InputError(f"{name!r} needs no export: only models of open_clip run on torch.")
    from vsearch.models.openclip import OpenClipModel
    from vsearch.models.openclip_export import describe, export_model, read_pictures

    assert isinstance(model, OpenClipModel), "what is no folder runs on torch"
    compared = read_pictures(shown[0], model) if shown else None
    report = export_model(model, target.absolute(), int8=int8, pictures=compared)
    if as_json:
        print_json(report.as_json())
    else:
        from vsearch.report import readable

        for line in describe(report):
            console_of().print(readable(line), markup=False, soft_wrap=True)
