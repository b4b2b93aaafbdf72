"""``python -m ratoon`` is the command line."""

from ratoon.cli.main import main

if __name__ == "__main__":
    main()
