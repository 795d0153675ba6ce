"""`analytics query`: ask the api a question over HTTP and show the answer in the terminal."""

import json
import re
import shutil
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from typing import Any

import click

from analytics import embedded
from analytics.commands import address, here
from analytics.commands.api_client import ApiClient
from analytics.commands.layout import wrapped
from analytics.commands.nearest import hint
from analytics.commands.output import as_json as document
from analytics.commands.output import show
from analytics.commands.tables import PrintedTable, tables
from analytics.errors import CommandError, ConfigurationError
from analytics.formulas import escaped
from analytics.settings import Settings, load
from analytics.terminal import pass_on, say, visible, visible_json, width

JSON, NDJSON = "application/json", "application/x-ndjson"


_SPECIAL = re.compile(r'[,"\r\n]')


class QueryCommand(click.Command):
    """Knows `-h` as a word of its own only: in `--sort -path` it is part of a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--help" if word == "-h" else word for word in args])


@click.command(
    cls=QueryCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
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
@click.option(
    "--formulas",
    type=click.Choice(["keep", "escape"]),
    help="In CSV: escape puts a ' before text that a spreadsheet would calculate.  [default: keep]",
)
@click.pass_context
def query(
    ctx: click.Context,
    question: str,
    parameters: Sequence[str],
    key: str | None,
    url: str | None,
    as_json: bool,
    as_csv: bool,
    formulas: str | None,
) -> None:
    """Ask a QUESTION: its path below /api, with its parameters as options, as in trends --event
    page --last 30d.

    See docs/asking.md for all questions and their parameters; `users/ada/timeline` and `export
    --format csv` are questions too.
    """
    question, _, inline = question.strip("/").removeprefix("api/").partition("?")
    options = [name for option in ctx.command.params for name in option.opts if name[0] == "-"]
    pairs = [*urllib.parse.parse_qsl(inline, keep_blank_values=True), *_pairs(parameters, options)]
    if question == "export" and formulas:
        pairs.append(("formulas", formulas))
    settings, run = load(), None
    if url is None or not (key or settings.api_keys):
        settings, run = here(settings)
    base = url or f"http://{address.local(settings.host, settings.api_port)}"
    api = ApiClient(base, key or key_of(settings, run, base))
    with api.ask(question, pairs) as answer:
        if answer.headers.get_content_type() != JSON:
            _pass_on(answer)
            _remark(_unsure(answer.headers.get("X-Unsure-Since")))
            _remark(answer.headers.get("X-Hint"))
            return
        body = answer.read()
    if as_json:
        pass_on(body.decode(errors="replace"), visible_json)
    else:
        _print(body, as_csv=as_csv, escape=formulas == "escape")


def _pairs(words: Sequence[str], options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The parameters in `--name value` and `--name=value`; raises UsageError for other words."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name == "--":
            raise click.UsageError(f"{word!r} is not a parameter; write parameters as --name value")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise click.UsageError(f"{name} has no value{hint(name, options)}")
            value = following
        yield name[2:], value


def key_of(settings: Settings, run: embedded.Running | None, base: str) -> str:
    """The API key to use without --key; raises ConfigurationError when there is none.

    It is the first of API_KEYS, or the key of the `analytics run` here, which only its own api is
    told: after a crash, somebody else may listen at its port.
    """
    if settings.api_keys:
        return settings.api_keys[0]
    if run is None:
        raise ConfigurationError(
            "no key: give --key, set API_KEYS, or start `analytics run` here", field="API_KEYS"
        )
    if not run.serves(base):
        raise ConfigurationError(
            f"no key: the `analytics run` here (process {run.pid}) has no api at {base}; "
            "give --key, or set API_KEYS",
            field="API_KEYS",
        )
    return embedded.kept_secret(settings.data_dir / "key")


def _pass_on(answer: HTTPResponse) -> None:
    """Print a file as it comes; on a terminal as text. Raises CommandError if it is none."""
    kind = answer.headers.get_content_type()
    if not sys.stdout.isatty():
        shutil.copyfileobj(answer, sys.stdout.buffer)
    elif kind == NDJSON or kind.startswith("text/"):
        shown = visible_json if kind == NDJSON else visible
        for line in answer:
            say(shown(line.decode(errors="backslashreplace").rstrip("\r\n")))
    else:
        raise CommandError(f"the answer is {kind}, not text; write it to a file with > FILE")


def _print(body: bytes, *, as_csv: bool, escape: bool) -> None:
    """Print an answer as tables or as CSV, and what is no answer, such as openapi.json, as JSON."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CommandError("the answer is not JSON; is an api at --url?") from error
    if not isinstance(answer, dict) or not {"data", "meta"} <= answer.keys():
        if as_csv:
            raise CommandError("the answer is not a table; ask without --csv")
        document(answer)
    elif as_csv:
        _csv(tables(answer["data"])[0], escape)
        _remark(_unsure(answer["meta"].get("unsure_since")))
        _remark(answer["meta"].get("hint"))
        _remark(_more(answer["data"]))
    else:
        _show(answer)


def _csv(table: PrintedTable, escape: bool) -> None:
    rows = [[_cell(value) for value in row] for row in (table.columns, *table.rows)]
    if escape:
        rows = [list(map(escaped, row)) for row in rows]
    pass_on("".join(",".join(map(_quoted, row)) + "\n" for row in rows))


def _quoted(cell: str) -> str:
    """A cell of CSV; unlike Python's, with a lone carriage return in quotes."""
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


def _cell(value: Any) -> str:
    """A value as CSV holds it: text as it is, nothing for null, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _show(answer: dict[str, Any]) -> None:
    """Print the tables of an answer, up to when it is complete, and how to see more."""
    for table in tables(answer["data"]):
        show(table)
        say("")
    meta = answer["meta"]
    if unsure := _unsure(meta.get("unsure_since")):
        say(*wrapped(unsure, width()), fg="yellow")
    if hint := meta.get("hint"):
        say(*wrapped(hint, width()))
    until = meta["watermark"] or "an unknown time"
    say(*wrapped(f"{meta['ms']} ms, complete until {until}", width()), dim=True)
    if more := _more(answer["data"]):
        say(more, dim=True)


def _unsure(since: str | None) -> str | None:
    """That events may be missing from an answer, if any may."""
    if since is None:
        return None
    return f"events acknowledged after {since} may be lost; `analytics doctor` says more"


def _more(data: Any) -> str | None:
    """How to see the next page, if there is one."""
    cursor = data.get("next") if isinstance(data, dict) else None
    return f"more: --cursor {cursor}" if cursor else None


def _remark(text: str | None) -> None:
    """Say something beside the data, which may be on its way into a file."""
    if text:
        say(visible(text), err=True)
