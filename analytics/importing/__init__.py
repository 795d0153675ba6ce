"""Files → the queue. Whatever interrupts or repeats an import, every line counts once.

`input_file.py`  a file, decompressed             `formats.py`    NDJSON, CSV, or another encoding
`lines.py`       its lines, bounded in length     `table.py`      rows of CSV as these lines
`literals.py`    text → values                    `stray_quote.py`  rows inside a quoted cell
`mapping.py`     their fields → ours              `times.py`      times as files write them
`judge.py`       lines → events                   `rejects.py`    what was refused, and why
`position.py`    how far an import is, on disk    `importer.py`   the loop over all of this
`display.py`     what is shown meanwhile          `summary.py`    and what is said at the end
`wait.py`        wait until all is stored         `stall.py`      and say if nothing is
`files.py`       all files of one command
"""
