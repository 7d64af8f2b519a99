"""Faults as wrappers over the ports of a box, for ``loa simulate`` and for the deterministic simulation."""
