"""Device functions that run on CPU and GPU alike, and the CUDA kernels around them: inflate, sections, windows."""
