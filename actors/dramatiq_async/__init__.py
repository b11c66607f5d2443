"""Runs actors as coroutines under the stock `dramatiq` command line."""
