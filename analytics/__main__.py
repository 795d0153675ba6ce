"""`python -m analytics` is the command `analytics`."""

from analytics.cli import main

main()
