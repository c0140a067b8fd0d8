"""`python -m aitwin`: the command line, for launchers that start modules."""

from aitwin.cli import main

if __name__ == "__main__":
    main()
