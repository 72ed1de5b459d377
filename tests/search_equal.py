"""Whether searches by the index find what a look at each message finds: as many as are wanted, by chance.

    python -m tests.search_equal --queries 10000 [--messages 400] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys

from twisted.trial.reporter import VerboseTextReporter
from twisted.trial.runner import TestLoader, TrialRunner

from tests.session.imap.test_search_index import EqualTests


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    EqualTests.queries, EqualTests.messages, EqualTests.seed = given.queries, given.messages, given.seed
    EqualTests.timeout = 24 * 3600
    result = TrialRunner(VerboseTextReporter).run(TestLoader().loadClass(EqualTests))
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
