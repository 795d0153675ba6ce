"""Files → the queue, so that whatever interrupts or repeats an import, every line counts once.

`source.py`    a file, inflated         `lines.py`     its lines, bounded         `table.py`  CSV rows as such lines
`verdicts.py`  lines → events           `rejects.py`   what was refused, and why
`position.py`  how far we are, kept     `importer.py`  the loop over all of this
`settled.py`   what became of it        `display.py`   what is shown meanwhile
"""
