"""Emulators of object stores, each behind a gateway that makes it fail as the real ones do."""
