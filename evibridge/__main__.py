"""`python -m evibridge` is the command `evibridge`."""

from evibridge.cli import main

main()
