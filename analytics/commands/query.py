"""`analytics query`: any question of the api, asked over HTTP and shown in the terminal."""

import csv
import json
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from typing import Any

import click

from analytics import embedded
from analytics.commands.tables import Table, spark, tables
from analytics.errors import CommandError, ConfigurationError
from analytics.settings import Settings, load

SECONDS = 60


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("question")
@click.argument("parameters", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--key",
    help="API key with the scope query.  [default: the first of API_KEYS, else that of an "
    "`analytics run` here]",
)
@click.option("--url", help="Address of the api.  [default: this machine, at API_PORT]")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON of the answer unchanged.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the first table of the answer as CSV.")
def query(
    question: str,
    parameters: Sequence[str],
    key: str | None,
    url: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Ask a QUESTION: its path below /api, with its parameters as options, as in trends --event
    page --last 30d.

    See docs/asking.md for all questions and their parameters; `users/ada/timeline` and `export
    --format csv` are questions too.
    """
    settings = load()
    base = (url or f"http://127.0.0.1:{settings.api_port}").rstrip("/")
    asked = urllib.parse.urlencode(list(_pairs(parameters)))
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError("--url must begin with http:// or https://", field="--url")
    where = f"{base}/api/{urllib.parse.quote(question.strip('/'))}?{asked}"
    with _opened(where, key or key_of(settings), base) as answer:
        if answer.headers.get_content_type() != "application/json":
            shutil.copyfileobj(answer, sys.stdout.buffer)
            return
        body = answer.read()
    if as_json:
        click.echo(body.decode())
    elif as_csv:
        _csv(tables(json.loads(body)["data"]))
    else:
        _show(json.loads(body))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`--name value` and `--name=value`. Raises UsageError for anything else."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name == "--":
            raise click.UsageError(f"{word!r} is not a parameter; write parameters as --name value")
        found = value if equals else next(rest, None)
        if found is None:
            raise click.UsageError(f"{name} has no value")
        yield name[2:], found


def key_of(settings: Settings) -> str:
    """The key of who gives none. Raises ConfigurationError where there is none to be found."""
    if settings.api_keys:
        return settings.api_keys[0]
    kept = settings.data_dir / "key"
    if embedded.running(settings.data_dir) is not None and kept.exists():
        return kept.read_text().strip()
    raise ConfigurationError(
        "no key: give --key, set API_KEYS, or start `analytics run` here", field="API_KEYS"
    )


def _opened(where: str, key: str, base: str) -> HTTPResponse:
    """The answer, if it is one. Raises CommandError with what the api says, or with where it was
    sought.
    """
    try:
        request = urllib.request.Request(where, headers={"X-API-Key": key})  # noqa: S310 - http or https, looked at before
        found: HTTPResponse = urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            try:
                message = json.loads(error.read())["error"]["message"]
            except (ValueError, KeyError, TypeError):
                message = f"it answered {error.code}"
        raise CommandError(f"the api says: {message}") from error
    except OSError as error:
        raise CommandError(
            f"no api answers at {base}: {getattr(error, 'reason', error)}; start one, or pass --url"
        ) from error
    return found


def _csv(found: Sequence[Table]) -> None:
    for table in found[:1]:
        csv.writer(sys.stdout, lineterminator="\n").writerows([table.columns, *table.rows])


def _show(answer: dict[str, Any]) -> None:
    """Tables for people; what is counted over time has a line of blocks below it."""
    import rich.table
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for found in tables(answer["data"]):
        shown = rich.table.Table(
            title=found.title or None,
            title_justify="left",
            box=None,
            show_footer=found.over_time,
            header_style="bold",
        )
        for at, column in enumerate(found.columns):
            values = [row[at] for row in found.rows]
            numbers = all(
                value is None or (isinstance(value, int | float) and not isinstance(value, bool))
                for value in values
            ) and any(values)
            footer = spark(values) if numbers and found.over_time else ""
            shown.add_column(
                Text(column),
                footer=Text(footer, style="cyan"),
                justify="right" if numbers else "left",
                overflow="fold",
            )
        for row in (*found.rows, *([found.total] if found.total else ())):
            shown.add_row(
                *(Text(_cell(value)) for value in row), style="bold" if row is found.total else ""
            )
        console.print(shown)
    meta = answer["meta"]
    console.print(
        f"[dim]{meta['ms']} ms, complete until {meta['watermark'] or 'an unknown time'}[/dim]"
    )
    if isinstance(answer["data"], dict) and answer["data"].get("next"):
        console.print(Text(f"more: --cursor {answer['data']['next']}", style="dim"), soft_wrap=True)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
    )
