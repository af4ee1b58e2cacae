"""Quantile tables of the values below zero, and the draws from them."""
