"""The list of verbs."""

import typer

from lingraft.cli import (
    adapt,
    align,
    data_transfer,
    demo,
    export,
    graft,
    measure,
    plan,
    report,
    run,
    store,
    tokenizer,
    train,
)

app = typer.Typer(
    name="lingraft",
    help="Grafts a new language onto a language model, and weighs in bytes what carried over.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("adapt")(adapt.adapt)
app.command("align")(align.align)
app.command("graft")(graft.graft)
app.command("export")(export.export)
app.command("train")(train.train)
app.command("measure")(measure.measure)
app.command("data-transfer")(data_transfer.data_transfer)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("report")(report.report)
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(store.app, name="store")
