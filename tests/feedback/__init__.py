"""Reports that come in."""
