"""Whole rows that a stray quote took into one cell, told from text of several lines."""

import csv

import pytest

from analytics.importing.stray_quote import took_rows


def judged(row: str, delimiter: str = ",") -> bool:
    [cells] = csv.reader(row.splitlines(keepends=True), delimiter=delimiter, strict=True)
    further = [line for line in row.splitlines(keepends=True)[1:] if line.strip()]
    return took_rows(cells, further, delimiter)


@pytest.mark.parametrize(
    "row",
    [
        's1,page,view,"27 inch\ns2,page,view,24"\n',
        's1,page,view,"27 inch\r\ns2,page,view,24"\r\n',
        's1,page,view,"27 inch\n\ns2,page,view,x\ns3,page,view,24"\n',
        's1,"page,view,x\ns2,page,view,x\ns3,page",view,x\n',
        '"s1,page,view,x\ns2,page,view,x\ns3",page,view,x\n',
        's1,page,view,"27 inch\ns2,page,view,\ns3,,,""\ns4,page,view,24"\n',
        '2026-11-01,s1,view,"27 inch\n2026-11-02 10:00,s2,view,24"\n',
        's1,"27\ns2,x\ns3,x\ns4,24"\n',
    ],
)
def test_lines_that_are_like_the_row_are_rows(row: str) -> None:
    assert judged(row)
    assert judged(row.replace(",", ";"), ";")


@pytest.mark.parametrize(
    "row",
    [
        "s1,page,view,x\n",
        's1,page,view,"Dear all,\nplease send apples, pears, plums, thanks"\n',
        's1,page,view,"one\ntwo\nthree"\n',
        's1,page,view,"one\n\n"\n',
        '"s\n1",page,view,x\n',
        's1,"1,5\n2,5",view,x\n',
        's1,"first\n2,5"\n',
        's1,view,"1,2,3\n4,5,6"\n',
        's1,page,view,"{\n""a"": 1,\n""b"": [1,2,3]\n}"\n',
        's1,page,view,"1,2,3,4\n5,6,7,8\ntotal"\n',
        '2026-11-01,s1,view,"1,2,3,4\n5,6,7,8"\n',
        's1,page,view,"x\n""a"",b,c,""d, e"\n',
    ],
)
def test_text_of_several_lines_is_no_rows(row: str) -> None:
    assert not judged(row)
