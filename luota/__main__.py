"""`python -m luota` is the `luota` program."""

from luota.cli import main

if __name__ == "__main__":
    main()
