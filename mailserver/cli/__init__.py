"""The ``mailserver`` command: one file a noun; `main` knows the words and imports what is used."""
