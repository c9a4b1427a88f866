"""Pixels and files: readers, zonal statistics and stores, left of the waist."""
