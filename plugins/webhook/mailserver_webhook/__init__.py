"""Webhooks for mailserver: programs elsewhere hear over HTTP what happens to mail, and may judge it."""
