"""One script per set of figures in the README; `make bench` runs them all, `make bench ONLY=corridor` one."""
