"""``python -m mailserver.workers NUMBER``: what a master starts; without one it is nothing."""

import sys

from mailserver.workers.worker import main

if __name__ == "__main__":
    sys.exit(main())
