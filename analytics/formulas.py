"""Cells of CSV that a spreadsheet would calculate, made into text."""

import re

_BEGINS_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def escaped(cell: str) -> str:
    """The cell behind a `'`, if it would be a formula; a number, such as -5, stays one."""
    if _BEGINS_FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
