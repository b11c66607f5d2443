-- `python -m tests.lint.lua` runs luacheck on the scripts as they are put together: in a single
-- file, whatever it includes would be an undefined variable.
std = "lua51"
globals = {"redis", "cjson"}
read_globals = {"ARGV"}
max_line_length = 100
