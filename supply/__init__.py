"""What the twin is made of, and by whom: the bill of materials. A tool of this repository."""
