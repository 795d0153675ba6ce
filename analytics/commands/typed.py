"""A command that keeps its options as they were typed, so that a message can repeat them."""

from typing import Any

import click

_KEY = "analytics.typed"


class Typed(click.Command):
    """Keeps its options in the context, for `typed`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_KEY] = [
            word
            for option in self.params
            if isinstance(option, click.Option) and option.name in values
            for word in _words(option, values[option.name])
        ]
        return super().parse_args(ctx, args)


def typed(context: click.Context) -> list[str]:
    """The options that were typed, as words of a command line; no arguments and no defaults."""
    words: list[str] = context.meta[_KEY]
    return words


def _words(option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [(option.opts if value else option.secondary_opts)[0]]
    values = value if option.multiple else [value]
    return [word for each in values for word in (option.opts[0], each)]
