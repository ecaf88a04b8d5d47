"""`python -m geomon` is `geomon`."""

from geomon.cli import main

main()
