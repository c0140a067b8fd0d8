"""What keeps the twin running, and what checks that it is well."""
