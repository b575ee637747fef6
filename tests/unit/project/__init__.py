"""What the files of the project that are not code must hold."""
