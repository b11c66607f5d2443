"""The Lua scripts of the ledger, and what builds and runs them."""
