"""Measure the platform, print the tables, and write them into docs/performance.md.

python -m bench [SECTION …] [--short]; `make bench` measures all sections.
"""

import argparse

from bench.report import Report
from bench.sections import LONG, SECTIONS, SHORT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--short", action="store_true", help="all of it in about five minutes")
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - SECTIONS.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        section = SECTIONS[name]
        print(f"\n## {name}: {(section.__doc__ or '').splitlines()[0]}\n", flush=True)
        report = Report(name)
        section(report, SHORT if arguments.short else LONG)
        if not arguments.dry:
            report.write()


if __name__ == "__main__":
    main()
