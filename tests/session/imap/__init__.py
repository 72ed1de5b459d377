"""IMAP sessions, with a whole server behind them."""
