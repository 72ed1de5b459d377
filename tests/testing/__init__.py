"""What plugin writers test with."""
