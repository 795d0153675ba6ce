"""`analytics query`: ask the api a question over HTTP and show the answer in the terminal."""

import csv
import json
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import click

from analytics import embedded
from analytics.commands.tables import PrintedTable, spark, tables
from analytics.errors import CommandError, ConfigurationError
from analytics.settings import Settings, load

if TYPE_CHECKING:
    from rich.text import Text

TIMEOUT_SECONDS = 60


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
    encoded = urllib.parse.urlencode(list(_pairs(parameters)))
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError("--url must begin with http:// or https://", field="--url")
    address = f"{base}/api/{urllib.parse.quote(question.strip('/'))}?{encoded}"
    with _opened(address, key or key_of(settings), base) as answer:
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
    """The parameters in `--name value` and `--name=value`; raises UsageError for other words."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name == "--":
            raise click.UsageError(f"{word!r} is not a parameter; write parameters as --name value")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise click.UsageError(f"{name} has no value")
            value = following
        yield name[2:], value


def key_of(settings: Settings) -> str:
    """The API key to use without --key; raises ConfigurationError when there is none.

    It is the first of API_KEYS, or the key of the `analytics run` that runs here.
    """
    if settings.api_keys:
        return settings.api_keys[0]
    file = settings.data_dir / "key"
    if embedded.running(settings.data_dir) is not None and file.exists():
        return file.read_text().strip()
    raise ConfigurationError(
        "no key: give --key, set API_KEYS, or start `analytics run` here", field="API_KEYS"
    )


def _opened(address: str, key: str, base: str) -> HTTPResponse:
    """The open answer; raises CommandError when the api refuses or does not answer."""
    try:
        # S310: `query` takes http and https only
        request = urllib.request.Request(address, headers={"X-API-Key": key})  # noqa: S310
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
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
    return response


def _csv(shown: Sequence[PrintedTable]) -> None:
    for table in shown[:1]:
        csv.writer(sys.stdout, lineterminator="\n").writerows([table.columns, *table.rows])


def _show(answer: dict[str, Any]) -> None:
    """Print tables; under a column of numbers over time stands a sparkline."""
    import rich.table
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for table in tables(answer["data"]):
        grid = rich.table.Table(
            title=table.title or None,
            title_justify="left",
            box=None,
            show_footer=table.over_time,
            header_style="bold",
        )
        for index, column in enumerate(table.columns):
            values = [row[index] for row in table.rows]
            numbers = any(values) and all(value is None or _is_number(value) for value in values)
            footer = spark(values) if numbers and table.over_time else ""
            grid.add_column(
                Text(column),
                footer=Text(footer, style="cyan"),
                justify="right" if numbers else "left",
                overflow="fold",
            )
        for row in table.rows:
            grid.add_row(*map(_cell, row))
        if table.total:
            grid.add_row(*map(_cell, table.total), style="bold")
        console.print(grid)
    meta = answer["meta"]
    if hint := meta.get("hint"):
        console.print(Text(hint, style="yellow"), soft_wrap=True)
    watermark = meta["watermark"] or "an unknown time"
    console.print(f"[dim]{meta['ms']} ms, complete until {watermark}[/dim]")
    if isinstance(answer["data"], dict) and (cursor := answer["data"].get("next")):
        console.print(Text(f"more: --cursor {cursor}", style="dim"), soft_wrap=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> "Text":
    """A value as people read it; rich's markup in it stays text."""
    from rich.text import Text

    if value is None:
        return Text("–")
    if isinstance(value, float):
        return Text(f"{value:,.2f}")
    if isinstance(value, int):
        return Text(f"{value:,}")
    return Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
