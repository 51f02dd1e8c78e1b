"""DEFLATE: the format (``deflate``), a slow reference, a decoder of lanes (GPU) and one of tables (CPU)."""
