"""Renditions on disk before their slots need them."""
