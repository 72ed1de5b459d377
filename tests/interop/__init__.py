"""Other people's programs against real servers: swaks, smtplib, curl, mutt, Postfix and Exim; some send, some read."""
