"""Greylisting for mailserver: strangers are asked to come back later, and those who do are known from then on."""
