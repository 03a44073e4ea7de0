"""Sparse deep nets (extra ``nn``)."""
