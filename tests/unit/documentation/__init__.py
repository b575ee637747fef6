"""The documentation is true: its snippets run, its tables are those of the code, and its links lead somewhere."""
