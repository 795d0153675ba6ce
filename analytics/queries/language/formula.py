"""Formulas over series, like `B/A*100`."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from analytics.queries.language.measures import Number, number

MAX_LENGTH = 200

_WORDS = re.compile(
    r"(?:[A-Z](?![A-Z0-9.])|(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?![A-Z0-9.])|[-+*/() ])+"
)
"""Letters and decimal numbers, each alone: Python also has `1J`, `0XF`, `1E9` and `...`."""
_OPERATORS: Mapping[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


class Formula(msgspec.Struct, frozen=True):
    """Arithmetic over the series' letters: decimal numbers, + - * / and parentheses."""

    examples: ClassVar = ("B/A*100",)

    text: str
    tree: ast.expr
    names: frozenset[str]

    @classmethod
    def read(cls, text: str) -> "Formula":
        """Raises ValueError for anything else.

        Python's own parser reads the text; only the kinds of nodes in `_NODES` pass.
        """
        try:
            if len(text) > MAX_LENGTH or not _WORDS.fullmatch(text):
                raise SyntaxError
            tree = ast.parse(text.strip(), mode="eval").body
            if not all(isinstance(node, _NODES) for node in ast.walk(tree)):
                raise SyntaxError
        except SyntaxError as error:
            raise ValueError(
                "it is made of the series' letters, numbers, + - * / and parentheses, "
                f"at most {MAX_LENGTH} characters (in a query string + is %2B)"
            ) from error
        names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        return cls(text, tree, names)

    def of(self, values: Mapping[str, Number]) -> Number:
        """The value; None if it divides by zero, is not finite, or an operand is None."""
        try:
            result = _value(self.tree, values)
            return number(result) if result is not None and math.isfinite(result) else None
        except (ZeroDivisionError, OverflowError):  # a large int is finite, but no double
            return None


_NODES = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Constant, *_OPERATORS)


def _value(node: ast.expr, values: Mapping[str, Number]) -> Number:
    match node:
        case ast.Name():
            return values[node.id]
        case ast.Constant(int() | float() as constant):
            return constant
        case ast.UnaryOp(sign, operand):
            return _applied(sign, _value(operand, values))
        case ast.BinOp(left, sign, right):
            return _applied(sign, _value(left, values), _value(right, values))
    raise AssertionError(node)


def _applied(sign: ast.AST, *operands: Number) -> Number:
    return None if None in operands else _OPERATORS[type(sign)](*operands)
