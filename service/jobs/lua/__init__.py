"""The Lua scripts of the ledger, and what builds and runs them.

`x.lua` is called through `x.py`, whose function has the script's arguments as parameters. The
script's header documents them and its reply.
"""
