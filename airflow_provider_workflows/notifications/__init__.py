"""Tell people which runs have failed, or are late."""
