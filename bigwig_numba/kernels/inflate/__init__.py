"""DEFLATE: the format (``deflate``), a slow reference, decoders by lane and by warp (GPU), one of tables (CPU)."""
