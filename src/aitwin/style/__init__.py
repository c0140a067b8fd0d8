"""A dataset becomes an adapter, an adapter becomes text."""
