"""What this package offers: one name for both."""

from mailserver.plugin import FilterOffer, ListenerOffer

webhook = ListenerOffer("webhook", "mailserver_webhook.teller.Teller", "Tell a program elsewhere what happens to mail.")
webhook_filter = FilterOffer("webhook", "mailserver_webhook.judge.Judge", "Ask a program elsewhere about each message.")
