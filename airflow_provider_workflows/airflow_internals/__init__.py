"""Every undocumented name of Airflow that this package uses, by subject.

Nothing outside of this package imports such a name. Each one belongs to a ``Feature``: a guard that checks for the
name itself and never for a version number, what happens without it, and one log line. The tests in
``tests/unit/airflow_internals`` fail where an Airflow no longer has one of them; ``docs/airflow_internals.md``
lists them all.
"""
