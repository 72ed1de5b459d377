"""What this package offers."""

from mailserver.plugin import FilterOffer

greylist = FilterOffer("greylist", "mailserver_greylist.greylist.Greylist", "Ask strangers to come back later.")
