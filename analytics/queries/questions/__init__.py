"""The questions: each is one file, or a folder with its helpers.

A new question is a new file here and one line in QUESTIONS of `analytics.queries`. Questions with
pages share `cursors.py`, and those about one or several people `actors.py`.
"""
