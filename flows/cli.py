"""The command line. Heavy imports wait until a command needs them, so `wadi --help` is quick."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

DEMO_ISSUED = "2024-04-08"
"""The synthetic country's own today: its map is not years old, and is the same on every machine."""

DONE, WRONG_INPUT, USAGE, GAPS, OUR_FAULT = 0, 1, 2, 3, 70

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Climate and displacement risk per subdistrict: tables, warning levels and maps that open offline.",
)

Config = Annotated[str, typer.Option(help="A country file, or the name of a bundled one (demo, iraq).")]
Data = Annotated[Path | None, typer.Option(help="Folder that holds the inputs named in the country file.")]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
AsOf = Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Month the run speaks about.")]
Issued = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Date the run is issued; default today.")]
DemoIssued = Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date the run is issued.")]
Dask = Annotated[str | None, typer.Option(metavar="URL", help="A Dask scheduler, such as tcp://127.0.0.1:8786.")]
Exercise = Annotated[bool, typer.Option(help="A drill: every product says EXERCISE and `latest` stays.")]
Strict = Annotated[bool, typer.Option(help="Leave with code 3, and `latest` as it was, if anything is missing.")]
Restricted = Annotated[bool, typer.Option(help="Also write exact counts to restricted/, which must not be published.")]


@app.command(epilog="Example: wadi demo --out out")
def demo(out: Out = Path("out"), issued: DemoIssued = DEMO_ISSUED, exercise: Exercise = False) -> None:
    """Run the whole pipeline on the embedded synthetic country, offline."""
    with plain_errors():
        from .plan import parse_day

        parse_day(issued, "--issued")
        ready = _start_prefect()
        from geodata import synthetic

        data = out / "demo" / "inputs"
        say("Making the synthetic country ...")
        synthetic.write_country(data)
        _run("demo", data, None, issued, out, exercise=exercise, ready=ready)


@app.command(epilog="Example: wadi run --config iraq --data data/iraq --as-of 2019-08 --out out")
def run(
    config: Config,
    data: Data = None,
    as_of: AsOf = None,
    issued: Issued = None,
    out: Out = Path("out"),
    dask: Dask = None,
    exercise: Exercise = False,
    strict: Strict = False,
    restricted: Restricted = False,
) -> None:
    """Compute risk and warning levels, and publish the map and the tables."""
    with plain_errors():
        _run(config, data, as_of, issued, out, dask=dask, exercise=exercise, strict=strict, restricted=restricted)


@app.command(epilog="Example: wadi check --config iraq --data data/iraq")
def check(config: Config, data: Data = None, as_of: AsOf = None, issued: Issued = None) -> None:
    """Read every input and report every finding; compute no score."""
    with plain_errors():
        from .policy import prepare_prefect

        prepare_prefect()
        from .check_inputs import check_inputs

        findings = check_inputs.fn(config, _text(data), as_of, issued or today())  # an answer at once, without a server
        for finding in findings:
            typer.echo(f"{finding.severity}: {finding}")
        errors = sum(f.severity == "error" for f in findings)
        typer.echo(f"{errors} errors, {len(findings) - errors} other findings.")
        if errors:
            raise typer.Exit(WRONG_INPUT)


@app.command(epilog="Example: wadi compare out/iraq/latest --config edited.toml --out compare.csv")
def compare(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    config: Annotated[str, typer.Option(help="The edited country file.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="A CSV to write with every subdistrict.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Name all subdistricts that change.")] = False,
) -> None:
    """Show what an edit of the settings would move, before it is applied."""
    with plain_errors():
        from .policy import prepare_prefect

        prepare_prefect()
        from .compare_settings import compare_settings

        typer.echo("\n".join(compare_settings.fn(str(run), config, _text(data), _text(out), every)))


@app.command(epilog="Example: wadi publish out/iraq/runs/2019-08-0123456789")
def publish(run: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Promote a staged run to `latest`, unless its checks hold an error."""
    with plain_errors():
        from .promote import promote

        typer.echo("\n".join([*promote(run), f"{run} is published."]))


@app.command(epilog="Example: wadi serve out/demo")
def serve(
    folder: Annotated[Path, typer.Argument(help="A country's results, a run, or the folder above them.")] = Path("out"),
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8000,
) -> None:
    """Open the published site on 127.0.0.1 until Ctrl-C."""
    with plain_errors():
        from .serve import serve_site

        serve_site(folder, port, say)


@app.command(epilog="Example: wadi verify out/demo/latest")
def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    data: Data = None,
) -> None:
    """Re-derive the numbers of a run from its receipt and compare them."""
    with plain_errors():
        from .policy import prepare_prefect

        prepare_prefect()
        from .verify import differences

        found = differences(run, _text(data), say)
        for line in found:
            typer.echo(line)
        if found:
            typer.echo(f"{run}: does not hold; {len(found)} differences.")
            raise typer.Exit(WRONG_INPUT)
        typer.echo(f"{run}: inputs, products and numbers are what the receipt says.")


@app.command(epilog="Example: wadi relocate XWG01Q01N01 XWG02Q01N02 40 --config demo --data out/demo/inputs --out out")
def relocate(
    a: Annotated[str, typer.Argument(metavar="A", help="Subdistrict that they leave: p-code or name.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Subdistrict where they arrive: p-code or name.")],
    n: Annotated[str, typer.Argument(metavar="N", help="Households that move.")],
    config: Config,
    data: Data = None,
    as_of: AsOf = None,
    issued: Issued = None,
    out: Out = Path("out"),
    kind: Annotated[str, typer.Option(help="displaced (stay so), return (as residents), evacuation.")] = "displaced",
    leaving: Annotated[str, typer.Option(help="Shelter they leave: any, camp, critical.")] = "any",
    arriving: Annotated[str, typer.Option(help="Shelter they arrive in: same, camp, critical, other.")] = "same",
    as_json: Annotated[bool, typer.Option("--json", help="Plain values for programs.")] = False,
) -> None:
    """Show risk, water and host pressure at both ends before and after households move."""
    with plain_errors():
        from .policy import prepare_prefect

        prepare_prefect()
        from .relocate_households import relocate_households
        from .scenario_words import lines_of

        report = relocate_households.fn(
            a, b, n, config, issued or today(), _text(data), as_of, str(out), kind, leaving, arriving
        )
        typer.echo(json.dumps(report, ensure_ascii=False, indent=1) if as_json else "\n".join(lines_of(report)))


@app.command(epilog="Example: wadi doctor --out out")
def doctor(out: Out = Path("out")) -> None:
    """Versions, disk, Prefect, Dask, fonts and write access."""
    with plain_errors():
        from .policy import prepare_prefect

        prepare_prefect()
        from .doctor import examine

        healthy = True
        for name, good, words in examine(out):
            typer.echo(f"{'ok ' if good else 'BAD'} {name}: {words}")
            healthy &= good
        if not healthy:
            raise typer.Exit(WRONG_INPUT)


def _run(
    config: str,
    data: Path | None,
    as_of: str | None,
    issued: str | None,
    out: Path,
    *,
    dask: str | None = None,
    exercise: bool = False,
    strict: bool = False,
    restricted: bool = False,
    ready: Callable[[], None] | None = None,
) -> None:
    from .plan import plan_run

    day = issued or today()
    # A typing error is answered before the seconds that Prefect needs to start.
    plan_run(config, _text(data), as_of, day)
    say("Starting Prefect ...")
    ready = ready or _start_prefect()
    from .changes import own_earlier, tell_change
    from .run_country import run_country
    from .summary import read_summary

    ready()
    folder = Path(
        run_country(
            config=config,
            data=_text(data),
            as_of=as_of,
            issued=day,
            out=str(out),
            dask=dask,
            exercise=exercise,
            strict=strict,
            restricted=restricted,
        )
    )
    summary = read_summary(folder)
    typer.echo("\n".join([*summary.lines(), *tell_change(folder, own_earlier(folder))]))
    if strict and summary.gaps:
        typer.echo("Left unpublished (--strict): `latest` is as it was.")
        raise typer.Exit(GAPS)


def _start_prefect() -> Callable[[], None]:
    """Let the server start while the rest is imported. Returns: () -> None, waits for it."""
    from .policy import prepare_prefect
    from .prefect_server import start_server

    prepare_prefect()
    return start_server()


def today() -> str:
    """The date of this machine's clock: read here and nowhere else."""
    return date.today().isoformat()


def say(words: str) -> None:
    """One line of progress, on the error stream so that results can be piped."""
    typer.echo(words, err=True)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def plain_errors() -> Iterator[None]:
    """A user's mistake is one message and code 1; a fault of ours says so with code 70."""
    from geodata.schema import InputError

    progress = logging.getLogger("wadi")
    if not progress.handlers:
        progress.addHandler(logging.StreamHandler(sys.stderr))
        progress.setLevel(logging.INFO)
    try:
        yield
    except InputError as error:
        for finding in error.findings:
            typer.echo(f"error: {finding}", err=True)
        raise typer.Exit(WRONG_INPUT) from None
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except Exception:  # noqa: BLE001  the outermost place: all that gets here is a fault of ours
        traceback.print_exc()
        typer.echo("This is a fault in Wadi, not in your input. `latest` moves only when a run is whole.", err=True)
        raise typer.Exit(OUR_FAULT) from None


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
