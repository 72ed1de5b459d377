"""Other people's programs against real servers: swaks sends, curl and mutt read."""
