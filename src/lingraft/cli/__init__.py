"""The command line: parses, calls, prints; one verb a file, no logic.

stdout is data, stderr is progress and log. Bad input ends with exit code 2 and one line.
"""

import sys

from lingraft.errors import LingraftError

_BAD_INPUT = 2
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    from lingraft.cli.app import app

    try:
        app(args=arguments, prog_name="lingraft")
    except LingraftError as error:
        print(f"lingraft: {error}", file=sys.stderr)
        sys.exit(_BAD_INPUT)
    except KeyboardInterrupt:
        print("lingraft: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(_INTERRUPTED)
