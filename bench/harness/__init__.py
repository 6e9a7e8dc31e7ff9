"""What the benchmarks that drive whole programs share. Python's standard library only."""
