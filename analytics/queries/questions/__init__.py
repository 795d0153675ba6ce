"""The questions: each is one file, or a folder with its helpers."""
