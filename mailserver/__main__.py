"""``python -m mailserver``: the same as the command."""

from mailserver.cli.main import main

if __name__ == "__main__":
    main()
