"""Which TLS a host must have before mail goes to it, and why: by DNSSEC, policies, the configuration and memory."""
