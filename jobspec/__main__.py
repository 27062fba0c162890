"""`python -m jobspec`: the command line."""

from jobspec.cli import main

main()
