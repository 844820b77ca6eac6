"""`python -m streamcount` is `streamcount`."""

from streamcount.cli import main

main()
