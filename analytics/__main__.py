"""`python -m analytics` is `analytics`."""

from analytics.cli import main

main()
