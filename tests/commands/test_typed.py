"""Options, repeated as they were typed."""

import click
import pytest

from analytics.commands.typed import Typed, typed


@click.command(cls=Typed)
@click.argument("files", nargs=-1)
@click.option("--name", "-n", default="default")
@click.option("--pair", "pairs", multiple=True, type=int)
@click.option("--on/--off", default=True)
@click.option("--loud", is_flag=True)
@click.pass_context
def tried(context: click.Context, /, **_: object) -> None:
    click.echo(" ".join(typed(context)))


@pytest.mark.parametrize(
    ("words", "repeated"),
    [
        ("a b", ""),
        ("a -n a b", "--name a"),
        ("--pair 1 a --pair=02 b", "--pair 1 --pair 02"),
        ("--off --loud a", "--off --loud"),
        ("--off --on a", "--on"),
        ("-- --loud", ""),
    ],
)
def test_options_are_repeated_without_arguments_and_defaults(
    words: str, repeated: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tried.main(words.split(), standalone_mode=False)
    assert capsys.readouterr().out.strip() == repeated
