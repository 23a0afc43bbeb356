"""`vsearch models`."""

from __future__ import annotations

from vsearch.cli.base import JsonOption, app, console_of, print_json, settings_of


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the models that are there, and how to add others."""
    from vsearch.models.registry import list_models
    from vsearch.report import models_table, readable

    settings = settings_of(None, None)
    rows = list_models(settings.models)
    if as_json:
        print_json([row.as_json() for row in rows])
        return
    console = console_of()
    console.print(models_table(rows))
    console.print(
        f"\nTo add one: put its model folder into {readable(settings.models)}, or name any model folder with --model.",
        markup=False,
        soft_wrap=True,
    )
